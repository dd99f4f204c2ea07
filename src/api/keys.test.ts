// Keys, tokens and web sessions: whose they are, what ends with them, and that nothing secret comes out again.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { sql } from "kysely";
import type { NodeId } from "#domain/ids.ts";
import { run } from "#lib/run.ts";
import { makeSshKey } from "#lib/ssh-keys.ts";
import { createClient } from "#sdk/client.ts";
import { readAssignments, readRevision } from "#store/assignments.ts";
import { type ControlPlane, controlPlane, DASHBOARD } from "#test/harness/control-plane.ts";
import { hashToken } from "#trust/token-hash.ts";

const GENEROUS_MS = 60_000;
const SAME_ORIGIN = { origin: DASHBOARD };

test("a key is one user's, under the fingerprint that ssh-keygen prints, and stays one when sent again", async (t) => {
  const plane = await controlPlane(t);
  const { keys } = plane.admin.client;
  const folder = await mkdtemp(join(tmpdir(), "berth-keys-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const type of ["ed25519", "ecdsa", "rsa"]) {
    const file = join(folder, type);
    await run(["ssh-keygen", "-q", "-t", type, "-N", "", "-C", "me@home", "-f", file]);
    const publicKey = (await readFile(`${file}.pub`, "utf8")).trim();
    const made = await keys.create({ name: type, publicKey });
    const { stdout } = await run(["ssh-keygen", "-lf", `${file}.pub`]);
    assert.equal(made.fingerprint, stdout.split(" ")[1]);
    assert.equal(made.publicKey, publicKey.replace(" me@home", ""));
    assert.equal((await keys.create({ name: "again", publicKey })).id, made.id);
    const taken = plane.stranger.client.keys.create({ name: "mine", publicKey });
    await assert.rejects(taken, { code: "in_use" });
  }
  assert.equal((await keys.list()).items.length, 3);
  assert.deepEqual((await plane.stranger.client.keys.list()).items, []);
});

test("what is no key, or too weak a one, is refused with its field", async (t) => {
  const plane = await controlPlane(t);
  const folder = await mkdtemp(join(tmpdir(), "berth-keys-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const weak = join(folder, "weak");
  await run(["ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", weak]);
  const line = makeSshKey("x").publicKeyLine;
  for (const publicKey of [
    await readFile(`${weak}.pub`, "utf8").then((text) => text.trim()),
    "ssh-ed25519 AAAA",
    "nonsense",
    line.replace("ssh-ed25519 ", "ssh-rsa "),
    `${line}\nssh-ed25519 AAAA`,
    `command="id" ${line}`,
    "",
  ]) {
    const create = plane.admin.client.keys.create({ name: "x", publicKey });
    await assert.rejects(create, { code: "invalid_request" }, publicKey);
  }
});

test("another user's keys, tokens and sessions are not there", async (t) => {
  const plane = await controlPlane(t);
  const { client } = plane.admin;
  const member = await plane.addMember("member");
  const key = await client.keys.create({ name: "k", publicKey: makeSshKey("x").publicKeyLine });
  const token = await client.tokens.create({ name: "t" });
  for (const other of [plane.stranger.client, member.client]) {
    await assert.rejects(other.keys.delete(key.id), { code: "not_found" });
    await assert.rejects(other.tokens.delete(token.id), { code: "not_found" });
    assert.ok(!(await other.tokens.list()).items.some((one) => one.id === token.id));
  }
  assert.equal((await client.keys.delete(key.id)).id, key.id);
  await assert.rejects(client.keys.delete(key.id), { code: "not_found" });
  // Deleted, it may be registered again, and be somebody else's.
  const again = await member.client.keys.create({ name: "k", publicKey: key.publicKey });
  assert.notEqual(again.id, key.id);
});

test("a deletion that is sent again is answered as before", async (t) => {
  const plane = await controlPlane(t);
  const { client } = plane.admin;
  const key = await client.keys.create({ name: "k", publicKey: makeSshKey("x").publicKeyLine });
  const idempotencyKey = "once";
  const first = await client.keys.delete(key.id, { idempotencyKey });
  assert.deepEqual(await client.keys.delete(key.id, { idempotencyKey }), first);
  const token = await client.tokens.create({ name: "t" });
  const twice = { idempotencyKey: "twice" };
  const deleted = await client.tokens.delete(token.id, {}, twice);
  assert.deepEqual(await client.tokens.delete(token.id, {}, twice), deleted);
});

test("the box's node is given the owner's keys, and told when they change", async (t) => {
  const plane = await controlPlane(t);
  const { db } = plane;
  const { client } = plane.admin;
  const nodeId = "node_00000000000000000001" as NodeId;
  await sql`insert into nodes (id, name, region, status) values (${nodeId}, 'n', 'r', 'ready')`.execute(
    db.query,
  );
  await sql`insert into node_revisions (node_id) values (${nodeId})`.execute(db.query);
  await plane.addTemplate();
  await client.boxes.create({ template: "default", name: "web" });
  await sql`update boxes set node_id = ${nodeId}, reserved = true, epoch = 1 where name = 'web'`.execute(
    db.query,
  );
  const assigned = async () => {
    const { revision, boxes } = await readAssignments(db, nodeId, { sshUserCa: "", gateways: [] });
    return {
      revision,
      keys: boxes.find((one) => one.identity.hostName === "web")?.sshAuthorizedKeys,
    };
  };
  const before = await assigned();
  const key = await client.keys.create({ name: "k", publicKey: makeSshKey("x").publicKeyLine });
  const after = await assigned();
  assert.deepEqual(after.keys, [key.publicKey]);
  assert.ok(after.revision > before.revision);
  // Somebody else's key is no concern of it.
  const stranger = { name: "k", publicKey: makeSshKey("y").publicKeyLine };
  await plane.stranger.client.keys.create(stranger);
  assert.equal(await readRevision(db, nodeId), after.revision);
  await client.keys.delete(key.id);
  assert.deepEqual((await assigned()).keys, []);
  assert.ok((await readRevision(db, nodeId)) > after.revision);
});

async function untilRefused(plane: ControlPlane, headers: Record<string, string>): Promise<void> {
  for (const limit = AbortSignal.timeout(GENEROUS_MS); !limit.aborted; ) {
    const answer = await plane.api.app.inject({ url: "/v1/system", headers });
    if (answer.statusCode === 401) return;
    assert.equal(answer.statusCode, 200);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail("it is still let in");
}

test("a token works until it is revoked, and takes its web sessions with it", async (t) => {
  const plane = await controlPlane(t);
  const { client } = plane.admin;
  const made = await client.tokens.create({ name: "laptop", expiresInMs: 3_600_000 });
  const other = createClient({ url: plane.url, token: made.token, retries: 0 });
  await other.system.get();
  const seen = (await client.tokens.list()).items.find((one) => one.id === made.id);
  assert.ok(seen?.lastUsedAt && !seen.isCurrent && seen.expiresAt);
  const own = (await other.tokens.list()).items.filter((one) => one.isCurrent);
  assert.deepEqual(
    own.map((one) => one.id),
    [made.id],
  );
  const login = await plane.api.app.inject({
    method: "POST",
    url: "/v1/web-session",
    payload: { token: made.token },
  });
  assert.equal(login.statusCode, 201);
  assert.equal(login.json().user.id, plane.admin.subject.userId);
  // Not longer than its token.
  assert.equal(login.json().expiresAt, made.expiresAt);
  const cookie = String(login.headers["set-cookie"]).split(";")[0] ?? "";
  const browser = { cookie, ...SAME_ORIGIN };
  const who = await plane.api.app.inject({ url: "/v1/system", headers: browser });
  assert.equal(who.json().user.id, plane.admin.subject.userId);
  await client.tokens.delete(made.id);
  await untilRefused(plane, { authorization: `Bearer ${made.token}` });
  await untilRefused(plane, browser);
  const late = await plane.api.app.inject({
    method: "POST",
    url: "/v1/web-session",
    payload: { token: made.token },
  });
  assert.equal(late.json().code, "unauthenticated");
});

test("logging out ends the session itself, not only the cookie", async (t) => {
  const plane = await controlPlane(t);
  const login = await plane.api.app.inject({
    method: "POST",
    url: "/v1/web-session",
    payload: { token: plane.admin.token },
  });
  const set = String(login.headers["set-cookie"]);
  assert.match(
    set,
    /^__Host-berth=berth_[\w-]{43}; Path=\/; Max-Age=43\d{3}; HttpOnly; SameSite=Lax; Secure$/,
  );
  const browser = { cookie: set.split(";")[0] ?? "", ...SAME_ORIGIN };
  const out = await plane.api.app.inject({
    method: "DELETE",
    url: "/v1/web-session",
    headers: browser,
  });
  assert.deepEqual(out.json(), { ended: true, providerLogoutUrl: null });
  assert.match(String(out.headers["set-cookie"]), /^__Host-berth=; .*Max-Age=0/);
  await untilRefused(plane, browser);
  const byToken = await plane.admin.client.webSessions.delete();
  assert.deepEqual(byToken, { ended: false, providerLogoutUrl: null });
});

test("an expired token, and one that expires while its session lasts, open nothing", async (t) => {
  const plane = await controlPlane(t);
  const made = await plane.admin.client.tokens.create({ name: "short", expiresInMs: 60_000 });
  const login = await plane.api.app.inject({
    method: "POST",
    url: "/v1/web-session",
    payload: { token: made.token },
  });
  const cookie = String(login.headers["set-cookie"]).split(";")[0] ?? "";
  await sql`update tokens set expires_at = now() - interval '1 second' where id = ${made.id}`.execute(
    plane.db.query,
  );
  await sql`update web_sessions set expires_at = now() - interval '1 second'`.execute(
    plane.db.query,
  );
  await untilRefused(plane, { authorization: `Bearer ${made.token}` });
  await untilRefused(plane, { cookie, ...SAME_ORIGIN });
});

test("no answer, event or remembered answer holds a secret or its hash", async (t) => {
  const plane = await controlPlane(t);
  const { client } = plane.admin;
  await plane.addTemplate();
  await client.boxes.create({ template: "default", name: "web" });
  const made = await client.tokens.create({ name: "t" });
  const login = await plane.api.app.inject({
    method: "POST",
    url: "/v1/web-session",
    payload: { token: made.token },
  });
  const session = String(login.headers["set-cookie"]).split(/[=;]/)[1] ?? "";
  const preview = await client.previews.open("web", { port: 80 });
  const link = await client.previews.createLink(preview.id);
  const signed = new URL(link.url).searchParams.get("berth_link") ?? "";
  assert.ok(signed.length > 100 && session.length > 40);
  const secrets = [made.token, hashToken(made.token), session, hashToken(session), signed];
  const said = [
    await client.tokens.list(),
    await client.keys.list(),
    await client.previews.list(),
    await client.previews.listLinks(preview.id),
    await client.events.list({ limit: 200 }),
    await client.boxes.get("web"),
    login.json(),
    await client.tokens.delete(made.id),
  ];
  const { rows } = await sql`select * from idempotency_keys`.execute(plane.db.query);
  const { rows: events } = await sql`select * from events`.execute(plane.db.query);
  const text = JSON.stringify([said, rows, events]);
  for (const secret of secrets) assert.ok(!text.includes(secret), secret);
  // What is stored of them is the hash, in its place alone.
  const { rows: stored } = await sql<{ hash: string }>`select hash from web_sessions`.execute(
    plane.db.query,
  );
  assert.deepEqual(
    stored.map((row) => row.hash),
    [hashToken(session)],
  );
});

test("tickets and certificates say which credential they were got by; a page's ticket is the page's", async (t) => {
  const plane = await controlPlane(t);
  const { client, subject } = plane.admin;
  await plane.addTemplate();
  const { box } = await client.boxes.create({ template: "default", name: "web" });
  const { ticketCheck } = await import("#trust/tickets.ts");
  const check = ticketCheck([plane.ticketPublicKeyPem]);
  const own = (await client.tokens.list()).items.find((one) => one.isCurrent);
  const plain = await check((await client.access.ticket("web")).ticket, Date.now());
  assert.deepEqual([plain.credentialId, plain.origin], [own?.id, null]);
  const made = await client.access.ticket("web", {
    session: { id: "main", mode: "read" },
    forBrowser: true,
    ports: [22],
  });
  const browser = await check(made.ticket, Date.now());
  assert.deepEqual(
    [browser.kinds, browser.ports, browser.session, browser.origin],
    [["session"], [], { id: "main", mode: "read" }, DASHBOARD],
  );
  assert.ok(Date.parse(made.expiresAt) - Date.now() <= 30_000);
  assert.deepEqual(made.gatewayUrls, [made.gatewayUrl]);
  assert.deepEqual([browser.gatewayUrl, plain.gatewayUrl], [made.gatewayUrl, null]);
  await assert.rejects(client.access.ticket("web", { session: { id: "A b" } }), {
    code: "invalid_request",
  });
  const folder = await mkdtemp(join(tmpdir(), "berth-keys-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const { writeFile } = await import("node:fs/promises");
  const { certificate } = await client.access.sshCertificate("web", {
    publicKey: makeSshKey("x").publicKeyLine,
  });
  await writeFile(join(folder, "cert.pub"), certificate);
  const { stdout } = await run(["ssh-keygen", "-L", "-f", join(folder, "cert.pub")]);
  assert.ok(stdout.includes(`Key ID: "${subject.userId}@${box.id}#${own?.id}"`), stdout);
});
