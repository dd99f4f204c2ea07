// Reports: sessions and revisions, leases, and that nothing moves back.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import type { BoxReport } from "#contract/node-protocol.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { systemClock } from "#lib/clock.ts";
import { placeBoxes } from "#scheduler/place-boxes.ts";
import { testDatabase } from "#test/harness/database.ts";
import { PaperNode } from "#test/harness/paper-node.ts";
import { IMAGE, PaperWorld } from "#test/harness/world.ts";
import { readAssignments, readRevision } from "./assignments.ts";
import { setDesired } from "./box-intent.ts";
import { createBox, getBox } from "./boxes.ts";
import { createCheckpoint } from "./checkpoints.ts";
import { createJoinToken, expireNodes, getNode, joinNode, listNodes } from "./nodes.ts";

const refuses = (code: string) => (error: unknown) =>
  error instanceof StoreRefusal && error.code === code;
const box = (name: string) => ({ name, template: "base", version: null, env: { A: "1" } });

test("a join token works once, for its name; joining again keeps the id", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db, []);
  const join = (tokenHash: string, name: string) =>
    joinNode(db, { tokenHash, name, region: "local", labels: {} });
  await createJoinToken(db, world.admin, { hash: "h1", name: "n1", ttlMs: 60_000 });
  await assert.rejects(join("h1", "n2"), refuses("join_token_invalid"));
  const id = await join("h1", "n1");
  await assert.rejects(join("h1", "n1"), refuses("join_token_invalid"));
  await createJoinToken(db, world.admin, { hash: "h2", name: null, ttlMs: -1 });
  await assert.rejects(join("h2", "n1"), refuses("join_token_invalid"));
  await createJoinToken(db, world.admin, { hash: "h3", name: null, ttlMs: 60_000 });
  assert.equal(await join("h3", "n1"), id);
  assert.equal((await listNodes(db, { after: null, limit: 9 })).length, 1);
});

test("a partial report of another session asks for everything; a repeated one changes nothing", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const { node } = world;
  await assert.rejects(
    node.report([], { full: false, session: "other" }),
    refuses("resync_needed"),
  );
  await createBox(db, world.admin, box("one"));
  await world.settle();
  const before = await getBox(db, world.admin, "one");
  const ack = await node.report([], { revision: node.revision });
  assert.equal(ack.ackRevision, node.revision - 1);
  assert.deepEqual(
    await getBox(db, world.admin, "one"),
    before,
    "its box was left out, in the past",
  );
  const { rows } = await sql<{ count: number }>`select count(*) as count from events`.execute(
    db.query,
  );
  await node.step();
  await node.step();
  const again = await sql<{ count: number }>`select count(*) as count from events`.execute(
    db.query,
  );
  assert.deepEqual(again.rows, rows, "reports without change tell nothing");
  await assert.rejects(
    new PaperNode(db, "node_x" as typeof node.id, {}).report([]),
    refuses("node_unknown"),
  );
});

test("a node whose lease runs out is unreachable, its boxes say so, and a report brings it back", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  await createBox(db, world.admin, box("one"));
  await world.settle();
  assert.equal(await expireNodes(db), 0);
  await sql`update nodes set lease_until = now() - interval '1 second'`.execute(db.query);
  assert.deepEqual([await expireNodes(db), await expireNodes(db)], [1, 0]);
  const cut = await getBox(db, world.admin, "one");
  assert.match(cut.reason ?? "", /unreachable/);
  assert.equal((await getNode(db, world.node.id)).status, "unreachable");
  await createBox(db, world.admin, box("two"));
  await setDesired(db, world.admin, "one", "delete");
  assert.equal((await getBox(db, world.admin, cut.id)).phase, "deleting");
  await world.node.step();
  assert.equal((await getNode(db, world.node.id)).status, "ready");
  await world.settle();
  assert.equal((await getBox(db, world.admin, cut.id)).phase, "deleted");
  assert.equal((await getBox(db, world.admin, "two")).phase, "running");
});

test("assignments carry identity, intent and snapshots; each change raises the revision", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const { box: made } = await createBox(db, world.admin, box("one"));
  const { id } = world.node;
  const read = () => readAssignments(db, id, { sshUserCa: "ca", gateways: ["https://g"] });
  let last = await readRevision(db, id);
  const risen = async (what: string) => {
    const now = await readRevision(db, id);
    assert.ok(now > last, what);
    last = now;
  };
  await world.turn();
  await risen("placed");
  const { boxes, gateways, images, snapshots } = await read();
  assert.deepEqual(images, [IMAGE]);
  assert.deepEqual(gateways, [{ url: "https://g" }]);
  assert.equal(boxes.length, 1);
  assert.deepEqual(boxes[0]?.identity.env, { LANG: "C.UTF-8", A: "1" });
  assert.deepEqual(boxes[0]?.identity.sshPrincipals, [made.id]);
  assert.equal(boxes[0]?.identity.hostName, "one");
  assert.equal(boxes[0]?.build, null);
  assert.deepEqual(
    snapshots.map((snapshot) => [snapshot.snapshotId, snapshot.scope]),
    [[made.source?.snapshotId, world.admin.orgId]],
  );
  await setDesired(db, world.admin, "one", "restart");
  await risen("restarted");
  await world.turn();
  await createCheckpoint(db, world.admin, "one", null);
  await risen("checkpoint asked");
  assert.equal((await read()).boxes[0]?.wantedSnapshots.length, 1);
  const paused = await setDesired(db, world.admin, "one", "pause");
  await risen("pause asked");
  assert.deepEqual((await read()).boxes[0]?.restSnapshot, {
    snapshotId: paused.box.rest?.id,
    kind: "pause",
    withMemory: true,
  });
  await world.settle();
  await risen("at rest");
  assert.deepEqual((await read()).boxes, []);
});

test("a node's silence about a box it never spoke of says nothing; a box it had is gone", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  await createBox(db, world.admin, box("one"));
  await placeBoxes(db, systemClock);
  const { box: deleting } = await setDesired(db, world.admin, "one", "delete");
  await world.node.report([]);
  assert.equal((await getBox(db, world.admin, deleting.id)).phase, "deleting");
  await world.node.report([], { full: false, goneBoxes: [deleting.id] });
  assert.equal((await getBox(db, world.admin, deleting.id)).phase, "deleted");
});

test("what a node says of an older epoch of a box is not taken for the new one's", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const { box: made } = await createBox(db, world.admin, box("one"));
  await world.settle();
  await setDesired(db, world.admin, "one", "pause");
  await world.settle();
  const { box: started } = await setDesired(db, world.admin, "one", "start");
  await placeBoxes(db, systemClock);
  const told = await getBox(db, world.admin, "one");
  assert.equal(told.epoch, made.epoch + 2);
  const stale: BoxReport = {
    ...{ boxId: made.id, epoch: told.epoch - 1, state: "ready", activity: null, bootSerial: 9 },
    ...{ observedGeneration: started.generation, fault: null, notices: [], renewal: null },
    ...{ started: { how: "restored", phases: {} }, build: null },
  };
  for (const full of [false, true]) {
    await world.node.report([stale], { full });
    assert.deepEqual(await getBox(db, world.admin, "one"), told, `full: ${full}`);
  }
  await world.node.report([{ ...stale, epoch: told.epoch }]);
  assert.equal((await getBox(db, world.admin, "one")).phase, "running");
});

test("nodes hear which images are needed: of boxes, snapshots, and versions of templates that are there", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const needed = async () =>
    (await readAssignments(db, world.node.id, { sshUserCa: "", gateways: [] })).images;
  await createBox(db, world.admin, box("one"));
  await world.settle();
  const rename = (table: "boxes" | "snapshots" | "template_versions", digest: string) =>
    sql`update ${sql.table(table)} set image_digest = ${digest}`.execute(db.query);
  await rename("boxes", "b");
  await rename("snapshots", "s");
  await rename("template_versions", "v");
  assert.deepEqual(await needed(), ["b", "s", "v"]);
  await sql`update templates set deleted_at = now()`.execute(db.query);
  assert.deepEqual(await needed(), ["b", "s"]);
  await sql`update snapshots set state = 'deleted'`.execute(db.query);
  await setDesired(db, world.admin, "one", "delete");
  await world.settle();
  assert.deepEqual(await needed(), []);
});

test("ports that listen are told when they change, held while not asked, and gone at rest", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const { node } = world;
  await createBox(db, world.admin, box("one"));
  await world.settle();
  const { boxes } = await readAssignments(db, node.id, { sshUserCa: "", gateways: [] });
  const one = boxes.find((each) => each.identity.hostName === "one");
  assert.ok(one);
  const report = (fields: Partial<BoxReport>) =>
    node.report(
      [
        {
          ...{ boxId: one.boxId, epoch: one.epoch, state: "ready", activity: null, fault: null },
          ...{ observedGeneration: one.generation, bootSerial: 0, notices: [], renewal: null },
          ...{ started: null, build: null, ports: null },
          ...fields,
        },
      ],
      { full: false },
    );
  const events = async () => {
    const { rows } = await sql<{ message: string }>`
      select message from events where kind = 'box.ports' order by id`.execute(db.query);
    return rows.map((row) => row.message);
  };
  const web = { port: 3000, isLoopback: true, program: "node" };
  await report({ ports: [web] });
  await report({ ports: [web] });
  await report({ ports: null });
  const shown = async () => (await getBox(db, world.admin, "one")).ports.map(({ port }) => port);
  assert.deepEqual(await shown(), [3000]);
  await report({ ports: [] });
  await report({ ports: [web, { ...web, port: 22 }] });
  assert.deepEqual(await events(), [
    "one listens on 3000",
    "nothing listens in one",
    "one listens on 3000, 22",
  ]);
  await report({ state: "down", ports: null });
  assert.deepEqual(await shown(), []);
});
