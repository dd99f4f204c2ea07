// A node is drained: everybody's boxes come to rest, and nothing that is there is called safe too early.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { systemClock } from "#lib/clock.ts";
import { placeBoxes } from "#scheduler/place-boxes.ts";
import { testDatabase } from "#test/harness/database.ts";
import { IMAGE, PaperWorld, recipe } from "#test/harness/world.ts";
import { createUser } from "./access.ts";
import { setDesired } from "./box-intent.ts";
import { createBox, getBox } from "./boxes.ts";
import { createTemplate } from "./builds.ts";
import { drainNode } from "./drain.ts";

const box = (name: string) => ({ name, template: "base", version: null, env: {} });

test("all boxes of a node are paused, whosever they are, and it is drained when the store has them", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const other = await createUser(db, { orgName: "other", name: "olga" });
  await createTemplate(db, other, { definition: recipe(), imageDigest: IMAGE });
  await world.settle();
  await createBox(db, other, box("two"));
  for (const name of ["one", "stopped"]) await createBox(db, world.admin, box(name));
  await world.settle();
  await setDesired(db, world.admin, "stopped", "stop");
  await world.settle();
  const name = world.node.id;
  const first = await drainNode(db, world.admin, name);
  assert.deepEqual([first.paused, first.endedBuilds, first.live], [2, 0, 2]);
  assert.equal(first.waitsFor[0]?.phase, "pausing");
  const again = await drainNode(db, world.admin, name);
  assert.deepEqual([again.paused, again.live], [0, 2], "what was asked is not asked again");
  await world.settle();
  const { rows } = await sql<{ name: string; phase: string }>`
    select name, phase from boxes where kind = 'user' order by name`.execute(db.query);
  assert.deepEqual(
    rows.map((row) => row.phase),
    ["paused", "stopped", "paused"],
  );
});

test("a box at rest whose snapshot only the node has is not safe yet", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  await createBox(db, world.admin, box("one"));
  await world.settle();
  world.node.uploads = false;
  await drainNode(db, world.admin, world.node.id);
  await world.settle();
  const early = await drainNode(db, world.admin, world.node.id);
  assert.deepEqual([early.live, early.unsaved, early.waitsFor[0]?.phase], [0, 1, "uploading"]);
  world.node.uploads = true;
  await world.settle();
  const done = await drainNode(db, world.admin, world.node.id);
  assert.deepEqual([done.live, done.unsaved, done.waitsFor], [0, 0, []]);
});

test("a build ends, and a box that is being stopped stays stopped", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  await createBox(db, world.admin, box("one"));
  await world.settle();
  await setDesired(db, world.admin, "one", "stop");
  await setDesired(db, world.admin, "one", "start");
  const definition = recipe({ name: "other" });
  await createTemplate(db, world.admin, { definition, imageDigest: IMAGE });
  const { node } = world;
  await placeBoxes(db, systemClock);
  const drain = await drainNode(db, world.admin, node.id);
  assert.equal(drain.endedBuilds, 1);
  await world.settle();
  assert.equal((await getBox(db, world.admin, "one")).phase, "stopped");
  assert.equal(node.boxes.size, 0);
});
