// The second wall: what a request's connection can see and change in each table, whatever the statement. The tables come
// from the catalogue, so a new one without a policy fails here.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import type { OrgId } from "#domain/ids.ts";
import { testDatabase } from "#test/harness/database.ts";
import type { Database, Db } from "./db.ts";

const ONE = "org_one" as OrgId;
const TWO = "org_two" as OrgId;

/** What is the installation's, and what a request may do with it. All other tables need a policy. */
const OF_INSTALLATION: Readonly<Record<string, string>> = {
  authorities: "",
  leases: "",
  migrations: "",
  tenant_login: "",
  join_tokens: "",
  used_logins: "",
  logins: "",
  nodes: "SELECT",
  node_revisions: "SELECT",
  gateways: "SELECT",
  audit_state: "SELECT",
  usage_clock: "SELECT",
  quota_defaults: "SELECT",
  replicas: "",
};
/** Whose rows name no organization: of whatever was revoked, the id is all there is. */
const OPEN_TO_READ = new Set(["revocations"]);

interface Table {
  readonly name: string;
  readonly isGuarded: boolean;
  /** As the tenant has them on the whole table: SELECT, INSERT, UPDATE, DELETE. */
  readonly privileges: readonly string[];
  /** Column that a request may write, to try an update with; null: none. */
  readonly written: string | null;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

async function readTables(db: Db): Promise<Table[]> {
  const { rows } = await sql<Table>`
    select c.relname as name, c.relrowsecurity as "isGuarded",
      array(select p from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) p
        where has_table_privilege('berth_tenant', c.oid, p)) as privileges,
      (select min(a.attname) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        and a.attidentity = '' and has_column_privilege('berth_tenant', c.oid, a.attname, 'UPDATE')) as written,
      (select jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, null)))
        from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          and a.attidentity = '') as columns
    from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
    order by 1`.execute(db.query);
  return rows;
}

const VALUES: Readonly<Record<string, string>> = {
  "text[]": "{}",
  "integer[]": "{}",
  jsonb: "{}",
  boolean: "false",
  integer: "1",
  bigint: "1",
  numeric: "1",
  "double precision": "1",
  bytea: "\\x00",
  date: "2026-01-01",
  "timestamp with time zone": "2026-01-01",
};

/** One row in each table for one organization: every text in it is the organization's id, so everything refers to it. */
function insertRow({ name, columns }: Table, org: string) {
  const values = columns.map((column) => {
    if (column.name === "kind" && name === "users") return sql`'service'`;
    if (column.type === "text") return sql`${org}::text`;
    const value = VALUES[column.type];
    assert.ok(value, `${name}.${column.name}: give VALUES one of the type ${column.type}`);
    return sql`${value}::${sql.raw(column.type)}`;
  });
  return sql`insert into ${sql.table(name)} (${sql.join(columns.map((one) => sql.ref(one.name)))})
    values (${sql.join(values)})`;
}

/** Both organizations have a row in every table. Of the tables' rules only policies and privileges are left. */
async function filledDatabase(t: Parameters<typeof testDatabase>[0]) {
  const { db } = await testDatabase(t);
  const { rows } = await sql<{ text: string }>`
    select text from (
      select 1 as turn, format('alter table %s drop constraint %I cascade', conrelid::regclass, conname) as text
      from pg_constraint where connamespace = 'public'::regnamespace and contype = 'f'
      union all
      select 2, format('alter table %s drop constraint %I cascade', conrelid::regclass, conname)
      from pg_constraint where connamespace = 'public'::regnamespace and contype in ('c', 'u', 'p')
      union all
      select 3, format('drop index %s', indexrelid::regclass) from pg_index i
      join pg_class c on c.oid = i.indexrelid and c.relnamespace = 'public'::regnamespace
      where i.indisunique and not exists (select 1 from pg_constraint k where k.conindid = i.indexrelid)
      union all
      select 4, format('alter table %s disable trigger user', oid::regclass) from pg_class
      where relnamespace = 'public'::regnamespace and relkind = 'r') as changes order by turn`.execute(
    db.query,
  );
  for (const { text } of rows) await sql.raw(text).execute(db.query);
  const tables = (await readTables(db)).filter(({ name }) => name !== "migrations");
  for (const table of tables)
    for (const org of [ONE, TWO]) await insertRow(table, org).execute(db.query);
  return { db, tables };
}

class Undo extends Error {}

/** What a request of the first organization's can do to the second's rows of a table: names of the ways in. */
async function leaksOf(db: Database, table: Table): Promise<string[]> {
  const own = db.tenants.of({ orgId: ONE });
  const name = sql.table(table.name);
  const others = sql`position(${TWO} in t::text) > 0`;
  const leaks: string[] = [];
  const tried = async (what: string, statement: ReturnType<typeof sql>) => {
    const attempt = own.transaction().execute(async (tx) => {
      const { rows, numAffectedRows } = await statement.execute(tx);
      if (rows.length > 0 || (numAffectedRows ?? 0n) > 0n) leaks.push(what);
      throw new Undo();
    });
    await attempt.catch((error: { code?: string }) => {
      // A policy or a missing privilege says no by this code.
      if (!(error instanceof Undo) && error.code !== "42501") throw error;
    });
  };
  if (!OPEN_TO_READ.has(table.name))
    await tried("SELECT", sql`select 1 from ${name} t where ${others}`);
  if (table.written !== null) {
    const column = sql.ref(table.written);
    await tried(
      "UPDATE",
      sql`with hit as (update ${name} t set ${column} = ${column} returning t::text as row)
      select 1 from hit where position(${TWO} in row) > 0`,
    );
    // A row of one's own that is given away.
    if (table.columns.some((one) => one.name === "org_id"))
      await tried("GIVE", sql`update ${name} set org_id = ${TWO} returning 1`);
  }
  await tried(
    "DELETE",
    sql`with gone as (delete from ${name} t returning t::text as row)
    select 1 from gone where position(${TWO} in row) > 0`,
  );
  await tried("INSERT", insertRow(table, TWO));
  return leaks;
}

test("every table is an organization's and guarded, or the installation's and listed", async (t) => {
  const { db } = await testDatabase(t);
  const tables = await readTables(db);
  assert.ok(tables.length > 30);
  for (const { name, isGuarded, privileges } of tables) {
    const listed = OF_INSTALLATION[name];
    if (listed === undefined)
      assert.ok(
        isGuarded,
        `${name}: give it a policy, as in migrations/0010-row-security.sql, with (select acting_org())`,
      );
    else assert.equal(privileges.join(" "), listed, name);
    assert.ok(!privileges.includes("TRUNCATE"), name);
  }
  for (const name of Object.keys(OF_INSTALLATION))
    assert.ok(
      tables.some((one) => one.name === name),
      `${name} is no table any more`,
    );
  const { rows } = await sql<{ name: string }>`
    select c.relname as name from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
      and c.relrowsecurity and not exists (select 1 from pg_policy p where p.polrelid = c.oid)
      and has_any_column_privilege('berth_tenant', c.oid, 'SELECT')`.execute(db.query);
  assert.deepEqual(rows, [], "guarded, but by no policy");
});

test("whatever a request asks, rows of another organization are not there", async (t) => {
  const { db, tables } = await filledDatabase(t);
  const guarded = tables.filter(({ name }) => OF_INSTALLATION[name] === undefined);
  for (const table of guarded) {
    assert.deepEqual(await leaksOf(db, table), [], table.name);
    if (!table.privileges.includes("SELECT")) continue;
    // Its own row is: an empty answer to everything would prove nothing.
    const own = db.tenants.of({ orgId: ONE });
    const { rows } = await sql`select 1 from ${sql.table(table.name)}`.execute(own);
    assert.equal(rows.length, OPEN_TO_READ.has(table.name) ? 2 : 1, `its own row of ${table.name}`);
  }
});

test("this test sees each policy that is switched off", async (t) => {
  const { db, tables } = await filledDatabase(t);
  for (const table of tables.filter(({ name }) => OF_INSTALLATION[name] === undefined)) {
    const able = [...table.privileges, ...(table.written ? ["UPDATE"] : [])];
    await sql`alter table ${sql.table(table.name)} disable row level security`.execute(db.query);
    const leaks = await leaksOf(db, table);
    await sql`alter table ${sql.table(table.name)} enable row level security`.execute(db.query);
    const expected = able.filter((one) => one !== "SELECT" || !OPEN_TO_READ.has(table.name));
    for (const one of new Set(expected)) assert.ok(leaks.includes(one), `${one} of ${table.name}`);
  }
});
