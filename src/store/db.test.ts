// Transactions: what Postgres undoes is tried again, what fails leaves nothing, and an outage has a name.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { sql } from "kysely";
import { systemClock } from "#lib/clock.ts";
import { Failpoints } from "#lib/failpoint.ts";
import { silentLog } from "#lib/log.ts";
import { ensurePostgres, stopPostgres } from "#main/postgres.ts";
import { testDatabase } from "#test/harness/database.ts";
import { ensureAdmin, loadOrCreateAuthority } from "./access.ts";
import { type Db, isUnavailable, openDatabase, transact } from "./db.ts";
import { Wakes } from "./listen.ts";
import { migrate } from "./migrate.ts";
import { wake } from "./wake.ts";

function lock(tx: Db, name: string): Promise<unknown> {
  return sql`update leases set holder = holder || '+' where name = ${name}`.execute(tx.query);
}

test("of two transactions that block each other one is tried again, and both succeed", async (t) => {
  const { db } = await testDatabase(t);
  await sql`insert into leases values ('a', '', now()), ('b', '', now())`.execute(db.query);
  let arrived = 0;
  let meet = () => {};
  const met = new Promise<void>((resolve) => {
    meet = resolve;
  });
  let attempts = 0;
  const cross = (first: string, second: string) =>
    transact(db, "test", async (tx) => {
      attempts += 1;
      await lock(tx, first);
      arrived += 1;
      if (arrived >= 2) meet();
      await met;
      await lock(tx, second);
    });
  await Promise.all([cross("a", "b"), cross("b", "a")]);
  const { rows } = await sql<{ holder: string }>`select holder from leases`.execute(db.query);
  assert.deepEqual(
    rows.map((row) => row.holder),
    ["++", "++"],
  );
  assert.equal(attempts, 3);
});

test("failpoints of inner transitions stand after the one commit", async (t) => {
  const { db, failpoints } = await testDatabase(t);
  const outer = () =>
    transact(db, "outer", async (tx) => {
      await transact(tx, "inner", async (inner) => {
        await sql`insert into leases values ('x', '', now())`.execute(inner.query);
      });
      assert.equal(failpoints.hits("inner.committed"), 0);
    });
  failpoints.arm("outer.before_commit", { kind: "throw", message: "power" });
  await assert.rejects(outer(), /power/);
  assert.equal((await db.query.selectFrom("leases").selectAll().execute()).length, 0);
  await outer();
  assert.equal(failpoints.hits("inner.committed"), 1);
  assert.equal(failpoints.hits("outer.committed"), 1);
});

test("many who ask at once get one administrator and one authority", async (t) => {
  const { db } = await testDatabase(t);
  const admins = await Promise.all(Array.from({ length: 5 }, () => ensureAdmin(db)));
  assert.equal(new Set(admins.map((admin) => admin.userId)).size, 1);
  let made = 0;
  const make = () => {
    made += 1;
    return `key ${made}`;
  };
  const keys = await Promise.all(
    Array.from({ length: 5 }, () => loadOrCreateAuthority(db, "node", make)),
  );
  assert.equal(new Set(keys).size, 1);
  assert.equal(await loadOrCreateAuthority(db, "node", make), keys[0]);
});

test("while Postgres is down every failure is an outage; when it is back, the same pool and wakes go on", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "berth-pg-"));
  const options = { directory, clock: systemClock, log: silentLog };
  t.after(async () => {
    await stopPostgres(directory);
    await rm(directory, { recursive: true, force: true });
  });
  const { url, pid } = await ensurePostgres(options);
  await migrate(url);
  const db = openDatabase({ url, failpoints: new Failpoints(), log: silentLog });
  const wakes = new Wakes({ url, clock: systemClock, log: silentLog });
  t.after(async () => {
    await wakes.close();
    await db.close();
  });
  await wakes.start();
  const admin = await ensureAdmin(db);
  const heard = wakes.subscribe(["t"]);
  const during = transact(db, "test", async (tx) => {
    await sql`insert into leases values ('x', '', now())`.execute(tx.query);
    process.kill(pid, "SIGKILL");
    for (;;) await sql`select pg_sleep(0.05)`.execute(tx.query);
  });
  await assert.rejects(during, isUnavailable);
  let refusals = 0;
  for (let tries = 0; tries < 5; tries += 1)
    await ensureAdmin(db).catch((error) => {
      assert.ok(isUnavailable(error), String(error));
      refusals += 1;
    });
  assert.ok(refusals > 0);
  await ensurePostgres(options);
  await migrate(url);
  assert.deepEqual(await ensureAdmin(db), admin);
  assert.equal((await db.query.selectFrom("leases").selectAll().execute()).length, 0);
  // One wake for the connection that came back, whenever that is.
  while (!(await heard.next(100))) await wake(db, ["t"]);
  heard.close();
});
