// The audit trail through the API: what each request leaves, that no act is answered without its entry, who may read
// it, and how it is followed and exported.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { isFault } from "#domain/audit-check.ts";
import { systemClock } from "#lib/clock.ts";
import { makeSshKey } from "#lib/ssh-keys.ts";
import { insertAuditEntries } from "#store/audit.ts";
import { sealAudit, trimChain } from "#store/audit-seals.ts";
import type { Db } from "#store/db.ts";
import { checkExport } from "#test/harness/audit.ts";
import {
  type Caller,
  type ControlPlane,
  controlPlane,
  DASHBOARD,
} from "#test/harness/control-plane.ts";
import { gatewayPeer, nodePeer } from "#test/harness/gateway-peer.ts";
import { exportLines } from "./audit.ts";

const GENEROUS_MS = 120_000;

async function sealAll(db: Db): Promise<void> {
  while ((await sealAudit(db, systemClock)) !== 0);
}

/** Newest first. */
async function entriesOf({ client }: Caller, query: Record<string, string> = {}) {
  return (await client.audit.list({ limit: 200, ...query })).items;
}

async function until<T>(look: () => Promise<T | false>): Promise<T> {
  const endMs = systemClock.monotonicMs() + GENEROUS_MS;
  for (;;) {
    const seen = await look();
    if (seen !== false) return seen;
    assert.ok(systemClock.monotonicMs() < endMs, "it did not come");
    await systemClock.sleep(20);
  }
}

async function makeUnwritable({ db }: ControlPlane, work: () => Promise<void>): Promise<void> {
  await sql`alter table audit_entries rename to audit_entries_away`.execute(db.query);
  await work();
  await sql`alter table audit_entries_away rename to audit_entries`.execute(db.query);
}

test("who did what from where: acts, ways into a box, logins, and what was refused", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const { client, subject } = plane.admin;
  const { box } = await client.boxes.create({ template: "default", name: "web" });
  await client.access.ticket("web");
  await client.access.sshCertificate("web", { publicKey: makeSshKey("x").publicKeyLine });
  const session = await plane.login();
  await client.boxes.pause("web");
  const member = await plane.addMember("mia");
  await assert.rejects(member.client.boxes.delete("web"), { code: "not_found" });
  await assert.rejects(member.client.org.update({ maxVisibility: "private" }), {
    code: "forbidden",
  });
  const seen = await until(async () => {
    const all = (await entriesOf(plane.admin)).reverse();
    return all.length >= 9 && all;
  });
  const told = seen.map(({ verb, outcome, code, actor, credentialId }) => [
    ...[verb, outcome, code, actor?.name, credentialId?.split("_")[0]],
  ]);
  assert.deepEqual(told.slice(0, 2), [
    ["templates.create", "ok", null, "admin", "tok"],
    ["boxes.delete", "ok", null, "admin", "tok"],
  ]);
  assert.deepEqual(told.slice(2, 7), [
    ["boxes.create", "ok", null, "admin", "tok"],
    ["access.ticket", "ok", null, "admin", "tok"],
    ["access.sshCertificate", "ok", null, "admin", "tok"],
    ["webSessions.create", "ok", null, "admin", "tok"],
    ["boxes.pause", "ok", null, "admin", "tok"],
  ]);
  assert.deepEqual(told.slice(7).sort(), [
    ["boxes.delete", "refused", "not_found", "mia", "tok"],
    ["org.update", "refused", "forbidden", "mia", "tok"],
  ]);
  const [ticket] = await entriesOf(plane.admin, { verb: "access.ticket" });
  assert.deepEqual(ticket?.resource, { box: "web" });
  assert.deepEqual(ticket?.touched, [box.id]);
  assert.equal(ticket?.actor?.id, subject.userId);
  assert.ok(ticket?.actor?.roles.includes("owner"));
  assert.equal(ticket?.address, "127.0.0.1");
  assert.ok(ticket?.requestId);
  const ofBox = await entriesOf(plane.admin, { resource: box.id });
  assert.deepEqual(
    ofBox.map(({ verb }) => verb),
    ["boxes.pause", "access.sshCertificate", "access.ticket", "boxes.create"],
  );
  const [login] = await entriesOf(plane.admin, { verb: "webSessions." });
  assert.ok(login?.touched.includes(session), "a login names the session that began");
});

test("acts on the installation, and attempts of nobody, are in a chain that operators read", async (t) => {
  const plane = await controlPlane(t);
  await plane.admin.client.nodes.createJoinToken({});
  const answer = await plane.api.app.inject({
    ...{ method: "POST", url: "/v1/boxes", payload: { template: "default" } },
    headers: { authorization: "Bearer wrong", "user-agent": 'x","outcome":"ok\u001b[31m' },
  });
  assert.equal(answer.statusCode, 401);
  const all = await until(async () => {
    const found = await entriesOf(plane.admin, { scope: "installation" });
    return found.length >= 2 && found;
  });
  assert.deepEqual(
    all.map(({ verb, outcome, code, actor }) => [verb, outcome, code, actor?.name]),
    [
      ["boxes.create", "refused", "unauthenticated", undefined],
      ["nodes.createJoinToken", "ok", null, "admin"],
    ],
  );
  assert.equal(all[0]?.userAgent, 'x","outcome":"ok\u001b[31m');
  assert.deepEqual(await entriesOf(plane.admin), []);
  const forbidden = entriesOf(plane.stranger, { scope: "installation" });
  await assert.rejects(forbidden, { code: "forbidden" });
});

test("an operator without a role that reads trails reads the installation's, and no organization's", async (t) => {
  const plane = await controlPlane(t);
  const ada = await plane.addMember("ada");
  const bob = await plane.addMember("bob");
  const forbidden = { code: "forbidden", status: 403 };
  await assert.rejects(entriesOf(bob, { scope: "installation" }), forbidden);
  await sql`update users set is_operator = true where id = ${ada.subject.userId}`.execute(
    plane.db.query,
  );
  await plane.admin.client.nodes.createJoinToken({});
  await until(async () => (await entriesOf(ada, { scope: "installation" })).length === 1);
  const { head } = await ada.client.audit.head({ scope: "installation" });
  assert.equal(head.chain, "installation");
  assert.equal((await ada.client.audit.updatePolicy({ keepDaysMin: 120 })).keepDaysMin, 120);
  for (const own of [
    () => entriesOf(ada),
    () => ada.client.audit.head({}),
    () => ada.client.audit.getPolicy(),
    () => ada.client.audit.updatePolicy({ keepDays: 400 }),
  ])
    await assert.rejects(own(), forbidden);
});

test("no act is answered, and none happens, while its entry cannot be written", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const { client } = plane.admin;
  await client.boxes.create({ template: "default", name: "web" });
  const { publicKeyLine } = makeSshKey("x");
  const tokens = (await client.tokens.list()).items.length;
  await makeUnwritable(plane, async () => {
    const refused = { code: "audit_unavailable", status: 503 };
    await assert.rejects(client.access.ticket("web"), refused);
    await assert.rejects(
      client.access.sshCertificate("web", { publicKey: publicKeyLine }),
      refused,
    );
    await assert.rejects(client.boxes.pause("web"), refused);
    await assert.rejects(client.boxes.create({ template: "default", name: "two" }), refused);
    await assert.rejects(client.boxes.fork("web"), { status: 503 });
    await assert.rejects(client.tokens.create({ name: "t" }), refused);
    await assert.rejects(client.keys.create({ name: "k", publicKey: publicKeyLine }), refused);
    await assert.rejects(client.nodes.createJoinToken({}), refused);
    await assert.rejects(client.org.update({ maxVisibility: "private" }), refused);
    const payload = { token: plane.admin.token };
    const login = await plane.api.app.inject({ method: "POST", url: "/v1/web-session", payload });
    assert.equal(login.statusCode, 503);
    assert.equal(login.headers["set-cookie"], undefined, "no cookie either");
    assert.equal((await client.boxes.get("web")).name, "web", "reading goes on");
  });
  assert.equal((await client.boxes.list()).items.length, 1);
  assert.equal((await client.tokens.list()).items.length, tokens);
  assert.deepEqual((await client.keys.list()).items, []);
  const { rows } = await sql`select 1 from web_sessions`.execute(plane.db.query);
  assert.deepEqual(rows, []);
});

test("refused attempts of one user take no more than their share, and their number is told", async (t) => {
  let laterMs = 0;
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + laterMs };
  const plane = await controlPlane(t, { clock });
  const member = await plane.addMember("mia");
  const attempt = () =>
    assert.rejects(member.client.org.update({ maxVisibility: "private" }), { code: "forbidden" });
  await Promise.all(Array.from({ length: 120 }, attempt));
  const other = await plane.addMember("noa");
  await assert.rejects(other.client.boxes.delete("none"), { code: "not_found" });
  await until(async () => (await entriesOf(plane.admin, { actor: "noa" })).length === 1);
  const kept = (await entriesOf(plane.admin, { actor: "mia" })).length;
  assert.ok(kept >= 30 && kept < 60, `${kept} were kept`);
  laterMs = 60_000;
  await attempt();
  const all = await until(async () => {
    const found = await entriesOf(plane.admin, { actor: "mia" });
    return found.length > kept && found;
  });
  // On a slow machine some are let through between the others.
  const dropped = all.reduce((sum, { data }) => sum + Number(data.droppedBefore ?? 0), 0);
  assert.equal(all.length + dropped, 121);
  assert.ok(Number(all[0]?.data.droppedBefore) > 0, "the next one tells it");
});

test("the trail is read by those who may, each organization its own", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  for (const [role, mayRead] of [
    ["owner", true],
    ["admin", true],
    ["auditor", true],
    ["member", false],
    ["viewer", false],
    ["billing", false],
    ["template_author", false],
  ] as const) {
    const { client } = await plane.addMember(`the-${role}`, [role]);
    for (const read of [
      () => client.audit.list(),
      () => client.audit.head(),
      () => client.audit.getPolicy(),
      async () => {
        for await (const _line of client.audit.export());
      },
    ])
      if (mayRead) await read();
      else await assert.rejects(read(), { code: "forbidden" }, role);
    const change = client.audit.updatePolicy({ keepDays: 400 });
    if (role === "owner" || role === "admin") assert.equal((await change).keepDays, 400);
    else await assert.rejects(change, { code: "forbidden" }, role);
  }
  const strangers = await entriesOf(plane.stranger);
  assert.ok(!strangers.some(({ verb }) => verb === "templates.create"));
  const tooShort = plane.admin.client.audit.updatePolicy({ keepDays: 3 });
  await assert.rejects(tooShort, { code: "not_now" });
});

test("an export is the whole chain to its head, and goes on after what one has", async (t) => {
  const plane = await controlPlane(t);
  const { client } = plane.admin;
  for (let at = 0; at < 5; at += 1) await client.tokens.create({ name: `t${at}` });
  await sealAll(plane.db);
  const step = await checkExport(client);
  assert.ok(!isFault(step) && step.entries === 5, JSON.stringify(step));
  const lines: string[] = [];
  for await (const line of client.audit.export({ after: 3 })) lines.push(line);
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).seq),
    [4, 5, 5],
  );
  const response = await plane.api.app.inject({
    url: "/v1/audit/export",
    headers: { authorization: `Bearer ${plane.admin.token}` },
  });
  assert.equal(response.headers["content-type"], "application/x-ndjson");
  assert.equal(response.body.trimEnd().split("\n").length, 6);
});

test("an export that retention overtakes breaks off, and one that begins then is whole", async (t) => {
  const plane = await controlPlane(t);
  const { client, subject } = plane.admin;
  const key = plane.auditKey;
  const old = { orgId: subject.orgId, verb: "test.old", outcome: "ok", atMs: 0 } as const;
  await insertAuditEntries(
    plane.db,
    Array.from({ length: 1200 }, () => old),
  );
  await sealAll(plane.db);
  const lines = exportLines(plane.db, subject.orgId, 0, key);
  assert.equal(JSON.parse((await lines.next()).value as string).seq, 1);
  const trimmed = { chain: subject.orgId, since: new Date() };
  assert.equal(await trimChain(plane.db, trimmed, key.sign, 900), 900);
  const rest = async () => {
    for await (const _ of lines);
  };
  await assert.rejects(rest(), { code: "not_now" });
  await sealAll(plane.db);
  const step = await checkExport(client);
  assert.ok(!isFault(step) && step.entries === 301, JSON.stringify(step));
});

test("the trail is followed in the order of its chain, from where one was", async (t) => {
  const plane = await controlPlane(t);
  const { client } = plane.admin;
  const over = new AbortController();
  t.after(() => over.abort());
  const opened = Promise.withResolvers<string>();
  const seen: string[] = [];
  const follow = async (query: { cursor?: string; verb?: string }, count: number) => {
    const names: string[] = [];
    for await (const entry of client.audit.watch(query, over.signal, opened.resolve)) {
      names.push(entry.verb);
      if (names.length === count) return names;
    }
    return names;
  };
  const following = follow({}, 3).then((names) => seen.push(...names));
  const cursor = await opened.promise;
  await client.tokens.create({ name: "one" });
  await client.keys.create({ name: "k", publicKey: makeSshKey("x").publicKeyLine });
  await client.nodes.createJoinToken({});
  await client.tokens.create({ name: "two" });
  await sealAll(plane.db);
  await following;
  assert.deepEqual(seen, ["tokens.create", "keys.create", "tokens.create"]);
  assert.deepEqual(await follow({ cursor, verb: "keys." }, 1), ["keys.create"]);
  // A revoked reader hears no more than the time between two looks.
  const page = await plane.api.app.inject({
    url: "/v1/audit/watch?cursor=nonsense",
    headers: { authorization: `Bearer ${plane.admin.token}`, origin: DASHBOARD },
  });
  assert.equal(page.json().code, "invalid_cursor");
});

test("what a gateway tells of those who came in is in the trail of the box's organization, once", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const { client, subject } = plane.admin;
  const { box } = await client.boxes.create({ template: "default", name: "web" });
  const gateway = await gatewayPeer(plane);
  const entry = {
    ...{ entryId: "one", atMs: Date.UTC(2026, 10, 1), via: "ssh", door: "port 1", boxId: box.id },
    ...{
      userId: subject.userId,
      credentialId: "key_1",
      address: "192.0.2.9",
      code: null,
      count: 7,
    },
  };
  const refused = { ...entry, entryId: "two", code: "revoked", count: 1 };
  const elsewhere = { ...entry, entryId: "three", boxId: "box_gone" };
  const batch = { entries: [entry, refused, elsewhere], dropped: 4 };
  for (const _time of [1, 2]) assert.equal((await gateway.ask("entries", batch)).status, 200);
  const [second, first, ...others] = await entriesOf(plane.admin, { verb: "enter." });
  assert.deepEqual(others, []);
  assert.deepEqual(
    [first?.verb, first?.outcome, first?.actor?.name, first?.address, first?.at],
    ["enter.ssh", "ok", "admin", "192.0.2.9", "2026-11-01T00:00:00.000Z"],
  );
  assert.deepEqual(first?.data, { door: "port 1", gateway: gateway.name, count: 7 });
  assert.deepEqual([second?.outcome, second?.code], ["refused", "revoked"]);
  assert.deepEqual(first?.touched, [box.id]);
  const lost = await entriesOf(plane.admin, { scope: "installation", verb: "enter." });
  assert.deepEqual(
    lost.map(({ verb, data }) => [verb, data.dropped]),
    [
      ["enter.dropped", 4],
      ["enter.ssh", undefined],
    ],
  );
  assert.equal((await gateway.ask("entries", { entries: [{}], dropped: 0 })).status, 400);
  const node = await nodePeer(plane);
  assert.equal((await node.ask("entries", batch)).status, 403);
});

test("a box that is woken by somebody who comes, and gateways that join, leave entries", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const { client, subject } = plane.admin;
  const { box } = await client.boxes.create({ template: "default", name: "web" });
  await client.boxes.stop("web");
  const gateway = await gatewayPeer(plane);
  const wake = { boxId: box.id, userId: subject.userId, credentialId: "tok_1", door: "ssh" };
  assert.equal((await gateway.ask("wake", wake)).status, 200);
  await gateway.ask("wake", wake);
  const woken = await entriesOf(plane.admin, { verb: "boxes.wake" });
  assert.equal(woken.length, 1, "only what changed something");
  assert.deepEqual(woken[0]?.touched, [box.id]);
  assert.equal(woken[0]?.actor?.name, "admin");
});
