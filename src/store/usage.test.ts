// Usage follows what boxes and snapshots are: begun and ended in the transaction of the change, whatever clock jumps.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { sql } from "kysely";
import { systemClock } from "#lib/clock.ts";
import { FailpointError } from "#lib/failpoint.ts";
import { testDatabase } from "#test/harness/database.ts";
import {
  holdUsageClock,
  intervalProblems,
  readIntervals,
  setUsageClock,
} from "#test/harness/usage.ts";
import { PaperWorld } from "#test/harness/world.ts";
import { setDesired } from "./box-intent.ts";
import { handOver } from "./box-shares.ts";
import { createBox } from "./boxes.ts";
import { type Db, transact } from "./db.ts";
import { recordEgress } from "./egress.ts";
import { setPrices } from "./prices.ts";
import { createTeam } from "./teams.ts";
import { readUsage } from "./usage.ts";
import { rollUpHour } from "./usage-rollups.ts";

const START = new Date("2026-11-27T10:00:00Z");
const at = (minutes: number) => new Date(START.getTime() + minutes * 60_000);

async function worldAt(t: TestContext): Promise<PaperWorld & { box: string }> {
  const { db } = await testDatabase(t);
  await holdUsageClock(db, START);
  const world = await PaperWorld.make(db);
  const { box } = await createBox(db, world.admin, {
    ...{ name: "one", template: "base", version: null, env: {} },
  });
  await world.settle();
  return Object.assign(world, { box: box.id });
}

async function open(db: Db, subject: string): Promise<Record<string, number>> {
  const { rows } = await sql<{ resource: string; amount: number }>`
    select resource, amount from usage_intervals where subject_id = ${subject} and ended_at = 'infinity'
    order by 1`.execute(db.query);
  return Object.fromEntries(rows.map(({ resource, amount }) => [resource, amount]));
}

const RUNNING = { disk_running: 30, memory: 2048, vcpu: 2 };

test("a box takes what its state takes, and one that is deleted nothing", async (t) => {
  const world = await worldAt(t);
  const { db, admin, box } = world;
  assert.deepEqual(await open(db, box), RUNNING);
  const steps = [
    ["pause", { disk_paused: 30 }],
    ["resume", RUNNING],
    ["stop", { disk_stopped: 30 }],
    ["start", RUNNING],
  ] as const;
  for (const [index, [intent, wanted]] of steps.entries()) {
    await setUsageClock(db, at(index + 1));
    await setDesired(db, admin, box, intent);
    if (intent === "pause") assert.deepEqual(await open(db, box), RUNNING, "until it is at rest");
    await world.settle();
    assert.deepEqual(await open(db, box), wanted, intent);
  }
  await setDesired(db, admin, box, "delete");
  assert.deepEqual(await open(db, box), {}, "from the moment that it is asked");
  await world.settle();
  assert.deepEqual(await open(db, box), {});
  assert.deepEqual(intervalProblems(await readIntervals(db)), []);
});

test("what waits for a node takes nothing; what a node lost takes nothing", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  world.node.faults.clear();
  const { box } = await createBox(db, world.admin, {
    ...{ name: "waits", template: "base", version: null, env: {} },
  });
  assert.deepEqual(await open(db, box.id), {});
  await world.settle();
  assert.deepEqual(await open(db, box.id), RUNNING);
  await sql`update boxes set observed_state = 'down' where id = ${box.id}`.execute(db.query);
  assert.deepEqual(await open(db, box.id), { disk_running: 30 }, "its VMM died");
  await sql`update boxes set observed_state = 'absent' where id = ${box.id}`.execute(db.query);
  assert.deepEqual(await open(db, box.id), {});
});

test("the bytes of a snapshot are taken while they are durable", async (t) => {
  const world = await worldAt(t);
  const { db, admin, box } = world;
  await setDesired(db, admin, box, "pause");
  await world.settle();
  const { rows } = await sql<{ id: string }>`
    update snapshots set stored_bytes = 5000 where box_id = ${box} and state = 'durable' returning id`.execute(
    db.query,
  );
  const [snapshot] = rows;
  assert.ok(snapshot);
  assert.deepEqual(await open(db, snapshot.id), { snapshot: 5000 });
  await setDesired(db, admin, box, "delete");
  await world.settle();
  assert.deepEqual(await open(db, snapshot.id), {});
});

test("a clock that jumps back makes no negative and no overlapping interval", async (t) => {
  const world = await worldAt(t);
  const { db, admin, box } = world;
  for (const [minutes, intent] of [
    [50, "pause"],
    [5, "resume"],
    [20, "stop"],
    [55, "start"],
  ] as const) {
    await setUsageClock(db, at(minutes));
    await setDesired(db, admin, box, intent);
    await world.settle();
  }
  const intervals = await readIntervals(db);
  assert.deepEqual(intervalProblems(intervals), []);
  const ran = intervals.filter(
    ({ subjectId, resource }) => subjectId === box && resource === "vcpu",
  );
  assert.deepEqual(
    ran.map(({ beganMs, endedMs }) =>
      [beganMs, endedMs].map((ms) => ms && (ms - START.getTime()) / 60_000),
    ),
    [
      [0, 50],
      [50, 50],
      [55, null],
    ],
  );
});

test("an hour is rolled up once, whatever dies, and never changes", async (t) => {
  const world = await worldAt(t);
  const { db, admin, box } = world;
  await setPrices(db, admin, { orgId: null, currency: "EUR", prices: { vcpu: "0.5" } });
  await setUsageClock(db, at(90));
  await setDesired(db, admin, box, "pause");
  await world.settle();
  await setUsageClock(db, at(185));
  for (const name of [
    "store.usage.floor_raised",
    "store.usage.roll_up.before_commit",
    "store.usage.roll_up.committed",
  ]) {
    db.failpoints.arm(name, { kind: "throw", message: name });
    await assert.rejects(rollUpHour(db, systemClock), FailpointError);
  }
  while (await rollUpHour(db, systemClock));
  const read = () =>
    sql<{ hour: Date; amount: string; cost: string }>`
      select hour, amount::float8 as amount, cost::float8 as cost from usage_rollups
      where subject_id = ${box} and resource = 'vcpu' order by hour`.execute(db.query);
  const { rows } = await read();
  assert.deepEqual(rows, [
    { hour: at(0), amount: 7200, cost: 1 },
    { hour: at(60), amount: 3600, cost: 0.5 },
  ]);
  // A clock that falls back into what is rolled up writes nothing there.
  await setUsageClock(db, at(30));
  await setDesired(db, admin, box, "resume");
  await world.settle();
  assert.equal(await rollUpHour(db, systemClock), false);
  assert.deepEqual((await read()).rows, rows);
  const late = (await readIntervals(db)).filter(({ endedMs }) => endedMs === null);
  assert.ok(
    late.filter((one) => one.subjectId === box).every((one) => one.beganMs >= at(180).getTime()),
  );
});

/** Rolls up while `write` is written and not committed; false: that was not waited for. */
async function rollsUpAfter(db: Db, write: (tx: Db) => Promise<unknown>): Promise<boolean> {
  let commit = () => {};
  const isCommitted = new Promise<void>((done) => {
    commit = done;
  });
  let begun = () => {};
  const isBegun = new Promise<void>((done) => {
    begun = done;
  });
  const late = transact(db, "test.late", async (tx) => {
    await write(tx);
    begun();
    await isCommitted;
  });
  await isBegun;
  await setUsageClock(db, at(61));
  let naps = 0;
  const clock = {
    ...systemClock,
    sleep: async (ms: number) => {
      naps += 1;
      // It was seen to wait: now it may end.
      if (naps === 3) commit();
      await systemClock.sleep(ms);
    },
  };
  assert.equal(await rollUpHour(db, clock), true);
  commit();
  await late;
  return naps >= 3;
}

test("an hour waits for those who began to write before it was over", async (t) => {
  const world = await worldAt(t);
  const { db, box } = world;
  await setUsageClock(db, at(59));
  const goesDown = (tx: Db) =>
    sql`update boxes set observed_state = 'down' where id = ${box}`.execute(tx.query);
  assert.ok(await rollsUpAfter(db, goesDown), "it did not wait");
  const { rows } = await sql<{ amount: number }>`
    select amount::float8 as amount from usage_rollups where subject_id = ${box} and resource = 'vcpu'`.execute(
    db.query,
  );
  assert.deepEqual(rows, [{ amount: 2 * 59 * 60 }]);
});

test("an hour waits for a price that is being set, so that it holds for all or for none", async (t) => {
  const { db, admin, box } = await worldAt(t);
  await setPrices(db, admin, { orgId: null, currency: "EUR", prices: { vcpu: "1" } });
  await setUsageClock(db, at(59));
  const price = { orgId: null, prices: { vcpu: "10" } };
  assert.ok(await rollsUpAfter(db, (tx) => setPrices(tx, admin, price)), "it did not wait");
  const { rows } = await sql<{ cost: number }>`
    select cost::float8 as cost from usage_rollups where subject_id = ${box} and resource = 'vcpu'`.execute(
    db.query,
  );
  assert.deepEqual(rows, [{ cost: 20 }]);
});

test("many organizations are rolled up page by page; what died between two pages goes on", async (t) => {
  const world = await worldAt(t);
  const { db, admin } = world;
  await setPrices(db, admin, { orgId: null, currency: "EUR", prices: { vcpu: "1" } });
  const made = await sql<{ id: string }>`
    insert into orgs (id, name) select 'org_' || n, 'o' || n from generate_series(1000, 1249) n returning id`.execute(
    db.query,
  );
  await sql`
    insert into usage_intervals (org_id, owner_id, box_id, template_id, subject_id, resource, amount, began_at)
    select id, ${admin.userId}, 'box_' || id, 't', 'box_' || id, 'vcpu', 1, ${at(30)}
    from unnest(${made.rows.map(({ id }) => id)}::text[]) as id`.execute(db.query);
  await setUsageClock(db, at(61));
  for (const _ of [1, 2]) {
    db.failpoints.arm("store.usage.page_rolled_up", { kind: "throw", message: "between pages" });
    await assert.rejects(rollUpHour(db, systemClock), FailpointError);
  }
  assert.equal(await rollUpHour(db, systemClock), true);
  const { rows } = await sql<{ orgs: number; hours: number; cost: number; spent: number }>`
    select count(distinct org_id) as orgs, count(*) as hours, sum(cost)::float8 as cost,
      (select sum(cost)::float8 from usage_spend where org_id <> ${admin.orgId}) as spent
    from usage_rollups where org_id <> ${admin.orgId}`.execute(db.query);
  assert.deepEqual(rows, [{ orgs: 250, hours: 250, cost: 125, spent: 125 }]);
});

test("replicas that roll up at once roll each hour up once", async (t) => {
  const world = await worldAt(t);
  const { db, box } = world;
  await setUsageClock(db, at(60 * 5 + 1));
  const replica = async () => {
    while (await rollUpHour(db, systemClock));
  };
  await Promise.all([replica(), replica(), replica(), replica()]);
  const { rows } = await sql<{ hours: number; amount: number; spent: number }>`
    select count(*) as hours, sum(amount)::float8 as amount from usage_rollups
    where subject_id = ${box} and resource = 'vcpu'`.execute(db.query);
  assert.deepEqual(rows, [{ hours: 5, amount: 5 * 7200 }]);
});

test("bytes that leave are counted once, however often they are told", async (t) => {
  const world = await worldAt(t);
  const { db, admin, box } = world;
  const tell = (counter: string, bytes: number, epoch = 1, node = world.node.id) =>
    recordEgress(db, node, [{ boxId: box, epoch, egress: { counter, bytes } }]);
  await tell("a", 1000);
  await tell("a", 1000);
  await tell("a", 400);
  await tell("b", 50);
  await tell("a", 1500);
  await tell("a", 9999, 7);
  await tell("a", 9999, 1, "node_other" as never);
  const usage = async () =>
    (await readUsage(db, admin, { from: at(0), to: at(600), by: "box", step: "none" })).filter(
      ({ resource, id }) => resource === "egress" && id === box,
    );
  const bytes = async () => Number((await usage())[0]?.amount) * 1024 ** 3;
  assert.ok(Math.abs((await bytes()) - 1550) < 2);
  await setUsageClock(db, at(70));
  while (await rollUpHour(db, systemClock));
  await tell("a", 1600);
  assert.ok(Math.abs((await bytes()) - 1650) < 2);
});

test("usage is the same while an hour is rolled up page by page", async (t) => {
  const world = await worldAt(t);
  const { db, admin, box } = world;
  await setPrices(db, admin, { orgId: null, currency: "EUR", prices: { vcpu: "1", egress: "1" } });
  await sql`insert into orgs (id, name) select 'zzz_' || n, 'o' || n from generate_series(1, 150) n`.execute(
    db.query,
  );
  const egress = { counter: "a", bytes: 2 ** 30 };
  await recordEgress(db, world.node.id, [{ boxId: box as never, epoch: 1, egress }]);
  await setUsageClock(db, at(61));
  const usage = () => readUsage(db, admin, { from: at(0), to: at(120), by: "box", step: "hour" });
  const before = await usage();
  assert.ok(before.some(({ resource, cost }) => resource === "egress" && cost === "1"));
  db.failpoints.arm("store.usage.page_rolled_up", { kind: "throw", message: "between pages" });
  await assert.rejects(rollUpHour(db, systemClock), FailpointError);
  assert.deepEqual(await usage(), before);
  while (await rollUpHour(db, systemClock));
  assert.deepEqual(await usage(), before);
});

test("an hour that is over and not rolled up yet costs what it did, whatever prices change since", async (t) => {
  const world = await worldAt(t);
  const { db, admin } = world;
  await setPrices(db, admin, { orgId: null, currency: "EUR", prices: { vcpu: "1" } });
  await setUsageClock(db, at(61));
  await setPrices(db, admin, { orgId: null, prices: { vcpu: "100" } });
  await setUsageClock(db, at(90));
  const costs = async () =>
    (await readUsage(db, admin, { from: at(0), to: at(120), by: "total", step: "hour" }))
      .filter(({ resource }) => resource === "vcpu")
      .map(({ cost }) => cost);
  assert.deepEqual(await costs(), ["2", "100"]);
  while (await rollUpHour(db, systemClock));
  assert.deepEqual(await costs(), ["2", "100"]);
});

test("what leaves a box is of whoever has it then, within one hour too", async (t) => {
  const world = await worldAt(t);
  const { db, admin, box } = world;
  const tell = (bytes: number) =>
    recordEgress(db, world.node.id, [
      { boxId: box as never, epoch: 1, egress: { counter: "a", bytes } },
    ]);
  await tell(2 ** 30);
  const team = await createTeam(db, admin, "red");
  await handOver(db, admin, box, { team: team.id });
  await tell(3 * 2 ** 30);
  await tell(4 * 2 ** 30);
  const amounts = async () =>
    (await readUsage(db, admin, { from: at(0), to: at(120), by: "team", step: "none" }))
      .filter(({ resource }) => resource === "egress")
      .map(({ id, amount }) => `${id} ${amount}`)
      .sort();
  const wanted = [`${team.id} 3`, "null 1"].sort();
  assert.deepEqual(await amounts(), wanted);
  await setUsageClock(db, at(61));
  while (await rollUpHour(db, systemClock));
  assert.deepEqual(await amounts(), wanted);
});
