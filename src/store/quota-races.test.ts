// Quotas while everything happens at once: users, a node's reports, loops. Nothing deadlocks, no limit is passed, and what is
// counted is what there is.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { StoreRefusal } from "#domain/refusal.ts";
import { testDatabase } from "#test/harness/database.ts";
import { quotaDrift } from "#test/harness/quota-drift.ts";
import { PaperWorld } from "#test/harness/world.ts";
import { addUser } from "./access.ts";
import { type Intent, setDesired } from "./box-intent.ts";
import { handOver } from "./box-shares.ts";
import { createBoxOnce } from "./boxes.ts";
import { createCheckpoint } from "./checkpoints.ts";
import { forkBox } from "./forks.ts";
import { openPreview, setVisibility } from "./preview-changes.ts";
import { foldQuotas, getOrgQuota, setDefaultLimits, setLimits } from "./quotas.ts";
import { createTeam } from "./teams.ts";
import { wakeBox } from "./wake-box.ts";

const USERS = 6;
const ROUNDS = 25;
const RUNNING = 8;
const BOXES = 20;
const INTENTS: readonly Intent[] = ["start", "pause", "stop", "restart", "delete"];

test("at limits, with all at once: no deadlock, nobody over a limit, nothing miscounted", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const { admin } = world;
  await setLimits(
    db,
    admin,
    { scope: "org", reference: "default" },
    { running: RUNNING, boxes: BOXES },
  );
  await setDefaultLimits(db, admin, "user", { boxes: 6, snapshotBytes: 2 ** 40, sharedPorts: 2 });
  await createTeam(db, admin, "core");
  await setLimits(
    db,
    admin,
    { scope: "team", reference: "core" },
    { boxes: 5, running: 3, sharedPorts: 4, snapshotBytes: 2 ** 40 },
  );
  let isOver = false;
  const until = async (work: () => Promise<unknown>) => {
    while (!isOver) await work();
  };
  const seen = { running: 0, boxes: 0, refused: 0, done: 0 };
  const background = [
    until(() => world.turn()),
    until(() => foldQuotas(db, 20)),
    until(async () => {
      const { usage } = await getOrgQuota(db, admin, "default");
      seen.running = Math.max(seen.running, usage.running);
      seen.boxes = Math.max(seen.boxes, usage.boxes);
      assert.deepEqual(await quotaDrift(db), []);
    }),
  ];
  const asked = async (work: Promise<unknown>) => {
    try {
      await work;
      seen.done += 1;
    } catch (error) {
      if (!(error instanceof StoreRefusal)) throw error;
      if (error.code === "quota_exceeded") seen.refused += 1;
    }
  };
  const users = Array.from({ length: USERS }, async (_, who) => {
    const subject = await addUser(db, admin.orgId, { name: `user-${who}`, roles: ["member"] });
    for (let round = 0; round < ROUNDS; round += 1) {
      const name = `box-${who}-${round % 5}`;
      const input = { name, template: "base", version: null, env: {} };
      const intent = INTENTS[(round * 7 + who) % INTENTS.length] as Intent;
      await asked(createBoxOnce(db, subject, null, input, () => null));
      await asked(forkBox(db, subject, name, { count: 2, names: null }));
      await asked(createCheckpoint(db, subject, name, null));
      await asked(openPreview(db, subject, name, { port: 3000 + round, visibility: "org" }));
      await asked(handOver(db, admin, name, { team: round % 3 === 0 ? null : "core" }));
      await asked(setDesired(db, subject, name, intent));
    }
  });
  // Ports are shared and not, and boxes come to other owners, while all of that happens.
  const names = Array.from({ length: USERS * 5 }, (_, at) => `box-${at % USERS}-${at % 5}`);
  const passing = until(async () => {
    for (const name of names) {
      const { rows } = await sql<{ id: string; visibility: string; owner_id: string }>`
        select p.id, p.visibility, b.owner_id from boxes b
        left join previews p on p.box_id = b.id and p.closed_at is null
        where b.name = ${name} and b.deleted_at is null limit 1`.execute(db.query);
      const [found] = rows;
      if (!found) continue;
      const visibility = found.visibility === "private" ? "org" : "private";
      await Promise.all([
        asked(handOver(db, admin, name, { owner: admin.userId, team: "core" })),
        ...(found.id ? [asked(setVisibility(db, admin, found.id, visibility))] : []),
      ]);
      await asked(handOver(db, admin, name, { owner: found.owner_id, team: null }));
      if (isOver) return;
    }
  });
  background.push(passing);
  await Promise.all(users).finally(() => {
    isOver = true;
  });
  await Promise.all(background);
  assert.ok(seen.refused > 20 && seen.done > 50, JSON.stringify(seen));
  assert.ok(seen.running <= RUNNING && seen.boxes <= BOXES, JSON.stringify(seen));
  await world.settle();
  assert.deepEqual(await quotaDrift(db), []);
  const { rows } = await sql<{ deadlocks: number }>`
    select deadlocks from pg_stat_database where datname = current_database()`.execute(db.query);
  assert.equal(rows[0]?.deadlocks, 0);
  t.diagnostic(JSON.stringify(seen));
});

test("a box at rest that somebody comes for is not started over a limit", async (t) => {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const { admin } = world;
  const input = { name: "one", template: "base", version: null, env: {} };
  await createBoxOnce(db, admin, null, input, () => null);
  await world.settle();
  const { box } = await setDesired(db, admin, "one", "pause");
  await world.settle();
  await setLimits(db, admin, { scope: "user", reference: admin.userId }, { running: 0 });
  const wake = () =>
    wakeBox(db, { boxId: box.id, userId: admin.userId, credentialId: null, door: "ssh" });
  await assert.rejects(wake(), { code: "quota_exceeded" });
  await setLimits(db, admin, { scope: "user", reference: admin.userId }, { running: 1 });
  assert.equal(await wake(), "resuming");
});
