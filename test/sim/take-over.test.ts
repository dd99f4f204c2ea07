// A node is cut off, its box runs elsewhere, and it comes back: with real agents, which die at every step of it, as
// does the server. What the cut-off node still wrote is never run again, and can be gone back to.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { sql } from "kysely";
import { FailpointError } from "#lib/failpoint.ts";
import { takeOverBoxes } from "#scheduler/take-over.ts";
import { setDesired } from "#store/box-intent.ts";
import { createBox, getBox } from "#store/boxes.ts";
import { restoreCheckpoint } from "#store/checkpoints.ts";
import { listSnapshots } from "#store/snapshots.ts";
import { quotaDrift } from "#test/harness/quota-drift.ts";
import { TENANT_DISK } from "./model.ts";
import { type SimNode, World } from "./world.ts";

const TURNS_MAX = 60;
const LOST_AFTER_MS = 600_000;

/** Must be among what the story passes. */
const PASSES = [
  ...["scheduler.take_over.before_commit", "scheduler.take_over.committed"],
  ...["driver.start.renewed", "agent.assignments.received", "agent.shutdown.begun"],
  ...["driver.snapshot.committed", "agent.upload.done", "store.stray.end.committed"],
];

class Story {
  readonly world: World;
  readonly passed = new Set<string>();
  isRecording = false;
  crashAt: string | null = null;
  /** Boxes that execute, by host; a cut-off one counts until it is heard again. */
  readonly runs: string[] = [];

  private constructor(world: World) {
    this.world = world;
  }

  static async make(t: TestContext): Promise<Story> {
    let story: Story | null = null;
    const world = await World.make(t, 2, {
      onAgentStep: async (node, name) => story?.passedBy(node, name),
      onServerStep: async (name) => story?.passedBy(null, name),
      fateOf: () => "delivered",
      beats: {
        runs: (boxId, epoch) => void story?.runs.push(`${boxId} ${epoch}`),
        halts: () => {},
      },
    });
    story = new Story(world);
    await world.makeTemplate("base", null);
    await story.settle();
    return story;
  }

  passedBy(node: SimNode | null, name: string): void {
    if (this.isRecording) this.passed.add(name);
    if (this.crashAt !== name) return;
    this.crashAt = null;
    if (!node) throw new FailpointError(name);
    node.crash();
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < TURNS_MAX; turn += 1)
      if ((await this.world.turn()) && turn > 1)
        return assert.deepEqual(await quotaDrift(this.world.db), []);
    throw new Error("it does not settle");
  }

  async find(name: string) {
    return getBox(this.world.db, this.world.admin, name);
  }

  async diskOf(name: string): Promise<string | undefined> {
    const { id, node } = await this.find(name);
    const at = this.world.nodes.find((one) => one.id === node?.id);
    return at?.host.get(id)?.disk[TENANT_DISK];
  }

  async write(name: string, text: string): Promise<void> {
    const { id, node } = await this.find(name);
    const host = this.world.nodes.find((one) => one.id === node?.id)?.host;
    const box = host?.get(id);
    assert.ok(box?.state === "ready", `${name} is ${box?.state}`);
    host?.put({ ...box, disk: { ...box.disk, [TENANT_DISK]: text } });
  }

  /** Up to where it is taken over: safe in the store with `before`, running with `after`, its node cut off. */
  async begin(name: string): Promise<SimNode> {
    const { db, admin, nodes } = this.world;
    await createBox(db, admin, { name, template: "base", version: null, env: {} });
    await this.settle();
    await this.write(name, "before");
    for (const verb of ["pause", "resume"] as const) {
      await setDesired(db, admin, name, verb);
      await this.settle();
    }
    await this.write(name, "after");
    const { node } = await this.find(name);
    const at = nodes.findIndex((one) => one.id === node?.id);
    const [lost] = nodes.splice(at, 1);
    await this.world.expireLease(lost!);
    await this.world.loops.expire();
    await sql`update nodes set status_since = now() - interval '11 minutes'
      where id = ${lost!.id}`.execute(db.query);
    return lost!;
  }

  /** A server that died looks again. */
  async takeOver(): Promise<void> {
    for (let tries = 0; tries < 2; tries += 1)
      try {
        await takeOverBoxes(this.world.db, this.world.clock, LOST_AFTER_MS);
      } catch (error) {
        if (!(error instanceof FailpointError)) throw error;
      }
  }

  async end(name: string, lost: SimNode): Promise<void> {
    const old = await this.find(name);
    await this.takeOver();
    await this.settle();
    const taken = await this.find(name);
    assert.deepEqual([taken.phase, taken.epoch], ["running", old.epoch + 1]);
    assert.notEqual(taken.node?.id, lost.id);
    assert.equal(await this.diskOf(name), "before");
    assert.equal(lost.host.get(old.id)?.disk[TENANT_DISK], "after", "it runs on, cut off");
    this.world.nodes.push(lost);
    await this.settle();
    await this.settle();
    assert.equal(lost.host.get(old.id), null, "nothing of it is left there");
    const begun = this.runs.filter((one) => one === `${old.id} ${old.epoch}`).length;
    assert.equal(begun, 1, "the old epoch was never started again");
    const now = await this.find(name);
    assert.deepEqual(
      [now.phase, now.epoch, now.node?.id],
      ["running", taken.epoch, taken.node?.id],
    );
  }

  /** What the cut-off node wrote is what one goes back to. */
  async goBack(name: string, why: string): Promise<void> {
    const { db, admin } = this.world;
    const snapshots = await listSnapshots(db, admin, { after: null, limit: 50, box: name });
    const left = snapshots.filter((one) => one.name?.startsWith("left on "));
    assert.deepEqual(
      left.map(({ state }) => state),
      ["durable"],
      why,
    );
    await restoreCheckpoint(db, admin, name, left[0]?.id ?? "");
    await this.settle();
    assert.equal((await this.find(name)).phase, "running", why);
    assert.equal(await this.diskOf(name), "after", why);
  }
}

test("a cut-off node: agent and server die at each step of the take-over and of its return", {
  timeout: 600_000,
}, async (t) => {
  const story = await Story.make(t);
  const lost = await story.begin("first");
  story.isRecording = true;
  await story.end("first", lost);
  story.isRecording = false;
  await story.goBack("first", "without a crash");
  for (const name of PASSES) assert.ok(story.passed.has(name), `${name} is not passed`);
  for (const point of [...story.passed].sort()) {
    const name = `box-${point.replace(/[^a-z]/g, "-")}`.slice(0, 40);
    const node = await story.begin(name);
    story.crashAt = point;
    await story.end(name, node);
    assert.equal(story.crashAt, null, `nothing died at ${point}`);
    await story.goBack(name, `after a crash at ${point}`);
    await setDesired(story.world.db, story.world.admin, name, "delete");
    await story.settle();
  }
  t.diagnostic(`${story.passed.size} crash points`);
});
