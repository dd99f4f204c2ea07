// Time as a value that is passed in, so that tests and the simulation own it.

import { setTimeout as delay } from "node:timers/promises";

export interface Clock {
  /** Milliseconds since 1970. May jump; use `monotonicMs` for durations. */
  nowMs(): number;
  monotonicMs(): number;
  /** Rejects with the signal's reason when it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, signal ? { signal } : {});
  },
};
