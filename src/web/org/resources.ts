// What is limited, in the words and units that people use.

import type { Quota, QuotaLimits } from "../data/types.ts";
import { bytes, count, memory } from "../format.ts";

export type Counted = keyof Quota["usage"];
export type LimitName = Exclude<keyof QuotaLimits, "templates">;

interface Shown {
  readonly label: string;
  readonly show: (value: number) => string;
  /** What one of the field's numbers stands for. */
  readonly unit?: { readonly name: string; readonly size: number };
}

const GIB_IN_MIB = { name: "GiB", size: 1024 };
const gib = (value: number) => `${value} GiB`;

export const COUNTED: Readonly<Record<Counted, Shown>> = {
  boxes: { label: "Boxes", show: String },
  running: { label: "Running boxes", show: String },
  cpus: { label: "vCPUs running", show: String },
  memoryMib: { label: "Memory running", show: memory, unit: GIB_IN_MIB },
  gpus: { label: "GPUs running", show: String },
  diskGib: { label: "Disk", show: gib, unit: { name: "GiB", size: 1 } },
  snapshotBytes: { label: "Snapshots", show: bytes, unit: { name: "GiB", size: 1024 ** 3 } },
  sharedPorts: { label: "Shared ports", show: String },
  createsPerHour: { label: "Boxes made in an hour", show: String },
};
export const COUNTED_NAMES = Object.keys(COUNTED) as Counted[];

export const LIMITS: Readonly<Record<LimitName, Shown>> = {
  ...COUNTED,
  boxCpus: { label: "vCPUs of one box", show: String },
  boxMemoryMib: { label: "Memory of one box", show: memory, unit: GIB_IN_MIB },
  boxDiskGib: { label: "Disk of one box", show: gib, unit: { name: "GiB", size: 1 } },
};
export const LIMIT_NAMES = Object.keys(LIMITS) as LimitName[];

/** What is not limited and not used says nothing. */
export function isWorthShowing({ usage, limits }: Quota, name: Counted): boolean {
  return limits[name] !== null || usage[name] > 0 || name === "boxes" || name === "running";
}

const FREED: Readonly<Record<Counted, string>> = {
  boxes: "delete boxes, or hand them over to somebody else",
  running: "pause or stop boxes",
  cpus: "pause or stop boxes",
  memoryMib: "pause or stop boxes",
  gpus: "pause or stop boxes that have one",
  diskGib: "delete boxes",
  snapshotBytes: "delete checkpoints, or boxes at rest",
  sharedPorts: "close previews, or make them private",
  createsPerHour: "wait: each box counts for an hour",
};
const NEARLY = 0.9;

/** Of what is taken, or nearly: what happens, and what makes room. */
export function waysToFree({ usage, limits }: Quota): readonly string[] {
  const tight = COUNTED_NAMES.filter((name) => {
    const limit = limits[name];
    return limit !== null && usage[name] > 0 && usage[name] >= limit * NEARLY;
  });
  const ways = Map.groupBy(tight, (name) => FREED[name]);
  return [...ways].map(([way, names]) => {
    const labels = names.map((name) => COUNTED[name].label).join(", ");
    const isFull = names.some((name) => usage[name] >= (limits[name] ?? 0));
    return `${labels}: ${isFull ? "full, so more is refused" : "nearly full"}. To free it, ${way}.`;
  });
}

/** The limits that are set, in one line. */
export function limitWords(
  limits: Omit<QuotaLimits, "templates"> & Partial<Pick<QuotaLimits, "templates">>,
): string {
  const words = LIMIT_NAMES.flatMap((name) => {
    const limit = limits[name];
    return limit === null ? [] : [`${LIMITS[name].label} ${LIMITS[name].show(limit)}`];
  });
  if (limits.templates) words.push(`only ${count(limits.templates.length, "template")}`);
  return words.length > 0 ? words.join(" · ") : "No limits";
}
