// What the control plane has signed, against what it has told since.

import type { Known } from "./known.ts";

/** How much later than what it signs the control plane may be heard to say the same, clocks' differences and all. */
const LAG_MS = 10_000;

/**
 * Whether somebody with something that the control plane has signed may (still) enter. What was signed may be newer than
 * what is known here; once it is known, it holds as long as it stays so.
 */
export function stillHolds(
  issuedAtMs: number,
  isKnown: (known: Known) => boolean,
): (known: Known) => boolean {
  let isSeen = false;
  return (known) => {
    isSeen ||= isKnown(known);
    return isSeen ? isKnown(known) : known.asOfMs < issuedAtMs + LAG_MS;
  };
}
