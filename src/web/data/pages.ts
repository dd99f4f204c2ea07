// A list that comes in pages, of which more are read when somebody wants to see more.

import { useInfiniteQuery } from "@tanstack/react-query";

interface PageOf<Item> {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
}

const SIZE = 50;

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
): Pages<Item> {
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam }) =>
      load(pageParam === null ? { limit: SIZE } : { limit: SIZE, cursor: pageParam }),
    initialPageParam: null as string | null,
    getNextPageParam: (last: PageOf<Item>) => last.nextCursor,
  });
  return {
    items: query.data?.pages.flatMap(({ items }) => items) ?? null,
    error: query.error,
    retry: () => void query.refetch(),
    more: query.hasNextPage ? () => void query.fetchNextPage() : null,
    isReadingMore: query.isFetchingNextPage,
  };
}
