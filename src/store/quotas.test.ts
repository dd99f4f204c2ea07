// Quotas on a real Postgres: what is reserved when it is asked for, given back once, refused with words that help; and
// what triggers count is what a recount finds, whatever happened.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { sql } from "kysely";
import type { UserId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { systemClock } from "#lib/clock.ts";
import { takeOverBoxes } from "#scheduler/take-over.ts";
import { testDatabase } from "#test/harness/database.ts";
import { PaperNode } from "#test/harness/paper-node.ts";
import { quotaDrift } from "#test/harness/quota-drift.ts";
import { PaperWorld, recipe } from "#test/harness/world.ts";
import { addUser, createUser } from "./access.ts";
import { setDesired } from "./box-intent.ts";
import { createBox, getBox } from "./boxes.ts";
import { createTemplate } from "./builds.ts";
import { createCheckpoint } from "./checkpoints.ts";
import type { Database, Db } from "./db.ts";
import { forkBox } from "./forks.ts";
import { expireNodes, removeNode } from "./nodes.ts";
import { closePreview, openPreview, setVisibility } from "./preview-changes.ts";
import {
  foldQuotas,
  getOrgQuota,
  getQuotas,
  type Holder,
  type LimitsPatch,
  listQuotas,
  setDefaultLimits,
  setLimits,
} from "./quotas.ts";
import { deleteSnapshot } from "./snapshots.ts";
import { createTeam, deleteTeam } from "./teams.ts";
import { forRequest } from "./tenant.ts";

const ORG: Holder = { scope: "org", reference: "default" };

class Scene {
  readonly world: PaperWorld;
  readonly db: Db;
  readonly admin: Subject;

  constructor(world: PaperWorld) {
    this.world = world;
    this.db = world.db;
    this.admin = world.admin;
  }

  static async make(t: TestContext): Promise<Scene> {
    const { db } = await testDatabase(t);
    return new Scene(await PaperWorld.make(db));
  }

  /** The database as a request of theirs has it. */
  as(subject: Subject): Db {
    return forRequest(this.db as Database, {
      ...{ requestId: "r", route: "boxes.create", isMutation: true, subject },
      ...{ credentialId: "c", address: "192.0.2.1", userAgent: null, resource: {} },
    });
  }

  create(name: string, subject = this.admin, team: string | null = null) {
    const input = { name, template: "base", version: null, env: {}, team };
    return createBox(this.as(subject), subject, input);
  }

  async member(name: string): Promise<Subject> {
    return addUser(this.db, this.admin.orgId, { name, roles: ["member"] });
  }

  limit(patch: LimitsPatch, holder = ORG) {
    return setLimits(this.db, this.admin, holder, patch);
  }

  async usage() {
    const { usage } = await getOrgQuota(this.db, this.admin, "default");
    return usage;
  }

  /** What differs from nothing, to be read at a glance. */
  async taken() {
    const { boxes, running, cpus, memoryMib, diskGib } = await this.usage();
    return [boxes, running, cpus, memoryMib, diskGib];
  }

  async settle() {
    await this.world.settle();
    assert.deepEqual(await quotaDrift(this.db), []);
  }
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

test("what a box takes is reserved when it is asked for, and given back when it is not taken any more", async (t) => {
  const scene = await Scene.make(t);
  const { db, admin } = scene;
  assert.deepEqual(await scene.taken(), [0, 0, 0, 0, 0], "the builder is gone");
  await scene.create("one");
  assert.deepEqual(await scene.taken(), [1, 1, 2, 2048, 30], "before anything has happened");
  await scene.settle();
  await setDesired(db, admin, "one", "pause");
  assert.deepEqual(await scene.taken(), [1, 1, 2, 2048, 30], "until it is at rest");
  await scene.settle();
  assert.deepEqual(await scene.taken(), [1, 0, 0, 0, 30]);
  await setDesired(db, admin, "one", "resume");
  assert.deepEqual(await scene.taken(), [1, 1, 2, 2048, 30]);
  await scene.settle();
  await setDesired(db, admin, "one", "delete");
  assert.deepEqual(await scene.taken(), [0, 0, 0, 0, 0], "at once, whatever its node does");
  await setDesired(db, admin, "one", "delete");
  await scene.settle();
  assert.deepEqual(await scene.taken(), [0, 0, 0, 0, 0], "and once");
});

test("a refusal says which limit, who uses it, and what the asker can free", async (t) => {
  const scene = await Scene.make(t);
  const ada = await scene.member("ada");
  await scene.create("mine");
  await scene.create("hers-1", ada);
  await scene.create("hers-2", ada);
  await scene.limit({ running: 3 });
  assert.equal(
    await refusal(scene.create("more", ada)),
    "The limit of the organization default is 3 running boxes: 3 are used (ada 2, admin 1), and this needs 1 more. Pause or stop hers-1 or hers-2 to make room.",
  );
  assert.match(await refusal(scene.create("more")), /Pause or stop mine, hers-1 or hers-2 to make/);
  const bob = await scene.member("bob");
  assert.match(await refusal(scene.create("more", bob)), /None of it is yours to free\.$/);
  assert.deepEqual(await scene.taken(), [3, 3, 6, 6144, 90], "nothing of it was written");
  await setDesired(scene.db, ada, "hers-1", "stop");
  await scene.settle();
  await scene.create("more", bob);
  assert.match(await refusal(setDesired(scene.as(ada), ada, "hers-1", "start")), /needs 1 more/);
  await setDesired(scene.db, ada, "hers-2", "delete");
  await setDesired(scene.db, ada, "hers-1", "start");
  await scene.settle();
});

test("every limit holds: the user's own, the one of everybody, the team's, the organization's", async (t) => {
  const scene = await Scene.make(t);
  const { db, admin } = scene;
  const ada = await scene.member("ada");
  const bob = await scene.member("bob");
  const team = await createTeam(db, admin, "core");
  await setDefaultLimits(db, admin, "user", { boxes: 1, cpus: 100 });
  await scene.limit({ boxes: 2 }, { scope: "user", reference: "ada" });
  await scene.create("a1", ada);
  await scene.create("b1", bob);
  assert.match(
    await refusal(scene.create("b2", bob)),
    /^Your limit is 1 box: 1 is used, and this needs 1 more\. Delete b1 to make room\.$/,
  );
  await scene.create("a2", ada);
  assert.match(await refusal(scene.create("a3", ada)), /^Your limit is 2 boxes/);
  await setDefaultLimits(db, admin, "user", { boxes: null });
  await scene.create("b2", bob);
  await scene.limit({ memoryMib: 3000 }, { scope: "team", reference: "core" });
  await scene.create("t1", admin, "core");
  assert.match(
    await refusal(scene.create("t2", admin, "core")),
    /^The limit of the team core is 3000 MiB of memory of running boxes: 2 GiB are used \(admin 2 GiB\)/,
  );
  await scene.limit({ boxes: 5 });
  assert.match(
    await refusal(scene.create("t2")),
    /^The limit of the organization default is 5 boxes/,
  );
  const quotas = await getQuotas(db, ada);
  assert.deepEqual(quotas.user.limits, { boxes: 2, cpus: 100 });
  assert.deepEqual([quotas.user.usage.boxes, quotas.org], [2, null]);
  assert.equal((await getQuotas(db, admin)).org?.usage.boxes, 5);
  const [listed] = await listQuotas(db, admin, { scope: "team", after: null, limit: 5 });
  assert.deepEqual([listed?.id, listed?.usage.boxes], [team.id, 1]);
  // What leaves a team is the team's no more.
  await deleteTeam(db, admin, "core");
  await scene.settle();
});

test("sizes and templates can be limited, for forks too", async (t) => {
  const scene = await Scene.make(t);
  const { db, admin } = scene;
  await createTemplate(db, admin, {
    definition: recipe({ name: "other" }),
    imageDigest: "sha256:1",
  });
  await scene.settle();
  await scene.create("one");
  await scene.settle();
  await scene.limit({ templates: ["other"] });
  assert.match(await refusal(scene.create("two")), /can be made from other only/);
  assert.match(
    await refusal(forkBox(scene.as(admin), admin, "one", { count: 1, names: null })),
    /can be made from other only/,
  );
  await scene.limit({ templates: null, boxMemoryMib: 1024 });
  assert.match(
    await refusal(scene.create("two")),
    /1 GiB of memory at most, and this one would have 2 GiB/,
  );
  await assert.rejects(scene.limit({ templates: ["none"] }), { code: "not_found" });
});

test("a fork counts each of its children, and all of them or none are made", async (t) => {
  const scene = await Scene.make(t);
  const { db, admin } = scene;
  await scene.create("one");
  await scene.settle();
  await scene.limit({ boxes: 3 });
  assert.match(await refusal(forkBox(db, admin, "one", { count: 3, names: null })), /3 boxes/);
  assert.equal((await scene.usage()).boxes, 1);
  await forkBox(db, admin, "one", { count: 2, names: ["two", "three"] });
  await scene.settle();
  assert.equal((await scene.usage()).boxes, 3);
});

test("boxes of an hour are counted also when they are gone, until the hour is over", async (t) => {
  const scene = await Scene.make(t);
  await scene.limit({ createsPerHour: 2 });
  for (const name of ["one", "two"]) {
    await scene.create(name);
    await setDesired(scene.db, scene.admin, name, "delete");
  }
  assert.match(await refusal(scene.create("three")), /2 boxes created in an hour:.*Wait until/);
  await sql`update boxes set created_at = created_at - interval '61 minutes' where name = 'one'`.execute(
    scene.db.query,
  );
  await scene.create("three");
});

test("builders take compute and disk, and are nobody's boxes", async (t) => {
  const scene = await Scene.make(t);
  const { db, admin } = scene;
  await scene.limit({ boxes: 0, running: 0, cpus: 2 });
  const build = (name: string) =>
    createTemplate(scene.as(admin), admin, {
      definition: recipe({ name }),
      imageDigest: "sha256:1",
    });
  await build("two");
  assert.deepEqual(await scene.taken(), [0, 0, 2, 2048, 30]);
  assert.match(await refusal(build("three")), /2 vCPUs of running boxes/);
  await scene.settle();
  assert.deepEqual(await scene.taken(), [0, 0, 0, 0, 0]);
  await build("three");
  await db.query
    .selectFrom("templates")
    .select("id")
    .where("name", "=", "three")
    .executeTakeFirstOrThrow();
});

test("a checkpoint counts as the most that it can be, then as what it is; a pause is never refused", async (t) => {
  const scene = await Scene.make(t);
  const { db, admin } = scene;
  await scene.create("one");
  await scene.settle();
  const before = (await scene.usage()).snapshotBytes;
  await scene.limit({ snapshotBytes: before + 10 * 1024 ** 3 });
  assert.match(
    await refusal(createCheckpoint(scene.as(admin), admin, "one", null)),
    /of snapshots: .* and this needs 32 GiB more/,
  );
  await scene.limit({ snapshotBytes: before + 33 * 1024 ** 3 });
  const { snapshot } = await createCheckpoint(db, admin, "one", null);
  assert.equal((await scene.usage()).snapshotBytes, before + 32 * 1024 ** 3);
  assert.match(
    await refusal(createCheckpoint(scene.as(admin), admin, "one", null)),
    /Delete checkpoints of one to make room/,
  );
  await scene.settle();
  const taken = (await scene.usage()).snapshotBytes;
  assert.ok(taken < before + 1024 ** 3, `${taken} bytes`);
  await scene.limit({ snapshotBytes: 0 });
  await setDesired(db, admin, "one", "pause");
  await scene.settle();
  assert.equal((await getBox(db, admin, "one")).phase, "paused");
  const { storedBytes } = await deleteSnapshot(db, admin, snapshot.id).then((a) => a.snapshot);
  assert.ok((storedBytes ?? 0) >= 0);
  await scene.settle();
});

test("a shared port counts while it is shared", async (t) => {
  const scene = await Scene.make(t);
  const { db, admin } = scene;
  await scene.create("one");
  await scene.limit({ sharedPorts: 1 });
  const as = scene.as(admin);
  const first = await openPreview(as, admin, "one", { port: 3000, visibility: "org" });
  const second = await openPreview(as, admin, "one", { port: 4000, visibility: null });
  assert.match(
    await refusal(setVisibility(as, admin, second.id, "public")),
    /1 shared port:.*Close or make private the previews of one/,
  );
  await refusal(openPreview(as, admin, "one", { port: 5000, visibility: "org" }));
  await setVisibility(db, admin, first.id, "public");
  await closePreview(db, admin, first.id);
  await setVisibility(db, admin, second.id, "org");
  assert.equal((await scene.usage()).sharedPorts, 1);
  await setVisibility(db, admin, second.id, "private");
  assert.equal((await scene.usage()).sharedPorts, 0);
  assert.deepEqual(await quotaDrift(db), []);
});

test("what Berth does by itself is counted and never refused: takes over, keeps what a node had left", async (t) => {
  const scene = await Scene.make(t);
  const { db, world, admin } = scene;
  await scene.create("one");
  await scene.settle();
  for (const verb of ["pause", "resume"] as const) {
    await setDesired(db, admin, "one", verb);
    await scene.settle();
  }
  const [lost] = world.nodes.splice(0, 1) as [PaperNode];
  world.nodes.push(await PaperNode.join(db, admin, { name: "other" }));
  await scene.limit({ boxes: 0, running: 0, cpus: 0, memoryMib: 0, diskGib: 0, snapshotBytes: 0 });
  await sql`update nodes set lease_until = now() - interval '1 hour' where id = ${lost.id}`.execute(
    db.query,
  );
  await expireNodes(db);
  await sql`update nodes set status_since = now() - interval '1 hour' where id = ${lost.id}`.execute(
    db.query,
  );
  assert.equal(await takeOverBoxes(db, systemClock, 60_000), 1);
  await scene.settle();
  assert.equal((await getBox(db, admin, "one")).node?.name, "other");
  assert.deepEqual((await scene.taken()).slice(0, 2), [1, 1]);
  // The lost node comes back with what it still had.
  world.nodes.push(lost);
  for (let turn = 0; turn < 6; turn += 1) await scene.settle();
  assert.deepEqual((await scene.taken()).slice(0, 2), [1, 1], "the stray is no second box");
});

test("a box that a removed node took with it does not run; starting it is asked for anew", async (t) => {
  const scene = await Scene.make(t);
  const { db, world, admin } = scene;
  await scene.create("one");
  await scene.settle();
  await removeNode(db, admin, world.node.id);
  world.nodes.splice(0);
  assert.equal((await getBox(db, admin, "one")).phase, "failed");
  assert.deepEqual(await scene.taken(), [1, 0, 0, 0, 30]);
  await scene.limit({ running: 0 });
  await refusal(setDesired(scene.as(admin), admin, "one", "start"));
  await scene.limit({ running: 1 });
  await setDesired(db, admin, "one", "start");
  assert.deepEqual(await scene.taken(), [1, 1, 2, 2048, 30]);
  await setDesired(db, admin, "one", "delete");
  await scene.settle();
  assert.deepEqual(await scene.taken(), [0, 0, 0, 0, 0]);
});

test("a pause that fails leaves the box running and counted", async (t) => {
  const scene = await Scene.make(t);
  const { db, world, admin } = scene;
  await scene.create("one");
  await scene.settle();
  await scene.limit({ running: 1 });
  world.node.failing.add("pause");
  await setDesired(db, admin, "one", "pause");
  // Its memory is not given to somebody else before it is free.
  await refusal(scene.create("two"));
  await scene.settle();
  assert.equal((await getBox(db, admin, "one")).phase, "running");
  assert.deepEqual((await scene.taken()).slice(0, 2), [1, 1]);
});

test("sums are folded while they are added to, and nothing is lost or seen twice", async (t) => {
  const scene = await Scene.make(t);
  const { db, admin } = scene;
  let isOver = false;
  const folding = (async () => {
    while (!isOver) {
      await foldQuotas(db, 7);
      assert.deepEqual(await quotaDrift(db), []);
    }
  })();
  await Promise.all(
    Array.from({ length: 8 }, async (_, index) => {
      for (let round = 0; round < 5; round += 1) {
        const name = `box-${index}-${round}`;
        await scene.create(name);
        if (round % 2 === 0) await setDesired(db, admin, name, "delete");
      }
    }),
  );
  isOver = true;
  await folding;
  assert.equal((await scene.usage()).boxes, 16);
  while ((await foldQuotas(db, 1000)) > 0);
  assert.deepEqual(await quotaDrift(db), []);
  assert.equal((await scene.usage()).boxes, 16);
  const { rows } = await sql<{ count: number }>`select count(*) as count from quota_deltas`.execute(
    db.query,
  );
  assert.equal(rows[0]?.count, 0);
});

test("limits are set by those who may: operators for organizations, quota.manage within one", async (t) => {
  const scene = await Scene.make(t);
  const { db, admin } = scene;
  const ada = await scene.member("ada");
  const owner = await createUser(db, { orgName: "other", name: "olga" });
  const user: Holder = { scope: "user", reference: "ada" };
  for (const [subject, holder] of [
    [ada, user],
    [ada, ORG],
    [owner, { scope: "org", reference: "other" }],
  ] as const)
    await assert.rejects(setLimits(db, subject, holder, { boxes: 9 }), { code: "forbidden" });
  await assert.rejects(setLimits(db, owner, user, { boxes: 9 }), { code: "not_found" });
  await setLimits(db, admin, { scope: "org", reference: "other" }, { boxes: 1, cpus: 4 });
  const changed = await setLimits(db, admin, { scope: "org", reference: "other" }, { cpus: null });
  assert.deepEqual(changed.limits, { boxes: 1 });
  await setLimits(db, owner, { scope: "user", reference: owner.userId }, { boxes: 100 });
  await assert.rejects(
    setLimits(db, admin, { scope: "user", reference: "usr_0" as UserId }, { boxes: 1 }),
    { code: "not_found" },
  );
  const { rows } = await sql<{ message: string; actor: string }>`
    select message, actor from events where kind = 'quota.updated' and org_id = ${owner.orgId} order by id`.execute(
    db.query,
  );
  assert.deepEqual(
    rows.map(({ message }) => message),
    ["limits of other: boxes 1, cpus 4", "limits of other: boxes 1", "limits of olga: boxes 100"],
  );
});
