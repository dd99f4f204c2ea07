// What guests send is counted exactly, from the host to the sums: over a pause, a resume elsewhere, a death of the agent,
// and reports that arrive twice.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { setDesired } from "#store/box-intent.ts";
import { createBox } from "#store/boxes.ts";
import { World } from "./world.ts";

test("each byte that leaves a box is counted once", { timeout: 300_000 }, async (t) => {
  const world = await World.make(t, 2, {
    onAgentStep: async () => {},
    onServerStep: async () => {},
    fateOf: (what) => (what === "report" ? "twice" : "delivered"),
    beats: { runs: () => {}, halts: () => {} },
  });
  const { db, admin } = world;
  const settle = async () => {
    for (let quiet = 0; quiet < 3; ) quiet = (await world.turn()) ? quiet + 1 : 0;
  };
  await world.makeTemplate("base", null);
  await settle();
  const input = { name: "one", template: "base", version: null, env: {} };
  const { id } = (await createBox(db, admin, input)).box;
  await settle();
  let sent = 0;
  const send = (bytes: number) => {
    for (const { host } of world.nodes) if (host.get(id)) host.sendOut(id, bytes);
    sent += bytes;
  };
  const counted = async () => {
    const { rows } = await sql<{ bytes: number }>`
      select coalesce(sum(amount), 0)::float8 as bytes from (
        select amount from usage_counts where box_id = ${id}
        union all select amount from usage_rollups where box_id = ${id} and resource = 'egress') as all_of_it`.execute(
      db.query,
    );
    return rows[0]?.bytes;
  };
  send(1000);
  for (const node of world.nodes) await node.act((agent) => agent.careForGuests());
  await settle();
  assert.equal(await counted(), sent, "while it runs");
  send(200);
  await setDesired(db, admin, id, "pause");
  await settle();
  assert.equal(await counted(), sent, "of a box that has left its node");
  await setDesired(db, admin, id, "resume");
  await settle();
  send(30);
  for (const node of world.nodes) node.crash();
  await settle();
  send(4);
  await setDesired(db, admin, id, "restart");
  await settle();
  send(5000);
  await setDesired(db, admin, id, "stop");
  await settle();
  assert.equal(await counted(), sent, "over epochs, networks and agents");
});
