// One follower of the events for all watches and waits of this process: the database is read once for an
// event, however many listen.
//
// Reads: events. Writes: nothing. Wakes on: a new event. Every: LOOK_EVERY_MS. Safe twice because it only
// reads, and each process has its own.

import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import type { Db } from "#store/db.ts";
import { type EventView, listAllEvents, listEarlyEvents, readFrontier } from "#store/events.ts";
import type { Wakes } from "#store/listen.ts";
import { TOPICS } from "#store/wake.ts";

const BATCH = 500;
/** Looks at least this often, should a wake be lost. */
const LOOK_EVERY_MS = 5000;
/** After a failure, or a look that was too early because a transaction was still open. */
const LOOK_AGAIN_MS = 250;
/** Events that a listener may leave unread before it is dropped; it comes back with its cursor. */
const MAX_UNREAD = 10_000;

export interface Listening {
  /** Every event above this id comes to this listener; those up to it are in the database. */
  readonly from: number;
  /** Waits until there is something, and takes it; null: the listener was dropped. */
  take(timeoutMs: number, signal: AbortSignal): Promise<EventView[] | null>;
  close(): void;
}

export interface ListenOptions {
  /**
   * An open transaction holds up the order of the events: this listener is told of later ones all the same, and of each
   * of them again when its turn comes.
   */
  readonly early?: boolean;
}

interface Listener {
  readonly isFor: (event: EventView) => boolean;
  readonly isEarly: boolean;
  unread: EventView[] | null;
  wake: () => void;
}

export class EventHub {
  readonly #db: Db;
  readonly #wakes: Wakes;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #listeners = new Set<Listener>();
  readonly #stop = new AbortController();
  /** Null until the first look. */
  #position: number | null = null;
  #running: Promise<void> | null = null;

  /** Told early, above the position. */
  readonly #early = new Set<number>();

  readonly #maxUnread: number;

  constructor(parts: { db: Db; wakes: Wakes; clock: Clock; log: Log; maxUnread?: number }) {
    this.#db = parts.db;
    this.#wakes = parts.wakes;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#maxUnread = parts.maxUnread ?? MAX_UNREAD;
  }

  /** Begins with the first listener, so that an idle API does not even look. */
  async listen(
    isFor: (event: EventView) => boolean,
    { early = false }: ListenOptions = {},
  ): Promise<Listening> {
    this.#running ??= this.#run();
    const listener: Listener = { isFor, isEarly: early, unread: [], wake: () => {} };
    while (this.#position === null && !this.#stop.signal.aborted) await this.#firstLook();
    this.#listeners.add(listener);
    return {
      from: this.#position ?? 0,
      take: (timeoutMs, signal) => this.#take(listener, timeoutMs, signal),
      close: () => this.#listeners.delete(listener),
    };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    for (const listener of this.#listeners) listener.wake();
    await this.#running;
  }

  async #firstLook(): Promise<void> {
    const position = await readFrontier(this.#db, this.#clock);
    this.#position ??= position;
  }

  async #take(listener: Listener, timeoutMs: number, signal: AbortSignal) {
    if (listener.unread?.length === 0 && !signal.aborted && !this.#stop.signal.aborted) {
      const timer = new AbortController();
      await Promise.race([
        new Promise<void>((resolve) => {
          listener.wake = resolve;
        }),
        this.#clock.sleep(timeoutMs, AbortSignal.any([signal, timer.signal])).catch(() => {}),
      ]);
      timer.abort();
      listener.wake = () => {};
    }
    const taken = listener.unread;
    if (taken) listener.unread = [];
    return taken;
  }

  async #run(): Promise<void> {
    const subscription = this.#wakes.subscribe([TOPICS.events]);
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const state = await this.#look().catch((err: unknown) => {
        this.#log.warn({ err }, "cannot read the events; trying again");
        return "again" as const;
      });
      if (state === "more") continue;
      await subscription.next(state === "again" ? LOOK_AGAIN_MS : LOOK_EVERY_MS, signal);
    }
    subscription.close();
  }

  async #look(): Promise<"more" | "idle" | "again"> {
    if (this.#position === null) await this.#firstLook();
    if (this.#position === null) return "again";
    const page = { after: this.#position, limit: BATCH };
    const { events, upTo } = await listAllEvents(this.#db, this.#clock, page);
    if (upTo === null) {
      await this.#lookEarly(this.#position);
      return "again";
    }
    this.#early.clear();
    // Both in one turn: a listener that comes between would miss or repeat an event.
    this.#position = Math.max(this.#position, upTo);
    for (const event of events) this.#hand(event);
    return events.length === BATCH ? "more" : "idle";
  }

  async #lookEarly(position: number): Promise<void> {
    const wanted = [...this.#listeners].some((listener) => listener.isEarly);
    const events = wanted ? await listEarlyEvents(this.#db, position, BATCH) : [];
    for (const event of events) {
      if (this.#early.has(event.id)) continue;
      this.#early.add(event.id);
      this.#hand(event, true);
    }
  }

  #hand(event: EventView, isEarly = false): void {
    for (const listener of this.#listeners) {
      if (!listener.unread || (isEarly && !listener.isEarly) || !listener.isFor(event)) continue;
      if (listener.unread.length < this.#maxUnread) listener.unread.push(event);
      else listener.unread = null;
      listener.wake();
    }
  }
}
