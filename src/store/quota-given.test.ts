// A box that changes hands takes from whoever gets it, and is refused like a new one when there is no room; and limits
// that an operator sets once for all organizations.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { testDatabase } from "#test/harness/database.ts";
import { quotaDrift } from "#test/harness/quota-drift.ts";
import { PaperWorld, recipe } from "#test/harness/world.ts";
import { addUser, createUser } from "./access.ts";
import { setDesired } from "./box-intent.ts";
import { handOver } from "./box-shares.ts";
import { createBox, getBox } from "./boxes.ts";
import { createTemplate } from "./builds.ts";
import { createCheckpoint } from "./checkpoints.ts";
import type { Database } from "./db.ts";
import { openPreview } from "./preview-changes.ts";
import {
  getInstallationLimits,
  getQuotas,
  type LimitsPatch,
  setDefaultLimits,
  setInstallationLimits,
  setLimits,
} from "./quotas.ts";
import { createTeam } from "./teams.ts";
import { forRequest } from "./tenant.ts";

async function scene(t: TestContext) {
  const { db } = await testDatabase(t);
  const world = await PaperWorld.make(db);
  const { admin } = world;
  const as = (subject: Subject) =>
    forRequest(db as Database, {
      ...{ requestId: "r", route: "boxes.update", isMutation: true, subject },
      ...{ credentialId: "c", address: "192.0.2.1", userAgent: null, resource: {} },
    });
  const create = (name: string, team: string | null = null, subject = admin) =>
    createBox(as(subject), subject, { name, template: "base", version: null, env: {}, team });
  const limitTeam = (patch: LimitsPatch) =>
    setLimits(db, admin, { scope: "team", reference: "core" }, patch);
  const move = (name: string, to: { team?: string | null; owner?: string }) =>
    handOver(as(admin), admin, name, to);
  const team = await createTeam(db, admin, "core");
  return { db, world, admin, as, create, limitTeam, move, team };
}

async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (raised: unknown) => raised,
  );
  assert.ok(error instanceof StoreRefusal, `refused, and not ${error}`);
  assert.equal(error.code, "quota_exceeded");
  return error.detail;
}

test("a box is not moved into a team that has no room for what it takes", async (t) => {
  const { db, world, admin, create, limitTeam, move, team } = await scene(t);
  await create("theirs", "core");
  await create("mine");
  await world.settle();
  for (const [limits, words] of [
    [{ boxes: 1 }, "The limit of the team core is 1 box: 1 is used (admin 1), and this needs 1"],
    [{ running: 1 }, "The limit of the team core is 1 running box:"],
    [{ cpus: 3 }, "The limit of the team core is 3 vCPUs of running boxes: 2 are used"],
    [{ diskGib: 59 }, "The limit of the team core is 59 GiB of disks:"],
    [{ boxMemoryMib: 1024 }, "A box of the team core has 1 GiB of memory at most"],
  ] as const) {
    await limitTeam(limits);
    const said = await refusal(move("mine", { team: "core" }));
    assert.ok(said.startsWith(words), said);
    await limitTeam(Object.fromEntries(Object.keys(limits).map((key) => [key, null])));
  }
  assert.equal((await getBox(db, admin, "mine")).teamId, null, "nothing of it was written");
  await limitTeam({ running: 1 });
  await setDesired(db, admin, "mine", "pause");
  await world.settle();
  await move("mine", { team: "core" });
  assert.equal((await getBox(db, admin, "mine")).teamId, team.id);
  await limitTeam({ boxes: 0, running: 0 });
  await move("mine", { team: null });
  assert.deepEqual(await quotaDrift(db), []);
});

test("of 20 boxes that are moved at once into a team with room for 3, 3 are", async (t) => {
  const { db, create, limitTeam, move } = await scene(t);
  const names = Array.from({ length: 20 }, (_, at) => `box-${at}`);
  for (const name of names) await create(name);
  await limitTeam({ boxes: 3 });
  const moved = await Promise.allSettled(names.map((name) => move(name, { team: "core" })));
  assert.equal(moved.filter(({ status }) => status === "fulfilled").length, 3);
  assert.deepEqual(await quotaDrift(db), []);
});

test("a team's checkpoints, shared ports and templates are limited for what is moved into it", async (t) => {
  const { db, world, admin, as, create, limitTeam, move } = await scene(t);
  await create("mine");
  await world.settle();
  await createCheckpoint(as(admin), admin, "mine", null);
  await openPreview(as(admin), admin, "mine", { port: 3000, visibility: "org" });
  await limitTeam({ snapshotBytes: 1 });
  assert.match(await refusal(move("mine", { team: "core" })), /of snapshots: 0 MiB are used/);
  await limitTeam({ snapshotBytes: null, sharedPorts: 0 });
  assert.match(await refusal(move("mine", { team: "core" })), /0 shared ports/);
  await createTemplate(db, admin, {
    definition: recipe({ name: "other" }),
    imageDigest: "sha256:1",
  });
  await limitTeam({ sharedPorts: null, templates: ["other"] });
  assert.match(await refusal(move("mine", { team: "core" })), /from other only/);
  await world.settle();
});

test("nobody is given a box that is over their own limit, and both at once is refused as a whole", async (t) => {
  const { db, world, admin, create, limitTeam, move } = await scene(t);
  const ada = await addUser(db, admin.orgId, { name: "ada", roles: ["member"] });
  await setLimits(db, admin, { scope: "user", reference: "ada" }, { boxes: 1 });
  await create("hers", null, ada);
  await create("mine");
  await world.settle();
  assert.match(
    await refusal(move("mine", { owner: "ada" })),
    /^The limit of the user ada is 1 box: 1 is used, and this needs 1 more\./,
  );
  assert.match(await refusal(move("mine", { owner: "ada", team: "core" })), /user ada/);
  const box = await getBox(db, admin, "mine");
  assert.deepEqual([box.ownerId, box.teamId], [admin.userId, null]);
  await setDesired(db, ada, "hers", "delete");
  await limitTeam({ boxes: 1 });
  await move("mine", { owner: "ada", team: "core" });
  assert.equal((await getBox(db, admin, "mine")).ownerId, ada.userId);
  assert.deepEqual(await quotaDrift(db), []);
});

test("what an operator sets once holds for every organization, until one has its own", async (t) => {
  const { db, admin, create } = await scene(t);
  await setInstallationLimits(db, admin, "org", { boxes: 1, cpus: 100 });
  await setInstallationLimits(db, admin, "user", { running: 1 });
  await create("one");
  assert.match(await refusal(create("two")), /^The limit of the organization default is 1 box:/);
  await setLimits(db, admin, { scope: "org", reference: "default" }, { boxes: 9 });
  assert.match(await refusal(create("two")), /^Your limit is 1 running box:/);
  await setDefaultLimits(db, admin, "user", { running: 2 });
  await create("two");
  const quotas = await getQuotas(db, admin);
  assert.deepEqual(quotas.org?.limits, { boxes: 9, cpus: 100 });
  assert.deepEqual(quotas.user.limits, { running: 2 });
  const owner = await createUser(db, { orgName: "later", name: "owner" });
  assert.deepEqual((await getQuotas(db, owner)).org?.limits, { boxes: 1, cpus: 100 });
  await assert.rejects(setInstallationLimits(db, owner, "org", { boxes: 5 }), {
    code: "forbidden",
  });
  await setInstallationLimits(db, admin, "user", { running: null });
  assert.deepEqual(await getInstallationLimits(db, admin), {
    ...{ org: { boxes: 1, cpus: 100 }, team: {}, user: {} },
  });
  assert.deepEqual((await getQuotas(db, owner)).user.limits, {});
});
