// What processes used, as the kernel tells: CPU-seconds and memory. Says the same on a busy machine.

import { readFileSync } from "node:fs";

const TICK_S = 0.01; // USER_HZ, the same on every Linux.
const MIB_KIB = 1024;

export interface Memory {
  /** Pages of its own that were written: what the next such process costs again. */
  readonly privateDirtyMib: number;
  /** All that is mapped and present, what could be dropped included. */
  readonly residentMib: number;
}

/** This process with the children that it has waited for. */
export function ownCpuS(): number {
  const fields = statOf(process.pid);
  return (fields.userTicks + fields.systemTicks + fields.childTicks) * TICK_S;
}

/** A VMM with the jail process above it. */
export function vmmCpuS(pid: number): number {
  const vmm = statOf(pid);
  const jail = statOf(vmm.parent);
  return (vmm.userTicks + vmm.systemTicks + jail.userTicks + jail.systemTicks) * TICK_S;
}

export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const kib = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? Number.NaN);
  return { privateDirtyMib: kib("Private_Dirty") / MIB_KIB, residentMib: kib("Rss") / MIB_KIB };
}

function statOf(pid: number) {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const number = (index: number): number => Number(fields[index]);
  return {
    parent: number(1),
    userTicks: number(11),
    systemTicks: number(12),
    childTicks: number(13) + number(14),
  };
}
