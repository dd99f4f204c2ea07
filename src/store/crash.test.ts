// Every transition of the control plane fails once before its commit, or once after it (the caller never hears of
// it); requests are repeated with their key, loops and nodes come round again. The world ends up the same.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { FailpointError } from "#lib/failpoint.ts";
import { testDatabase } from "#test/harness/database.ts";
import { PaperNode } from "#test/harness/paper-node.ts";
import { quotaDrift } from "#test/harness/quota-drift.ts";
import { IMAGE, PaperWorld, recipe } from "#test/harness/world.ts";
import { ensureAdmin } from "./access.ts";
import { type Intent, setDesired } from "./box-intent.ts";
import { createBoxOnce, getBox } from "./boxes.ts";
import { createTemplate } from "./builds.ts";
import { createCheckpoint, restoreCheckpoint } from "./checkpoints.ts";
import type { Db } from "./db.ts";
import { drainNode } from "./drain.ts";
import { forkBox } from "./forks.ts";
import { answerOnce } from "./idempotency.ts";
import { deleteSnapshot } from "./snapshots.ts";

const TRANSITIONS = [
  "scheduler.place",
  "store.answer",
  "store.box.create",
  "store.box.delete",
  "store.box.fork",
  "store.box.pause",
  "store.box.restart",
  "store.box.restore",
  "store.box.resume",
  "store.box.start",
  "store.box.stop",
  "store.checkpoint.create",
  "store.node.drain",
  "store.node.join",
  "store.report",
  "store.snapshot.delete",
  "store.snapshot.removed",
  "store.snapshot.unneeded",
  "store.template.advance",
  "store.template.create",
];

class Unlucky {
  readonly world: PaperWorld;
  #keys = 0;

  constructor(world: PaperWorld) {
    this.world = world;
  }

  /** Tried until it is answered. */
  async again<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof FailpointError)) throw error;
      }
    }
  }

  /** With a key, as a client that repeats what it got no answer to. */
  async ask<T>(work: (tx: Db) => Promise<T>): Promise<T> {
    this.#keys += 1;
    const mutation = { key: `key ${this.#keys}`, requestHash: "h" };
    return this.again(() => answerOnce(this.world.db, this.world.admin, mutation, work));
  }

  async settle(): Promise<void> {
    for (let round = 0; round < 10; round += 1)
      await this.world.turn().catch((error) => {
        if (!(error instanceof FailpointError)) throw error;
      });
  }

  async intent(name: string, intent: Intent, phase: string): Promise<void> {
    await this.ask(async (tx) => {
      await setDesired(tx, this.world.admin, name, intent);
      return null;
    });
    await this.settle();
    assert.equal((await getBox(this.world.db, this.world.admin, name)).phase, phase, intent);
  }
}

for (const boundary of ["before_commit", "committed"] as const)
  test(`every transition may fail once at ${boundary}`, async (t) => {
    const { db, failpoints } = await testDatabase(t);
    const admin = await ensureAdmin(db);
    const names = TRANSITIONS.map((name) => `${name}.${boundary}`);
    names.push("reconciler.snapshot.forgotten");
    for (const name of names) failpoints.arm(name, { kind: "throw", message: name });
    const unlucky = new Unlucky(new PaperWorld(db, admin));
    const { world } = unlucky;
    world.nodes.push(await unlucky.again(() => PaperNode.join(db, admin, { name: "n" })));
    await unlucky.ask(async (tx) => {
      await createTemplate(tx, admin, { definition: recipe(), imageDigest: IMAGE });
      return null;
    });
    await unlucky.settle();
    const input = { name: "one", template: "base", version: null, env: {} };
    await unlucky.again(() =>
      createBoxOnce(db, admin, { key: "create", requestHash: "h" }, input, () => null),
    );
    await unlucky.settle();
    await unlucky.intent("one", "pause", "paused");
    await unlucky.intent("one", "resume", "running");
    await unlucky.ask((tx) =>
      forkBox(tx, admin, "one", { count: 2, names: ["two", "three"] }).then(() => null),
    );
    await unlucky.settle();
    await unlucky.intent("two", "restart", "running");
    await unlucky.again(() => drainNode(db, admin, "n"));
    await unlucky.settle();
    for (const name of ["one", "two", "three"]) await unlucky.intent(name, "resume", "running");
    const id = await unlucky.ask(async (tx) => {
      const accepted = await createCheckpoint(tx, admin, "one", null);
      return accepted.snapshot.id as string;
    });
    await unlucky.settle();
    await unlucky.ask((tx) => restoreCheckpoint(tx, admin, "one", id).then(() => null));
    await unlucky.settle();
    await unlucky.intent("one", "stop", "stopped");
    await unlucky.intent("one", "start", "running");
    await unlucky.ask((tx) => deleteSnapshot(tx, admin, id).then(() => null));
    const ids = await Promise.all(
      ["one", "two", "three"].map(async (name) => (await getBox(db, admin, name)).id),
    );
    for (const boxId of ids) await unlucky.intent(boxId, "delete", "deleted");
    await unlucky.settle();
    for (const name of names) assert.ok(failpoints.hits(name) > 0, `${name} was never reached`);
    await assertNothingIsLeft(db, world);
  });

async function assertNothingIsLeft(db: Db, world: PaperWorld): Promise<void> {
  assert.deepEqual(await quotaDrift(db), []);
  const { rows: boxes } = await sql<{ count: number }>`
    select count(*) as count from boxes where deleted_at is null or reserved`.execute(db.query);
  assert.equal(boxes[0]?.count, 0);
  const { rows: made } = await sql<{ count: number }>`
    select count(*) as count from boxes where kind = 'user'`.execute(db.query);
  assert.equal(made[0]?.count, 3, "a repeated request made no second box");
  const { rows: open } = await sql`select * from operations where state = 'running'`.execute(
    db.query,
  );
  assert.deepEqual(open, []);
  const { rows: kept } = await sql<{ kind: string; kept: boolean }>`
    select distinct kind, kept from snapshots where state in ('requested', 'local', 'durable')
    order by kind`.execute(db.query);
  // The prebuild, and what the restore replaced, which only its user may remove.
  assert.deepEqual(kept, [
    { kind: "pause", kept: true },
    { kind: "prebuild", kept: true },
  ]);
  assert.equal(world.node.boxes.size, 0);
  assert.equal(world.node.snapshots.size, 2);
}
