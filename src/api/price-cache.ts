// The prices that hold for organizations, remembered until any change: a create tells its price without a statement more.

import type { Db } from "#store/db.ts";
import type { Wakes } from "#store/listen.ts";
import { type PriceBook, readPrices } from "#store/prices.ts";
import { TOPICS } from "#store/wake.ts";

export type PricesOf = (orgId: string) => Promise<PriceBook>;

const MAX_KEPT = 5000;

export function cachedPrices({ db, wakes }: { readonly db: Db; readonly wakes: Wakes }): PricesOf {
  const changes = wakes.subscribe([TOPICS.prices]);
  // What is being read is kept too: so a change that comes meanwhile makes it be read again.
  const kept = new Map<string, Promise<PriceBook>>();
  return (orgId) => {
    if (changes.take() || kept.size >= MAX_KEPT) kept.clear();
    const known = kept.get(orgId);
    if (known) return known;
    const reading = readPrices(db, orgId);
    kept.set(orgId, reading);
    reading.catch(() => kept.delete(orgId));
    return reading;
  };
}
