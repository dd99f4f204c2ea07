// Input on its way to a program: kept until the box says that it has taken it, so that after a lost connection
// exactly the rest is sent again. Offsets count bytes since the session began.

const PART_BYTES = 32 * 1024;
/** A writer waits while more than this is under way. */
const HIGH_WATER_BYTES = 256 * 1024;

export class InputQueue {
  #parts: Uint8Array[] = [];
  /** Offset of the first byte that is kept. */
  #takenBytes = 0;
  /** How much of what is kept was sent on the present connection. */
  #sentParts = 0;
  #keptBytes = 0;
  #isEnded = false;
  #waiting: (() => void)[] = [];

  get isEnded(): boolean {
    return this.#isEnded;
  }

  get untakenBytes(): number {
    return this.#keptBytes;
  }

  /** Resolves when the next may come. */
  push(bytes: Uint8Array): Promise<void> {
    if (this.#isEnded) return Promise.resolve();
    // A copy: the caller may use its buffer again.
    for (let at = 0; at < bytes.length; at += PART_BYTES)
      this.#parts.push(bytes.slice(at, at + PART_BYTES));
    this.#keptBytes += bytes.length;
    if (this.#keptBytes <= HIGH_WATER_BYTES) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  end(): void {
    this.#isEnded = true;
  }

  /** What to send next; null when all was sent. */
  next(): Uint8Array | null {
    const part = this.#parts[this.#sentParts];
    if (!part) return null;
    this.#sentParts += 1;
    return part;
  }

  /** The box has all bytes before that offset. */
  taken(bytes: number): void {
    while (this.#takenBytes < bytes) {
      const part = this.#parts[0];
      if (!part) break;
      const rest = part.subarray(bytes - this.#takenBytes);
      const gone = part.length - rest.length;
      this.#takenBytes += gone;
      this.#keptBytes -= gone;
      if (rest.length > 0) {
        this.#parts[0] = rest;
        continue;
      }
      this.#parts.shift();
      this.#sentParts = Math.max(0, this.#sentParts - 1);
    }
    if (this.#keptBytes <= HIGH_WATER_BYTES) for (const go of this.#waiting.splice(0)) go();
  }

  /** On a new connection, to a box that has so many bytes: the others go again. */
  resume(takenBytes: number): void {
    this.taken(takenBytes);
    // A box that knows of fewer forgot who we are; what it was given then cannot be known.
    this.#takenBytes = takenBytes;
    this.#sentParts = 0;
  }

  /** Nothing will be sent any more. */
  drop(): void {
    this.#parts = [];
    this.#keptBytes = 0;
    this.#sentParts = 0;
    for (const go of this.#waiting.splice(0)) go();
  }
}
