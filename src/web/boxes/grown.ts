// How many rows of a long list are drawn: a screenful or two, and more as its end comes into sight.

import { type RefObject, useEffect, useRef, useState } from "react";

const STEP = 100;

export interface Grown {
  readonly shown: number;
  /** Of an element behind the rows. */
  readonly end: RefObject<HTMLDivElement | null>;
}

/** Begins anew when `key` changes. Rows up to `least` are drawn in any case. */
export function useGrown(count: number, least: number, key: string): Grown {
  const [grown, setGrown] = useState({ key, rows: STEP });
  const rows = grown.key === key ? grown.rows : STEP;
  const shown = Math.min(count, Math.max(rows, least + STEP / 2));
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!end.current || shown >= count) return undefined;
    const look = new IntersectionObserver(
      ([seen]) => seen?.isIntersecting && setGrown({ key, rows: shown + STEP }),
      { rootMargin: "600px" },
    );
    look.observe(end.current);
    return () => look.disconnect();
  }, [count, shown, key]);
  return { shown, end };
}
