// Wakes a loop: rung while nobody waits, it ends the next wait at once.

import type { Clock } from "#lib/clock.ts";

export class Bell {
  readonly #clock: Clock;
  #isRung = false;
  #wake: (() => void) | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    this.#isRung = true;
    this.#wake?.();
  }

  /** Until the bell rings, `ms` have passed (null: for ever) or the signal aborts. */
  async wait(ms: number | null, signal: AbortSignal): Promise<void> {
    if (!this.#isRung && !signal.aborted) {
      const ended = new AbortController();
      const rung = new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal.addEventListener("abort", () => resolve(), { once: true, signal: ended.signal });
      });
      const rivals = [rung];
      if (ms !== null) rivals.push(this.#clock.sleep(ms, ended.signal).catch(() => {}));
      await Promise.race(rivals);
      this.#wake = null;
      ended.abort();
    }
    this.#isRung = false;
  }
}
