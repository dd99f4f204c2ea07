// Loops: woken at once, one replica at a time when leased, and never ended by a failure. Wakes reconnect.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { takeLease } from "#store/leases.ts";
import { Wakes } from "#store/listen.ts";
import { wake } from "#store/wake.ts";
import { type TestDatabase, testDatabase } from "#test/harness/database.ts";
import { type Loop, runLoop } from "./run.ts";

const HOUR_MS = 3_600_000;

async function listening({ url }: TestDatabase, t: { after(work: () => Promise<void>): void }) {
  const wakes = new Wakes({ url, clock: systemClock, log: silentLog });
  await wakes.start();
  t.after(() => wakes.close());
  return wakes;
}

/** Resolves at the n-th pass. */
function counted(loop: Partial<Loop> & { onPass?: (count: number) => void }) {
  let count = 0;
  const waiting: { at: number; done: () => void }[] = [];
  const pass = async () => {
    count += 1;
    for (const waiter of waiting) if (waiter.at <= count) waiter.done();
    loop.onPass?.(count);
    return "done" as const;
  };
  const reach = (at: number) =>
    new Promise<void>((done) => {
      if (count >= at) done();
      else waiting.push({ at, done });
    });
  return {
    loop: { name: "x", topics: ["t"], everyMs: HOUR_MS, ...loop, pass },
    reach,
    n: () => count,
  };
}

test("a wake runs the next pass at once, also after the connection was cut", async (t) => {
  const database = await testDatabase(t);
  const { db } = database;
  const wakes = await listening(database, t);
  const { loop, reach } = counted({});
  const stop = new AbortController();
  const context = { db, wakes, clock: systemClock, log: silentLog, signal: stop.signal };
  const running = runLoop(loop, { ...context, holder: "a" });
  await reach(1);
  await wake(db, ["t"]);
  await reach(2);
  await sql`select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'berth listen' and datname = current_database()`.execute(db.query);
  await reach(3);
  await wake(db, ["t"]);
  await reach(4);
  stop.abort();
  await running;
});

test("a failing pass is tried again, and a leased loop leaves its turn to another replica", async (t) => {
  const database = await testDatabase(t);
  const { db } = database;
  const wakes = await listening(database, t);
  const stop = new AbortController();
  const context = { db, wakes, clock: systemClock, log: silentLog, signal: stop.signal };
  const failing = counted({
    onPass: (count) => {
      if (count < 3) throw new Error("not yet");
    },
  });
  const first = runLoop(failing.loop, { ...context, holder: "a" });
  await failing.reach(3);
  assert.equal(await takeLease(db, "loop:x", "b", 1_000), false, "a holds it");
  const other = counted({});
  const second = runLoop(other.loop, { ...context, holder: "b" });
  const shared = counted({ isShared: true });
  const third = runLoop(shared.loop, { ...context, holder: "c" });
  await shared.reach(1);
  await wake(db, ["t"]);
  await failing.reach(4);
  await shared.reach(2);
  assert.equal(other.n(), 0);
  stop.abort();
  await Promise.all([first, second, third]);
  assert.equal(await takeLease(db, "loop:x", "b", 1_000), true, "it was given back");
});
