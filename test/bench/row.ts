// One line of the bench's table, and the statistics that all modules use.

export interface Row {
  /** What is compared, as a reader of docs/bench.md knows it. */
  readonly name: string;
  /** Median of ours and of theirs, in `unit`. */
  readonly ours: number;
  readonly theirs: number;
  /** How many times better ours is: the median of the pairs' ratios. */
  readonly ratio: number;
  readonly unit: string;
  /** Interleaved pairs that were measured. */
  readonly n: number;
  /** Lowest and highest ratio of a pair. */
  readonly spread: readonly [number, number];
  /** What the two sides are, and what the figure does not say. */
  readonly note: string;
}

export interface Pair {
  readonly ours: number;
  readonly theirs: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) throw new Error("median of nothing");
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A row of pairs measured one after the other; `theirs / ours`, because less is better. */
export function rowOf(name: string, unit: string, pairs: readonly Pair[], note: string): Row {
  const ratios = pairs.map(({ ours, theirs }) => theirs / ours);
  return {
    name,
    unit,
    note,
    n: pairs.length,
    ours: median(pairs.map(({ ours }) => ours)),
    theirs: median(pairs.map(({ theirs }) => theirs)),
    ratio: median(ratios),
    spread: [Math.min(...ratios), Math.max(...ratios)],
  };
}
