// Processes as the kernel tells of them. A pid alone says nothing: it is trusted only together with
// the start time and the boot that it was recorded in.

import { readFile } from "node:fs/promises";

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after boot at which the process started. */
  readonly startTicks: string;
  readonly bootId: string;
}

export async function readBootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}

/** The identity of a live process, null for one that is gone or a zombie. */
export async function identifyProcess(
  pid: number,
  bootId: string,
): Promise<ProcessIdentity | null> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  if (stat === null) return null;
  // The program's name, in brackets, may hold anything; the fields begin after the last bracket.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  const startTicks = fields[19];
  if (startTicks === undefined || state === "Z" || state === "X") return null;
  return { pid, startTicks, bootId };
}

export async function isAlive(identity: ProcessIdentity, bootId: string): Promise<boolean> {
  if (identity.bootId !== bootId) return false;
  const now = await identifyProcess(identity.pid, bootId);
  return now?.startTicks === identity.startTicks;
}
