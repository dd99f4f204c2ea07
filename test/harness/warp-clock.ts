// The system's time, and however much of it a test has skipped: what sleeps wakes as if it had passed.

import type { Clock } from "#lib/clock.ts";
import { systemClock } from "#lib/clock.ts";

export class WarpClock implements Clock {
  #aheadMs = 0;
  readonly #sleepers = new Set<() => void>();

  nowMs(): number {
    return systemClock.nowMs() + this.#aheadMs;
  }

  monotonicMs(): number {
    return systemClock.monotonicMs() + this.#aheadMs;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const untilMs = this.monotonicMs() + ms;
    for (let leftMs = ms; leftMs > 0; leftMs = untilMs - this.monotonicMs()) {
      const skip = new AbortController();
      const onSkip = () => skip.abort();
      this.#sleepers.add(onSkip);
      const either = signal ? AbortSignal.any([signal, skip.signal]) : skip.signal;
      await systemClock.sleep(leftMs, either).catch(() => {});
      this.#sleepers.delete(onSkip);
      signal?.throwIfAborted();
    }
    signal?.throwIfAborted();
  }

  advance(ms: number): void {
    this.#aheadMs += ms;
    for (const wake of [...this.#sleepers]) wake();
  }
}
