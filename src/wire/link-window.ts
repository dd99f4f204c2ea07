// How much a node may have in flight towards us, over all its streams. Everything in flight stands before the next
// keystroke's echo, and less than the way holds would slow bulk down: so, twice what the way held just now. Pure.

/** While all goes well on a short way: about 2 ms of what one gateway moves. */
export const MIN_WINDOW_BYTES = 256 * 1024;
/** 100 MB/s at 80 ms. */
export const MAX_WINDOW_BYTES = 16 * 1024 * 1024;
/** A way that got longer is believed after so long. */
const RTT_MEMORY_MS = 10 * 60_000;
/** Smaller changes are not worth a frame. */
const STEP = 1.25;

export class LinkWindow {
  #bytes = MIN_WINDOW_BYTES;
  #rttMs = Number.POSITIVE_INFINITY;
  #rttSinceMs = Number.NEGATIVE_INFINITY;

  get bytes(): number {
    return this.#bytes;
  }

  /** The shortest counts: what is longer waited behind something. */
  answered(rttMs: number, nowMs: number): void {
    if (rttMs > this.#rttMs && nowMs - this.#rttSinceMs < RTT_MEMORY_MS) return;
    this.#rttMs = rttMs;
    this.#rttSinceMs = nowMs;
  }

  /** So much came in so long. True: the window is another now. */
  received(bytes: number, elapsedMs: number): boolean {
    if (elapsedMs <= 0 || !Number.isFinite(this.#rttMs)) return false;
    const heldBytes = (bytes / elapsedMs) * this.#rttMs;
    // It grows at once and shrinks by halves: a pause is not the end.
    const least = Math.max(MIN_WINDOW_BYTES, this.#bytes / 2);
    const wanted = Math.ceil(Math.min(MAX_WINDOW_BYTES, Math.max(least, 2 * heldBytes)));
    if (wanted < this.#bytes * STEP && wanted > this.#bytes / STEP) return false;
    this.#bytes = wanted;
    return true;
  }
}
