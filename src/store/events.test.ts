// Events: a follower sees every event once and in order, whatever commits late; tenants see their own.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import type { BoxId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { systemClock } from "#lib/clock.ts";
import { testDatabase } from "#test/harness/database.ts";
import { createUser, ensureAdmin } from "./access.ts";
import { type Db, transact } from "./db.ts";
import { insertEvents, listEvents, listEventsBack, readEventsEnd, trimEvents } from "./events.ts";

function write(db: Db, subject: Subject, message: string, box = "box_1"): Promise<void> {
  return insertEvents(db, [
    {
      orgId: subject.orgId,
      kind: "box.phase",
      subjectKind: "box",
      subjectId: box,
      boxId: box as BoxId,
      message,
    },
  ]);
}

test("a follower waits for a transaction that took its event id first and commits last", async (t) => {
  let finish = () => {};
  t.after(() => finish());
  const { db } = await testDatabase(t);
  const admin = await ensureAdmin(db);
  const held = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let wrote = () => {};
  const written = new Promise<void>((resolve) => {
    wrote = resolve;
  });
  const slow = transact(db, "test", async (tx) => {
    await write(tx, admin, "slow");
    wrote();
    await held;
  });
  await written;
  await transact(db, "test", async (tx) => {
    await write(tx, admin, "fast");
  });
  const visible = await listEventsBack(db, admin, { before: null, limit: 10 });
  assert.deepEqual(
    visible.map((event) => event.message),
    ["fast"],
    "the later id is visible first",
  );
  assert.deepEqual(await listEvents(db, admin, systemClock, { after: 0, limit: 10 }), []);
  finish();
  await slow;
  const events = await listEvents(db, admin, systemClock, { after: 0, limit: 10 });
  assert.deepEqual(
    events.map((event) => event.message),
    ["slow", "fast"],
  );
});

test("a writer is known before it has an id", async (t) => {
  const { db } = await testDatabase(t);
  const admin = await ensureAdmin(db);
  const { writing, end } = await transact(db, "test", async (tx) => {
    // Keeps the writer where it stands just before it is known.
    await sql`select pg_advisory_xact_lock('events'::regclass::oid::integer, 0)`.execute(tx.query);
    let isDone = false;
    const writing = write(db, admin, "one").finally(() => {
      isDone = true;
    });
    for (let waiting = 0; waiting === 0; ) {
      assert.ok(!isDone, "it did not take the lock");
      const { rows } = await sql`select 1 from pg_locks where not granted and locktype = 'advisory'
        and database = (select oid from pg_database where datname = current_database())`.execute(
        tx.query,
      );
      waiting = rows.length;
      await systemClock.sleep(1);
    }
    return { writing, end: await readEventsEnd(db) };
  });
  await writing;
  assert.equal(await readEventsEnd(db), end + 1);
});

test("an open transaction in another database of the same server holds nobody up, nor does one without events", async (t) => {
  const { db } = await testDatabase(t);
  const admin = await ensureAdmin(db);
  const other = await testDatabase(t);
  const otherAdmin = await ensureAdmin(other.db);
  await write(db, admin, "here");
  const seen = await transact(other.db, "test", async (elsewhere) => {
    await write(elsewhere, otherAdmin, "there");
    return transact(db, "test", async (tx) => {
      await sql`insert into leases (name, holder, until) values ('x', '', now())`.execute(tx.query);
      // By another connection than the open one.
      return listEvents(db, admin, systemClock, { after: 0, limit: 10 });
    });
  });
  assert.deepEqual(
    seen.map((event) => event.message),
    ["here"],
  );
});

test("with many writers a follower sees every event exactly once", async (t) => {
  const { db } = await testDatabase(t);
  const admin = await ensureAdmin(db);
  const WRITERS = 8;
  const EACH = 40;
  let writing = WRITERS;
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    for (let index = 0; index < EACH; index += 1)
      await transact(db, "test", async (tx) => {
        await write(tx, admin, `${writer}:${index}`);
        await sql`select pg_sleep(random() * 0.004)`.execute(tx.query);
      });
    writing -= 1;
  });
  const seen: string[] = [];
  let after = 0;
  const follow = async () => {
    for (;;) {
      const wasWriting = writing > 0;
      const events = await listEvents(db, admin, systemClock, { after, limit: 7 });
      for (const event of events) {
        assert.ok(event.id > after);
        after = event.id;
        seen.push(event.message);
      }
      if (events.length === 0 && !wasWriting) return;
    }
  };
  await Promise.all([follow(), ...writers]);
  assert.equal(seen.length, WRITERS * EACH);
  assert.equal(new Set(seen).size, WRITERS * EACH);
});

test("tenants see their own, administrators also the installation's; old ones are trimmed", async (t) => {
  const { db } = await testDatabase(t);
  const admin = await ensureAdmin(db);
  const eve = await createUser(db, { orgName: "other", name: "eve" });
  await write(db, admin, "ours", "box_1");
  await write(db, admin, "another box", "box_2");
  await insertEvents(db, [
    { orgId: null, kind: "node.ready", subjectKind: "node", subjectId: "node_1", message: "node" },
  ]);
  const read = async (subject: Subject, boxId?: string) =>
    (
      await listEvents(db, subject, systemClock, { after: 0, limit: 10, boxId: boxId as BoxId })
    ).map((event) => event.message);
  assert.deepEqual(await read(admin), ["ours", "another box", "node"]);
  assert.deepEqual(await read(admin, "box_2"), ["another box"]);
  assert.deepEqual(await read(eve), []);
  await sql`update events set at = now() - interval '2 days' where message = 'ours'`.execute(
    db.query,
  );
  assert.equal(await trimEvents(db, 86_400_000, 10), 1);
  assert.deepEqual(await read(admin), ["another box", "node"]);
});
