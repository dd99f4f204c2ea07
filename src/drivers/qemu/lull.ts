// What is made ahead of time waits until no box is being restored, and a moment longer: it would take the CPU from
// the very start that it is meant to make faster.

import type { Clock } from "#lib/clock.ts";

const MOMENT_MS = 50;

export class Lull {
  readonly #clock: Clock;
  #underWay = 0;
  #lastEndMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** There is no lull while `work` is done. */
  async not<T>(work: () => Promise<T>): Promise<T> {
    this.#underWay += 1;
    try {
      return await work();
    } finally {
      this.#underWay -= 1;
      this.#lastEndMs = this.#clock.monotonicMs();
    }
  }

  /** Resolves in a lull, or soon after `isOver`. */
  async comes(isOver: () => boolean): Promise<void> {
    while (!isOver() && !this.#isNow()) await this.#clock.sleep(MOMENT_MS);
  }

  #isNow(): boolean {
    return this.#underWay === 0 && this.#clock.monotonicMs() >= this.#lastEndMs + MOMENT_MS;
  }
}
