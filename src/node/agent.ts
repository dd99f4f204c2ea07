// The agent of one host. It keeps the assigned boxes as they are wanted and says what is there; all
// it knows it reads from the assignments and from the host, so it may be killed at any time.

import { randomUUID } from "node:crypto";
import type { Assignments } from "#contract/node-protocol.ts";
import { DEFAULT_LIMITS, type Limits, mayRemoveSnapshot } from "#domain/decide.ts";
import type { BoxId } from "#domain/ids.ts";
import type { Driver, Fingerprint, LocalSnapshot } from "#drivers/driver.ts";
import type { Clock } from "#lib/clock.ts";
import type { Failpoints } from "#lib/failpoint.ts";
import type { Log } from "#lib/log.ts";
import { type Images, type LoopPorts, type StepResult, step, survey } from "#node/box-loop.ts";
import { assign, type BoxState, newBoxState, reportOf } from "#node/box-state.ts";
import { countEgress } from "#node/egress.ts";
import { careForGuest } from "#node/guest-care.ts";
import { Turnstile } from "#node/limits.ts";
import { ReportLog } from "#node/report-diff.ts";
import { SnapshotKeeper, type Transfers } from "#node/snapshot-keeper.ts";
import type { NodeTransport } from "#node/transport.ts";

export interface AgentOptions {
  readonly driver: Driver;
  readonly transport: NodeTransport;
  readonly transfers: Transfers;
  readonly images: Images;
  readonly clock: Clock;
  readonly log: Log;
  readonly failpoints: Pick<Failpoints, "hit">;
  /** What the disk has left; not known when left out. */
  readonly freeDiskGib?: () => Promise<number>;
  readonly limits?: Limits;
  /** Boxes that are brought up at the same time. */
  readonly startsAtOnce?: number;
}

const STARTS_AT_ONCE = 8;

export interface RunningBox {
  readonly boxId: BoxId;
  readonly epoch: number;
}

/**
 * The steps of the agent. run-agent.ts calls them in loops; the simulation one by one, in an order of its
 * own. Each may be repeated; only `stepBox` must not run twice at once for one box.
 */
export class Agent {
  readonly #options: AgentOptions;
  readonly #boxes = new Map<string, BoxState>();
  readonly #listeners = new Set<() => void>();
  readonly #background = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  readonly #reports = new ReportLog(randomUUID());
  readonly #keeper: SnapshotKeeper;
  readonly #loopPorts: LoopPorts;
  readonly #limits: Limits;
  #assignments: Assignments | null = null;
  #fingerprint: Fingerprint | null = null;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#limits = options.limits ?? DEFAULT_LIMITS;
    const onChange = () => this.#changed();
    this.#keeper = new SnapshotKeeper({
      ...options,
      onChange,
      mayRemove: (snapshot, isListed) => this.#mayRemove(snapshot, isListed),
    });
    this.#loopPorts = {
      ...options,
      keeper: this.#keeper,
      limits: this.#limits,
      signHostKey: (boxId, epoch, publicKey) =>
        options.transport.signHostKey({ boxId, epoch, publicKey }, this.#closing.signal),
      onChange,
      inBackground: (work) => {
        this.#background.add(work);
        void work.finally(() => this.#background.delete(work));
      },
      starts: new Turnstile(options.startsAtOnce ?? STARTS_AT_ONCE),
      closing: this.#closing.signal,
    };
  }

  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  get keeper(): SnapshotKeeper {
    return this.#keeper;
  }

  /** Gateways to keep a connection to; null before the first assignments. */
  get gateways(): readonly string[] | null {
    return this.#assignments?.gateways.map(({ url }) => url) ?? null;
  }

  /** Boxes that streams may enter. */
  readyBoxes(): RunningBox[] {
    return [...this.#boxes.values()]
      .filter(({ host }) => host?.state === "ready")
      .map(({ boxId, host }) => ({ boxId, epoch: host!.epoch }));
  }

  boxIds(): string[] {
    return [...this.#boxes.keys()];
  }

  /** Called after every change of boxes, snapshots or gateways. Returns what ends it. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Adopts what the host has. First of all. */
  async open(): Promise<void> {
    const { driver } = this.#options;
    this.#fingerprint = await driver.fingerprint();
    await this.observe();
    await this.#keeper.refresh();
  }

  /** Looks at every box. Returns those that changed without us. */
  async observe(): Promise<string[]> {
    const changed: string[] = [];
    const found = new Map((await this.#options.driver.list()).map((box) => [box.boxId, box]));
    for (const [boxId, host] of found) {
      const state = this.#stateOf(boxId);
      if (JSON.stringify(state.host) === JSON.stringify(host)) continue;
      state.host = host;
      changed.push(boxId);
    }
    for (const state of this.#boxes.values())
      if (state.host && !found.has(state.boxId)) {
        state.host = null;
        changed.push(state.boxId);
      }
    if (changed.length > 0) this.#changed();
    return changed;
  }

  /** Asks for newer assignments and takes them over. False when there are none. */
  async pull(waitMs: number): Promise<boolean> {
    const { transport, failpoints } = this.#options;
    const since = this.#assignments?.revision ?? 0;
    const next = await transport.assignments(since, waitMs, this.#closing.signal);
    if (!next) return false;
    await failpoints.hit("agent.assignments.received");
    const isFirst = this.#assignments === null;
    this.#assignments = next;
    this.#keeper.setKept(next.snapshots);
    const assigned = new Map(next.boxes.map((box) => [box.boxId, box]));
    for (const boxId of new Set([...this.#boxes.keys(), ...assigned.keys()]))
      assign(this.#stateOf(boxId), assigned.get(boxId) ?? null);
    // Before the first report: what is already as it is wanted must not look as if it were not.
    if (isFirst)
      await Promise.all([...this.#boxes.values()].map((box) => survey(box, this.#loopPorts)));
    this.#changed();
    return true;
  }

  /** Reports what changed; with `isBeat` also when nothing did. False when nothing was sent. */
  async push(isBeat: boolean): Promise<boolean> {
    const { transport, failpoints, images } = this.#options;
    if (!this.#assignments || !this.#fingerprint) return false;
    const boxes = [...this.#boxes.values()];
    const report = this.#reports.next(
      {
        fingerprint: {
          ...this.#fingerprint,
          freeDiskGib: (await this.#options.freeDiskGib?.()) ?? null,
        },
        images: await images.list(),
        boxes: boxes
          .filter(({ assignment, host }) => assignment || host)
          .map((box) => reportOf(box, this.#limits)),
        snapshots: [
          ...this.#keeper.reports(),
          ...boxes
            .flatMap(({ givenUp }) => [...givenUp.values()])
            .filter(({ snapshotId }) => !this.#keeper.find(snapshotId)),
        ],
      },
      isBeat,
    );
    if (!report) return false;
    try {
      await failpoints.hit("agent.report.built");
      const answer = await transport.report(report, this.#closing.signal);
      await failpoints.hit("agent.report.answered");
      if (answer === "acked") this.#reports.acknowledged();
      else this.#reports.lost();
    } catch (error) {
      this.#reports.lost();
      throw error;
    }
    return true;
  }

  /** One step for one box. */
  async stepBox(boxId: string): Promise<StepResult> {
    const state = this.#boxes.get(boxId);
    // Nothing is touched before it is known what is wanted.
    if (!state || !this.#assignments) return { untilMs: null };
    const result = await step(state, this.#loopPorts);
    if (!state.assignment && !state.host) this.#boxes.delete(boxId);
    return result;
  }

  /** Asks the guests of ready boxes what listens, gives them the assigned SSH keys, and counts what left them. */
  async careForGuests(): Promise<void> {
    const care = Promise.all(
      [...this.#boxes.values()].flatMap((state) => [
        careForGuest(state, this.#loopPorts),
        countEgress(state, this.#loopPorts),
      ]),
    );
    this.#loopPorts.inBackground(care.then(() => {}));
    await care;
  }

  async sweep(): Promise<void> {
    await this.#options.driver.sweep();
    // A control plane that does not say what it needs is taken to need everything.
    if (this.#assignments?.images) await this.#options.images.collect(() => this.#neededImages());
  }

  #neededImages(): ReadonlySet<string> {
    const { boxes = [], images = [] } = this.#assignments ?? {};
    const assigned = boxes.map(({ imageDigest }) => imageDigest);
    const local = this.#keeper.list().map(({ imageDigest }) => imageDigest);
    return new Set([...assigned, ...local, ...images]);
  }

  /** Ends everything that this object does. Boxes run on. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#background);
  }

  #mayRemove(snapshot: LocalSnapshot, isListed: boolean): boolean {
    if (!this.#assignments) return false;
    const isSource = this.#assignments.boxes.some(
      ({ source }) => source.kind === "snapshot" && source.snapshotId === snapshot.snapshotId,
    );
    const want = this.#boxes.get(snapshot.boxId)?.assignment ?? null;
    return !isSource && mayRemoveSnapshot(snapshot, isListed, want);
  }

  #stateOf(boxId: string): BoxState {
    let state = this.#boxes.get(boxId);
    if (!state) {
      state = newBoxState(boxId);
      this.#boxes.set(boxId, state);
    }
    return state;
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
