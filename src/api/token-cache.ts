// Whose a token is, remembered for a moment: a query less on every request. A revoked token is refused after
// that moment, at every replica. What is unknown is not remembered, so a new token works at once.

import type { Subject } from "#domain/permission.ts";
import type { Clock } from "#lib/clock.ts";

const KEEP_MS = 1000;
const MAX_KEPT = 10_000;

export function cachedSubjects(
  clock: Clock,
  load: (tokenHash: string) => Promise<Subject | null>,
): (tokenHash: string) => Promise<Subject | null> {
  const kept = new Map<string, { readonly subject: Subject; readonly untilMs: number }>();
  return async (tokenHash) => {
    const known = kept.get(tokenHash);
    if (known && clock.monotonicMs() < known.untilMs) return known.subject;
    // The moment counts from before the query: what it reads may be older than its answer.
    const untilMs = clock.monotonicMs() + KEEP_MS;
    const subject = await load(tokenHash);
    kept.delete(tokenHash);
    if (kept.size >= MAX_KEPT) kept.clear();
    if (subject) kept.set(tokenHash, { subject, untilMs });
    return subject;
  };
}
