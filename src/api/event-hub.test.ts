// One reader for many listeners: each gets its own, in order; one that does not read is dropped; a failing
// database is only a delay.

import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { ensureAdmin } from "#store/access.ts";
import type { Db } from "#store/db.ts";
import { transact } from "#store/db.ts";
import { insertEvents } from "#store/events.ts";
import { Wakes } from "#store/listen.ts";
import { testDatabase } from "#test/harness/database.ts";
import { EventHub, type Listening } from "./event-hub.ts";

const GENEROUS_MS = 120_000;

async function hubOn(t: Parameters<typeof testDatabase>[0], maxUnread?: number) {
  let close = async () => {};
  t.after(() => close());
  const { db, url } = await testDatabase(t);
  const wakes = new Wakes({ url, clock: systemClock, log: silentLog });
  await wakes.start();
  let isBroken = false;
  const breakable: Db = {
    ...db,
    get query() {
      if (isBroken) throw new Error("the database is away");
      return db.query;
    },
  };
  const hub = new EventHub({ db: breakable, wakes, clock: systemClock, log: silentLog, maxUnread });
  close = async () => {
    await hub.close();
    await wakes.close();
  };
  const { orgId } = await ensureAdmin(db);
  const tell = (...kinds: string[]) =>
    transact(db, "test.tell", (tx) =>
      insertEvents(
        tx,
        kinds.map((kind) => ({ orgId, kind, subjectKind: "box", subjectId: "x", message: "x" })),
      ),
    );
  const setBroken = (value: boolean) => {
    isBroken = value;
  };
  return { hub, tell, setBroken };
}

async function takeKinds(listening: Listening, count: number): Promise<string[]> {
  const kinds: string[] = [];
  const signal = AbortSignal.timeout(GENEROUS_MS);
  while (kinds.length < count && !signal.aborted)
    for (const event of (await listening.take(1000, signal)) ?? []) kinds.push(event.kind);
  return kinds;
}

test("each listener gets what it is for, in order, from where it began", async (t) => {
  const { hub, tell } = await hubOn(t);
  await tell("a");
  const all = await hub.listen(() => true);
  const some = await hub.listen((event) => event.kind === "c");
  await tell("b", "c");
  assert.deepEqual(await takeKinds(all, 2), ["b", "c"]);
  assert.deepEqual(await takeKinds(some, 1), ["c"]);
  const late = await hub.listen(() => true);
  assert.ok(late.from > all.from);
  await tell("d");
  assert.deepEqual(await takeKinds(late, 1), ["d"]);
  all.close();
  await tell("e");
  assert.deepEqual(await takeKinds(late, 1), ["e"]);
});

test("a listener that does not read is dropped, and the others go on", async (t) => {
  const { hub, tell } = await hubOn(t, 3);
  const lazy = await hub.listen(() => true);
  const keen = await hub.listen((event) => event.kind === "e");
  await tell("a", "b", "c", "d", "e");
  assert.deepEqual(await takeKinds(keen, 1), ["e"]);
  assert.equal(await lazy.take(0, AbortSignal.timeout(GENEROUS_MS)), null);
});

test("what happens while the database cannot be read comes later, once", async (t) => {
  const { hub, tell, setBroken } = await hubOn(t);
  const all = await hub.listen(() => true);
  setBroken(true);
  await tell("a");
  await tell("b");
  assert.deepEqual(await all.take(300, AbortSignal.timeout(GENEROUS_MS)), []);
  setBroken(false);
  assert.deepEqual(await takeKinds(all, 2), ["a", "b"]);
});
