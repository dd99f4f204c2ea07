// Whether this machine has room for Berth. What is too little is refused before anything is made: a disk that is full
// or a machine without memory fails later at any step, and says something else each time.

import { statfs } from "node:fs/promises";
import { totalmem } from "node:os";
import { dirname } from "node:path";
import { CliError } from "#cli/exit.ts";
import { bytes } from "#cli/terminal.ts";
import type { Installed } from "./settings.ts";

const GIB = 1024 ** 3;
/** A default box has 2 GiB; the database, the control plane, the gateway and the agent want the rest. */
const MEMORY_BYTES_MIN = 3 * GIB;
/** The default template's prebuild, its snapshot, and a first box. */
const FIRST_DISK_BYTES_MIN = 10 * GIB;
/** For what is there already to start: the database's log, and a snapshot. */
const DISK_BYTES_MIN = GIB;

export interface Room {
  readonly memoryBytes: number;
  readonly freeDiskBytes: number;
}

export async function roomFor(stateDir: string): Promise<Room> {
  return { memoryBytes: totalmem(), freeDiskBytes: await freeDiskBytes(stateDir) };
}

/** Of the file system that a directory is on, or will be when it is made. */
export async function freeDiskBytes(path: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      return await freeDiskBytes(dirname(path));
    return Number.POSITIVE_INFINITY; // That nothing can be made there is said by whoever tries.
  }
}

export function refuseTooLittle(
  { memoryBytes, freeDiskBytes }: Room,
  { config, recorded }: Pick<Installed, "config" | "recorded">,
): void {
  const isQemu = config.driver === "qemu";
  if (isQemu && !recorded && memoryBytes < MEMORY_BYTES_MIN)
    throw new CliError(
      `this machine has ${bytes(memoryBytes)} of memory; Berth and one box of the default size want ${bytes(MEMORY_BYTES_MIN)}.`,
      {
        next: "Use one with 4 GiB or more; or try Berth without virtual machines: `./berth up --driver fake --state-dir ~/berth-trial`.",
      },
    );
  const diskBytesMin = isQemu && !recorded ? FIRST_DISK_BYTES_MIN : DISK_BYTES_MIN;
  if (freeDiskBytes < diskBytesMin)
    throw new CliError(
      `${bytes(freeDiskBytes)} are free for ${config.stateDir}; Berth wants ${bytes(diskBytesMin)} to ${recorded ? "start" : "begin with"}.`,
      { next: "Make room, or choose another disk with --state-dir." },
    );
}
