// What left a box, as the kernel counts it: its namespace sends on only what its rules let pass, by one interface pair,
// whose host side receives it. The kernel never reuses an interface's number until the host boots again.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Egress } from "../driver.ts";

const INTERFACES = "/sys/class/net";
const BOOT_ID = "/proc/sys/kernel/random/boot_id";

/** Null: there is no such interface. */
export async function readEgress(hostInterface: string): Promise<Egress | null> {
  const path = join(INTERFACES, hostInterface);
  try {
    const number = await readText(join(path, "ifindex"));
    const bytes = Number(await readText(join(path, "statistics/rx_bytes")));
    const bootId = await readText(BOOT_ID);
    // Made anew in between: the next look counts it.
    if ((await readText(join(path, "ifindex"))) !== number) return null;
    return { counter: `${bootId}:${number}`, bytes };
  } catch (error) {
    if (["ENOENT", "ENODEV", "EINVAL"].includes((error as NodeJS.ErrnoException).code ?? ""))
      return null;
    throw error;
  }
}

async function readText(path: string): Promise<string> {
  return (await readFile(path, "utf8")).trim();
}
