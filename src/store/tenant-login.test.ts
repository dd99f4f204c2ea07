// SQL that somebody slips into a request: whatever it says on its connection, it stays in its organization, and leaves
// nothing there for the next one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Kysely, sql } from "kysely";
import pg from "pg";
import type { OrgId } from "#domain/ids.ts";
import { Failpoints } from "#lib/failpoint.ts";
import { silentLog } from "#lib/log.ts";
import { type Caller, type ControlPlane, controlPlane } from "#test/harness/control-plane.ts";
import { emptyDatabase, testDatabase } from "#test/harness/database.ts";
import { createUser } from "./access.ts";
import { type Database, isUnavailable, openDatabase } from "./db.ts";
import { migrate } from "./migrate.ts";
import { openPreview } from "./preview-changes.ts";
import { ensureTenantLogin, withLogin } from "./tenant-login.ts";

interface World {
  readonly db: Database;
  readonly one: Kysely<never>;
  readonly orgs: readonly [OrgId, OrgId];
}

/** Two organizations that share one connection. */
async function world(
  t: Parameters<typeof testDatabase>[0],
  { isShared = false } = {},
): Promise<World> {
  let close = async () => {};
  t.after(() => close());
  const { db: owner, url } = await testDatabase(t);
  if (isShared) await sql`update tenant_login set name = null`.execute(owner.query);
  const db = openDatabase({ url, failpoints: new Failpoints(), log: silentLog, poolMax: 1 });
  close = () => db.close();
  const orgs = [];
  for (const orgName of ["one", "two"])
    orgs.push((await createUser(db, { orgName, name: "owner" })).orgId);
  const [orgId] = orgs as [OrgId];
  return { db, orgs: orgs as never, one: db.tenants.of({ orgId }) as never };
}

/** Names of organizations whose rows it sees after each statement, in one session. */
async function seenBy(
  { db, orgs, one }: World,
  statements: readonly string[],
): Promise<Set<string>> {
  const seen = new Set<string>();
  for (const statement of statements) {
    await sql.raw(statement).execute(one).catch(ignoreRefusal);
    const look = sql<{ org: string }>`select id as org from public.orgs
      union select org_id from public.grants union select org_id from public.events`;
    const { rows } = await look.execute(one).catch(ignoreRefusal);
    for (const { org } of rows) seen.add(org);
    const write = sql`update public.orgs set name = name || '!' where id = ${orgs[1]}`;
    await write.execute(one).catch(ignoreRefusal);
  }
  const { rows } = await sql<{ name: string }>`select name from orgs where id = ${orgs[1]}`.execute(
    db.query,
  );
  if (rows[0]?.name !== "two") seen.add("written");
  return seen;
}

function ignoreRefusal(error: { code?: string; message: string }): { rows: never[] } {
  // What Postgres itself says no to; a mistake in a statement of ours would prove nothing.
  assert.match(error.code ?? "", /^(42501|55000|42883|0A000|58P01|42P01|25006)$/, error.message);
  return { rows: [] };
}

function attacks([own, other]: readonly [OrgId, OrgId]): Record<string, string[]> {
  const forged = `create temporary sequence bound_org minvalue -9223372036854775808;
    select setval('pg_temp.bound_org', hashtextextended('${other}', 0))`;
  return {
    "back to the owner": ["reset role", "set role postgres", "set role none"],
    "another session user": ["set session authorization postgres", "reset session authorization"],
    "another organization's name": [
      `set berth.org = '${other}'`,
      `select set_config('berth.org', '${other}', false)`,
    ],
    "a proof of nothing": [
      `select bind_org('${other}', '\\x00')`,
      `select bind_org('${other}', null)`,
      `select bind_org('${other}', sha256('${own}'))`,
      "select key from tenant_login",
    ],
    "the sequence itself": [
      `select set_config('berth.org', '${other}', false)`,
      `select setval('bound_org', hashtextextended('${other}', 0))`,
      "select nextval('bound_org')",
      ...["alter sequence bound_org restart", "discard sequences"],
    ],
    "a sequence of its own": [
      ...[`set berth.org = '${other}'`, "set search_path = pg_temp, public"],
      ...forged.split(";"),
    ],
    "functions of its own": [
      ...[`set berth.org = '${other}'`, "set search_path = pg_temp, public"],
      `create function pg_temp.acting_org() returns text language sql as $$ select '${other}' $$`,
      `create function pg_temp.currval(regclass) returns bigint language sql as $$ select hashtextextended('${other}', 0) $$`,
      `create function public.acting_org() returns text language sql as $$ select '${other}' $$`,
      `create or replace function public.acting_org() returns text language sql as $$ select '${other}' $$`,
    ],
    "without the wall": [
      ...["set row_security = off", "alter table orgs disable row level security"],
      ...["drop policy own on orgs", "create policy all_of_it on orgs using (true)"],
      "alter role current_user bypassrls",
    ],
    "other programs": [
      ...["copy orgs to program 'cat'", "copy orgs from program 'true'", "copy orgs to '/tmp/x'"],
      ...["create extension dblink", "create extension postgres_fdw", "load 'auto_explain'"],
      ...["select pg_read_file('PG_VERSION')", "create language plperlu"],
      "select lo_import('/etc/passwd')",
    ],
  };
}

test("a statement that is slipped in stays in its organization", async (t) => {
  const here = await world(t);
  for (const [name, statements] of Object.entries(attacks(here.orgs))) {
    const seen = await seenBy(here, statements);
    seen.delete(here.orgs[0]);
    assert.deepEqual([...seen], [], name);
  }
  assert.equal(await here.db.tenants.isShared(), false);
});

test("without a login of its own, only back to the owner leads out", async (t) => {
  const here = await world(t, { isShared: true });
  assert.equal(await here.db.tenants.isShared(), true);
  const all = attacks(here.orgs);
  assert.ok((await seenBy(here, all["back to the owner"] ?? [])).has(here.orgs[1]));
  const second = await world(t, { isShared: true });
  const names = attacks(second.orgs)["another organization's name"] ?? [];
  assert.deepEqual([...(await seenBy(second, names))], []);
});

test("what one organization leaves in a session, the next one does not find", async (t) => {
  const { db, orgs, one } = await world(t);
  const two = db.tenants.of({ orgId: orgs[1] });
  for (const statement of [
    "create temporary table orgs as select * from public.orgs",
    "create temporary table text as select 1 as x",
    "set search_path = pg_temp, pg_catalog",
    "set timezone = 'Asia/Tokyo'",
    "set default_transaction_read_only = on; set statement_timeout = 1",
    "select pg_advisory_lock(1)",
  ]) {
    await sql.raw(statement).execute(one);
    const { rows } = await sql`
      select id, tableoid::regclass::text as from, current_setting('search_path') as path,
        current_setting('timezone') as zone,
        (select count(*) from pg_class where relnamespace = pg_my_temp_schema()) as temporary,
        (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks
      from orgs`.execute(two);
    assert.deepEqual(rows, [
      { id: orgs[1], from: "orgs", path: "public, pg_temp", zone: "UTC", temporary: 0, locks: 0 },
    ]);
    await sql`update orgs set name = 'two'`.execute(two);
  }
});

test("who ends the connections of other requests stops them for a moment, and changes nothing", async (t) => {
  const { db, orgs } = await world(t);
  const other = openDatabase({ url: db.url, failpoints: new Failpoints(), log: silentLog });
  t.after(() => other.close());
  const [one, two] = orgs.map((orgId) => other.tenants.of({ orgId })) as unknown as [
    Kysely<never>,
    Kysely<never>,
  ];
  const read = async () => {
    const { rows } = await sql<{ name: string }>`select name from orgs`.execute(two);
    return rows[0]?.name;
  };
  assert.equal(await read(), "two");
  // In the middle of what somebody else does.
  const change = db.tenants.of({ orgId: orgs[1] }).transaction();
  const stopped = change.execute(async (tx) => {
    await sql`update orgs set name = 'half'`.execute(tx);
    const end = sql`select pg_terminate_backend(pid) from pg_stat_activity
      where usename = session_user and datname = current_database() and pid <> pg_backend_pid()`;
    await end.execute(one);
    await sql`select 1`.execute(tx);
  });
  await assert.rejects(stopped, (error) => isUnavailable(error), "an answer of 503");
  // The pool may hand out one more that is about to break.
  let name: string | undefined;
  for (let tries = 0; tries < 100 && name === undefined; tries += 1)
    name = await read().catch((error) => assert.ok(isUnavailable(error)) as undefined);
  assert.equal(name, "two");
});

test("nobody calls what acts for the owner: not as a function, not as a trigger of their own", async (t) => {
  const { db, one } = await world(t);
  const { rows } = await sql<{ name: string; path: string[] | null; isTrigger: boolean }>`
    select p.proname as name, p.proconfig as path, p.prorettype = 'trigger'::regtype as "isTrigger" from pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.prosecdef order by 1`.execute(db.query);
  assert.ok(rows.length > 8);
  for (const { name, path } of rows) assert.deepEqual(path, ["search_path=public, pg_temp"], name);
  const { rows: open } = await sql<{ name: string }>`
    select p.proname as name from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prosecdef
      and has_function_privilege(p.oid, 'execute') order by 1`.execute(one);
  assert.deepEqual(
    open.map(({ name }) => name),
    // Each says one bit of an id that is named to it.
    ["bind_org", "is_operator", "is_suspended", "oldest_event", "was_trusted"],
  );
  await sql.raw("create temporary table forged (id text, revoked_at timestamptz)").execute(one);
  const steal = "create trigger t after insert on forged for each row execute function end_login()";
  await assert.rejects(sql.raw(steal).execute(one), /permission denied for function end_login/);
});

test("no row of one's own refers to another organization's, or makes an operator", async (t) => {
  const plane = await controlPlane(t);
  const { db } = plane;
  const [here, there] = [await plane.addOrg("here"), await plane.addOrg("there")];
  const [mine, theirs] = [await made(plane, here), await made(plane, there)];
  const own = db.tenants.of(here.subject);
  const operator = plane.admin.subject.userId;
  const org = here.subject.orgId;
  const user = here.subject.userId;
  for (const statement of [
    ...["source_snapshot_id", "rest_snapshot_id", "restore_snapshot_id"].map(
      (column) => `update boxes set ${column} = '${theirs.snapshot}' where id = '${mine.box}'`,
    ),
    `update boxes set template_version_id = '${theirs.version}' where id = '${mine.box}'`,
    `update boxes set team_id = '${theirs.team}' where id = '${mine.box}'`,
    `update template_versions set prebuild_snapshot_id = '${theirs.snapshot}' where id = '${mine.version}'`,
    `update snapshots set box_id = '${theirs.box}' where id = '${mine.snapshot}'`,
    `update snapshots set parent_id = '${theirs.snapshot}' where id = '${mine.snapshot}'`,
    `update previews set port = 8001, box_id = '${theirs.box}' where id = '${mine.preview}'`,
    `update volumes set box_id = '${theirs.box}' where box_id = '${mine.box}'`,
    ...[
      ["org", there.subject.orgId],
      ["team", theirs.team],
      ["box", theirs.box],
    ].map(
      ([scope, id]) => `insert into grants (id, org_id, user_id, role, scope, scope_id)
        values ('gr_x', '${org}', '${user}', 'admin', '${scope}', '${id}')`,
    ),
    `insert into tokens (id, hash, org_id, user_id, name) values ('tok_x', 'h', '${org}', '${operator}', 'x')`,
    `insert into web_sessions (id, hash, org_id, user_id, kind, expires_at)
      values ('web_x', 'h', '${org}', '${operator}', 'web', now() + interval '1 hour')`,
    `update tokens set user_id = '${operator}'`,
    `update tokens set hash = 'h'`,
    "update users set is_operator = true",
    `update users set disabled_at = now() where id = '${user}'`,
    `insert into providers (id, org_id, name, label, issuer, client_id, scopes, is_trusted, session_max_ms, check_every_ms)
      values ('idp_x', '${org}', 'x', 'x', 'https://x.test', 'x', '{}', true, 1, 1)`,
    "update providers set is_trusted = true",
    "update providers set issuer = 'https://other.test'",
  ])
    await assert.rejects(sql.raw(statement).execute(own), { code: "42501" }, statement);
  // What is one's own can be referred to.
  await sql`update boxes set rest_snapshot_id = ${mine.snapshot}, team_id = ${mine.team} where id = ${mine.box}`.execute(
    own,
  );
});

/** One of everything that a row can refer to. */
async function made(plane: ControlPlane, { client, subject }: Caller) {
  const { db } = plane;
  const { template } = await client.templates.create({ name: "base" });
  const { builder, id: version } = template.latest ?? {};
  if (builder) await client.boxes.delete(builder);
  await sql`update template_versions set state = 'ready', builder_box_id = null where id = ${version}`.execute(
    db.query,
  );
  const { id: team } = await client.teams.create({ name: "crew" });
  const box = (await client.boxes.create({ template: "base" })).box.id;
  const snapshot = `snap_${box.slice(4)}`;
  await sql`
    insert into snapshots (id, org_id, owner_id, box_id, epoch, kind, with_memory, kept, state, spec, image_digest)
    select ${snapshot}, org_id, owner_id, id, 1, 'checkpoint', true, true, 'durable', spec, ${`sha256:${"a".repeat(64)}`}
    from boxes where id = ${box}`.execute(db.query);
  const preview = (await openPreview(db, subject, box, { port: 8000, visibility: null })).id;
  await client.providers.create({
    ...{ name: "sso", label: "SSO", issuer: "https://sso.test", clientId: "berth" },
  });
  return { version, team, box, snapshot, preview };
}

test("each policy asks for the organization once", async (t) => {
  const { db } = await testDatabase(t);
  const { rows } = await sql<{ policy: string; text: string }>`
    select tablename || '.' || policyname as policy, concat(qual, ' ', with_check) as text from pg_policies
    where schemaname = 'public'`.execute(db.query);
  for (const { policy, text } of rows)
    assert.equal(
      text.split("acting_org()").length,
      text.split("SELECT acting_org() AS acting_org").length,
      `${policy}: write (select acting_org())`,
    );
});

test("a login that cannot be made is said; one that was given must do", async (t) => {
  const url = await emptyDatabase(t);
  await migrate(url);
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  const names = ["plain", "member", "owner"].map((name) => `berth_test_${name}_${process.pid}`);
  const [plain = "", member = "", owner = ""] = names;
  try {
    for (const name of names) await admin.query(`create role ${name} login password 'x'`);
    await admin.query(`grant berth_tenant to ${member}`);
    await admin.query(
      `grant postgres to ${owner}; grant berth_tenant to ${owner} with inherit true`,
    );
    const as = (name: string) => withLogin(url, { name, password: "x" });
    assert.equal(await ensureTenantLogin(url, as(member)), null);
    for (const [name, why] of [
      [plain, /has not the role berth_tenant/],
      [owner, /owns tables of Berth/],
      ["postgres", /not held by row security/],
    ] as const)
      await assert.rejects(ensureTenantLogin(url, as(name)), why);
    // An owner of the tables that makes no roles.
    await admin.query(`grant ${owner} to ${plain}`);
    await admin.query(`grant select, update on tenant_login to ${plain}`);
    assert.match((await ensureTenantLogin(as(plain), null)) ?? "", /BERTH_TENANT_DATABASE_URL/);
    const { rows } = await admin.query("select name from tenant_login");
    assert.deepEqual(rows, [{ name: null }]);
    assert.equal(await ensureTenantLogin(url, null), null);
    const { rows: made } = await admin.query<{ name: string }>("select name from tenant_login");
    assert.equal(await ensureTenantLogin(url, null), null, "again");
    assert.deepEqual((await admin.query("select name from tenant_login")).rows, made);
    names.push(made[0]?.name ?? "");
  } finally {
    await admin.query(`drop owned by ${names.join(", ")} cascade; drop role ${names.join(", ")}`);
    await admin.end();
  }
});
