// The loop that cleans the object store: what the database needs stays, what it does not goes.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type TestContext, test } from "node:test";
import { sql } from "kysely";
import type { Clock } from "#lib/clock.ts";
import { systemClock } from "#lib/clock.ts";
import { type Log, silentLog } from "#lib/log.ts";
import { setDesired } from "#store/box-intent.ts";
import { createBox, getBox } from "#store/boxes.ts";
import { testDatabase } from "#test/harness/database.ts";
import { MemoryStore } from "#test/harness/memory-store.ts";
import { SnapshotFiles } from "#test/harness/snapshot-files.ts";
import { PaperWorld } from "#test/harness/world.ts";
import { collectionLoop } from "./server-loops.ts";

const HOUR_MS = 3_600_000;

/** A paused box whose snapshot is really in the store, and the bytes of one that no row names. */
async function scene(t: TestContext) {
  const { db, failpoints } = await testDatabase(t);
  const store = new MemoryStore();
  const files = await SnapshotFiles.make(t, store);
  const world = await PaperWorld.make(db);
  await createBox(db, world.admin, { name: "one", template: "base", version: null, env: {} });
  await world.settle();
  await setDesired(db, world.admin, "one", "pause");
  await world.settle();
  const { rest } = await getBox(db, world.admin, "one");
  const ram = randomBytes(100_000);
  const kept = await files.upload(rest?.id ?? "", { ram });
  const left = await files.upload("snap_left", { ram: randomBytes(100_000) });
  await sql`update snapshots set manifest_key = null where id <> ${rest?.id}`.execute(db.query);
  await sql`update snapshots set manifest_key = ${kept.manifestKey} where id = ${rest?.id}`.execute(
    db.query,
  );
  let laterMs = 0;
  const errors: unknown[] = [];
  const log: Log = { ...silentLog, error: (fields: object) => void errors.push(fields) } as Log;
  const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs };
  const loop = collectionLoop({ db, store }, { clock, log, failpoints });
  return {
    ...{ db, world, store, files, failpoints, loop, errors, kept, left, ram },
    pass: (ms: number) => {
      laterMs += ms;
    },
  };
}

test("what no snapshot of the database needs goes after its hour, and what one needs stays whole", async (t) => {
  const { db, store, files, loop, errors, kept, left, ram, pass } = await scene(t);
  assert.equal(await loop.pass(), "done");
  assert.ok(await store.head(left.manifestKey), "young: its report may be on the way");
  pass(2 * HOUR_MS);
  await loop.pass();
  assert.equal(await store.head(left.manifestKey), null);
  assert.deepEqual((await files.fetch(kept.manifestKey)).files, { ram });
  await sql`update snapshots set state = 'deleted'`.execute(db.query);
  await loop.pass();
  assert.equal(store.objects.size, 0);
  assert.deepEqual(errors, []);
});

test("a snapshot that is not where it should be stops the cleaning, loudly, and the loop goes on", async (t) => {
  const { store, loop, errors, kept, pass } = await scene(t);
  pass(2 * HOUR_MS);
  await store.delete(kept.manifestKey);
  const before = store.objects.size;
  assert.equal(await loop.pass(), "done");
  assert.equal(store.objects.size, before);
  assert.match(JSON.stringify(errors), /problems.*not in the object store/);
});

test("a pass that dies in the middle is ended by the next", async (t) => {
  const { files, failpoints, store, loop, kept, left, ram, pass } = await scene(t);
  pass(2 * HOUR_MS);
  failpoints.arm("objects.gc.deleted", { kind: "throw", message: "power" });
  await assert.rejects(loop.pass(), /power/);
  pass(2 * HOUR_MS);
  await loop.pass();
  assert.deepEqual((await files.fetch(kept.manifestKey)).files, { ram });
  assert.equal(await store.head(left.manifestKey), null);
  assert.equal([...store.objects.keys()].filter((key) => key.includes("snap_left")).length, 0);
});
