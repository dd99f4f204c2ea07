// The gateways' feed over real mTLS, and what gateways may ask: applied lines must come to be what the database says,
// whoever commits when, and whichever replica is there to tell.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import type { Assignments } from "#contract/node-protocol.ts";
import type { NodeId } from "#domain/ids.ts";
import { systemClock } from "#lib/clock.ts";
import { makeSshKey } from "#lib/ssh-keys.ts";
import { placeBoxes } from "#scheduler/place-boxes.ts";
import { readAssignments, readRevision } from "#store/assignments.ts";
import { insertEvents } from "#store/events.ts";
import { listGateways } from "#store/gateways.ts";
import { type ControlPlane, controlPlane } from "#test/harness/control-plane.ts";
import { type Feed, gatewayPeer, nodePeer } from "#test/harness/gateway-peer.ts";
import { PaperNode } from "#test/harness/paper-node.ts";
import { previewCheck, previewSigner } from "#trust/preview-tokens.ts";
import { makeTicketKey } from "#trust/tickets.ts";

const KEY = makeSshKey("laptop").publicKeyLine;

async function planeWithBox(t: Parameters<typeof controlPlane>[0], options = {}) {
  const plane = await controlPlane(t, options);
  await plane.addTemplate();
  const { box } = await plane.admin.client.boxes.create({ template: "default", name: "web" });
  return { plane, box };
}

function labelOf(url: string): string {
  return new URL(url).hostname.split(".")[0]?.split("-")[1] ?? "";
}

/** Everything that a gateway knows, sorted, to compare. */
function contentsOf({ known }: Feed) {
  const boxes: unknown[] = [];
  const [full, ...changes] = [...known.lines()];
  for (const change of changes) boxes.push(...change.boxes);
  assert.ok(full?.kind === "full");
  const sort = (list: readonly unknown[]) =>
    list.map((one) => JSON.stringify(one, sortKeys)).sort();
  return {
    boxes: sort(boxes),
    previews: sort(full.previews),
    keys: sort(full.keys),
    revocations: sort(full.revocations),
  };
}

function sortKeys(_key: string, value: unknown) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

test("a feed begins with all there is, and tells each change of it", async (t) => {
  const { plane, box } = await planeWithBox(t);
  const { client, subject } = plane.admin;
  const key = await client.keys.create({ name: "laptop", publicKey: KEY });
  const open = await client.previews.open("web", { port: 3000 });
  const feed = await (await gatewayPeer(plane)).openFeed();
  t.after(async () => feed.close());
  const { known } = feed;
  assert.deepEqual(known.findBox(subject.orgId, "web"), {
    boxId: box.id,
    name: "web",
    orgId: subject.orgId,
    ownerId: subject.userId,
    teamId: null,
    shares: [],
    phase: "creating",
    reason: known.box(box.id)?.reason ?? null,
    epoch: 0,
    nodeId: null,
  });
  assert.equal(known.settings.dashboardOrigin, "https://berth.test");
  assert.deepEqual(known.settings.ticketKeysPem, [plane.ticketPublicKeyPem]);
  assert.equal(known.keys(key.fingerprint)[0]?.userId, subject.userId);
  const label = labelOf(open.url);
  const preview = known.preview(label);
  assert.ok(preview && preview !== "gone");
  assert.deepEqual([preview.port, preview.visibility, preview.serial], [3000, "private", 1]);

  await client.previews.update(open.id, { visibility: "public" });
  await feed.until("wider", () => {
    const now = known.preview(label);
    return now !== null && now !== "gone" && now.visibility === "public";
  });
  const narrow = await client.previews.update(open.id, { visibility: "org" });
  await feed.until("narrower", () => known.preview(label) === "gone");
  const moved = known.preview(labelOf(narrow.url));
  assert.ok(moved && moved !== "gone" && moved.serial === 2 && moved.visibility === "org");
  await client.previews.close(open.id);
  await feed.until("closed", () => known.preview(labelOf(narrow.url)) === "gone");

  await client.keys.delete(key.id);
  await feed.until("key deleted", () => known.keys(key.fingerprint).length === 0);
  assert.ok(known.isRevoked(key.id));
  await client.boxes.create({ template: "default", name: "api" });
  await feed.until("box created", () => known.findBox(subject.orgId, "api") !== null);
  await client.boxes.delete("web");
  await feed.until("box deleted", () => known.box(box.id) === null);
});

test("revoking a token is told with the web sessions that were got by it, a link by itself", async (t) => {
  const { plane } = await planeWithBox(t);
  const { client } = plane.admin;
  const feed = await (await gatewayPeer(plane)).openFeed();
  t.after(async () => feed.close());
  const made = await client.tokens.create({ name: "laptop" });
  const login = await plane.api.app.inject({
    method: "POST",
    url: "/v1/web-session",
    payload: { token: made.token },
  });
  const { id: session } = login.json();
  await client.tokens.delete(made.id);
  await feed.until("both", ({ isRevoked }) =>
    [made.id, session].every((id) => isRevoked.call(feed.known, id)),
  );
  const preview = await client.previews.open("web", { port: 80 });
  const link = await client.previews.createLink(preview.id, { expiresInMs: 7 * 86_400_000 });
  await client.previews.deleteLink(preview.id, link.id);
  await feed.until("link", (known) => known.isRevoked(link.id));
  const later = [...feed.known.lines()][0];
  assert.ok(later?.kind === "full");
  // A gateway that comes later must refuse it as long as its signature would hold.
  const kept = later.revocations.find((one) => one.credentialId === link.id);
  assert.ok((kept?.untilMs ?? 0) >= Date.parse(link.expiresAt));
});

test("whatever is committed at the same time at several replicas, a feed comes to know all of it", async (t) => {
  const { plane } = await planeWithBox(t);
  const { token } = plane.admin;
  const other = await plane.addReplica();
  const { createClient } = await import("#sdk/client.ts");
  const clients = [plane.url, other].map((url) => createClient({ url, token, retries: 0 }));
  const peer = await gatewayPeer(plane);
  const feed = await peer.openFeed();
  t.after(async () => feed.close());
  const turns = [...Array(40).keys()];
  await Promise.all(
    turns.map(async (n) => {
      const client = clients[n % 2] as (typeof clients)[0];
      const preview = await client.previews.open("web", { port: 2000 + n, visibility: "public" });
      if (n % 4 === 1) await client.previews.update(preview.id, { visibility: "private" });
      if (n % 4 === 2) await client.previews.close(preview.id);
      if (n % 4 === 3) {
        const link = await client.previews.createLink(preview.id, {});
        await client.previews.deleteLink(preview.id, link.id);
      }
      const { publicKeyLine: publicKey } = makeSshKey("x");
      const key = await client.keys.create({ name: `k${n}`, publicKey });
      if (n % 2) await client.keys.delete(key.id);
      await client.boxes.create({ template: "default", name: `box-${n}` });
      if (n % 3 === 0) await client.boxes.delete(`box-${n}`);
    }),
  );
  const late = await (await gatewayPeer(plane, "late")).openFeed();
  t.after(async () => late.close());
  const wanted = JSON.stringify(contentsOf(late));
  await feed.until("everything", () => JSON.stringify(contentsOf(feed)) === wanted);
  assert.ok(contentsOf(late).previews.length === 30 && contentsOf(late).keys.length === 20);
});

test("a transaction that commits late is told all the same", async (t) => {
  const { plane, box } = await planeWithBox(t);
  const feed = await (await gatewayPeer(plane)).openFeed();
  t.after(async () => feed.close());
  const { subject, client } = plane.admin;
  let commit = () => {};
  const held = new Promise<void>((resolve) => {
    commit = resolve;
  });
  let isWritten = () => {};
  const written = new Promise<void>((resolve) => {
    isWritten = resolve;
  });
  const slow = plane.db.query.transaction().execute(async (query) => {
    const tx = { ...plane.db, query, committing: [] };
    await sql`update boxes set phase_reason = 'late' where id = ${box.id}`.execute(query);
    await insertEvents(tx, [
      {
        orgId: subject.orgId,
        kind: "box.phase",
        subjectKind: "box",
        subjectId: box.id,
        message: "late",
      },
    ]);
    isWritten();
    await held;
  });
  await written;
  // A later event is committed and seen first.
  await client.boxes.create({ template: "default", name: "after" });
  commit();
  await slow;
  await feed.until("the late one", (known) => known.box(box.id)?.reason === "late");
  await feed.until("the one after", (known) => known.findBox(subject.orgId, "after") !== null);
});

test("a transaction that stays open holds up no revocation", async (t) => {
  const { plane, box } = await planeWithBox(t);
  const { client, subject } = plane.admin;
  const feed = await (await gatewayPeer(plane)).openFeed();
  t.after(async () => feed.close());
  const token = await client.tokens.create({ name: "x" });
  const { orgId } = subject;
  const told = { orgId, kind: "x", subjectKind: "box", subjectId: box.id, message: "x" } as const;
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let isOpen = true;
  let isBegun = () => {};
  const begun = new Promise<void>((resolve) => {
    isBegun = resolve;
  });
  const slow = plane.db.query.transaction().execute(async (query) => {
    await insertEvents({ ...plane.db, query, committing: [] }, [told]);
    isBegun();
    await held;
    isOpen = false;
  });
  await begun;
  await client.tokens.delete(token.id);
  await feed.until("the revocation", (known) => known.isRevoked(token.id));
  assert.ok(isOpen);
  release();
  await slow;
});

test("when its replica dies a gateway goes on at another; clients and nodes are sent to those that live", async (t) => {
  const { plane } = await planeWithBox(t, { beatMs: 50 });
  const { client, subject } = plane.admin;
  const second = await plane.addNodeReplica();
  const peer = await gatewayPeer(plane, "one");
  const lasting = await (await gatewayPeer(plane, "two")).openFeed();
  t.after(async () => lasting.close());
  const feed = await peer.openFeed(second.url);
  assert.deepEqual((await client.access.ticket("web")).gatewayUrls.sort(), [
    "http://one.test",
    "http://two.test",
  ]);
  assert.equal((await client.system.get()).gatewayUrls.length, 2);
  await second.server.close();
  await feed.ended;
  await client.boxes.create({ template: "default", name: "meanwhile" });
  const again = await peer.openFeed();
  await again.until("it", (known) => known.findBox(subject.orgId, "meanwhile") !== null);
  await again.until("a beat", () => again.kinds.includes("beat"));
  // The gateway itself leaves: it is no address for clients any more.
  again.close();
  const limit = AbortSignal.timeout(60_000);
  for (;;) {
    const gateways = await listGateways(plane.db);
    if (!gateways.find((one) => one.name === "one")?.isLive) break;
    assert.ok(!limit.aborted, "it is still listed as live");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual((await client.access.ticket("web")).gatewayUrls, ["http://two.test"]);
});

test("nodes hear of a new gateway, and keep to one that is only away", async (t) => {
  const plane = await controlPlane(t);
  const { db } = plane;
  const nodeId = "node_00000000000000000001" as NodeId;
  await sql`insert into nodes (id, name, region, status) values (${nodeId}, 'n', 'r', 'ready')`.execute(
    db.query,
  );
  await sql`insert into node_revisions (node_id) values (${nodeId})`.execute(db.query);
  const before = await readRevision(db, nodeId);
  const feed = await (await gatewayPeer(plane, "one")).openFeed();
  const revision = await readRevision(db, nodeId);
  assert.ok(revision > before);
  feed.close();
  const again = await (await gatewayPeer(plane, "one")).openFeed();
  t.after(async () => again.close());
  assert.equal(await readRevision(db, nodeId), revision, "it is where it was");
  const context = { sshUserCa: "", gateways: [] };
  const assignments: Assignments = await readAssignments(db, nodeId, context);
  assert.equal(assignments.revision, revision);
});

test("20,000 boxes: a feed begins and follows when they all change", async (t) => {
  const { plane } = await planeWithBox(t);
  const { db, admin } = plane;
  await sql`
    insert into boxes (id, org_id, owner_id, name, kind, template_version_id, spec, cpus, memory_mib,
      disk_gib, image_digest, machine_id, desired, phase)
    select 'box_' || lpad(n::text, 20, '0'), org_id, owner_id, 'many-' || n, kind, template_version_id, spec,
      cpus, memory_mib, disk_gib, image_digest, machine_id, desired, phase
    from boxes cross join generate_series(1, 20000) as n where name = 'web'`.execute(db.query);
  const startMs = performance.now();
  const feed = await (await gatewayPeer(plane)).openFeed();
  t.after(async () => feed.close());
  const fullMs = performance.now() - startMs;
  assert.equal(contentsOf(feed).boxes.length, 20_001);
  const changeMs = performance.now();
  for (let from = 1; from <= 20_000; from += 1000)
    await sql`
      with changed as (
        update boxes set phase = 'running' where name like 'many-%'
          and substr(name, 6)::integer between ${from} and ${from + 999} returning id, org_id),
      told as (
        insert into events (org_id, kind, subject_kind, subject_id, box_id, message)
        select org_id, 'box.phase', 'box', id, id, 'runs' from changed returning 1)
      select pg_notify('berth', 'events') from (select count(*) from told) as c`.execute(db.query);
  const committedMs = performance.now();
  await admin.client.keys.create({ name: "last", publicKey: KEY });
  const last = "box_00000000000000020000";
  await feed.until("the last box", (known) => known.box(last)?.phase === "running");
  const allMs = performance.now();
  const all = [...feed.known.lines()].flatMap((line) => line.boxes);
  assert.equal(all.filter((box) => box.phase === "running").length, 20_000);
  t.diagnostic(
    `full ${fullMs.toFixed(0)} ms; 20,000 changes committed in ${(committedMs - changeMs).toFixed(0)} ms, told ${(allMs - committedMs).toFixed(0)} ms after`,
  );
});

test("only gateways are heard", async (t) => {
  const { plane, box } = await planeWithBox(t);
  const node = await nodePeer(plane);
  for (const [path, body] of [
    ["feed", { clientUrl: "", nodeUrl: "", sshAddress: null }],
    ["wake", { boxId: box.id, userId: null, credentialId: null, door: "ssh" }],
    ["preview-pass", { pass: "x" }],
    ["host-certificate", { publicKey: KEY, hosts: ["x"] }],
  ] as const)
    assert.equal((await node.ask(path, body)).body.code, "node_unknown", path);
});

async function rest(plane: ControlPlane, boxId: string): Promise<void> {
  await sql`update boxes set desired = 'paused' where id = ${boxId}`.execute(plane.db.query);
}

test("a box at rest is woken for whoever may enter it, once, and nobody else", async (t) => {
  const { plane, box } = await planeWithBox(t);
  const { client, subject } = plane.admin;
  const peer = await gatewayPeer(plane);
  const wake = (fields: object) =>
    peer.ask("wake", {
      boxId: box.id,
      userId: subject.userId,
      credentialId: null,
      door: "ssh",
      ...fields,
    });
  await rest(plane, box.id);
  assert.equal((await wake({ userId: plane.stranger.subject.userId })).body.code, "not_found");
  assert.equal((await wake({ userId: null, door: "ssh" })).body.code, "not_found");
  assert.equal((await wake({ userId: null, door: "preview" })).body.code, "not_found");
  assert.equal((await wake({ boxId: "box_none" })).body.code, "not_found");
  const token = await client.tokens.create({ name: "x" });
  await client.tokens.delete(token.id);
  assert.equal((await wake({ credentialId: token.id })).body.code, "revoked");
  assert.equal((await client.boxes.get("web")).desired, "paused");

  const [first, second] = await Promise.all([wake({}), wake({})]);
  assert.deepEqual([first?.status, second?.status], [200, 200]);
  const woken = await client.boxes.get("web");
  assert.deepEqual([woken.desired, woken.generation], ["running", 2]);
  const { items } = await client.events.list({ box: "web" });
  assert.equal(items.filter((event) => event.kind === "box.woken").length, 1);

  await rest(plane, box.id);
  const preview = await client.previews.open("web", { port: 80 });
  await client.previews.createLink(preview.id);
  assert.equal((await wake({ userId: null, door: "preview" })).status, 200);
  await client.boxes.delete("web");
  assert.ok(["not_found", "not_now"].includes((await wake({})).body.code));
});

test("a pass is renewed while everything that it rests on holds", async (t) => {
  const { plane } = await planeWithBox(t);
  const { client, subject } = plane.admin;
  const { signPreview } = plane;
  const peer = await gatewayPeer(plane);
  const { token } = await client.tokens.create({ name: "browser" });
  const login = async () =>
    (
      await plane.api.app.inject({ method: "POST", url: "/v1/web-session", payload: { token } })
    ).json().id as string;
  const preview = await client.previews.open("web", { port: 80 });
  const session = await login();
  const passOf = (fields: object = {}) =>
    signPreview.pass(
      {
        previewId: preview.id,
        serial: 1,
        credentialId: session,
        userId: subject.userId,
        ...fields,
      },
      Date.now(),
    );
  const renew = async (pass: string) => (await peer.ask("preview-pass", { pass })).body;
  const { pass } = await renew(await passOf());
  const checked = await previewCheck([plane.ticketPublicKeyPem]).pass(pass, Date.now());
  assert.deepEqual([checked.previewId, checked.credentialId], [preview.id, session]);
  assert.equal((await renew("nonsense")).code, "ticket_invalid");
  const foreign = previewSigner(makeTicketKey().privateKeyPem);
  const facts = { previewId: preview.id, serial: 1, credentialId: session, userId: null };
  assert.equal((await renew(await foreign.pass(facts, Date.now()))).code, "ticket_invalid");
  const old = await signPreview.pass(facts, Date.now() - 10 * 3_600_000);
  assert.equal((await renew(old)).code, "ticket_expired");
  const link = await signPreview.link(facts, Date.now(), 60_000);
  assert.equal((await renew(link)).code, "ticket_invalid");
  assert.equal((await renew(await passOf({ serial: 2 }))).code, "preview_gone");
  assert.equal((await renew(await passOf({ credentialId: "web_none" }))).code, "revoked");
  // Somebody else's session, of another organization: it never was let in.
  const stranger = await plane.api.app.inject({
    method: "POST",
    url: "/v1/web-session",
    payload: { token: plane.stranger.token },
  });
  const theirs = await passOf({ credentialId: stranger.json().id });
  assert.equal((await renew(theirs)).code, "revoked");
  const tokens = (await client.tokens.list()).items;
  await client.tokens.delete(tokens.find((one) => one.name === "browser")?.id ?? "");
  assert.equal((await renew(await passOf())).code, "revoked");
  const other = await passOf({ credentialId: await plane.login() });
  assert.ok((await renew(other)).pass);
  await client.previews.close(preview.id);
  assert.equal((await renew(other)).code, "preview_gone");
});

test("the SSH door gets a certificate for its own names, and never for a box's", async (t) => {
  const plane = await controlPlane(t);
  const peer = await gatewayPeer(plane);
  const ask = (hosts: string[], publicKey = KEY) =>
    peer.ask("host-certificate", { publicKey, hosts });
  const good = await ask(["ssh.example.com", "10.0.0.1"]);
  assert.ok(good.body.certificate, JSON.stringify(good.body));
  assert.match(good.body.certificate, /^ssh-ed25519-cert-v01@openssh\.com /);
  for (const host of [
    "web.berth",
    "WEB.BERTH",
    "*",
    "a.*",
    "web.berth.",
    "a,web.berth",
    "",
    " ",
    "::1",
  ])
    assert.equal((await ask([host])).body.code, "invalid_request", host);
  assert.equal((await ask(["x"], "nonsense")).body.code, "invalid_request");
});

test("a feed tells each placement of a box: its epoch and its node", async (t) => {
  const { plane, box } = await planeWithBox(t);
  const { db, admin } = plane;
  const feed = await (await gatewayPeer(plane)).openFeed();
  t.after(async () => feed.close());
  const node = await PaperNode.join(db, admin.subject);
  await node.step();
  await placeBoxes(db, systemClock);
  await feed.until("placed", ({ box: find }) => find.call(feed.known, box.id)?.epoch === 1);
  assert.equal(feed.known.box(box.id)?.nodeId, node.id);
  const later = await (await gatewayPeer(plane, "later")).openFeed();
  t.after(async () => later.close());
  assert.equal(later.known.box(box.id)?.epoch, 1);
});

test("a gateway may ask which credentials hold no more, however long ago they ended", async (t) => {
  const { plane } = await planeWithBox(t);
  const { client } = plane.admin;
  const [kept, ended] = [
    await client.tokens.create({ name: "a" }),
    await client.tokens.create({ name: "b" }),
  ];
  const session = await plane.login();
  const key = await client.keys.create({ name: "laptop", publicKey: KEY });
  const preview = await client.previews.open("web", { port: 80 });
  const link = await client.previews.createLink(preview.id, { expiresInMs: 86_400_000 });
  await client.tokens.delete(ended.id);
  await sql`delete from revocations`.execute(plane.db.query);
  const peer = await gatewayPeer(plane);
  const ask = async (credentialIds: readonly string[]) => {
    const { status, body } = await peer.ask("ended-credentials", { credentialIds });
    return [status, body.credentialIds?.sort()];
  };
  const holding = [kept.id, session, key.id, link.id];
  assert.deepEqual(await ask(holding), [200, []]);
  assert.deepEqual(await ask([...holding, ended.id, "token_never"]), [
    200,
    [ended.id, "token_never"].sort(),
  ]);
  await client.keys.delete(key.id);
  await client.previews.deleteLink(preview.id, link.id);
  assert.deepEqual(await ask(holding), [200, [key.id, link.id].sort()]);
  assert.equal((await ask(Array(1001).fill("x")))[0], 400);
  assert.equal(
    (await (await nodePeer(plane)).ask("ended-credentials", { credentialIds: [] })).status,
    403,
  );
});
