// Connections of requests: each is held to one organization before it is given, and only told when that changes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import pg from "pg";
import { ROUTES } from "#contract/routes.ts";
import type { OrgId } from "#domain/ids.ts";
import { Failpoints } from "#lib/failpoint.ts";
import { silentLog } from "#lib/log.ts";
import { emptyDatabase, testDatabase } from "#test/harness/database.ts";
import { createUser } from "./access.ts";
import { type Database, openDatabase } from "./db.ts";
import { migrate } from "./migrate.ts";
import { OUTSIDE_ROUTES } from "./tenant.ts";

/** One connection for all requests. */
async function single(t: Parameters<typeof testDatabase>[0]) {
  // Hooks run in the order of their registration: ours must be closed before the database is dropped.
  let close = async () => {};
  t.after(() => close());
  const { url } = await testDatabase(t);
  const db = openDatabase({ url, failpoints: new Failpoints(), log: silentLog, poolMax: 1 });
  close = () => db.close();
  const orgs = [];
  for (const orgName of ["one", "two"])
    orgs.push((await createUser(db, { orgName, name: "owner" })).orgId);
  return { db, orgs: orgs as [OrgId, OrgId] };
}

async function seen(db: Database, orgId: OrgId): Promise<unknown> {
  const { rows } = await sql<{ id: string; isTenant: boolean }>`
    select id, pg_has_role('berth_tenant', 'usage') and not pg_has_role('postgres', 'member') as "isTenant"
    from orgs`.execute(db.tenants.of({ orgId }));
  return rows;
}

test("a connection that goes from one organization to another shows each its own", async (t) => {
  const { db, orgs } = await single(t);
  for (const orgId of [orgs[0], orgs[1], orgs[1], orgs[0]])
    assert.deepEqual(await seen(db, orgId), [{ id: orgId, isTenant: true }]);
  // Also when the one before broke off in a transaction.
  const broken = db.tenants
    .of({ orgId: orgs[0] })
    .transaction()
    .execute(async (tx) => {
      await sql`update orgs set name = 'renamed'`.execute(tx);
      throw new Error("broken off");
    });
  await assert.rejects(broken, /broken off/);
  assert.deepEqual(await seen(db, orgs[1]), [{ id: orgs[1], isTenant: true }]);
});

test("many at once on few connections never see each other", async (t) => {
  const { db, orgs } = await single(t);
  const all = Array.from({ length: 60 }, (_, n) => orgs[n % 2] as OrgId);
  const answers = await Promise.all(all.map((orgId) => seen(db, orgId)));
  assert.deepEqual(
    answers,
    all.map((id) => [{ id, isTenant: true }]),
  );
});

test("the same organization again costs no statement", async (t) => {
  const { db, orgs } = await single(t);
  await seen(db, orgs[0]);
  const query = pg.Client.prototype.query;
  let sent = 0;
  // biome-ignore lint/suspicious/noExplicitAny: pg's query has a dozen overloads.
  pg.Client.prototype.query = function (this: pg.Client, ...args: any[]): any {
    sent += 1;
    return (query as (...rest: unknown[]) => unknown).apply(this, args);
  } as never;
  try {
    await seen(db, orgs[0]);
    assert.equal(sent, 1);
    await seen(db, orgs[1]);
    assert.equal(sent, 3);
  } finally {
    pg.Client.prototype.query = query;
  }
});

test("a connection that cannot be held to an organization is not given", async (t) => {
  const { db, orgs } = await single(t);
  await seen(db, orgs[0]);
  const query = pg.Client.prototype.query;
  // biome-ignore lint/suspicious/noExplicitAny: pg's query has a dozen overloads.
  pg.Client.prototype.query = function (this: pg.Client, ...args: any[]): any {
    const text = typeof args[0] === "string" ? args[0] : args[0]?.text;
    if (text?.includes("bind_org")) return Promise.reject(new Error("cannot be told"));
    return (query as (...rest: unknown[]) => unknown).apply(this, args);
  } as never;
  try {
    await assert.rejects(seen(db, orgs[1]), /cannot be told/);
  } finally {
    pg.Client.prototype.query = query;
  }
  // It was given back, and is told before it is used again: whoever it was of before.
  assert.deepEqual(await seen(db, orgs[0]), [{ id: orgs[0], isTenant: true }]);
});

test("the ways out are operations that there are", () => {
  const names = new Set<string>(ROUTES.map(({ name }) => name));
  for (const route of Object.keys(OUTSIDE_ROUTES)) assert.ok(names.has(route), route);
});

test("a login that may not make roles is told what to run, and one that may become the role needs nothing else", async (t) => {
  const url = await emptyDatabase(t);
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  const login = `berth_test_${process.pid}`;
  try {
    await admin.query(`create role ${login} login password 'x'`);
    await admin.query(`grant all on schema public to ${login}`);
    const options = `${url}${url.includes("?") ? "&" : "?"}options=${encodeURIComponent(`-c role=${login}`)}`;
    // The role is there already, made by the template of the tests; this login is no member of it.
    await assert.rejects(migrate(options), (error: Error & { hint?: string }) => {
      assert.match(`${error.message} ${error.hint}`, new RegExp(`grant berth_tenant to ${login}`));
      return true;
    });
    await admin.query(`grant berth_tenant to ${login}`);
    assert.ok((await migrate(options)).length > 9);
  } finally {
    await admin.query(`drop owned by ${login} cascade`);
    await admin.query(`drop role ${login}`);
    await admin.end();
  }
});
