// Lists that come in pages: read to their end, to be searched and put in order; or as far as somebody wants to see.

import { useInfiniteQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef } from "react";

interface PageOf<Item> {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
}
type Load<Item> = (page: { limit: number; cursor?: string }) => Promise<PageOf<Item>>;

const SIZE = 200;
/** Of longer lists the rest is read when somebody asks for it. */
const READ_MAX = 5000;

/** As people look for a name: `box-9` before `box-10`. */
export function byName(one: { readonly name: string }, other: { readonly name: string }): number {
  return NAMES.compare(one.name, other.name);
}
const NAMES = new Intl.Collator(undefined, { numeric: true });

export function newestFirst(
  one: { readonly createdAt: string },
  other: { readonly createdAt: string },
): number {
  return Date.parse(other.createdAt) - Date.parse(one.createdAt);
}

export interface Pages<Item> {
  /** Null: not read yet. */
  readonly items: readonly Item[] | null;
  readonly error: unknown;
  readonly retry: () => void;
  /** Null: there are no more. */
  readonly more: (() => void) | null;
  readonly isReadingMore: boolean;
  /** Of it, anything: more, or again what is there. */
  readonly isReading: boolean;
}

interface Reading {
  readonly isWanted?: boolean;
  /** What changes without an event is looked at again. */
  readonly everyMs?: number;
}

export function usePages<Item>(
  key: readonly unknown[],
  load: Load<Item>,
  { isWanted = true, everyMs }: Reading = {},
): Pages<Item> {
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam }) =>
      load(pageParam === null ? { limit: SIZE } : { limit: SIZE, cursor: pageParam }),
    initialPageParam: null as string | null,
    getNextPageParam: (last: PageOf<Item>) => last.nextCursor,
    enabled: isWanted,
    ...(everyMs ? { refetchInterval: everyMs } : {}),
  });
  const { data } = query;
  const items = useMemo(() => data?.pages.flatMap((page) => page.items) ?? null, [data]);
  return {
    items,
    error: query.error,
    retry: () => void query.refetch(),
    more: query.hasNextPage ? () => void query.fetchNextPage({ cancelRefetch: false }) : null,
    isReadingMore: query.isFetchingNextPage,
    isReading: query.isFetching,
  };
}

/** The whole list, in an order of its own: of a part of it neither can be said. */
export function useAll<Item>(
  key: readonly unknown[],
  load: Load<Item>,
  /** Without it: as the server sends them. */
  order?: (one: Item, other: Item) => number,
  reading?: Reading,
): Pages<Item> {
  const pages = usePages(key, load, reading);
  const { items, more, isReading, error } = pages;
  // While it is read again it cannot go on: to ask all the same would ask without end.
  const isWhole = more === null || (items?.length ?? 0) >= READ_MAX;
  const next = isWhole || isReading || error ? null : more;
  const read = useRef(next);
  read.current = next;
  const goesOn = next !== null;
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for each page that has come
  useEffect(() => read.current?.(), [goesOn, items]);
  const sorted = useMemo(() => (items && order ? items.toSorted(order) : items), [items, order]);
  return { ...pages, items: sorted };
}
