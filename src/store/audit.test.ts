// The audit trail in the database: an act and its entry are one, entries become a chain in their order whoever writes
// meanwhile, and nothing of it changes but by retention.

import assert from "node:assert/strict";
import { createHash, verify } from "node:crypto";
import { test } from "node:test";
import { sql } from "kysely";
import { INSTALLATION_CHAIN, markLine, sealLine } from "#domain/audit.ts";
import {
  type AuditStep,
  type AuditTools,
  checkLine,
  endCheck,
  isFault,
  startCheck,
} from "#domain/audit-check.ts";
import type { Subject } from "#domain/permission.ts";
import { systemClock } from "#lib/clock.ts";
import { testDatabase } from "#test/harness/database.ts";
import { PaperWorld } from "#test/harness/world.ts";
import { loadAuditKey, makeAuditKey } from "#trust/audit-key.ts";
import { createUser } from "./access.ts";
import { insertAuditEntries } from "./audit.ts";
import { readChainHead } from "./audit-heads.ts";
import { type AuditFilter, listAudit, readSealed, setAuditPolicy } from "./audit-read.ts";
import { listOldChains, sealAudit, trimChain } from "./audit-seals.ts";
import { setDesired } from "./box-intent.ts";
import { createBoxOnce, getBox } from "./boxes.ts";
import { type Db, transact } from "./db.ts";
import type { RequestFacts } from "./request.ts";
import { forRequest } from "./tenant.ts";

const key = loadAuditKey(makeAuditKey());
const tools: AuditTools = {
  sha256: (text) => createHash("sha256").update(text).digest("hex"),
  verifies: (text, signature) =>
    verify(null, Buffer.from(text), key.publicKeyPem, Buffer.from(signature, "base64")),
};
const DAY_MS = 86_400_000;
const EVERYTHING = { limit: 10_000, order: "oldest" } as const;

let requests = 0;

function factsOf(subject: Subject, change: Partial<RequestFacts> = {}): RequestFacts {
  requests += 1;
  return {
    ...{ requestId: `req_${requests}`, route: "boxes.create", isMutation: true, subject },
    ...{ credentialId: "tok_1", address: "192.0.2.7", userAgent: "test/1", resource: {} },
    trail: { isInstallation: false, touched: new Set(), isWritten: false },
    ...change,
  };
}

const NEW_BOX = { template: "base", version: null, env: {} };

function createFor(db: Db, subject: Subject, name: string) {
  return createBoxOnce(db, subject, null, { ...NEW_BOX, name }, ({ box }) => box);
}

async function sealAll(db: Db): Promise<void> {
  while ((await sealAudit(db, systemClock)) !== 0);
}

async function exported(db: Db, chain: string): Promise<string[]> {
  const { head, anchor } = await readChainHead(db, chain, key.sign);
  const page = { after: anchor?.seq ?? 0, upTo: head.seq, limit: 100_000 };
  const entries = await readSealed(db, chain, page);
  return [...(anchor ? [markLine(anchor)] : []), ...entries.map(sealLine), markLine(head)];
}

async function check(db: Db, chain: string, heads: Parameters<typeof startCheck>[1] = []) {
  let at: AuditStep = startCheck(chain, heads, tools);
  for (const line of await exported(db, chain)) if (!isFault(at)) at = checkLine(at, line, tools);
  return isFault(at) ? at : endCheck(at);
}

async function entriesOf(db: Db, subject: Subject, filter: AuditFilter = {}) {
  return listAudit(db, subject.orgId, filter, EVERYTHING);
}

test("an act and its entry are one: with a statement of its own, in a transaction, and when it is undone", async (t) => {
  const { db, failpoints } = await testDatabase(t);
  const { admin } = await PaperWorld.make(db);
  const box = await createFor(forRequest(db, factsOf(admin)), admin, "one");
  const [created, ...others] = await entriesOf(db, admin);
  assert.deepEqual(others, []);
  assert.deepEqual(
    [created?.verb, created?.outcome, created?.actorId, created?.actorName, created?.touched],
    ["boxes.create", "ok", admin.userId, "admin", [box.id]],
  );
  assert.ok(created?.actorRoles.includes("owner"));
  assert.equal(created?.address, "192.0.2.7");

  const pause = factsOf(admin, { route: "boxes.pause", resource: { box: "one" } });
  await setDesired(forRequest(db, pause), admin, "one", "pause");
  const paused = (await entriesOf(db, admin))[1];
  assert.equal(paused?.verb, "boxes.pause");
  assert.ok(paused?.touched.includes(box.id));
  assert.deepEqual(paused?.resource, { box: "one" });

  failpoints.arm("store.audit.test.before_commit", { kind: "throw", message: "undone" });
  const undone = factsOf(admin, { route: "boxes.undone" });
  await assert.rejects(transact(forRequest(db, undone), "store.audit.test", async () => {}));
  await assert.rejects(createFor(forRequest(db, factsOf(admin)), admin, "one"), /name_taken/);
  assert.equal(
    (await entriesOf(db, admin)).length,
    2,
    "what did not happen has no entry of success",
  );
});

test("an act whose entry cannot be written does not happen", async (t) => {
  const { db } = await testDatabase(t);
  const { admin } = await PaperWorld.make(db);
  await createFor(db, admin, "one");
  const before = await getBox(db, admin, "one");
  for (const [name, break_, mend] of [
    [
      "no table",
      "alter table audit_entries rename to away",
      "alter table away rename to audit_entries",
    ],
    [
      "a table that refuses",
      "alter table audit_entries add constraint shut check (verb = '') not valid",
      "alter table audit_entries drop constraint shut",
    ],
  ] as const) {
    await sql.raw(break_).execute(db.query);
    const refused = { code: "audit_unavailable" };
    await assert.rejects(createFor(forRequest(db, factsOf(admin)), admin, "two"), refused, name);
    const pausing = setDesired(forRequest(db, factsOf(admin)), admin, "one", "pause");
    await assert.rejects(pausing, refused, name);
    await sql.raw(mend).execute(db.query);
    await assert.rejects(getBox(db, admin, "two"), /not_found/, name);
    assert.deepEqual((await getBox(db, admin, "one")).generation, before.generation, name);
  }
  await createFor(forRequest(db, factsOf(admin)), admin, "two");
});

test("entries of many who write at once become one gapless chain for each organization, by two that seal at once", async (t) => {
  const { db, failpoints } = await testDatabase(t);
  const owners = [
    await createUser(db, { orgName: "a", name: "a" }),
    await createUser(db, { orgName: "b", name: "b" }),
  ];
  let isOver = false;
  const sealing = [0, 1].map(async () => {
    while (!isOver) await sealAudit(db, systemClock, 7);
  });
  // Some commit long after they took their place.
  let turn = 0;
  failpoints.arm(
    "store.audit.test.before_commit",
    { kind: "run", run: () => systemClock.sleep((turn++ % 5) * 4) },
    1000,
  );
  await Promise.all(
    Array.from({ length: 12 }, async (_, writer) => {
      for (let at = 0; at < 20; at += 1) {
        const owner = owners[(writer + at) % 2] as Subject;
        const facts = factsOf(owner, { route: `test.w${writer}` });
        await transact(forRequest(db, facts), "store.audit.test", async (tx) => {
          if (at % 6 === 5) await sql`select pg_sleep(0.005)`.execute(tx.query);
        });
        const orgId = at % 10 === 0 ? null : owner.orgId;
        await insertAuditEntries(db, [{ orgId, verb: "test.alone", outcome: "refused" }]);
      }
    }),
  );
  isOver = true;
  await Promise.all(sealing);
  await sealAll(db);
  let total = 0;
  for (const chain of [...owners.map(({ orgId }) => orgId), INSTALLATION_CHAIN]) {
    const step = await check(db, chain);
    assert.ok(!isFault(step), JSON.stringify(step));
    total += step.entries;
    const ids = (await readSealed(db, chain, { after: 0, upTo: 1e9, limit: 1e6 })).map(
      ({ entry }) => entry.id,
    );
    assert.deepEqual(
      ids,
      [...ids].sort((a, b) => a - b),
      "in the order of the entries",
    );
  }
  assert.equal(total, 12 * 20 * 2);
});

test("a seal that was not committed is made again, the same", async (t) => {
  const { db, failpoints } = await testDatabase(t);
  const owner = await createUser(db, { orgName: "a", name: "a" });
  const entry = { orgId: owner.orgId, verb: "test.one", outcome: "ok" } as const;
  await insertAuditEntries(db, [entry, entry, entry]);
  failpoints.arm("store.audit.seal.before_commit", { kind: "throw", message: "crash" });
  await assert.rejects(sealAudit(db, systemClock));
  assert.equal((await readChainHead(db, owner.orgId, key.sign)).head.seq, 0);
  await sealAll(db);
  const step = await check(db, owner.orgId);
  assert.ok(!isFault(step) && step.entries === 3);
});

test("the database refuses to change, remove or rewind what was written", async (t) => {
  const { db } = await testDatabase(t);
  const owner = await createUser(db, { orgName: "a", name: "a" });
  const entry = { orgId: owner.orgId, verb: "test.one", outcome: "ok" } as const;
  await insertAuditEntries(db, [entry, entry]);
  await sealAll(db);
  await insertAuditEntries(db, [entry]);
  for (const statement of [
    "update audit_entries set outcome = 'failed'",
    "delete from audit_entries",
    "delete from audit_entries where id = (select max(id) from audit_entries)",
    "truncate audit_entries",
    "update audit_seals set seq = seq + 1",
    "delete from audit_seals",
    "truncate audit_seals",
    "truncate audit_seals, audit_chains",
    "update audit_chains set head_seq = head_seq - 1",
    "update audit_chains set head_hash = anchor_hash",
    "update audit_chains set anchor_seq = 1",
    "delete from audit_chains",
  ])
    await assert.rejects(sql.raw(statement).execute(db.query), /audit (?:trail|chain)/, statement);
  const step = await check(db, owner.orgId);
  assert.ok(!isFault(step) && step.entries === 2);
});

test("what somebody does who switches the triggers off, the check finds", async (t) => {
  const { db } = await testDatabase(t);
  const owner = await createUser(db, { orgName: "a", name: "a" });
  const chain = owner.orgId;
  const { rows: ids } = await sql<{ id: number }>`
    select nextval('audit_entries_id_seq') as id`.execute(db.query);
  const unused = ids[0]?.id;
  for (let at = 0; at < 20; at += 1)
    await insertAuditEntries(db, [
      { orgId: chain, verb: `test.v${at}`, outcome: "ok", actorId: owner.userId },
    ]);
  await sealAll(db);
  const { head } = await readChainHead(db, chain, key.sign);
  for (const table of ["audit_entries", "audit_seals", "audit_chains"])
    await sql.raw(`alter table ${table} disable trigger all`).execute(db.query);
  const tamper = async (...statements: string[]) => {
    await sql.raw("drop table if exists e, s").execute(db.query);
    await sql.raw("create table e as table audit_entries").execute(db.query);
    await sql.raw("create table s as table audit_seals").execute(db.query);
    for (const statement of statements) await sql.raw(statement).execute(db.query);
    const step = await check(db, chain, [head]);
    await sql.raw("delete from audit_seals").execute(db.query);
    await sql.raw("delete from audit_entries").execute(db.query);
    await sql.raw("insert into audit_entries overriding system value table e").execute(db.query);
    await sql.raw("insert into audit_seals table s").execute(db.query);
    return isFault(step) ? step.kind : "unseen";
  };
  assert.equal(
    await tamper("update audit_entries set actor_id = null where verb = 'test.v7'"),
    "edited",
  );
  assert.equal(await tamper("delete from audit_entries where verb = 'test.v7'"), "missing");
  assert.equal(await tamper("delete from audit_seals where seq = 1"), "missing");
  assert.equal(await tamper("delete from audit_seals where seq > 15"), "missing");
  assert.equal(
    await tamper(
      "delete from audit_seals where seq = 3",
      "update audit_seals set seq = 3 where seq = 20",
    ),
    "edited",
  );
  await sql`insert into audit_entries (id, org_id, verb, outcome) overriding system value
    values (${unused}, ${chain}, 'test.slipped', 'ok')`.execute(db.query);
  assert.deepEqual(await entriesOf(db, owner, { verb: "test.slipped" }), []);
  const whole = await check(db, chain, [head]);
  assert.ok(!isFault(whole), JSON.stringify(whole));
});

test("retention removes the beginning, never less than the installation demands, and the rest still verifies", async (t) => {
  const { db, failpoints } = await testDatabase(t);
  const owner = await createUser(db, { orgName: "a", name: "a" });
  const operator = await createUser(db, { orgName: "b", name: "b", isOperator: true });
  const chain = owner.orgId;
  const nowMs = systemClock.nowMs();
  for (const days of [200, 150, 120, 60, 1])
    await insertAuditEntries(db, [
      { orgId: chain, verb: `test.d${days}`, outcome: "ok", atMs: nowMs - days * DAY_MS },
    ]);
  await sealAll(db);
  const { head } = await readChainHead(db, chain, key.sign);
  assert.deepEqual(await listOldChains(db, 10), [], "without a policy it is kept for ever");
  await assert.rejects(setAuditPolicy(db, owner, { keepDays: 30 }), /90 days/);
  await assert.rejects(setAuditPolicy(db, owner, { keepDaysMin: 1 }), /forbidden/);
  await setAuditPolicy(db, owner, { keepDays: 100 });
  await setAuditPolicy(db, operator, { keepDaysMin: 130 });
  const [old] = await listOldChains(db, 10);
  assert.equal(old?.chain, chain);
  failpoints.arm("store.audit.trim.anchored", { kind: "throw", message: "crash" });
  await assert.rejects(trimChain(db, old as never, key.sign, 100));
  assert.equal(await trimChain(db, old as never, key.sign, 100), 2);
  assert.deepEqual(await listOldChains(db, 10), []);
  await sealAll(db);
  const verbs = (await entriesOf(db, owner)).map(({ verb }) => verb);
  assert.deepEqual(verbs, ["test.d120", "test.d60", "test.d1", "audit.trim"]);
  const step = await check(db, chain, [head]);
  assert.ok(!isFault(step) && step.entries === 4, JSON.stringify(step));
  await assert.rejects(sql`delete from audit_entries where verb = 'test.d60'`.execute(db.query));
});

test("the trail is searched by who, what, which, how and when, a page at a time", async (t) => {
  const { db } = await testDatabase(t);
  const owner = await createUser(db, { orgName: "a", name: "olga" });
  const chain = owner.orgId;
  const at = (day: number) => Date.UTC(2026, 0, day);
  await insertAuditEntries(db, [
    { orgId: chain, verb: "boxes.create", outcome: "ok", actorId: owner.userId, atMs: at(1) },
    {
      ...{ orgId: chain, verb: "boxes.delete", outcome: "refused", code: "forbidden", atMs: at(2) },
      ...{ actorId: "usr_gone", resource: { box: "web" }, touched: ["box_1"] },
    },
    { orgId: chain, verb: "keys.create", outcome: "ok", userAgent: "50%_off\\", atMs: at(3) },
  ]);
  const found = async (filter: AuditFilter) =>
    (await entriesOf(db, owner, filter)).map(({ verb }) => verb);
  assert.deepEqual(await found({ actor: "olga" }), ["boxes.create"]);
  assert.deepEqual(await found({ actor: "usr_gone" }), ["boxes.delete"]);
  assert.deepEqual(await found({ verb: "boxes." }), ["boxes.create", "boxes.delete"]);
  assert.deepEqual(await found({ verb: "boxes.create" }), ["boxes.create"]);
  assert.deepEqual(await found({ resource: "web" }), ["boxes.delete"]);
  assert.deepEqual(await found({ resource: "box_1" }), ["boxes.delete"]);
  assert.deepEqual(await found({ outcome: "refused" }), ["boxes.delete"]);
  assert.deepEqual(await found({ since: "2026-01-02T00:00:00Z", until: "2026-01-03T00:00:00Z" }), [
    "boxes.delete",
  ]);
  assert.deepEqual(await found({ text: "OLGA" }), ["boxes.create"]);
  assert.deepEqual(await found({ text: "%_off\\" }), ["keys.create"]);
  assert.deepEqual(await found({ text: "' or true --" }), []);
  const [newest] = await listAudit(db, chain, {}, { limit: 1, order: "newest" });
  assert.equal(newest?.verb, "keys.create");
  const page = { limit: 1, order: "newest", before: newest?.id ?? 0 } as const;
  assert.equal((await listAudit(db, chain, {}, page))[0]?.verb, "boxes.delete");
});

test("what a gateway tells twice is written once", async (t) => {
  const { db } = await testDatabase(t);
  const owner = await createUser(db, { orgName: "a", name: "a" });
  const told = (sourceId: string) =>
    ({ orgId: owner.orgId, verb: "enter.ssh", outcome: "ok", sourceId }) as const;
  await insertAuditEntries(db, [told("g/1"), told("g/2")]);
  await insertAuditEntries(db, [told("g/2"), told("g/3")]);
  assert.equal((await entriesOf(db, owner)).length, 3);
});
