// The life of boxes through the store, on a real Postgres, with a node on paper.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { StoreRefusal } from "#domain/refusal.ts";
import { systemClock } from "#lib/clock.ts";
import { placeBoxes } from "#scheduler/place-boxes.ts";
import { testDatabase } from "#test/harness/database.ts";
import { until } from "#test/harness/doors.ts";
import { PaperWorld } from "#test/harness/world.ts";
import { createUser } from "./access.ts";
import { setDesired } from "./box-intent.ts";
import { createBox, createBoxOnce, getBox, listBoxes } from "./boxes.ts";
import { createCheckpoint, restoreCheckpoint } from "./checkpoints.ts";
import { forkBox } from "./forks.ts";
import { answerOnce } from "./idempotency.ts";
import { getOperation } from "./operations.ts";
import { deleteSnapshot, getSnapshot, listSnapshots } from "./snapshots.ts";
import { createTeam, deleteTeam } from "./teams.ts";
import { getTemplate } from "./templates.ts";

const refuses = (code: string) => (error: unknown) =>
  error instanceof StoreRefusal && error.code === code;
const box = (name: string) => ({ name, template: "base", version: null, env: {} });

test("a template is built into a prebuild, and a box starts from it", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const template = await getTemplate(db, world.admin, "base");
  assert.equal(template.ready?.number, 1);
  assert.equal(template.ready?.prebuild?.state, "durable");
  const { box: made, operation } = await createBox(db, world.admin, box("one"));
  assert.equal(made.phase, "creating");
  assert.equal(made.source?.snapshotId, template.ready?.prebuild?.snapshotId);
  await world.settle();
  const running = await getBox(db, world.admin, "one");
  assert.equal(running.phase, "running");
  assert.equal(running.epoch, 1);
  assert.equal((await getOperation(db, world.admin, operation.id)).state, "succeeded");
  const [listed] = await listBoxes(db, world.admin, { after: null, limit: 10 });
  assert.equal(listed?.id, made.id, "the builder is not listed");
});

test("pause, resume, stop and start go through the rest snapshot", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  await createBox(db, world.admin, box("one"));
  await world.settle();
  const paused = await setDesired(db, world.admin, "one", "pause");
  assert.equal(paused.box.phase, "pausing");
  await world.settle();
  const rest = await getBox(db, world.admin, "one");
  assert.equal(rest.phase, "paused");
  assert.equal(rest.rest?.state, "durable");
  assert.equal(rest.reserved, false);
  assert.ok(rest.lastSafeAt);
  assert.equal((await getOperation(db, world.admin, paused.operation.id)).state, "succeeded");
  const resumed = await setDesired(db, world.admin, "one", "resume");
  assert.equal(resumed.box.phase, "resuming");
  await world.settle();
  const again = await getBox(db, world.admin, "one");
  assert.equal(again.phase, "running");
  assert.equal(again.epoch, 2);
  assert.deepEqual(again.source, { snapshotId: rest.rest?.id, withMemory: true });
  await setDesired(db, world.admin, "one", "stop");
  await world.settle();
  const stopped = await getBox(db, world.admin, "one");
  assert.equal(stopped.phase, "stopped");
  assert.equal(stopped.source?.withMemory, false);
  await setDesired(db, world.admin, "one", "start");
  await world.settle();
  assert.equal((await getBox(db, world.admin, "one")).phase, "running");
});

test("a start while it pauses waits for the snapshot and never goes back to the old source", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  await createBox(db, world.admin, box("one"));
  await world.settle();
  const { box: pausing } = await setDesired(db, world.admin, "one", "pause");
  await setDesired(db, world.admin, "one", "start");
  const assignments = await world.node.step();
  assert.equal(assignments.boxes[0]?.desired, "paused");
  await world.settle();
  const running = await getBox(db, world.admin, "one");
  assert.equal(running.phase, "running");
  assert.equal(running.source?.snapshotId, pausing.rest?.id);
  assert.equal(running.epoch, 2);
});

test("a box that is paused before it came up rests without a snapshot", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const { box: made } = await createBox(db, world.admin, box("one"));
  await world.turn();
  await setDesired(db, world.admin, "one", "stop");
  world.node.boxes.delete(made.id);
  await world.settle();
  const stopped = await getBox(db, world.admin, "one");
  assert.equal(stopped.phase, "failed", "it had been up, so its loss is told");
  assert.equal(stopped.failure?.code, "box_lost");
  const { box: unplaced } = await createBox(db, world.admin, box("two"));
  const { box: two } = await setDesired(db, world.admin, unplaced.id, "stop");
  assert.equal(two.phase, "stopped");
  assert.equal(two.rest, null);
});

test("delete is accepted in every state, frees the name, and takes what it needed with it", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  for (const before of [[], ["pause"], ["stop"]] as const) {
    const { box: made } = await createBox(db, world.admin, box("one"));
    await world.settle();
    for (const intent of before) {
      await setDesired(db, world.admin, made.id, intent);
      await world.settle();
    }
    const deleted = await setDesired(db, world.admin, made.id, "delete");
    await world.settle();
    const gone = await getBox(db, world.admin, made.id);
    assert.equal(gone.phase, "deleted");
    assert.equal((await getOperation(db, world.admin, deleted.operation.id)).state, "succeeded");
    assert.equal(world.node.boxes.size, 0);
    await assert.rejects(setDesired(db, world.admin, made.id, "start"), refuses("not_now"));
  }
  const left = await listSnapshots(db, world.admin, { after: null, limit: 50 });
  assert.deepEqual(
    left.map((snapshot) => snapshot.kind),
    ["prebuild"],
  );
  assert.equal(world.node.snapshots.size, 1);
});

test("a delete is accepted while it pauses, and a late report does not bring it back", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const { box: made } = await createBox(db, world.admin, box("one"));
  await world.settle();
  await setDesired(db, world.admin, "one", "pause");
  await setDesired(db, world.admin, "one", "delete");
  const late = { ...report(made.id, 1), state: "ready" as const };
  await world.node.report([late]);
  await world.settle();
  assert.equal((await getBox(db, world.admin, made.id)).phase, "deleted");
  await world.node.report([late]);
  assert.equal((await getBox(db, world.admin, made.id)).phase, "deleted");
});

test("a box is gone when its node has heard that it is deleted, not before", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const { box: made } = await createBox(db, world.admin, box("one"));
  await placeBoxes(db, systemClock);
  const absent = (observedGeneration: number) =>
    world.node.report([{ ...report(made.id, 1), state: "absent", observedGeneration }]);
  await absent(0);
  await setDesired(db, world.admin, "one", "delete");
  await absent(1);
  assert.equal((await getBox(db, world.admin, made.id)).phase, "deleting", "it may be starting");
  await absent(2);
  assert.equal((await getBox(db, world.admin, made.id)).phase, "deleted");
});

test("what a snapshot builds on stays until that snapshot is durable", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const { box: made } = await createBox(db, world.admin, box("one"));
  await world.settle();
  world.node.uploads = false;
  for (const intent of ["pause", "resume", "pause"] as const) {
    await setDesired(db, world.admin, "one", intent);
    await world.settle();
  }
  const states = async () =>
    (await listSnapshots(db, world.admin, { after: null, limit: 9, box: made.id }))
      .map((snapshot) => snapshot.state)
      .sort();
  assert.deepEqual(await states(), ["local", "local"]);
  world.node.uploads = true;
  await world.settle();
  assert.deepEqual(await states(), ["durable"]);
});

function report(boxId: string, epoch: number) {
  return {
    boxId,
    epoch,
    state: "ready" as const,
    activity: null,
    observedGeneration: 1,
    bootSerial: 0,
    fault: null,
    notices: [],
    renewal: null,
    started: null,
    build: null,
  };
}

test("a report of an older epoch changes nothing", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const { box: made } = await createBox(db, world.admin, box("one"));
  await world.settle();
  await setDesired(db, world.admin, "one", "pause");
  await world.settle();
  await setDesired(db, world.admin, "one", "resume");
  await world.turn();
  const before = await getBox(db, world.admin, "one");
  await world.node.report([{ ...report(made.id, 1), state: "absent", observedGeneration: 99 }], {
    full: false,
  });
  assert.deepEqual(await getBox(db, world.admin, "one"), before);
});

test("forks of running, paused and stopped boxes run with identities of their own", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const { box: parent } = await createBox(db, world.admin, box("one"));
  await world.settle();
  const forks = await forkBox(db, world.admin, "one", { count: 2, names: ["two", "three"] });
  assert.deepEqual(
    forks.map((fork) => [fork.box.name, fork.box.phase]),
    [
      ["two", "creating"],
      ["three", "creating"],
    ],
  );
  await world.settle();
  for (const name of ["one", "two", "three"])
    assert.equal((await getBox(db, world.admin, name)).phase, "running", name);
  const two = await getBox(db, world.admin, "two");
  assert.deepEqual(two.forkedFrom, { id: parent.id, name: "one" });
  for (const intent of ["pause", "stop"] as const) {
    await setDesired(db, world.admin, "two", intent);
    await world.settle();
    const [fork] = await forkBox(db, world.admin, "two", { count: 1, names: null });
    assert.equal(fork?.box.source?.withMemory, intent === "pause");
    await world.settle();
    assert.equal((await getBox(db, world.admin, fork?.box.id ?? "")).phase, "running");
    await setDesired(db, world.admin, "two", "start");
    await world.settle();
  }
});

test("a fork whose parent comes to rest first starts from that rest", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const { box: parent } = await createBox(db, world.admin, box("one"));
  await world.settle();
  await forkBox(db, world.admin, "one", { count: 1, names: ["two"] });
  const { snapshot } = await createCheckpoint(db, world.admin, "one", "mine");
  const { box: pausing } = await setDesired(db, world.admin, "one", "pause");
  const restId = pausing.rest?.id ?? "";
  // The node takes only the rest snapshot.
  world.node.boxes.delete(parent.id);
  world.node.snapshots.set(restId, {
    ...taken(restId, parent.id),
    compatibility: "paper",
  });
  await world.node.report([report(parent.id, 1)]);
  const still = await getBox(db, world.admin, "one");
  assert.deepEqual([still.phase, still.reserved], ["pausing", true], "its VMM is still there");
  await world.node.report([{ ...report(parent.id, 1), state: "absent", observedGeneration: 2 }]);
  await world.settle();
  assert.equal((await getBox(db, world.admin, "one")).phase, "paused");
  const two = await getBox(db, world.admin, "two");
  assert.equal(two.phase, "running");
  assert.equal(two.source?.snapshotId, restId);
  const kept = await getSnapshot(db, world.admin, restId);
  assert.deepEqual([kept.kind, kept.name], ["checkpoint", "mine"]);
  assert.equal((await getSnapshot(db, world.admin, snapshot.id)).state, "failed");
});

function taken(snapshotId: string, boxId: string) {
  return {
    snapshotId,
    boxId,
    epoch: 1,
    kind: "pause" as const,
    withMemory: true,
    compatibility: "paper",
    parentId: null,
    createdAtMs: 1_000,
    allocatedBytes: 1,
    manifestKey: null,
    storedBytes: null,
    progress: 0,
    error: null,
    failed: false,
  };
}

test("a pause that cannot be taken leaves the box running and says so", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  await createBox(db, world.admin, box("one"));
  await world.settle();
  world.node.failing.add("pause");
  const { operation } = await setDesired(db, world.admin, "one", "pause");
  await world.settle();
  const running = await getBox(db, world.admin, "one");
  assert.equal(running.phase, "running");
  assert.equal(running.desired, "running");
  assert.equal(running.notices[0]?.code, "snapshot_failed");
  const failed = await getOperation(db, world.admin, operation.id);
  assert.deepEqual([failed.state, failed.error?.message], ["failed", "no space left"]);
});

test("a checkpoint restores, and what it replaces is kept", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  await createBox(db, world.admin, box("one"));
  await world.settle();
  const { snapshot } = await createCheckpoint(db, world.admin, "one", "before");
  await world.settle();
  assert.equal((await getSnapshot(db, world.admin, snapshot.id)).state, "durable");
  await restoreCheckpoint(db, world.admin, "one", snapshot.id);
  await world.settle();
  const restored = await getBox(db, world.admin, "one");
  assert.equal(restored.phase, "running");
  assert.equal(restored.source?.snapshotId, snapshot.id);
  const kept = await listSnapshots(db, world.admin, { after: null, limit: 9, kind: "checkpoint" });
  assert.equal(kept.length, 2);
  await assert.rejects(deleteSnapshot(db, world.admin, snapshot.id), refuses("in_use"));
  const other = kept.find((checkpoint) => checkpoint.id !== snapshot.id);
  const { operation } = await deleteSnapshot(db, world.admin, other?.id ?? "");
  await world.settle();
  assert.equal((await getOperation(db, world.admin, operation.id)).state, "succeeded");
  assert.ok(world.forgotten.includes(other?.id ?? ""));
});

test("the same key has one effect and one answer; another body is refused; tenants do not meet", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const create = (name: string, key = "k") =>
    createBoxOnce(db, world.admin, { key, requestHash: name }, box(name), (accepted) => ({
      id: accepted.box.id,
    }));
  const answers = await Promise.all([create("one"), create("one"), create("one")]);
  assert.equal(new Set(answers.map((answer) => answer.id)).size, 1);
  await assert.rejects(create("two"), refuses("idempotency_key_reused"));
  await assert.rejects(create("one", "k2"), refuses("name_taken"));
  const again = await answerOnce(db, world.admin, { key: "k", requestHash: "one" }, async () => "");
  assert.deepEqual(again, answers[0], "one memory of keys, whoever asks");
  const other = await createUser(db, { orgName: "other", name: "eve" });
  const theirs = await answerOnce(db, other, { key: "k", requestHash: "x" }, async () => "mine");
  assert.equal(theirs, "mine");
  await assert.rejects(getBox(db, other, answers[0]?.id ?? ""), refuses("not_found"));
  await assert.rejects(setDesired(db, other, "one", "delete"), refuses("not_found"));
  await assert.rejects(createBox(db, other, box("one")), refuses("not_found"));
  assert.deepEqual(await listBoxes(db, other, { after: null, limit: 10 }), []);
});

test("a request that dies before or after its commit can be repeated: one box, one answer", async (t) => {
  const { db, failpoints } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const create = () =>
    createBoxOnce(db, world.admin, { key: "k", requestHash: "h" }, box("one"), (accepted) => ({
      id: accepted.box.id,
    }));
  failpoints.arm("store.box.create.before_commit", { kind: "throw", message: "power" });
  await assert.rejects(create(), /power/);
  await assert.rejects(getBox(db, world.admin, "one"), refuses("not_found"));
  failpoints.arm("store.box.create.committed", { kind: "throw", message: "power" });
  await assert.rejects(create(), /power/);
  const kept = await getBox(db, world.admin, "one");
  assert.deepEqual(
    await create(),
    { id: kept.id },
    "committed before the crash: the answer is kept",
  );
  failpoints.arm("store.box.pause.before_commit", { kind: "throw", message: "power" });
  const pause = () =>
    answerOnce(db, world.admin, { key: "p", requestHash: "h" }, async (tx) => {
      const accepted = await setDesired(tx, world.admin, "one", "pause");
      return { generation: accepted.box.generation };
    });
  await assert.rejects(pause(), /power/);
  assert.deepEqual([await pause(), await pause()], [{ generation: 2 }, { generation: 2 }]);
});

test("what a create answers is what a read then shows, and it is one commit", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const answer = await createBoxOnce(
    db,
    world.admin,
    { key: "k", requestHash: "h" },
    box("one"),
    (accepted) => accepted,
  );
  const { id } = answer.box;
  const { rows } = await sql<{ transactions: number; count: number }>`
    select count(distinct xid) as transactions, count(*) as count from (
      select xmin::text as xid from boxes where id = ${id}
      union all select xmin::text from volumes where box_id = ${id}
      union all select xmin::text from operations where subject_id = ${id}
      union all select xmin::text from events where box_id = ${id}
      union all select xmin::text from idempotency_keys where key = 'k') as written`.execute(
    db.query,
  );
  assert.deepEqual(rows[0], { transactions: 1, count: 5 });
  assert.deepEqual(await getBox(db, world.admin, "one"), answer.box);
  assert.deepEqual(await getOperation(db, world.admin, answer.operation.id), answer.operation);
});

test("an intent on another generation is refused; a repeated intent only gets a receipt", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  await createBox(db, world.admin, box("one"));
  await world.settle();
  await assert.rejects(
    setDesired(db, world.admin, "one", "pause", { ifGeneration: 7 }),
    refuses("generation_mismatch"),
  );
  const first = await setDesired(db, world.admin, "one", "pause", { ifGeneration: 1 });
  const second = await setDesired(db, world.admin, "one", "pause");
  assert.equal(second.box.generation, first.box.generation);
  await world.settle();
  assert.equal((await getOperation(db, world.admin, second.operation.id)).state, "succeeded");
  await assert.rejects(createBox(db, world.admin, box("one")), refuses("name_taken"));
});

test("a memory that cannot be restored falls back to the disks, loudly", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const { box: made } = await createBox(db, world.admin, box("one"));
  await world.settle();
  await setDesired(db, world.admin, "one", "pause");
  await world.settle();
  await setDesired(db, world.admin, "one", "resume");
  world.node.faults.set(made.id, {
    code: "memory_unusable",
    message: "digest mismatch",
    retryable: false,
    attempts: 1,
    sinceMs: 0,
    nextAttemptMs: null,
  });
  await world.turn();
  world.node.faults.clear();
  await world.settle();
  const booted = await getBox(db, world.admin, "one");
  assert.equal(booted.phase, "running");
  assert.equal(booted.source?.withMemory, false);
  assert.equal(booted.epoch, 3);
  assert.ok(booted.notices.some((notice) => notice.code === "memory_lost"));
});

test("no box is left in a team that is deleted while the box is made", async (t) => {
  const { db, failpoints } = await testDatabase(t);
  const { admin } = await PaperWorld.make(db);
  const inTeam = (name: string) => ({ ...box(name), team: "red" });
  await createTeam(db, admin, "red");
  failpoints.arm("store.box.create.before_commit", {
    kind: "run",
    run: async () => {
      await deleteTeam(db, admin, "red");
    },
  });
  const late = createBoxOnce(db, admin, null, inTeam("late"), ({ box }) => box);
  await assert.rejects(late, { code: "not_found", message: /There is no team/ });

  await createTeam(db, admin, "red");
  let deletion: Promise<unknown> = Promise.resolve();
  failpoints.arm("store.box.create.before_commit", {
    kind: "run",
    run: async () => {
      deletion = deleteTeam(db, admin, "red");
      await until(async () => {
        const { rows } = await sql`select 1 from pg_stat_activity where wait_event_type = 'Lock'
          and datname = current_database()`.execute(db.query);
        return rows.length > 0;
      }, "the deletion waits");
    },
  });
  await createBox(db, admin, inTeam("early"));
  await deletion;
  assert.equal((await getBox(db, admin, "early")).teamId, null);
});
