// Lists come in pages; commands want all of it.

interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

export interface PageQuery {
  readonly limit: number;
  readonly cursor?: string;
}

const PAGE_ITEMS = 200;

/** Every item, or the first `maxItems`. */
export async function everyPage<T>(
  load: (page: PageQuery) => Promise<Page<T>>,
  maxItems = Number.POSITIVE_INFINITY,
): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | null = null;
  do {
    const limit = Math.min(PAGE_ITEMS, maxItems - items.length);
    const page: Page<T> = await load({ limit, ...(cursor ? { cursor } : {}) });
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor && items.length < maxItems);
  return items;
}
