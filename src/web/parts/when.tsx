// A moment in words, counted from now; the exact time comes with the pointer.

import { useNow } from "../data/live.ts";
import { ago, fullTime, lasting, shortAgo, until } from "../format.ts";

interface MomentProps {
  readonly at: string;
}

function Moment({ at, words }: MomentProps & { readonly words: string }) {
  return (
    <time dateTime={at} title={fullTime(at)}>
      {words}
    </time>
  );
}

export function Ago({ at }: MomentProps) {
  return <Moment at={at} words={ago(at, useNow())} />;
}

/** Since then it has been so. */
export function Lasting({ at }: MomentProps) {
  return <Moment at={at} words={lasting(at, useNow())} />;
}

/** Where there is little room. */
export function ShortAgo({ at }: MomentProps) {
  return <Moment at={at} words={shortAgo(at, useNow())} />;
}

export function Until({ at }: MomentProps) {
  return <Moment at={at} words={until(at, useNow())} />;
}
