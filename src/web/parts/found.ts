// What of a list matches a search, in the order that was asked for.

interface Findable<Item> {
  readonly textOf: (item: Item) => string;
  readonly orders?: Readonly<Record<string, (one: Item, other: Item) => number>>;
}

/** Every word somewhere, whatever the case. */
export function foundIn<Item>(
  items: readonly Item[],
  { textOf, orders = {} }: Findable<Item>,
  { q, sort }: { readonly q: string; readonly sort: string },
): readonly Item[] {
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  const found =
    words.length === 0
      ? items
      : items.filter((item) => {
          const text = textOf(item).toLowerCase();
          return words.every((word) => text.includes(word));
        });
  const order = Object.hasOwn(orders, sort) ? orders[sort] : undefined;
  return order ? found.toSorted(order) : found;
}
