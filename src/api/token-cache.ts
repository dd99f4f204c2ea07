// Whose a token or a web session is, remembered for a moment: a query less on every request. A revoked one is refused after
// that moment, at every replica. What is unknown is not remembered, so a new token works at once.

import type { Clock } from "#lib/clock.ts";
import type { Identified } from "#store/tokens.ts";

const KEEP_MS = 1000;
const MAX_KEPT = 10_000;

export function cachedIdentities(
  clock: Clock,
  load: (tokenHash: string) => Promise<Identified | null>,
): (tokenHash: string) => Promise<Identified | null> {
  const kept = new Map<string, { readonly identified: Identified; readonly untilMs: number }>();
  return async (tokenHash) => {
    const known = kept.get(tokenHash);
    if (known && clock.monotonicMs() < known.untilMs) return known.identified;
    // The moment counts from before the query: what it reads may be older than its answer.
    const untilMs = clock.monotonicMs() + KEEP_MS;
    const identified = await load(tokenHash);
    kept.delete(tokenHash);
    if (kept.size >= MAX_KEPT) kept.clear();
    if (identified) kept.set(tokenHash, { identified, untilMs });
    return identified;
  };
}
