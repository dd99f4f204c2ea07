// A seeded run: users ask, guests write, agents and loops take single steps in any order, and everything
// dies now and then, also in the middle of a step. Invariants are checked after every step; at the end all
// faults heal and everything must come to what was asked.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { sql } from "kysely";
import { StoreRefusal } from "#domain/refusal.ts";
import { DriverError } from "#drivers/driver.ts";
import type { FakeOp } from "#drivers/fake/faults.ts";
import { FailpointError } from "#lib/failpoint.ts";
import { type Intent, setDesired } from "#store/box-intent.ts";
import type { BoxView } from "#store/box-view.ts";
import { createBox, getBox } from "#store/boxes.ts";
import { createCheckpoint, restoreCheckpoint } from "#store/checkpoints.ts";
import { forkBox } from "#store/forks.ts";
import { listLiveManifests } from "#store/snapshots.ts";
import { getTemplate } from "#store/templates.ts";
import { setUsageClock } from "#test/harness/usage.ts";
import { BoxModel, type Origin, TENANT_DISK, TENANT_MEMORY } from "./model.ts";
import { leftReservations, limitRunning, quotaProblems } from "./quotas.ts";
import { SeededRandom } from "./random.ts";
import { usageProblems, usageSumProblems } from "./usage.ts";
import { type AgentStep, isMishap, type SimNode, World } from "./world.ts";

export interface SimulationOptions {
  readonly seed: number;
  readonly nodes: number;
  /** Boxes that users create; forks come on top. */
  readonly boxes: number;
  /** Requests of users, in all. */
  readonly requests: number;
}

export interface Outcome {
  readonly boxes: number;
  readonly requests: number;
  readonly steps: number;
  readonly faults: Readonly<Record<string, number>>;
}

const TEMPLATE = "base";
const TRACES = join(import.meta.dirname, "../../.berth/test-logs");
const SETTLE_ROUNDS = 400;
const BUILD_STEPS_MAX = 2_000;

/** How likely each kind of fault is; some are off in each run, so that rare ones are not drowned. */
interface Chances {
  readonly agentCrash: number;
  readonly serverCrash: number;
  readonly message: number;
  readonly nested: number;
  readonly vmmDeath: number;
  readonly driverFault: number;
}

export async function simulate(t: TestContext, options: SimulationOptions): Promise<Outcome> {
  const simulation = new Simulation(options);
  try {
    await simulation.open(t);
    await simulation.chaos();
    await simulation.heal();
    return simulation.outcome();
  } catch (error) {
    const command = `SEED=${options.seed} npm test -- histories`;
    mkdirSync(TRACES, { recursive: true });
    const path = join(TRACES, `sim-${options.seed}.txt`);
    writeFileSync(path, `${simulation.trace.join("\n")}\n`);
    throw new Error(`seed ${options.seed} failed, see ${path}; again with: ${command}`, {
      cause: error,
    });
  }
}

interface Checkpoint {
  readonly id: string;
  readonly boxId: string;
  readonly origins: Origin[];
  isTaken: boolean;
}

class Simulation {
  readonly trace: string[] = [];
  readonly #options: SimulationOptions;
  readonly #random: SeededRandom;
  readonly #models = new Map<string, BoxModel>();
  readonly #checkpoints: Checkpoint[] = [];
  readonly #running = new Map<string, string>();
  readonly #busy = new Set<string>();
  readonly #faults: Record<string, number> = {};
  readonly #violations: string[] = [];
  #chances: Chances = NO_CHANCES;
  #world!: World;
  #number = 0;
  #requests = 0;
  #created = 0;
  #steps = 0;
  #sentBytes = 0;
  #depth = 0;
  /** They come when the template is built. */
  #areUsersHere = false;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
  }

  async open(t: TestContext): Promise<void> {
    this.#world = await World.make(t, this.#options.nodes, {
      onAgentStep: (node, name) => this.#onAgentStep(node, name),
      onServerStep: (name) => this.#onServerStep(name),
      fateOf: (what) => this.#fateOf(what),
      beats: {
        runs: (boxId, epoch, host) => this.#runs(boxId, epoch, host),
        halts: (boxId, epoch, host) => {
          if (this.#running.get(boxId) === `${host} epoch ${epoch}`) this.#running.delete(boxId);
        },
      },
    });
    await this.#world.makeTemplate(TEMPLATE, "true");
    const r = this.#random;
    const some = (probability: number) => (r.chance(0.7) ? probability * 2 * r.next() : 0);
    this.#chances = {
      agentCrash: some(0.02),
      serverCrash: some(0.02),
      message: some(0.1),
      nested: some(0.15),
      vmmDeath: some(0.01),
      driverFault: some(0.03),
    };
  }

  async chaos(): Promise<void> {
    const { requests } = this.#options;
    while (!(await getTemplate(this.#world.db, this.#world.admin, TEMPLATE)).ready) {
      if (this.#steps > BUILD_STEPS_MAX) await this.#inPeace(() => this.#settle());
      for (let i = 0; i < 20; i += 1) await this.#step();
      // A build that failed (its snapshot was given up) is asked for again; one that goes on is not touched.
      await this.#ask("build", () => this.#world.makeTemplate(TEMPLATE, "true"));
    }
    this.#steps = 0;
    this.#areUsersHere = true;
    if (this.#random.chance(0.7))
      await limitRunning(this.#world.db, this.#world.admin, 3 + this.#random.below(20));
    const stepsMax = requests * 60 + 3000;
    while (this.#requests < requests && this.#steps < stepsMax) await this.#step();
  }

  /** A few faults may hit the one box that there is again and again. */
  async #inPeace(work: () => Promise<void>): Promise<void> {
    const chances = this.#chances;
    this.#chances = NO_CHANCES;
    for (const node of this.#world.nodes) node.host.faults.clear();
    await work();
    this.#chances = chances;
  }

  /** Everything works again: all must come to what was asked, and then away without a trace. */
  async heal(): Promise<void> {
    this.#chances = NO_CHANCES;
    for (const node of this.#world.nodes) node.host.faults.clear();
    this.#say("healed");
    await limitRunning(this.#world.db, this.#world.admin, null);
    await this.#settle();
    await this.#checkSettled();
    await this.#startAll();
    await this.#deleteAll();
    await this.#checkNothingLeft();
  }

  outcome(): Outcome {
    const { size: boxes } = this.#models;
    return { boxes, requests: this.#requests, steps: this.#steps, faults: this.#faults };
  }

  async #step(): Promise<void> {
    this.#steps += 1;
    const kind = this.#random.weighted(STEPS);
    if (kind === "user") await this.#userStep();
    else if (kind === "tenant") this.#tenantStep();
    else if (kind === "loop") await this.#loopStep();
    else if (kind === "agent") await this.#agentStep(this.#random.pick(this.#world.nodes));
    else if (kind === "time") this.#world.nowMs += this.#random.below(20_000);
    else await this.#faultStep();
    this.#look();
    // The other kinds write nothing to the database.
    if (this.#depth === 0 && kind !== "tenant" && kind !== "time") await this.#checkQuotas();
    if (this.#depth === 0 && this.#random.chance(0.08)) await this.#listen();
    if (this.#violations.length > 0 && this.#depth === 0)
      throw new Error(this.#violations.join("\n"));
  }

  // ---- what happens in the middle of other things

  async #onAgentStep(node: SimNode, name: string): Promise<void> {
    const { agentCrash, nested } = this.#chances;
    if (this.#random.chance(agentCrash)) {
      this.#fault(`agent crash at ${name}`, `${node.name}: its agent dies at ${name}`);
      this.#crash(node);
      return;
    }
    if (this.#depth > 0 || !this.#random.chance(nested)) return;
    this.#depth += 1;
    this.#say(`  meanwhile, at ${name} of ${node.name}:`);
    try {
      await this.#step();
    } catch (error) {
      this.#violations.push(`at ${name}: ${(error as Error).stack}`);
    } finally {
      this.#depth -= 1;
    }
  }

  async #onServerStep(name: string): Promise<void> {
    if (!this.#random.chance(this.#chances.serverCrash)) return;
    this.#fault(`server crash at ${name}`, `the server dies at ${name}`);
    throw new FailpointError(name);
  }

  #fateOf(what: string): "delivered" | "lost" | "unanswered" | "twice" {
    if (!this.#random.chance(this.#chances.message)) return "delivered";
    const fate = this.#random.pick(["lost", "unanswered", "twice"] as const);
    this.#fault(`message ${fate}`, `a message (${what}) is ${fate}`);
    return fate;
  }

  #runs(boxId: string, epoch: number, host: string): void {
    const other = this.#running.get(boxId);
    const now = `${host} epoch ${epoch}`;
    if (other && other !== now && !other.startsWith(`${host} `))
      this.#violations.push(`double run: ${boxId} runs on ${other} and on ${now}`);
    this.#running.set(boxId, now);
  }

  #crash(node: SimNode): void {
    node.crash();
    for (const key of this.#busy) if (key.startsWith(`${node.name}:`)) this.#busy.delete(key);
  }

  // ---- steps

  async #userStep(): Promise<void> {
    if (!this.#areUsersHere) return;
    this.#requests += 1;
    const canCreate = this.#created < this.#options.boxes;
    const model = this.#models.size > 0 ? this.#random.pick([...this.#models.values()]) : null;
    if (canCreate && (!model || this.#random.chance(0.25))) return this.#create();
    if (!model || model.isDeleted) return;
    const what = this.#random.weighted(REQUESTS);
    if (what === "fork") return this.#fork(model);
    if (what === "checkpoint") return this.#checkpoint(model);
    if (what === "restore") return this.#restore(model);
    const isAccepted = await this.#ask(`${what} ${model.boxId}`, () =>
      setDesired(this.#world.db, this.#world.admin, model.boxId, what),
    );
    if (isAccepted !== "refused" && (what === "stop" || what === "restart"))
      model.losingEpoch = (await this.#find(model.boxId))?.epoch ?? 0;
  }

  async #create(): Promise<void> {
    const name = `box-${this.#created}`;
    this.#created += 1;
    const input = { name, template: TEMPLATE, version: null, env: {} };
    await this.#ask(`create ${name}`, () => createBox(this.#world.db, this.#world.admin, input));
    await this.#meet(name, []);
  }

  async #fork(model: BoxModel): Promise<void> {
    const names = [`fork-${this.#number}-a`, `fork-${this.#number}-b`];
    this.#number += 1;
    const origins = model.originNow();
    await this.#ask(`fork ${model.boxId} as ${names}`, () =>
      forkBox(this.#world.db, this.#world.admin, model.boxId, { count: 2, names }),
    );
    for (const name of names) await this.#meet(name, origins);
  }

  /** A request that died may have been done: whether it was is asked by name. */
  async #meet(name: string, origins: Origin[]): Promise<void> {
    const found = await this.#find(name);
    if (!found) return;
    this.#say(`  ${name} is ${found.id}`);
    const copies = origins.map((origin) => ({ ...origin }));
    this.#models.set(found.id, new BoxModel(found.id, copies));
  }

  async #checkpoint(model: BoxModel): Promise<void> {
    const origins = model.originNow();
    const answer = await this.#ask(`checkpoint ${model.boxId}`, () =>
      createCheckpoint(this.#world.db, this.#world.admin, model.boxId, null),
    );
    if (typeof answer === "string") return;
    const { id, state } = answer.snapshot;
    const isTaken = state !== "requested";
    this.#checkpoints.push({ id, boxId: model.boxId, origins, isTaken });
  }

  async #restore(model: BoxModel): Promise<void> {
    const own = this.#checkpoints.filter(({ boxId }) => boxId === model.boxId);
    if (own.length === 0) return;
    const checkpoint = this.#random.pick(own);
    const answer = await this.#ask(`restore ${model.boxId} to ${checkpoint.id}`, () =>
      restoreCheckpoint(this.#world.db, this.#world.admin, model.boxId, checkpoint.id),
    );
    if (answer === "refused") return;
    model.origins.push(...checkpoint.origins.map((origin) => ({ ...origin })));
  }

  async #ask<T>(words: string, request: () => Promise<T>): Promise<T | "refused" | "unknown"> {
    try {
      const answer = await request();
      this.#say(`user: ${words}`);
      return answer;
    } catch (error) {
      if (error instanceof StoreRefusal) {
        this.#say(`user: ${words}: refused, ${error.code}`);
        return "refused";
      }
      if (!isMishap(error)) throw error;
      this.#say(`user: ${words}: no answer`);
      return "unknown";
    }
  }

  /** A guest writes a number to memory and disk, and is told that it is there. */
  #tenantStep(): void {
    const guests = this.#world.nodes.flatMap(({ host }) =>
      host.boxes().flatMap((box) => (box.state === "ready" ? [{ host, box }] : [])),
    );
    if (guests.length === 0) return;
    const { host, box } = this.#random.pick(guests);
    const model = this.#models.get(box.run.boxId);
    if (!model || model.seenEpoch !== box.run.epoch) return;
    this.#number += 1;
    const text = String(this.#number);
    this.#say(`guest of ${model.boxId} writes ${text}`);
    host.put({
      ...box,
      memory: { ...box.memory, [TENANT_MEMORY]: text },
      disk: { ...box.disk, [TENANT_DISK]: text },
    });
    model.wrote(this.#number);
    const bytes = this.#random.below(10_000);
    host.sendOut(model.boxId, bytes);
    this.#sentBytes += bytes;
  }

  async #loopStep(): Promise<void> {
    const name = this.#random.weighted(LOOPS);
    try {
      await this.#world.loops[name]();
    } catch (error) {
      if (!isMishap(error)) throw error;
    }
  }

  async #agentStep(node: SimNode): Promise<void> {
    const boxIds = node.agent.boxIds();
    const what =
      boxIds.length > 0 && this.#random.chance(0.5) ? "box" : this.#random.weighted(AGENT);
    const boxId = what === "box" ? this.#random.pick(boxIds) : "";
    await this.#agentDoes(node, what, boxId);
  }

  /** Null when the same step of this agent is under way, or the agent died in it. */
  async #agentDoes(node: SimNode, what: AgentStep, boxId = ""): Promise<unknown> {
    const key = `${node.name}:${what}:${boxId}`;
    if (this.#busy.has(key) || (!node.isOpen && this.#depth > 0)) return null;
    this.#busy.add(key);
    const { life } = node;
    try {
      const before = node.host.get(boxId)?.state ?? "absent";
      const did = await this.#world.agentStep(node, what, boxId);
      const after = node.host.get(boxId)?.state ?? "absent";
      if (before !== after) this.#say(`${node.name}: ${boxId} ${before} -> ${after}`);
      return did;
    } catch (error) {
      if (!isMishap(error) && !(error instanceof DriverError))
        this.#violations.push(`${key}: ${(error as Error).stack}`);
      return null;
    } finally {
      if (node.life === life) this.#busy.delete(key);
    }
  }

  async #faultStep(): Promise<void> {
    const { vmmDeath, driverFault, agentCrash } = this.#chances;
    const node = this.#random.pick(this.#world.nodes);
    const boxes = node.host.boxes();
    if (boxes.length > 0 && this.#random.chance(vmmDeath * 10)) {
      const { boxId } = this.#random.pick(boxes).run;
      const model = this.#models.get(boxId);
      if (model) model.hasMemory = false;
      const isPower = this.#random.chance(0.2);
      this.#fault(
        "VMM death",
        `${node.name}: the VMM of ${boxId} ${isPower ? "shuts down" : "dies"}`,
      );
      if (isPower) node.host.powerOff(boxId, this.#world.nowMs);
      else node.host.killVmm(boxId);
    }
    if (this.#random.chance(driverFault * 10)) {
      const op = this.#random.pick(FAULTY);
      const code =
        op === "snapshot" ? this.#random.pick(["disk_full", "vmm_failed"] as const) : undefined;
      const times = this.#random.chance(0.2) ? 6 : 1;
      this.#fault(`driver ${op}`, `${node.name}: ${op} will fail ${times} times`);
      node.host.faults.arm({ op, times, ...(code ? { code } : {}) });
    }
    if (this.#random.chance(this.#chances.message)) {
      this.#fault("lease expired", `${node.name}: was silent for too long`);
      await this.#world.expireLease(node);
    }
    if (this.#random.chance(agentCrash)) {
      const backMs = this.#random.below(3 * 3_600_000);
      this.#fault("clock jump", `the database's clock is ${backMs} ms back`);
      await setUsageClock(this.#world.db, new Date(this.#world.nowMs - backMs));
    }
    if (this.#random.chance(agentCrash)) {
      this.#fault("agent crash", `${node.name}: its agent dies`);
      this.#crash(node);
    }
    if (this.#random.chance(vmmDeath / 2)) {
      this.#fault("host reboot", `${node.name}: reboots`);
      for (const { run } of boxes) {
        const model = this.#models.get(run.boxId);
        if (model) model.hasMemory = false;
      }
      node.host.reboot();
      this.#crash(node);
    }
  }

  // ---- checks

  /** What every guest that executes remembers. */
  #look(): void {
    for (const { name, host } of this.#world.nodes)
      for (const box of host.boxes()) {
        if (box.state !== "ready") continue;
        const model = this.#models.get(box.run.boxId);
        const problem = model?.seen(box, this.#models);
        if (problem) this.#violations.push(`${box.run.boxId} on ${name}: ${problem}`);
      }
    for (const checkpoint of this.#checkpoints) {
      if (checkpoint.isTaken) continue;
      checkpoint.isTaken = this.#world.nodes.some(({ host }) => host.hasSnapshot(checkpoint.id));
      const own = checkpoint.origins[0];
      if (checkpoint.isTaken && own) own.to = this.#models.get(own.boxId)?.written ?? 0;
    }
  }

  /** What the API says of one box, against what is so. */
  async #listen(): Promise<void> {
    if (this.#models.size === 0) return;
    const model = this.#random.pick([...this.#models.values()]);
    const view = await this.#find(model.boxId);
    if (view) this.#checkView(model, view);
    if (this.#random.chance(0.2)) this.#violations.push(...(await usageProblems(this.#world.db)));
  }

  #checkView(model: BoxModel, view: BoxView): void {
    const problem = model.heard(view);
    if (problem) this.#violations.push(`${model.boxId} ${problem}`);
    if (view.notices.some(({ code }) => code === "state_lost"))
      this.#violations.push(`${model.boxId} was lost, although no host lost anything`);
    const isAtRest = ["paused", "stopped", "deleted"].includes(view.phase);
    const runs = this.#running.get(model.boxId);
    if (isAtRest && runs)
      this.#violations.push(`lie: ${model.boxId} is ${view.phase} and runs on ${runs}`);
    const needed = view.phase === "paused" || view.phase === "stopped" ? view.rest : null;
    if (needed && !this.#exists(needed.id))
      this.#violations.push(`lie: ${model.boxId} is ${view.phase} as a snapshot that is nowhere`);
  }

  #exists(snapshotId: string): boolean {
    return (
      this.#world.store.objects.has(`snapshots/${snapshotId}/manifest`) ||
      this.#world.nodes.some(({ host }) => host.hasSnapshot(snapshotId))
    );
  }

  async #find(reference: string): Promise<BoxView | null> {
    try {
      return await getBox(this.#world.db, this.#world.admin, reference);
    } catch (error) {
      if (error instanceof StoreRefusal) return null;
      if (!isMishap(error)) throw error;
      return this.#find(reference);
    }
  }

  /** Runs everything in turn until nothing happens any more. */
  async #settle(): Promise<void> {
    for (let round = 0; round < SETTLE_ROUNDS; round += 1) {
      const isQuiet = await this.#world.turn();
      this.#look();
      if (this.#violations.length > 0) throw new Error(this.#violations.join("\n"));
      if (isQuiet && round > 2) return;
    }
    throw new Error(`still busy after ${SETTLE_ROUNDS} rounds: it does not converge`);
  }

  async #checkSettled(): Promise<void> {
    const template = await getTemplate(this.#world.db, this.#world.admin, TEMPLATE);
    assert.ok(template.ready, `the template was not built: ${JSON.stringify(template)}`);
    for (const model of this.#models.values()) {
      const view = await this.#find(model.boxId);
      assert.ok(view, `${model.boxId} is not there`);
      this.#checkView(model, view);
      const what = `${model.boxId} is ${view.phase} (${view.reason}), ${view.desired} was asked`;
      if (view.phase === "failed")
        assert.ok(view.failure && ALLOWED_FAILURES.includes(view.failure.code), what);
      else assert.equal(view.phase, view.desired, what);
      if (view.phase !== "running") continue;
      const node = this.#world.nodes.find(({ id }) => id === view.node?.id);
      assert.equal(node?.host.get(model.boxId)?.state, "ready", `lie: ${what}`);
    }
    this.#checkHosts();
    await this.#checkUsage();
    assert.deepEqual(this.#violations, []);
  }

  async #checkQuotas(): Promise<void> {
    this.#violations.push(...(await quotaProblems(this.#world.db, this.#world.admin)));
  }

  async #checkUsage(): Promise<void> {
    const { db, admin } = this.#world;
    assert.deepEqual(await usageProblems(db), []);
    const { rows } = await sql<{ nowMs: number }>`
      select (extract(epoch from greatest(usage_wall(), floor_at)) * 1000)::float8 as "nowMs"
      from usage_clock`.execute(db.query);
    const nowMs = rows[0]?.nowMs ?? 0;
    assert.deepEqual(await usageSumProblems(db, admin, nowMs, this.#sentBytes), []);
  }

  /** Hosts have the boxes that run, and nothing else. */
  #checkHosts(): void {
    for (const { name, host } of this.#world.nodes) {
      const inventory = host.inventory();
      assert.deepEqual(inventory.remains, [], `${name} has remains`);
      for (const boxId of inventory.boxes)
        assert.equal(host.get(boxId)?.state, "ready", `${boxId} is left on ${name}`);
    }
  }

  /** What rests must come back with all that was acknowledged. */
  async #startAll(): Promise<void> {
    for (const model of this.#models.values()) {
      if (model.isDeleted) continue;
      await this.#ask(`start ${model.boxId}`, () =>
        setDesired(this.#world.db, this.#world.admin, model.boxId, "start"),
      );
    }
    await this.#settle();
    for (const model of this.#models.values()) {
      const view = await this.#find(model.boxId);
      if (!view || view.phase === "deleted" || view.phase === "failed") continue;
      assert.equal(view.phase, "running", `${model.boxId}: ${JSON.stringify(view)}`);
    }
  }

  async #deleteAll(): Promise<void> {
    for (const model of this.#models.values())
      await this.#ask(`delete ${model.boxId}`, () =>
        setDesired(this.#world.db, this.#world.admin, model.boxId, "delete"),
      );
    await this.#settle();
    for (const model of this.#models.values()) {
      const view = await this.#find(model.boxId);
      if (view) this.#checkView(model, view);
      assert.equal(view?.phase ?? "deleted", "deleted", model.boxId);
    }
  }

  /** Hosts and object store have what the database says, and nothing else. */
  async #checkNothingLeft(): Promise<void> {
    for (const node of this.#world.nodes) await this.#agentDoes(node, "sweep");
    this.#checkHosts();
    const live = await listLiveManifests(this.#world.db);
    const stored = [...this.#world.store.objects.keys()].filter((key) => key.endsWith("/manifest"));
    assert.deepEqual(stored.sort(), [...live].sort(), "manifests in the store and in the database");
    assert.deepEqual(await leftReservations(this.#world.db), []);
    const kept = new Set(live.map((key) => key.split("/")[1]));
    for (const { name, host } of this.#world.nodes) {
      assert.deepEqual(host.inventory().boxes, [], name);
      for (const id of host.inventory().snapshots) assert.ok(kept.has(id), `${id} left on ${name}`);
    }
    await this.#checkUsage();
    assert.deepEqual(this.#violations, []);
  }

  #fault(kind: string, words: string): void {
    this.#faults[kind] = (this.#faults[kind] ?? 0) + 1;
    this.#say(words);
  }

  #say(words: string): void {
    this.trace.push(`${this.#steps} ${this.#depth > 0 ? "    " : ""}${words}`);
  }
}

const NO_CHANCES: Chances = {
  ...{ agentCrash: 0, serverCrash: 0, message: 0, nested: 0, vmmDeath: 0, driverFault: 0 },
};

const STEPS = { user: 12, tenant: 12, loop: 11, agent: 60, time: 3, fault: 5 } as const;
const LOOPS = { place: 8, settle: 4, builds: 2, remove: 2, expire: 1, usage: 1, fold: 1 } as const;
const AGENT = {
  pull: 5,
  push: 4,
  beat: 1,
  observe: 1,
  upload: 2,
  fetch: 2,
  remove: 1,
  sweep: 0.3,
} as const;
const REQUESTS: Readonly<Record<Intent | "fork" | "checkpoint" | "restore", number>> = {
  ...{ start: 4, resume: 4, restart: 2, pause: 7, stop: 4, delete: 2 },
  ...{ fork: 2, checkpoint: 3, restore: 2 },
};
const FAULTY: readonly FakeOp[] = [
  "start",
  "renew",
  "snapshot",
  "shutdown",
  "destroy",
  "thaw",
  "fetch",
];
/** A fork whose snapshot could not be taken, or whose parent was deleted first. */
const ALLOWED_FAILURES = ["source_lost"];
