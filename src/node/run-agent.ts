// The agent's loops: each calls one of its steps when woken or when time has passed, and survives any
// error of it. Boxes have a loop each, so that a slow one holds up no other.

import { backoffMs, spreadMs } from "#lib/backoff.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import type { Agent } from "#node/agent.ts";
import { Bell } from "#node/bell.ts";

const POLL_MS = 25_000;
const BEAT_MS = 5_000;
/** Changes that come together are reported together. */
const GATHER_MS = 20;
const OBSERVE_MS = 1_000;
/** Guests are asked what listens. */
const CARE_MS = 3_000;
const SWEEP_MS = 600_000;
const LEAVE_MS = 5_000;
/** A transfer that failed is looked at again at the latest then. */
const RECHECK_MS = 2_000;
const RETRY = { firstMs: 500, longestMs: 4_000 };

interface Ports {
  readonly clock: Clock;
  readonly log: Log;
}

/** Runs until the signal aborts; then leaves the boxes as they are. */
export async function runAgent(agent: Agent, ports: Ports, signal: AbortSignal): Promise<void> {
  const { clock } = ports;
  signal.addEventListener("abort", () => void agent.close(), { once: true });
  if (signal.aborted) return;
  await agent.open();
  const loops = new Loops(agent, ports);
  const stop = agent.subscribe(() => loops.changed());
  const beat = { lastMs: 0 };
  await Promise.all([
    loops.forever("assignments", async () => {
      const isNew = await agent.pull(agent.gateways === null ? 0 : POLL_MS);
      if (isNew) loops.wakeBoxes(agent.boxIds());
      if (isNew) loops.careBell.ring();
    }),
    loops.forever("guests", async () => {
      await loops.careBell.wait(CARE_MS, agent.closing);
      // A guest that does not answer must not hold up the others' next turn.
      void agent.careForGuests();
    }),
    loops.forever("report", async () => {
      await loops.reportBell.wait(BEAT_MS, agent.closing);
      await pause(clock, GATHER_MS, agent.closing);
      const isBeat = clock.monotonicMs() - beat.lastMs >= BEAT_MS;
      if (await agent.push(isBeat)) beat.lastMs = clock.monotonicMs();
    }),
    loops.forever("observe", async () => {
      await pause(clock, OBSERVE_MS, agent.closing);
      loops.wakeBoxes(await agent.observe());
    }),
    loops.transfers("uploads", () => agent.keeper.uploadOne(agent.closing)),
    loops.transfers("fetches", async () => {
      const isDone = await agent.keeper.fetchOne(agent.closing);
      if (isDone) loops.wakeBoxes(agent.boxIds());
      return isDone;
    }),
    loops.transfers("removals", () => agent.keeper.removeOne()),
    loops.forever("sweep", async () => {
      await agent.sweep();
      await pause(clock, SWEEP_MS, agent.closing);
    }),
  ]);
  stop();
  await loops.ended();
}

async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  await clock.sleep(ms, signal).catch(() => {});
}

class Loops {
  readonly #agent: Agent;
  readonly #ports: Ports;
  readonly #boxes = new Map<string, { readonly bell: Bell; readonly loop: Promise<void> }>();
  readonly #transferBells: Bell[] = [];
  readonly reportBell: Bell;
  readonly careBell: Bell;

  constructor(agent: Agent, ports: Ports) {
    this.#agent = agent;
    this.#ports = ports;
    this.reportBell = new Bell(ports.clock);
    this.careBell = new Bell(ports.clock);
  }

  changed(): void {
    this.reportBell.ring();
    for (const bell of this.#transferBells) bell.ring();
    this.wakeBoxes(this.#agent.boxIds().filter((boxId) => !this.#boxes.has(boxId)));
  }

  wakeBoxes(boxIds: readonly string[]): void {
    for (const boxId of boxIds) {
      const found = this.#boxes.get(boxId);
      if (found) found.bell.ring();
      else this.#startBox(boxId);
    }
  }

  /** Waits a moment for steps that are under way: they are as safe to leave as to be killed in. */
  async ended(): Promise<void> {
    const timer = new AbortController();
    const loops = [...this.#boxes.values()].map(({ loop }) => loop);
    await Promise.race([Promise.all(loops), pause(this.#ports.clock, LEAVE_MS, timer.signal)]);
    timer.abort();
  }

  /** Calls `work` until the agent closes or it is over; after an error a little later, and later. */
  async forever(
    name: string,
    work: () => Promise<unknown>,
    isOver: () => boolean = () => false,
  ): Promise<void> {
    const { clock, log } = this.#ports;
    let failures = 0;
    while (!this.#agent.closing.aborted && !isOver()) {
      try {
        await work();
        failures = 0;
      } catch (error) {
        if (this.#agent.closing.aborted) return;
        failures += 1;
        log.warn({ err: error, failures }, `the agent's loop '${name}' failed`);
        const waitMs = spreadMs(backoffMs(failures, RETRY));
        await pause(clock, waitMs, this.#agent.closing);
      }
    }
  }

  /** One transfer after the other; when none is due, waits for a change or a while. */
  transfers(name: string, work: () => Promise<boolean>): Promise<void> {
    const bell = new Bell(this.#ports.clock);
    this.#transferBells.push(bell);
    return this.forever(name, async () => {
      if (!(await work())) await bell.wait(RECHECK_MS, this.#agent.closing);
    });
  }

  #startBox(boxId: string): void {
    const bell = new Bell(this.#ports.clock);
    const isOver = () => !this.#agent.boxIds().includes(boxId);
    const work = async () => {
      const result = await this.#agent.stepBox(boxId);
      this.careBell.ring(); // It may have become ready.
      if (result === "again" || isOver()) return;
      const { untilMs } = result;
      const nowMs = this.#ports.clock.nowMs();
      await bell.wait(untilMs === null ? null : Math.max(untilMs - nowMs, 1), this.#agent.closing);
    };
    const loop = this.forever(boxId, work, isOver).then(() => {
      this.#boxes.delete(boxId);
    });
    this.#boxes.set(boxId, { bell, loop });
  }
}
