// Small limits on what the agent does at once and for how long it waits.

/** Rejects when the signal aborts, whatever becomes of the work. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const ended = new AbortController();
  const aborted = new Promise<never>((_resolve, reject) => {
    const fail = () => reject(signal.reason);
    if (signal.aborted) fail();
    else signal.addEventListener("abort", fail, { once: true, signal: ended.signal });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    ended.abort();
    work.catch(() => {}); // Its end may come later, and is of no interest then.
  }
}

/** Lets so many in at once; the others wait in order. */
export class Turnstile {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(places: number) {
    this.#free = places;
  }

  /** Resolves with the function that gives the place back. */
  async enter(signal: AbortSignal): Promise<() => void> {
    if (this.#free > 0) this.#free -= 1;
    else {
      let turn: () => void = () => {};
      const mine = new Promise<void>((resolve) => {
        turn = resolve;
        this.#waiting.push(turn);
      });
      try {
        await abortable(mine, signal);
      } catch (error) {
        const at = this.#waiting.indexOf(turn);
        if (at >= 0) this.#waiting.splice(at, 1);
        else this.#leave();
        throw error;
      }
    }
    let isIn = true;
    return () => {
      if (isIn) this.#leave();
      isIn = false;
    };
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }
}
