// Budgets: each threshold is told once, a spent one refuses or pauses and says what to do, a raised one lets go at once.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { sql } from "kysely";
import { StoreRefusal } from "#domain/refusal.ts";
import { systemClock } from "#lib/clock.ts";
import { FailpointError } from "#lib/failpoint.ts";
import { watchBudgets } from "#reconciler/usage.ts";
import { testDatabase } from "#test/harness/database.ts";
import { holdUsageClock, setUsageClock } from "#test/harness/usage.ts";
import { PaperWorld } from "#test/harness/world.ts";
import { setDesired } from "./box-intent.ts";
import { handOver } from "./box-shares.ts";
import { createBox, getBox } from "./boxes.ts";
import { listBudgets, setBudget } from "./budgets.ts";
import { transact } from "./db.ts";
import { forkBox } from "./forks.ts";
import { setPrices } from "./prices.ts";
import { createTeam, deleteTeam } from "./teams.ts";
import { listBudgetEvents } from "./usage-events.ts";
import { rollUpHour } from "./usage-rollups.ts";

const START = new Date("2026-11-27T10:00:00Z");
const at = (hours: number) => new Date(START.getTime() + hours * 3_600_000);

/** Two boxes of 2 vCPUs at 0.5 each: 1 an hour for each box; one of them is the team's. */
async function world(t: TestContext) {
  const { db } = await testDatabase(t);
  await holdUsageClock(db, START);
  const paper = await PaperWorld.make(db);
  const { admin } = paper;
  await setPrices(db, admin, { orgId: null, currency: "EUR", prices: { vcpu: "0.5" } });
  const team = await createTeam(db, admin, "red");
  const create = (name: string, of: string | null) =>
    createBox(db, admin, { name, template: "base", version: null, env: {}, team: of });
  const own = (await create("own", null)).box.id;
  const teams = (await create("teams", team.id)).box.id;
  await paper.settle();
  const rows = await sql<{ n: number }>`select count(*) as n from usage_intervals`.execute(
    db.query,
  );
  assert.ok(rows.rows[0]);
  return { paper, db, admin, team, create, own, teams };
}

const events = async (db: PaperWorld["db"]) =>
  (
    await sql<{ kind: string; threshold: number | null }>`
      select kind, (data ->> 'threshold')::integer as threshold from events
      where subject_kind = 'budget' order by id`.execute(db.query)
  ).rows.map(({ kind, threshold }) => (threshold === null ? kind : `${kind} ${threshold}`));

const refused = (work: Promise<unknown>) =>
  assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof StoreRefusal, String(error));
    assert.equal(error.code, "budget_exceeded");
    return true;
  });

test("thresholds are told once each, through crashes, and a spent month refuses until it is over", async (t) => {
  const { paper, db, admin, create, own } = await world(t);
  await setBudget(db, admin, { team: null, amount: "8", thresholds: [80, 50], policy: "refuse" });
  await setUsageClock(db, at(2));
  for (const name of ["store.budget.judge.before_commit", "store.budget.judge.committed"]) {
    db.failpoints.arm(name, { kind: "throw", message: name });
    await assert.rejects(watchBudgets(db), FailpointError, name);
    await setUsageClock(db, at(3.5));
  }
  for (let again = 0; again < 3; again += 1) await watchBudgets(db);
  assert.deepEqual(await events(db), ["budget.set", "budget.threshold 50", "budget.threshold 80"]);
  await create("still", null);
  await setDesired(db, admin, own, "stop");
  await paper.settle();
  await setUsageClock(db, at(9));
  while (await rollUpHour(db, systemClock));
  await watchBudgets(db);
  await watchBudgets(db);
  assert.deepEqual((await events(db)).slice(3), ["budget.spent"]);
  await refused(create("late", null));
  await refused(setDesired(db, admin, own, "start"));
  await refused(forkBox(db, admin, "teams", { count: 1, names: ["fork"] }));
  assert.equal((await getBox(db, admin, "teams")).desired, "running", "what runs goes on");
  await setUsageClock(db, new Date("2026-12-01T00:00:01Z"));
  await setDesired(db, admin, own, "start");
});

test("what was spent since the last look refuses too, before it is looked at again", async (t) => {
  const { db, admin, create } = await world(t);
  const input = { team: null, amount: "8", thresholds: [], policy: "refuse" } as const;
  await setBudget(db, admin, input);
  await setUsageClock(db, at(3.97));
  await watchBudgets(db);
  await setUsageClock(db, at(3.99));
  const { box } = await create("early", null);
  await setUsageClock(db, at(4.01));
  await assert.rejects(create("late", null), (error: StoreRefusal) => {
    assert.equal(error.code, "budget_exceeded");
    assert.match(error.detail, /is spent: 8\.02 of 8\.00 EUR/);
    return true;
  });
  assert.deepEqual(await events(db), ["budget.set"], "it is told at the next look");
  await setDesired(db, admin, box.id, "delete");
  await setBudget(db, admin, { ...input, policy: "warn" });
  await create("late", null);
});

test("a running box is not moved to a team whose budget is spent; one at rest is", async (t) => {
  const { paper, db, admin, team, own } = await world(t);
  await setUsageClock(db, at(3));
  await setBudget(db, admin, { team: "red", amount: "2", thresholds: [], policy: "refuse" });
  await refused(handOver(db, admin, own, { team: "red" }));
  await setDesired(db, admin, own, "pause");
  await paper.settle();
  await handOver(db, admin, own, { team: "red" });
  assert.equal((await getBox(db, admin, own)).teamId, team.id);
  await handOver(db, admin, "teams", { team: null });
});

test("a refusal tells which budget, how much, until when, and what to do", async (t) => {
  const { db, admin, team, create } = await world(t);
  await setUsageClock(db, at(3));
  const budget = await setBudget(db, admin, {
    ...{ team: team.name, amount: "2.5", thresholds: [], policy: "refuse" },
  });
  assert.equal(budget.isClosed, true, "set below what is spent");
  await assert.rejects(create("late", team.id), (error: StoreRefusal) => {
    assert.match(error.detail, /budget of the team red \(bud_\w+\) is spent: 3\.00 of 2\.50 EUR/);
    assert.match(error.detail, /until 2026-12-01T00:00:00.000Z.*berth budget set/);
    return true;
  });
  await create("others", null);
});

test("a budget that pauses does so once, says so on the box, deletes nothing, and lets go when it is raised", async (t) => {
  const { paper, db, admin, create, own, teams } = await world(t);
  const input = { team: null, amount: "8", thresholds: [100], policy: "pause" } as const;
  await setBudget(db, admin, input);
  await setUsageClock(db, at(5));
  db.failpoints.arm("store.budget.pause.committed", { kind: "throw", message: "dies" });
  await assert.rejects(watchBudgets(db), FailpointError);
  await watchBudgets(db);
  await watchBudgets(db);
  await paper.settle();
  for (const id of [own, teams]) {
    const box = await getBox(db, admin, id);
    assert.equal(box.phase, "paused");
    assert.equal(box.notices.filter(({ code }) => code === "budget_spent").length, 1);
  }
  await refused(setDesired(db, admin, own, "resume"));
  assert.equal((await setBudget(db, admin, { ...input, amount: "20" })).isClosed, false);
  await setDesired(db, admin, own, "resume");
  await create("new", null);
  await paper.settle();
  await watchBudgets(db);
  assert.equal((await getBox(db, admin, own)).phase, "running");
  assert.deepEqual(await events(db), [
    ...["budget.set", "budget.threshold 100", "budget.spent", "budget.set", "budget.lifted"],
  ]);
});

test("boxes that cannot be paused keep no other from it", async (t) => {
  const { paper, db, admin, own, teams } = await world(t);
  const [first, second] = [own, teams].sort() as [typeof own, typeof own];
  const failure = { code: "x", message: "is broken", retryable: false };
  await sql`update boxes set failure = ${JSON.stringify(failure)}::jsonb where id = ${first}`.execute(
    db.query,
  );
  await setBudget(db, admin, { team: null, amount: "3", thresholds: [], policy: "pause" });
  await setUsageClock(db, at(2));
  await watchBudgets(db, 1);
  await paper.settle();
  assert.equal((await getBox(db, admin, second)).phase, "paused");
});

test("what was spent since the last look refuses also after a clock that jumped ahead and back", async (t) => {
  const { db, admin, create } = await world(t);
  await setBudget(db, admin, { team: null, amount: "8", thresholds: [], policy: "refuse" });
  await setUsageClock(db, at(1.5));
  await watchBudgets(db);
  await setUsageClock(db, at(1));
  await watchBudgets(db);
  await setUsageClock(db, at(1.45));
  await sql`update budgets set per_hour = 100`.execute(db.query);
  await refused(create("late", null));
});

test("a box whose snapshot failed runs on, although a budget is spent", async (t) => {
  const { paper, db, admin, own } = await world(t);
  await setBudget(db, admin, { team: null, amount: "3", thresholds: [], policy: "pause" });
  paper.node.failing.add("pause");
  await setUsageClock(db, at(2));
  await watchBudgets(db);
  await paper.settle();
  const box = await getBox(db, admin, own);
  assert.equal(box.phase, "running");
  assert.ok(box.notices.some(({ code }) => code === "snapshot_failed"));
});

test("a budget goes with its team, and whoever follows the export is told", async (t) => {
  const { db, admin, team, teams } = await world(t);
  await setBudget(db, admin, { team: "red", amount: "1", thresholds: [], policy: "refuse" });
  await setUsageClock(db, at(3));
  await watchBudgets(db);
  await deleteTeam(db, admin, team.id);
  assert.deepEqual(await listBudgets(db, admin), []);
  const page = { isAll: false, after: 0, limit: 10 };
  const told = await listBudgetEvents(db, admin, systemClock, page);
  assert.deepEqual(
    told.map(({ kind, data }) => [kind, data.amount, data.teamId]),
    ["set", "spent", "deleted"].map((what) => [`budget.${what}`, "1", team.id]),
  );
  await setDesired(db, admin, teams, "restart");
  await setPrices(db, admin, { orgId: null, currency: "USD", prices: {} });
});

test("the currency does not change while a budget is set in it", async (t) => {
  const { db, admin } = await world(t);
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const setting = transact(db, "test.set", async (tx) => {
    await setBudget(tx, admin, { team: null, amount: "8", thresholds: [], policy: "warn" });
    begun.resolve();
    await gate.promise;
  });
  await begun.promise;
  let isOver = false;
  const change = setPrices(db, admin, { orgId: null, currency: "USD", prices: {} }).finally(() => {
    isOver = true;
  });
  const refusal = assert.rejects(change, { code: "not_now" });
  for (let waits = 0; !isOver && waits === 0; ) {
    const { rows } = await sql<{ waits: number }>`
      select count(*) as waits from pg_locks where locktype = 'advisory' and not granted
        and database = (select oid from pg_database where datname = current_database())`.execute(
      db.query,
    );
    waits = rows[0]?.waits ?? 0;
  }
  gate.resolve();
  await setting;
  await refusal;
});

test("replicas that judge at once tell once", async (t) => {
  const { db, admin } = await world(t);
  await setBudget(db, admin, { team: null, amount: "8", thresholds: [50, 100], policy: "refuse" });
  await setUsageClock(db, at(5));
  await Promise.all([watchBudgets(db), watchBudgets(db), watchBudgets(db), watchBudgets(db)]);
  assert.deepEqual(await events(db), [
    ...["budget.set", "budget.threshold 50", "budget.threshold 100", "budget.spent"],
  ]);
});

test("what budgets show is what was spent, rolled up or not", async (t) => {
  const { db, admin, team } = await world(t);
  await setBudget(db, admin, { team: null, amount: "100", thresholds: [], policy: "warn" });
  await setBudget(db, admin, { team: team.id, amount: "100", thresholds: [], policy: "warn" });
  const spent = async () => (await listBudgets(db, admin)).map((budget) => Number(budget.spent));
  await setUsageClock(db, at(2.25));
  assert.deepEqual(await spent(), [4.5, 2.25]);
  const rates = (await listBudgets(db, admin)).map((one) => [one.perHour, one.projected]);
  assert.deepEqual(
    rates.map((pair) => pair.map(Number)),
    // 83.75 hours of the month are left.
    [
      [2, 4.5 + 2 * 83.75],
      [1, 2.25 + 83.75],
    ],
  );
  await rollUpHour(db, systemClock);
  assert.deepEqual(await spent(), [4.5, 2.25]);
  // Between two pages of organizations its hour is rolled up, and the one of others is not.
  await sql`insert into orgs (id, name) select 'zzz_' || n, 'o' || n from generate_series(1, 150) n`.execute(
    db.query,
  );
  db.failpoints.arm("store.usage.page_rolled_up", { kind: "throw", message: "between pages" });
  await assert.rejects(rollUpHour(db, systemClock), FailpointError);
  assert.deepEqual(await spent(), [4.5, 2.25]);
  while (await rollUpHour(db, systemClock));
  assert.deepEqual(await spent(), [4.5, 2.25]);
});
