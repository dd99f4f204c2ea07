// What usage costs: resources with the units in which they are priced, and sums of decimals that never pass through a
// floating-point number. Money and amounts are decimal strings.

import type { BoxSpec } from "./box.ts";

export const RESOURCES = [
  "vcpu",
  "memory",
  "gpu",
  "disk_running",
  "disk_paused",
  "disk_stopped",
  "snapshot",
  "egress",
] as const;
export type Resource = (typeof RESOURCES)[number];

const HOUR = 3600;
const MIB_PER_GIB = 1024;
const BYTES_PER_GIB = 1024 ** 3;

interface ResourceUnit {
  readonly title: string;
  /** What a price is for, and what amounts are shown in. */
  readonly unit: "vCPU-hour" | "GiB-hour" | "GPU-hour" | "GiB";
  /** Metered amount (times seconds, unless it is counted) in one unit. */
  readonly perUnit: number;
}

export const UNITS: Readonly<Record<Resource, ResourceUnit>> = {
  vcpu: { title: "vCPUs of running boxes", unit: "vCPU-hour", perUnit: HOUR },
  memory: { title: "memory of running boxes", unit: "GiB-hour", perUnit: MIB_PER_GIB * HOUR },
  gpu: { title: "GPUs of running boxes", unit: "GPU-hour", perUnit: HOUR },
  disk_running: { title: "disk of boxes on a node", unit: "GiB-hour", perUnit: HOUR },
  disk_paused: { title: "disk of paused boxes", unit: "GiB-hour", perUnit: HOUR },
  disk_stopped: { title: "disk of stopped boxes", unit: "GiB-hour", perUnit: HOUR },
  snapshot: {
    title: "snapshots, what each adds to the object store",
    unit: "GiB-hour",
    perUnit: BYTES_PER_GIB * HOUR,
  },
  egress: { title: "bytes that leave a box", unit: "GiB", perUnit: BYTES_PER_GIB },
};

/** What one unit of each resource costs. One that is left out costs nothing. */
export type Prices = Readonly<Partial<Record<Resource, string>>>;

const DIGITS = 9;
const SCALE = 10n ** BigInt(DIGITS);
/** What people and programs may give. */
export const DECIMAL_PATTERN = /^(0|[1-9]\d{0,11})(\.\d{1,9})?$/;

/** In billionths. */
export function parseDecimal(text: string): bigint {
  if (!/^\d+(\.\d{1,9})?$/.test(text)) throw new Error(`'${text}' is not a decimal like 12.5`);
  const [whole = "0", part = ""] = text.split(".");
  return BigInt(whole) * SCALE + BigInt(part.padEnd(DIGITS, "0"));
}

/** The shortest text of that many billionths. */
export function formatDecimal(value: bigint): string {
  const size = value < 0n ? -value : value;
  const part = (size % SCALE).toString().padStart(DIGITS, "0").replace(/0+$/, "");
  return `${value < 0n ? "-" : ""}${size / SCALE}${part ? `.${part}` : ""}`;
}

export interface PriceLine {
  readonly resource: Resource;
  /** In its unit, for one hour. */
  readonly amount: string;
  readonly unit: string;
  readonly price: string;
  readonly cost: string;
}

export interface HourlyPrice {
  readonly running: string;
  readonly paused: string;
  readonly stopped: string;
  /** Of the running box. */
  readonly lines: readonly PriceLine[];
}

/** What a box of this size costs for an hour, without its snapshots and what leaves it. */
export function hourlyPrice(spec: BoxSpec, prices: Prices): HourlyPrice {
  const diskGib = spec.rootDiskGib + spec.homeDiskGib;
  const taken: [Resource, number][] = [
    ["vcpu", spec.cpus],
    ["memory", spec.memoryMib],
    ["gpu", spec.gpus ?? 0],
    ["disk_running", diskGib],
  ];
  const lines = taken
    .filter(([, amount]) => amount > 0)
    .map(([resource, amount]) => lineOf(resource, amount, prices));
  const total = lines.reduce((sum, { cost }) => sum + parseDecimal(cost), 0n);
  return {
    running: formatDecimal(total),
    paused: lineOf("disk_paused", diskGib, prices).cost,
    stopped: lineOf("disk_stopped", diskGib, prices).cost,
    lines,
  };
}

function lineOf(resource: Resource, amount: number, prices: Prices): PriceLine {
  const { unit, perUnit } = UNITS[resource];
  const price = prices[resource] ?? "0";
  const inUnits = (BigInt(amount) * BigInt(HOUR) * SCALE) / BigInt(perUnit);
  const cost = (inUnits * parseDecimal(price) + SCALE / 2n) / SCALE;
  return { resource, amount: formatDecimal(inUnits), unit, price, cost: formatDecimal(cost) };
}
