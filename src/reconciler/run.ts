// What a healing loop is: look at the tables, do one idempotent step for each thing found, sleep until woken or
// until the time is over. A pass has four outcomes: done, more to do, another replica's turn, failed. Loops hold
// nothing in memory, so any number of replicas may run them; a lease only saves double work.

import { backoffMs } from "#lib/backoff.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import type { Db } from "#store/db.ts";
import { releaseLease, takeLease } from "#store/leases.ts";
import type { Wakes } from "#store/listen.ts";

/**
 * - `done`: nothing is left; look again when woken, or by time
 * - `again`: there may be more; look again at once
 */
export type PassOutcome = "done" | "again";

export interface Loop {
  readonly name: string;
  readonly topics: readonly string[];
  /** A lost wake costs at most this. */
  readonly everyMs: number;
  /** All replicas run it at once, so that none waits for the lease of a dead one. Default: one at a time. */
  readonly isShared?: boolean;
  pass(): Promise<PassOutcome>;
}

export interface LoopContext {
  readonly db: Db;
  readonly wakes: Wakes;
  readonly clock: Clock;
  readonly log: Log;
  /** Names this process among the replicas; a new one each start. */
  readonly holder: string;
  readonly signal: AbortSignal;
}

const LEASE_MS = 5_000;
const RETRY = { firstMs: 100, longestMs: 10_000 };

/** Runs until the signal aborts. Never throws: a loop that fails waits and looks again. */
export async function runLoop(loop: Loop, context: LoopContext): Promise<void> {
  const { db, clock, log, signal } = context;
  const subscription = context.wakes.subscribe(loop.topics);
  const lease = `loop:${loop.name}`;
  let failures = 0;
  try {
    while (!signal.aborted) {
      let waitMs = loop.everyMs;
      try {
        const isOurs = loop.isShared || (await takeLease(db, lease, context.holder, LEASE_MS));
        if (isOurs && (await loop.pass()) === "again") continue;
        failures = 0;
      } catch (err) {
        log.warn({ err, loop: loop.name }, "a loop failed and will look again");
        failures += 1;
        waitMs = backoffMs(failures, RETRY);
      }
      if (waitMs === loop.everyMs) await subscription.next(waitMs, signal);
      else await clock.sleep(waitMs, signal).catch(() => {});
    }
  } finally {
    subscription.close();
    if (!loop.isShared) await releaseLease(db, lease, context.holder).catch(() => {});
  }
}
