// Rows of usage as a chart draws them: one bar for each day or hour, with a piece for each of the largest.

import type { Usage } from "../data/types.ts";

type Row = Usage["rows"][number];

/** What is drawn: money, or the amount of one resource. */
export type Measure = "cost" | Row["resource"];

export interface Series {
  readonly id: string;
  readonly name: string;
  readonly total: number;
}

export interface Bar {
  readonly at: string;
  /** By the ids of the series. */
  readonly parts: ReadonlyMap<string, number>;
  readonly total: number;
}

export interface Chart {
  /** Largest first. */
  readonly series: readonly Series[];
  readonly bars: readonly Bar[];
  readonly max: number;
}

const MAX_SERIES = 5;
export const OTHERS = "others";
export const NOBODY = "none";

export function drawnOf(row: Row, measure: Measure): number {
  if (measure === "cost") return Number(row.cost);
  return row.resource === measure ? Number(row.amount) : 0;
}

/** Every step from `from` to `to`, so that one without usage is a gap and not left out. */
export function stepsOf(from: string, to: string, stepMs: number): readonly string[] {
  const steps: string[] = [];
  const first = Math.floor(Date.parse(from) / stepMs) * stepMs;
  for (let at = first; at < Date.parse(to); at += stepMs) steps.push(new Date(at).toISOString());
  return steps;
}

export function sumsOf(rows: readonly Row[], measure: Measure): readonly Series[] {
  const sums = new Map<string, { name: string; total: number }>();
  for (const row of rows) {
    const id = row.id ?? NOBODY;
    const sum = sums.get(id) ?? { name: row.name ?? row.id ?? "none", total: 0 };
    sum.total += drawnOf(row, measure);
    sums.set(id, sum);
  }
  return [...sums]
    .map(([id, { name, total }]) => ({ id, name, total }))
    .filter(({ total }) => total > 0)
    .sort((a, b) => b.total - a.total);
}

export function chartOf(rows: readonly Row[], measure: Measure, steps: readonly string[]): Chart {
  const all = sumsOf(rows, measure);
  const shown = all.slice(0, MAX_SERIES);
  const rest = all.slice(MAX_SERIES).reduce((sum, { total }) => sum + total, 0);
  const ids = new Set(shown.map(({ id }) => id));
  const parts = new Map(steps.map((at) => [Date.parse(at), new Map<string, number>()]));
  for (const row of rows) {
    const bar = parts.get(Date.parse(row.at ?? ""));
    const value = drawnOf(row, measure);
    if (!bar || value === 0) continue;
    const own = row.id ?? NOBODY;
    const id = ids.has(own) ? own : OTHERS;
    bar.set(id, (bar.get(id) ?? 0) + value);
  }
  const bars = steps.map((at) => {
    const own = parts.get(Date.parse(at)) ?? new Map<string, number>();
    return { at, parts: own, total: [...own.values()].reduce((sum, one) => sum + one, 0) };
  });
  const series = rest > 0 ? [...shown, { id: OTHERS, name: "all others", total: rest }] : shown;
  return { series, bars, max: Math.max(0, ...bars.map(({ total }) => total)) };
}

/** A round number at or above it, for the top of the scale. */
export function roundUp(value: number): number {
  if (value <= 0) return 1;
  const magnitude = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10].find((one) => one * magnitude >= value) ?? 10;
  return step * magnitude;
}
