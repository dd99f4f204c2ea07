// Why a box is not simply running or at rest: what holds it, since when, and what happens next.

import type { Box } from "#sdk/client.ts";
import { isMoving } from "../boxes/actions.ts";
import { sentence, span } from "../format.ts";

export interface Standing {
  /** `wait`: it goes on by itself; `bad`: something went wrong. */
  readonly tone: "wait" | "bad";
  readonly why: string;
  readonly since: string;
  readonly next: string | null;
  /** Of each place where it could be, what is in the way. */
  readonly places: readonly { readonly name: string; readonly why: string }[];
}

/** What is on its way is not told of before it takes long. */
const SOON_MS = 4000;

export function standingOf(box: Box, nowMs: number): Standing | null {
  const { fault, since, next, reason } = box;
  // A node that is not heard of says more than what it said last.
  if (fault && (reason === null || reason.startsWith(fault.message)))
    return { tone: "bad", why: ended(fault.message), places: [], ...ofFault(box, fault, nowMs) };
  if (reason) {
    const tone = fault || box.phase === "failed" ? "bad" : "wait";
    return { tone, why: ended(reason), since, next, places: placesOf(box) };
  }
  if (next && isMoving(box.phase) && nowMs - Date.parse(since) >= SOON_MS)
    return { tone: "wait", why: `${sentence(box.phase)}.`, since, next, places: [] };
  return null;
}

function ofFault(box: Box, fault: NonNullable<Box["fault"]>, nowMs: number) {
  const tried = fault.attempts === 1 ? "Tried once" : `Tried ${fault.attempts} times`;
  if (!fault.retryable) return { since: fault.since, next: box.next };
  const leftMs = fault.nextAttemptAt === null ? 0 : Date.parse(fault.nextAttemptAt) - nowMs;
  const again = leftMs >= 1000 ? `in ${span(leftMs)}` : "at any moment";
  return { since: fault.since, next: `${tried}; again ${again}.` };
}

/** Only while it waits for one. */
function placesOf({ node, placement }: Box): Standing["places"] {
  if (node || !placement) return [];
  return placement.candidates
    .filter((one) => !one.fits)
    .map((one) => ({ name: one.nodeName, why: one.reasons.join(", ") }));
}

function ended(words: string): string {
  return sentence(/[.!?]$/.test(words) ? words : `${words}.`);
}
