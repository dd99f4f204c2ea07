// Work that must be over by a time, whatever it waits for.

import type { Clock } from "./clock.ts";

/** Rejects with `timeout()` after `ms`, and aborts the signal that the work got. */
export async function withDeadline<T>(
  clock: Clock,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
  timeout: () => Error,
): Promise<T> {
  const working = new AbortController();
  const waiting = new AbortController();
  const deadline = clock.sleep(ms, waiting.signal).then(() => {
    throw timeout();
  });
  deadline.catch(() => {}); // When the work is first, the wait ends in an abort nobody waits for.
  try {
    return await Promise.race([work(working.signal), deadline]);
  } finally {
    waiting.abort();
    working.abort();
  }
}
