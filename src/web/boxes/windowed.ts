// Of a long list only the rows in sight are drawn, and a few around them; the rest is empty space as high as they are.

import { useMediaQuery } from "@mantine/hooks";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type RefObject, useEffect, useLayoutEffect, useRef, useState } from "react";

/** As high as the style makes a row; measuring each would cost more than drawing it. */
const ROW_PX = { wide: 46, small: 58 } as const;
const IS_SMALL = "(max-width: 720px)";
/** Drawn above and below, so that a quick hand sees no blank. */
const AROUND = 12;

export interface Windowed {
  readonly indexes: readonly number[];
  readonly spaceBefore: number;
  readonly spaceAfter: number;
}

/** `rows` holds them. The row at `cursor` is brought into sight; the list begins at its top when `key` changes. */
export function useWindowed(
  rows: RefObject<HTMLElement | null>,
  list: { readonly count: number; readonly cursor: number; readonly key: string },
): Windowed {
  const { count, cursor, key } = list;
  const [scrollMargin, setMargin] = useState(0);
  const rowPx = useMediaQuery(IS_SMALL) ? ROW_PX.small : ROW_PX.wide;
  const scroller = () => rows.current?.closest("main") ?? null;
  const virtual = useVirtualizer({
    ...{ count, scrollMargin, overscan: AROUND, getScrollElement: scroller },
    estimateSize: () => rowPx,
    // Below what sticks to the top.
    scrollPaddingStart: rowPx,
  });
  useLayoutEffect(() => {
    if (rowPx) virtual.measure();
  }, [rowPx, virtual]);
  useLayoutEffect(() => {
    const place = scroller();
    if (!place || !rows.current) return;
    const top = rows.current.getBoundingClientRect().top - place.getBoundingClientRect().top;
    setMargin(Math.round(top + place.scrollTop));
  });
  useEffect(() => {
    if (cursor >= 0) virtual.scrollToIndex(cursor);
  }, [cursor, virtual]);
  const shownKey = useRef(key);
  useEffect(() => {
    if (shownKey.current !== key) virtual.scrollToOffset(0);
    shownKey.current = key;
  }, [key, virtual]);
  const items = virtual.getVirtualItems();
  const end = items.at(-1)?.end ?? scrollMargin;
  return {
    indexes: items.map(({ index }) => index),
    spaceBefore: (items[0]?.start ?? scrollMargin) - scrollMargin,
    spaceAfter: Math.max(0, virtual.getTotalSize() - (end - scrollMargin)),
  };
}
