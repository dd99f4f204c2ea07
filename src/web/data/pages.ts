// A list that comes in pages, of which more are read when somebody wants to see more.

import { useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";

interface PageOf<Item> {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
}

const SIZE = 200;

/** As people look for a name: `box-9` before `box-10`. */
export function byName(one: { readonly name: string }, other: { readonly name: string }): number {
  return one.name.localeCompare(other.name, undefined, { numeric: true });
}

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
}

export function usePages<Item>(
  key: readonly unknown[],
  load: (page: { limit: number; cursor?: string }) => Promise<PageOf<Item>>,
  /** Without it: as the server sends them. */
  order?: (one: Item, other: Item) => number,
): Pages<Item> {
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam }) =>
      load(pageParam === null ? { limit: SIZE } : { limit: SIZE, cursor: pageParam }),
    initialPageParam: null as string | null,
    getNextPageParam: (last: PageOf<Item>) => last.nextCursor,
  });
  const { data } = query;
  const items = useMemo(() => {
    const all = data?.pages.flatMap((page) => page.items) ?? null;
    return all && order ? all.sort(order) : all;
  }, [data, order]);
  return {
    items,
    error: query.error,
    retry: () => void query.refetch(),
    more: query.hasNextPage ? () => void query.fetchNextPage() : null,
    isReadingMore: query.isFetchingNextPage,
  };
}
