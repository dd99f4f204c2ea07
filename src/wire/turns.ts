// Whose turn it is to send. Streams go round; one that sends little goes first, so that a keystroke's echo never waits
// for bulk. What is little is a share of what all send: nobody can starve the others by sending it often. Pure.

export interface Taker {
  /** Kept here, so that a stream that is idle costs nothing. */
  turn: "none" | "first" | "round";
  /** What it sent since, and where all of them were then. */
  sentBytes: number;
  sinceBytes: number;
}

/** Of so much that all send, each may send a turn's worth first. */
const SHARE_BYTES = 1024 * 1024;

export class Turns<T extends Taker> {
  readonly #turnBytes: number;
  #first: T[] = [];
  #round: T[] = [];
  #totalBytes = 0;

  constructor(turnBytes: number) {
    this.#turnBytes = turnBytes;
  }

  get isEmpty(): boolean {
    return this.#first.length + this.#round.length === 0;
  }

  /** It has something to send; said again before its turn, it changes nothing. */
  add(taker: T): void {
    if (taker.turn !== "none") return;
    if (this.#totalBytes - taker.sinceBytes > SHARE_BYTES) {
      taker.sinceBytes = this.#totalBytes;
      taker.sentBytes = 0;
    }
    const isSparse = taker.sentBytes < this.#turnBytes;
    taker.turn = isSparse ? "first" : "round";
    (isSparse ? this.#first : this.#round).push(taker);
  }

  /** It is in no line any more: `took`, and `add` it again when it has more. */
  next(onlyFirst: boolean): T | undefined {
    const taker = this.#first.shift() ?? (onlyFirst ? undefined : this.#round.shift());
    if (taker) taker.turn = "none";
    return taker;
  }

  took(taker: T, bytes: number): void {
    taker.sentBytes += bytes;
    this.#totalBytes += bytes;
  }
}
