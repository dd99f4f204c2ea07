// Looks again at all that is open whenever what is known has changed. Changes come in bursts and what is open is many:
// it is gone through at most so often, and a part at a time, with the loop's other work between.

import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "#lib/clock.ts";
import type { Known } from "./known.ts";

const INTERVAL_MS = 500;
/** About a millisecond's work. */
const AT_ONCE = 500;

/** `items` may change meanwhile. Returns what ends it. */
export function reviewOnChange<Item>(
  items: Iterable<Item>,
  review: (item: Item) => void,
  { known, clock }: { readonly known: Pick<Known, "onChange">; readonly clock: Clock },
): () => void {
  const closed = new AbortController();
  /** Something changed since the last review began. */
  let isStale = false;
  let isReviewing = false;
  const stopWatching = known.onChange(async () => {
    isStale = true;
    if (isReviewing) return;
    isReviewing = true;
    while (isStale && !closed.signal.aborted) {
      isStale = false;
      let seen = 0;
      for (const item of items) {
        if (closed.signal.aborted) break;
        review(item);
        seen += 1;
        if (seen % AT_ONCE === 0) await nextTurn();
      }
      await clock.sleep(INTERVAL_MS, closed.signal).catch(() => {});
    }
    isReviewing = false;
  });
  return () => {
    stopWatching();
    closed.abort();
  };
}
