// The agent, or the server, dies at every failpoint of every transition, one after the other. The names are
// those that a run without a crash passes; a list of the most important ones guards against their loss.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { FailpointError } from "#lib/failpoint.ts";
import { setDesired } from "#store/box-intent.ts";
import { createBox, getBox } from "#store/boxes.ts";
import { createCheckpoint, restoreCheckpoint } from "#store/checkpoints.ts";
import { forkBox } from "#store/forks.ts";
import { getTemplate } from "#store/templates.ts";
import { quotaDrift } from "#test/harness/quota-drift.ts";
import { TENANT_DISK, TENANT_MEMORY } from "./model.ts";
import { type SimNode, World } from "./world.ts";

const TURNS_MAX = 60;
const TEXT = "what the guest knows";

type Target = "running" | "paused" | "stopped" | "deleted";

interface Flow {
  /** State of the box before. */
  readonly from: Target | null;
  readonly to: Target;
  /** Whether what was in the guest's memory is still there in the end. */
  readonly keepsMemory: boolean;
  /** Must be among the names that the flow passes. */
  readonly passes: readonly string[];
  ask(scene: Scene, name: string): Promise<unknown>;
}

/** Calls the store as a user would, again when the server died before it answered. */
const intent =
  (what: "pause" | "resume" | "stop" | "start" | "restart" | "delete") =>
  ({ world }: Scene, name: string) =>
    setDesired(world.db, world.admin, name, what);

const START = [
  "agent.start.begun",
  "driver.start.prepared",
  "driver.start.launched",
  "agent.start.done",
];
const SNAPSHOT = [
  ...["agent.snapshot.begun", "driver.snapshot.frozen", "driver.snapshot.written"],
  ...["driver.snapshot.committed", "driver.snapshot.released", "agent.snapshot.done"],
  ...["agent.upload.begun", "objects.upload.committed", "agent.upload.done"],
];
const REPORT = [
  "agent.report.built",
  "agent.report.answered",
  "store.report.before_commit",
  "store.report.committed",
];
const PLACE = [
  "scheduler.place.before_commit",
  "scheduler.place.committed",
  "agent.assignments.received",
];

const FLOWS: Readonly<Record<string, Flow>> = {
  create: {
    ...{ from: null, to: "running", keepsMemory: false },
    passes: [...START, ...REPORT, ...PLACE, "driver.start.renewed", "store.box.create.committed"],
    ask: ({ world }, name) =>
      createBox(world.db, world.admin, { name, template: "base", version: null, env: {} }),
  },
  pause: {
    ...{ from: "running", to: "paused", keepsMemory: true },
    passes: [...SNAPSHOT, ...REPORT, "store.box.pause.committed"],
    ask: intent("pause"),
  },
  resume: {
    ...{ from: "paused", to: "running", keepsMemory: true },
    passes: [...START, ...REPORT, ...PLACE, "store.box.resume.committed"],
    ask: intent("resume"),
  },
  stop: {
    ...{ from: "running", to: "stopped", keepsMemory: false },
    passes: [...SNAPSHOT, ...REPORT, "driver.shutdown.done", "store.box.stop.committed"],
    ask: intent("stop"),
  },
  start: {
    ...{ from: "stopped", to: "running", keepsMemory: false },
    passes: [...START, ...REPORT, ...PLACE, "store.box.start.committed"],
    ask: intent("start"),
  },
  restart: {
    ...{ from: "running", to: "running", keepsMemory: false },
    passes: ["driver.shutdown.done", "driver.start.launched", "store.box.restart.committed"],
    ask: intent("restart"),
  },
  fork: {
    ...{ from: "running", to: "running", keepsMemory: true },
    passes: [...SNAPSHOT.slice(0, 6), ...START, ...REPORT, ...PLACE, "store.box.fork.committed"],
    ask: ({ world }, name) =>
      forkBox(world.db, world.admin, name, { count: 1, names: [`${name}-child`] }),
  },
  checkpoint: {
    ...{ from: "running", to: "running", keepsMemory: true },
    passes: [...SNAPSHOT, ...REPORT],
    ask: ({ world }, name) => createCheckpoint(world.db, world.admin, name, `of ${name}`),
  },
  restore: {
    ...{ from: "running", to: "running", keepsMemory: true },
    passes: [...SNAPSHOT, ...START, ...REPORT, ...PLACE, "store.box.restore.committed"],
    async ask(scene, name) {
      const { world } = scene;
      const checkpoint = scene.checkpoints.get(name);
      if (checkpoint) return restoreCheckpoint(world.db, world.admin, name, checkpoint);
      const made = await createCheckpoint(world.db, world.admin, name, null);
      scene.checkpoints.set(name, made.snapshot.id);
      await scene.settle();
      return restoreCheckpoint(world.db, world.admin, name, made.snapshot.id);
    },
  },
  delete: {
    ...{ from: "running", to: "deleted", keepsMemory: false },
    passes: ["agent.destroy.begun", "driver.destroy.killed", "driver.destroy.removed", ...REPORT],
    ask: intent("delete"),
  },
};

class Scene {
  readonly world: World;
  readonly checkpoints = new Map<string, string>();
  /** Names passed since `record`. */
  readonly passed = new Set<string>();
  #isRecording = false;
  #crashAt: string | null = null;

  private constructor(make: (scene: Scene) => World) {
    this.world = make(this);
  }

  static async make(t: TestContext): Promise<Scene> {
    let scene: Scene | null = null;
    const world = await World.make(t, 2, {
      onAgentStep: async (node, name) => scene?.passedBy(node, name),
      onServerStep: async (name) => scene?.passedBy(null, name),
      fateOf: () => "delivered",
      beats: { runs: () => {}, halts: () => {} },
    });
    scene = new Scene(() => world);
    return scene;
  }

  record(isRecording: boolean): void {
    this.#isRecording = isRecording;
  }

  passedBy(node: SimNode | null, name: string): void {
    if (this.#isRecording) this.passed.add(name);
    if (this.#crashAt !== name) return;
    this.#crashAt = null;
    if (!node) throw new FailpointError(name);
    node.crash();
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < TURNS_MAX; turn += 1)
      if ((await this.world.turn()) && turn > 1) return;
    throw new Error("it does not settle");
  }

  /** Asks, and turns the world until the crash has happened. */
  async crash(at: string, ask: () => Promise<unknown>): Promise<void> {
    this.#crashAt = at;
    try {
      await ask();
    } catch (error) {
      if (!(error instanceof FailpointError)) throw error;
      // The user who got no answer asks again. What was done already is refused, or changes nothing.
      await ask().catch(() => {});
    }
    assert.deepEqual(await quotaDrift(this.world.db), [], `quotas after a crash at ${at}`);
    for (let turn = 0; turn < TURNS_MAX && this.#crashAt !== null; turn += 1)
      await this.world.turn();
    assert.equal(this.#crashAt, null, `nothing died at ${at}: it was not passed`);
  }

  async phase(name: string): Promise<string> {
    const id = this.#ids.get(name) ?? name;
    const view = await getBox(this.world.db, this.world.admin, id);
    this.#ids.set(name, view.id);
    return view.phase;
  }
  readonly #ids = new Map<string, string>();

  guest(name: string) {
    const id = this.#ids.get(name);
    for (const { host } of this.world.nodes) {
      const box = host.boxes().find(({ run }) => run.boxId === id);
      if (box) return { host, box };
    }
    return null;
  }

  /** Brings boxes to where the flow begins, with something in their memory and on their disk. */
  async prepare(names: readonly string[], from: Target | null): Promise<void> {
    if (from === null) return;
    const { db, admin } = this.world;
    for (const name of names)
      await createBox(db, admin, { name, template: "base", version: null, env: {} });
    await this.settle();
    for (const name of names) {
      assert.equal(await this.phase(name), "running");
      const { host, box } = this.guest(name)!;
      host.put({
        ...box,
        memory: { ...box.memory, [TENANT_MEMORY]: TEXT },
        disk: { ...box.disk, [TENANT_DISK]: TEXT },
      });
    }
    if (from === "running") return;
    for (const name of names)
      await setDesired(db, admin, name, from === "paused" ? "pause" : "stop");
    await this.settle();
    for (const name of names) assert.equal(await this.phase(name), from);
  }

  async check(name: string, flow: Flow, why: string): Promise<void> {
    assert.equal(await this.phase(name), flow.to, why);
    const guest = this.guest(name);
    if (flow.to !== "running") assert.equal(guest, null, `${why}: it is still on a host`);
    else {
      assert.equal(guest?.box.state, "ready", why);
      if (flow.from === null) return;
      assert.equal(guest?.box.disk[TENANT_DISK], TEXT, `${why}: its disk`);
      const memory = flow.keepsMemory ? TEXT : undefined;
      // A stop that died may have been asked for twice, but never takes memory that it should not.
      if (flow.keepsMemory)
        assert.equal(guest?.box.memory[TENANT_MEMORY], memory, `${why}: memory`);
    }
  }
}

for (const [title, flow] of Object.entries(FLOWS))
  test(`${title}: agent and server die at each step`, { timeout: 600_000 }, async (t) => {
    const scene = await Scene.make(t);
    await scene.world.makeTemplate("base", null);
    await scene.settle();
    await scene.prepare(["first"], flow.from);
    scene.record(true);
    await flow.ask(scene, "first");
    await scene.settle();
    scene.record(false);
    await scene.check("first", flow, "without a crash");
    for (const name of flow.passes) assert.ok(scene.passed.has(name), `${name} is not passed`);

    const points = [...scene.passed].sort();
    const names = points.map((_, at) => `box-${at}`);
    await scene.prepare(names, flow.from);
    for (const [at, point] of points.entries())
      await scene.crash(point, () => flow.ask(scene, names[at]!));
    await scene.settle();
    for (const [at, point] of points.entries()) {
      await scene.check(names[at]!, flow, `${title} after a crash at ${point}`);
      if (title === "fork")
        await scene.check(`${names[at]}-child`, flow, `the fork after a crash at ${point}`);
    }
    for (const { host } of scene.world.nodes) assert.deepEqual(host.inventory().remains, []);
    assert.deepEqual(await quotaDrift(scene.world.db), []);
    t.diagnostic(`${points.length} crash points`);
  });

test("template build: agent and server die at each step", { timeout: 600_000 }, async (t) => {
  const scene = await Scene.make(t);
  scene.record(true);
  await scene.world.makeTemplate("first", "true");
  await scene.settle();
  scene.record(false);
  const passes = [
    ...["agent.build.begun", "agent.build.marked", "agent.build.step", "agent.build.done"],
    ...[...START, ...SNAPSHOT, ...REPORT, ...PLACE, "store.template.advance.committed"],
  ];
  for (const name of passes) assert.ok(scene.passed.has(name), `${name} is not passed`);
  const points = [...scene.passed].sort();
  for (const [at, point] of points.entries())
    await scene.crash(point, () => scene.world.makeTemplate(`template-${at}`, "true"));
  await scene.settle();
  for (const [at, point] of points.entries()) {
    const { ready } = await getTemplate(scene.world.db, scene.world.admin, `template-${at}`);
    assert.equal(ready?.prebuild?.state, "durable", `after a crash at ${point}`);
  }
  for (const { name, host } of scene.world.nodes)
    assert.deepEqual(host.inventory().boxes, [], `builders are left on ${name}`);
  t.diagnostic(`${points.length} crash points`);
});
