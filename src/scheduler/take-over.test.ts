// Taking over boxes of lost nodes: only what is durable, only when it has another place, once; and what the lost node
// still has is never run again, and kept when the node comes back.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { sql } from "kysely";
import { systemClock } from "#lib/clock.ts";
import { getAssignedBox } from "#store/assigned-box.ts";
import { readAssignments } from "#store/assignments.ts";
import { setDesired } from "#store/box-intent.ts";
import { createBox, getBox } from "#store/boxes.ts";
import { createCheckpoint } from "#store/checkpoints.ts";
import { expireNodes, removeNode } from "#store/nodes.ts";
import { deleteSnapshot, getSnapshot, listSnapshots } from "#store/snapshots.ts";
import { testDatabase } from "#test/harness/database.ts";
import { PaperNode } from "#test/harness/paper-node.ts";
import { PaperWorld } from "#test/harness/world.ts";
import { takeOverBoxes } from "./take-over.ts";

const MINUTE_MS = 60_000;
const LOST_AFTER_MS = 10 * MINUTE_MS;
const one = { name: "one", template: "base", version: null, env: {} };

/** A box on node a that was paused and resumed, so that one of its snapshots is durable; and b, empty. */
async function scene(t: TestContext, options: { isSafe?: boolean; others?: number } = {}) {
  const { db, failpoints } = await testDatabase(t);
  const world = await PaperWorld.make(db, [{ name: "a" }]);
  const [a] = world.nodes as [PaperNode];
  await createBox(db, world.admin, one);
  await world.settle();
  if (options.isSafe ?? true)
    for (const verb of ["pause", "resume"] as const) {
      await setDesired(db, world.admin, "one", verb);
      await world.settle();
    }
  const before = await getBox(db, world.admin, "one");
  assert.deepEqual([before.phase, before.node?.name], ["running", "a"]);
  for (let index = 0; index < (options.others ?? 1); index += 1)
    world.nodes.push(await PaperNode.join(db, world.admin, { name: `b${index}` }));
  return {
    ...{ db, failpoints, world, a, before },
    read: () => getBox(db, world.admin, "one"),
    takeOver: () => takeOverBoxes(db, systemClock, LOST_AFTER_MS),
    /** Node a was last heard so long ago. */
    lose: async (minutes: number) => {
      if (world.nodes.includes(a)) world.nodes.splice(world.nodes.indexOf(a), 1);
      await sql`update nodes set lease_until = now() - interval '1 second' where id = ${a.id}`.execute(
        db.query,
      );
      await expireNodes(db);
      await sql`update nodes set status_since = now() - ${minutes} * interval '1 minute'
        where id = ${a.id}`.execute(db.query);
    },
  };
}

test("a box of a lost node runs elsewhere from its last durable snapshot, as a new epoch, and says so", async (t) => {
  const { db, world, before, read, lose, takeOver } = await scene(t);
  await sql`update nodes set status_since = now() - interval '1 year'`.execute(db.query);
  assert.equal(await takeOver(), 0, "it answers");
  await lose(9);
  assert.equal(await takeOver(), 0, "not yet");
  assert.deepEqual((await read()).epoch, before.epoch);
  await lose(11);
  assert.equal(
    await takeOverBoxes(db, systemClock, 0),
    0,
    "never, when that is what is configured",
  );
  assert.deepEqual([await takeOver(), await takeOver()], [1, 0]);
  await world.settle();
  const after = await read();
  assert.deepEqual(
    [after.phase, after.node?.name, after.epoch, after.generation],
    ["running", "b0", before.epoch + 1, before.generation],
  );
  assert.deepEqual(after.source, before.source);
  const notice = after.notices.at(-1);
  assert.equal(notice?.code, "restored_from");
  assert.match(
    notice?.message ?? "",
    new RegExp(`node a was lost.*${before.source?.snapshotId} of 20..-`),
  );
});

test("without a durable snapshot of its own, or without another node, a box waits for its node", async (t) => {
  const unsafe = await scene(t, { isSafe: false });
  await unsafe.lose(600);
  assert.equal(await unsafe.takeOver(), 0);
  const alone = await scene(t, { others: 0 });
  await alone.lose(600);
  assert.equal(await alone.takeOver(), 0);
  for (const { world, a, before, read } of [unsafe, alone]) {
    assert.match((await read()).reason ?? "", /unreachable/);
    world.nodes.push(a);
    await world.settle();
    const after = await read();
    assert.deepEqual([after.phase, after.epoch, after.notices], ["running", before.epoch, []]);
  }
});

test("a box that its node never spoke of starts elsewhere from the same source, without a word of loss", async (t) => {
  const { db, world, a, lose, takeOver } = await scene(t);
  await createBox(db, world.admin, { ...one, name: "two" });
  await sql`update boxes set node_id = ${a.id}, reserved = true, epoch = 1 where name = 'two'`.execute(
    db.query,
  );
  await lose(11);
  assert.equal(await takeOver(), 2);
  await world.settle();
  const two = await getBox(db, world.admin, "two");
  assert.deepEqual([two.phase, two.epoch, two.notices], ["running", 2, []]);
});

test("a node that comes back runs its strays no more and keeps them as checkpoints", async (t) => {
  const { db, world, a, before, read, lose, takeOver } = await scene(t);
  await lose(11);
  await takeOver();
  await world.settle();
  const after = await read();
  const [left] = (
    await listSnapshots(db, world.admin, { after: null, limit: 9, box: "one" })
  ).filter((snapshot) => snapshot.name === "left on a");
  assert.deepEqual([left?.state, left?.kept, left?.epoch], ["requested", true, before.epoch]);
  // The zombie says that it runs.
  const zombie = {
    ...{ boxId: before.id, epoch: before.epoch, activity: null, bootSerial: 0 },
    state: "ready" as const,
    ...{
      observedGeneration: 99,
      fault: null,
      notices: [],
      renewal: null,
      started: null,
      build: null,
    },
  } as const;
  await a.report([zombie]);
  assert.deepEqual(await read(), after);
  const assigned = { boxId: before.id, epoch: before.epoch };
  await assert.rejects(getAssignedBox(db, a.id, assigned), "it gets no host certificate");
  // Pausing and resuming must not bring it to the node that still has the older epoch.
  const { boxes } = await a.step();
  assert.deepEqual(
    boxes.map(({ boxId, epoch, desired, restSnapshot }) => [
      ...[boxId, epoch, desired, restSnapshot?.snapshotId],
    ]),
    [[before.id, before.epoch, "stopped", left?.id]],
  );
  world.nodes.push(a);
  await world.settle();
  const kept = await getSnapshot(db, world.admin, left?.id ?? "");
  assert.deepEqual([kept.state, kept.kept], ["durable", true]);
  assert.deepEqual([a.boxes.size, (await a.step()).boxes.length], [0, 0]);
  const now = await read();
  assert.deepEqual([now.phase, now.node?.name, now.epoch], ["running", "b0", after.epoch]);
});

test("a box does not go back to a node that still has an older epoch of it, until that is kept", async (t) => {
  const { db, world, a, before, read, lose, takeOver } = await scene(t);
  await lose(11);
  await takeOver();
  await world.settle();
  // Back, but it does nothing yet; and the other one takes no new boxes.
  await a.report([]);
  await setDesired(db, world.admin, "one", "pause");
  await world.settle();
  await sql`update nodes set schedulable = false where name = 'b0'`.execute(db.query);
  await setDesired(db, world.admin, "one", "resume");
  await world.settle();
  assert.match((await read()).reason ?? "", /a still has what it ran there before/);
  a.boxes.set(before.id, { epoch: before.epoch, bootSerial: 0 });
  world.nodes.push(a);
  await world.settle();
  const after = await read();
  assert.deepEqual([after.phase, after.node?.name], ["running", "a"]);
});

test("what is not there any more is said to be lost; what is not wanted any more is let go", async (t) => {
  for (const wish of ["lost", "checkpoint deleted", "box deleted", "node removed"] as const) {
    const { db, world, a, before, lose, takeOver } = await scene(t);
    await lose(11);
    await takeOver();
    await world.settle();
    const [left] = (
      await listSnapshots(db, world.admin, { after: null, limit: 9, box: before.id })
    ).filter((snapshot) => snapshot.name === "left on a");
    const id = left?.id ?? "";
    const assigned = () => readAssignments(db, a.id, { sshUserCa: "", gateways: [] });
    assert.equal((await assigned()).boxes.length, 1, wish);
    if (wish === "lost") a.boxes.delete(before.id);
    if (wish === "checkpoint deleted") await deleteSnapshot(db, world.admin, id);
    if (wish === "box deleted") await setDesired(db, world.admin, "one", "delete");
    if (wish === "node removed") await removeNode(db, world.admin, "a");
    else world.nodes.push(a);
    await world.settle();
    const { rows } = await sql`select 1 from strays where ended_at is null`.execute(db.query);
    assert.equal(rows.length, 0, wish);
    const { state } = await getSnapshot(db, world.admin, id);
    assert.ok(["failed", "deleted"].includes(state), `${wish}: ${state}`);
    if (wish !== "node removed") assert.equal((await assigned()).boxes.length, 0, wish);
  }
});

test("another node that is removed does not take the hope of a stray; asked snapshots of the lost epoch fail", async (t) => {
  const { db, world, a, before, lose, takeOver, read } = await scene(t, { others: 2 });
  const { snapshot } = await createCheckpoint(db, world.admin, "one", "before");
  await lose(11);
  await takeOver();
  assert.equal((await getSnapshot(db, world.admin, snapshot.id)).state, "failed");
  await world.settle();
  const { node } = await read();
  const unused = node?.name === "b0" ? "b1" : "b0";
  world.nodes.splice(
    world.nodes.findIndex(({ id }) => id !== node?.id),
    1,
  );
  await removeNode(db, world.admin, unused);
  const strays = (
    await listSnapshots(db, world.admin, { after: null, limit: 9, box: "one" })
  ).filter((one) => one.name === "left on a");
  assert.deepEqual(
    strays.map(({ state, epoch }) => [state, epoch]),
    [["requested", before.epoch]],
  );
  assert.equal((await a.step()).boxes.length, 1);
});

test("a crash before the commit takes nothing over, after it the box is placed; two at once do it once", async (t) => {
  const { failpoints, before, read, lose, takeOver } = await scene(t);
  await lose(11);
  failpoints.arm("scheduler.take_over.before_commit", { kind: "throw", message: "power" });
  await assert.rejects(takeOver(), /power/);
  assert.deepEqual(
    [(await read()).epoch, (await read()).node?.name, (await read()).notices],
    [before.epoch, "a", []],
  );
  failpoints.arm("scheduler.take_over.committed", { kind: "throw", message: "power" });
  const results = await Promise.allSettled([takeOver(), takeOver()]);
  assert.ok(results.some(({ status }) => status === "rejected"));
  const after = await read();
  assert.deepEqual([after.epoch, after.node?.name], [before.epoch + 1, "b0"]);
});
