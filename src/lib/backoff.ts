// How long to wait before the next try of what failed.

import { randomInt } from "node:crypto";

export interface BackoffTimes {
  readonly firstMs: number;
  readonly longestMs: number;
}

/** After so many failures in a row: the first time, twice it, four times, and so on to the longest. */
export function backoffMs(failures: number, { firstMs, longestMs }: BackoffTimes): number {
  const doublings = Math.min(Math.max(failures - 1, 0), 30);
  return Math.min(firstMs * 2 ** doublings, longestMs);
}

/** Somewhere in the upper half, so that many who lost the same thing do not all come back at once. */
export function spreadMs(ms: number): number {
  const half = Math.floor(ms / 2);
  return half + randomInt(Math.ceil(ms) - half + 1);
}
