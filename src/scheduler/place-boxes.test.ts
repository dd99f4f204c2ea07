// The scheduler on a real Postgres: replicas at once, capacity, explanations, memory that fits nowhere.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { settleBoxes } from "#reconciler/settle-boxes.ts";
import { setDesired } from "#store/box-intent.ts";
import { createBox, getBox } from "#store/boxes.ts";
import { createTemplate } from "#store/builds.ts";
import { openDatabase } from "#store/db.ts";
import { removeNode, updateNode } from "#store/nodes.ts";
import { testDatabase } from "#test/harness/database.ts";
import { PaperNode } from "#test/harness/paper-node.ts";
import { IMAGE, PaperWorld, recipe } from "#test/harness/world.ts";
import { placeBoxes } from "./place-boxes.ts";

const box = (name: string) => ({ name, template: "base", version: null, env: {} });

test("replicas over 200 boxes: none placed twice, capacity never exceeded, the rest explained", async (t) => {
  const { db, url, failpoints } = await testDatabase(t);
  // 2048 MiB each: 30 + 50 + 70 fit, 50 do not.
  const sizes = [30, 50, 70].map((boxes) => ({ memoryMib: boxes * 2048, cpus: 1000 }));
  const world = await PaperWorld.make(db, sizes);
  for (let index = 0; index < 200; index += 1) await createBox(db, world.admin, box(`b${index}`));
  const replica = openDatabase({ url, failpoints, log: silentLog });
  t.after(() => replica.close());
  const placed = await Promise.all(
    [db, replica, db, replica].map(async (database) => {
      const count = await placeBoxes(database, systemClock);
      await settleBoxes(database);
      return count;
    }),
  );
  assert.equal(
    placed.reduce((sum, count) => sum + count),
    150,
  );
  const { rows } = await sql<{ memory: number; capacity: number; epochs: number }>`
    select sum(b.memory_mib) as memory, max((n.fingerprint ->> 'memoryMib')::int) as capacity,
      max(b.epoch) as epochs
    from boxes b join nodes n on n.id = b.node_id where b.reserved group by n.id`.execute(db.query);
  assert.equal(rows.length, 3);
  for (const row of rows) {
    assert.equal(row.memory, row.capacity);
    assert.equal(row.epochs, 1);
  }
  const { rows: waiting } = await sql<{ id: string }>`
    select id from boxes where not reserved and deleted_at is null`.execute(db.query);
  assert.equal(waiting.length, 50);
  const left = await getBox(db, world.admin, waiting[0]?.id ?? "");
  assert.equal(left.phase, "creating");
  assert.match(left.reason ?? "", /has 0 MiB memory left of 2048 MiB needed/);
  assert.equal(left.placement?.candidates.length, 3);
  const events = async () => {
    const { rows: told } = await sql<{ count: number }>`
      select count(*) as count from events where box_id = ${left.id}`.execute(db.query);
    return told[0]?.count;
  };
  const before = await events();
  await updateNode(db, world.admin, world.node.id, { cpuOvercommit: 0.001 });
  assert.equal(await placeBoxes(db, systemClock), 0);
  const later = await getBox(db, world.admin, left.id);
  assert.notEqual(later.reason, left.reason);
  assert.equal(await events(), before, "a box that waits is not told of again and again");
});

test("a crash before the commit places nothing; the next pass does", async (t) => {
  const { db, failpoints } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  await createBox(db, world.admin, box("one"));
  failpoints.arm("scheduler.place.before_commit", { kind: "throw", message: "power" });
  await assert.rejects(placeBoxes(db, systemClock), /power/);
  assert.equal((await getBox(db, world.admin, "one")).epoch, 0);
  assert.equal(await placeBoxes(db, systemClock), 1);
  assert.equal((await getBox(db, world.admin, "one")).epoch, 1);
});

test("a box waits for capacity and is placed when there is some", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db, [{ memoryMib: 4096 }]);
  for (const name of ["one", "two", "three"]) await createBox(db, world.admin, box(name));
  await world.settle();
  const phases = async () =>
    Promise.all(
      ["one", "two", "three"].map(async (name) => (await getBox(db, world.admin, name)).phase),
    );
  assert.equal((await phases()).filter((phase) => phase === "running").length, 2);
  await updateNode(db, world.admin, world.node.id, { memoryOvercommit: 1.5 });
  await world.settle();
  assert.deepEqual(await phases(), ["running", "running", "running"]);
});

test("a paused box resumes elsewhere once durable; incompatible memory boots from disks, loudly", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db, [{ name: "a", compatibility: "x" }]);
  const [first] = world.nodes;
  await createBox(db, world.admin, box("one"));
  await world.settle();
  await setDesired(db, world.admin, "one", "pause");
  await world.settle();
  world.nodes.push(await PaperNode.join(db, world.admin, { name: "b", compatibility: "x" }));
  await updateNode(db, world.admin, "a", { schedulable: false });
  await setDesired(db, world.admin, "one", "resume");
  await world.settle();
  const moved = await getBox(db, world.admin, "one");
  assert.deepEqual([moved.phase, moved.node?.name], ["running", "b"]);
  assert.equal(moved.source?.withMemory, true);
  await setDesired(db, world.admin, "one", "pause");
  await world.settle();
  world.nodes.length = 0;
  await removeNode(db, world.admin, "a");
  await removeNode(db, world.admin, "b");
  assert.ok(first);
  world.nodes.push(await PaperNode.join(db, world.admin, { name: "c", compatibility: "y" }));
  await setDesired(db, world.admin, "one", "resume");
  await world.settle();
  const booted = await getBox(db, world.admin, "one");
  assert.deepEqual([booted.phase, booted.node?.name], ["running", "c"]);
  assert.equal(booted.source?.withMemory, false);
  assert.equal(booted.notices.at(-1)?.code, "memory_lost");
});

test("a node that is removed frees its boxes, which say what was lost", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db, [{ name: "a" }, { name: "b" }]);
  await createBox(db, world.admin, box("one"));
  await world.settle();
  const before = await getBox(db, world.admin, "one");
  world.nodes.splice(0, 2, ...world.nodes.filter((node) => node.id !== before.node?.id));
  await removeNode(db, world.admin, before.node?.id ?? "");
  const lost = await getBox(db, world.admin, "one");
  assert.deepEqual([lost.phase, lost.failure?.code], ["failed", "node_lost"]);
  await world.settle();
  assert.equal(
    (await getBox(db, world.admin, "one")).phase,
    "failed",
    "nobody decides for its owner",
  );
  await setDesired(db, world.admin, "one", "start");
  await world.settle();
  const again = await getBox(db, world.admin, "one");
  assert.deepEqual([again.phase, again.epoch], ["running", 2]);
});

test("a node whose disk is nearly full takes no more boxes until there is room", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db, [{ diskGib: 200 }]);
  world.node.freeDiskGib = 9;
  await createBox(db, world.admin, box("one"));
  await world.node.report([]);
  await world.settle();
  const waits = await getBox(db, world.admin, "one");
  assert.equal(waits.phase, "creating");
  assert.match(waits.reason ?? "", /has 9 GiB of disk free, and keeps 10 GiB/);
  world.node.freeDiskGib = 10;
  await world.settle();
  assert.equal((await getBox(db, world.admin, "one")).phase, "running");
});

test("a box that needs GPUs goes where there are some, and each is promised once", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db, [{ name: "plain" }, { name: "gpu", gpus: 2 }]);
  const size = { ...recipe().size, gpus: 1 };
  const definition = recipe({ name: "cuda", size });
  await createTemplate(db, world.admin, { definition, imageDigest: IMAGE });
  await world.settle();
  for (const name of ["one", "two", "three"])
    await createBox(db, world.admin, { ...box(name), template: "cuda" });
  await world.settle();
  const found = await Promise.all(
    ["one", "two", "three"].map((name) => getBox(db, world.admin, name)),
  );
  const placed = found.filter(({ phase }) => phase === "running");
  assert.deepEqual(
    placed.map(({ node }) => node?.name),
    ["gpu", "gpu"],
  );
  const waits = found.find(({ phase }) => phase !== "running");
  assert.match(waits?.reason ?? "", /has 0 GPUs left of 1 needed/);
});
