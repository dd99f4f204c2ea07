// Hears wakes (LISTEN) on a connection of its own, and reconnects. A waiter is also woken when the connection
// comes back, because something may have been missed meanwhile.

import pg from "pg";
import { backoffMs } from "#lib/backoff.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import { CHANNEL } from "./wake.ts";

const RECONNECT = { firstMs: 50, longestMs: 2_000 };

interface Waiter {
  readonly matches: (topic: string) => boolean;
  readonly wake: () => void;
}

export class Wakes {
  readonly #waiters = new Set<Waiter>();
  readonly #stop = new AbortController();
  readonly #options: { url: string; clock: Clock; log: Log };
  #running: Promise<void> | null = null;

  constructor(options: { url: string; clock: Clock; log: Log }) {
    this.#options = options;
  }

  /** Listens until `close`. Returns when the first connection stands. */
  async start(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#running = this.#run(resolve);
    });
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#wake(() => true);
  }

  /**
   * A subscription that counts from now: `next` resolves at once when a topic was heard since the last
   * `next`, else at the next one, or false after `timeoutMs` or when the signal aborts.
   */
  subscribe(topics: readonly string[] | ((topic: string) => boolean)): Subscription {
    const matches =
      typeof topics === "function" ? topics : (topic: string) => topics.includes(topic);
    return new Subscription(this.#options.clock, (onWake) => {
      const waiter = { matches, wake: onWake };
      this.#waiters.add(waiter);
      return () => this.#waiters.delete(waiter);
    });
  }

  #wake(heard: (waiter: Waiter) => boolean): void {
    for (const waiter of this.#waiters) if (heard(waiter)) waiter.wake();
  }

  async #run(onFirst: () => void): Promise<void> {
    const { url, clock, log } = this.#options;
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      const client = new pg.Client({ connectionString: url, application_name: "berth listen" });
      const ended = new Promise<void>((resolve) => {
        client.on("end", resolve);
        client.on("error", () => resolve());
        this.#stop.signal.addEventListener("abort", () => resolve(), { once: true });
      });
      try {
        await client.connect();
        client.on("notification", ({ payload = "" }) => this.#wake((w) => w.matches(payload)));
        await client.query(`listen ${CHANNEL}`);
        failures = 0;
        onFirst();
        this.#wake(() => true);
        await ended;
      } catch (err) {
        log.warn({ err }, "cannot listen to the database; trying again");
      }
      await client.end().catch(() => {});
      if (this.#stop.signal.aborted) return;
      failures += 1;
      await clock.sleep(backoffMs(failures, RECONNECT), this.#stop.signal).catch(() => {});
    }
  }
}

export class Subscription {
  readonly #clock: Clock;
  readonly #detach: () => void;
  #heard = false;
  #resolve: (() => void) | null = null;

  constructor(clock: Clock, attach: (onWake: () => void) => () => void) {
    this.#clock = clock;
    this.#detach = attach(() => {
      this.#heard = true;
      this.#resolve?.();
    });
  }

  async next(timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    if (!this.#heard && !signal?.aborted) {
      const timer = new AbortController();
      const limit = signal ? AbortSignal.any([signal, timer.signal]) : timer.signal;
      await Promise.race([
        new Promise<void>((resolve) => {
          this.#resolve = resolve;
        }),
        this.#clock.sleep(timeoutMs, limit).catch(() => {}),
      ]);
      this.#resolve = null;
      timer.abort();
    }
    return this.take();
  }

  /** The same without waiting. */
  take(): boolean {
    const heard = this.#heard;
    this.#heard = false;
    return heard;
  }

  close(): void {
    this.#detach();
  }
}
