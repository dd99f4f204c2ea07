// Joins two byte streams: what one reads the other writes, each direction ends by itself, and nobody
// holds more than the streams' own buffers.

import type { Duplex } from "node:stream";
import type { Clock } from "./clock.ts";

/** When one side is done, the other has this long to take what is still on its way. */
const DRAIN_MS = 60_000;

/**
 * Resolves when both sides have closed, with null; or at once with the side that broke: closed before both of
 * its directions had ended. The caller then destroys the other, with its own words.
 */
export function splice<Side extends Duplex>(
  left: Side,
  right: Side,
  clock: Clock,
): Promise<Side | null> {
  return new Promise((resolve) => {
    // Made when one side has closed: most of what is open here stays open for long, and is many.
    let draining: AbortController | null = null;
    const onClose = (side: Side, other: Side) => {
      if (!isWhole(side)) resolve(side);
      else if (draining) resolve(null);
      if (draining) return draining.abort();
      draining = new AbortController();
      clock.sleep(DRAIN_MS, draining.signal).then(
        () => resolve(other),
        () => {},
      );
    };
    for (const [side, other] of [
      [left, right],
      [right, left],
    ] as const) {
      // As `pipe` does, with a quarter of what it keeps for each stream.
      side.on("data", (bytes) => {
        if (!other.destroyed && !other.write(bytes)) side.pause();
      });
      other.on("drain", () => side.resume());
      side.on("end", () => other.end());
      side.on("error", ignore);
      side.on("close", () => onClose(side, other));
    }
  });
}

/** A close follows. */
function ignore(): void {}

/** Both directions ended and everything was passed on. */
function isWhole(side: Duplex): boolean {
  return side.readableEnded && side.writableFinished;
}

/**
 * Ends a stream at once. With an error, so that what was cut never looks whole. A TCP socket cannot say it: Node's
 * `resetAndDestroy` leaks the socket (24.21) when it was shut down before.
 */
export function breakOff(stream: Duplex): void {
  stream.destroy(new Error("broken off"));
}
