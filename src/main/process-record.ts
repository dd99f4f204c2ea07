// Which process a record on disk means. A pid alone is not an identity (it is used again); a pid with
// the start time that the kernel tells, within one boot, is.

import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname } from "node:path";

export interface ProcessRecord {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat, in clock ticks since boot. */
  readonly startTicks: string;
  readonly bootId: string;
  readonly startedAt: string;
}

/** The record of a process that lives now, or null when there is none (a zombie counts as none). */
async function recordOf(pid: number, startedAt: string): Promise<ProcessRecord | null> {
  const startTicks = await startTicksOf(pid);
  return startTicks === null ? null : { pid, startTicks, bootId: await bootId(), startedAt };
}

async function isAlive(record: ProcessRecord): Promise<boolean> {
  return (
    record.bootId === (await bootId()) && record.startTicks === (await startTicksOf(record.pid))
  );
}

/**
 * Makes this process the one that the record at `path` means, for as long as it lives; false when
 * another process is. The lock is an abstract socket, which the kernel frees with its holder: it can
 * neither be left behind nor be held by a pid that is used again.
 */
export async function claimRecord(path: string, startedAt: string): Promise<boolean> {
  const locked = await new Promise<boolean>((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.on("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(false) : reject(error),
    );
    server.listen(`\0berth:${path}`, () => {
      server.unref();
      resolve(true);
    });
  });
  if (!locked) return false;
  const record = await recordOf(process.pid, startedAt);
  if (record) await writeRecord(path, record);
  return true;
}

/** Written by rename, so that a reader sees a whole record or none. */
async function writeRecord(path: string, record: ProcessRecord): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.new`, `${JSON.stringify(record)}\n`);
  await rename(`${path}.new`, path);
}

/** The living process that the record at `path` means; null when there is no record or no process. */
export async function readLiving(path: string): Promise<ProcessRecord | null> {
  let record: ProcessRecord;
  try {
    record = JSON.parse(await readFile(path, "utf8")) as ProcessRecord;
  } catch {
    return null; // Never written, or cut short by a crash of the machine: there is no such process.
  }
  return (await isAlive(record)) ? record : null;
}

export async function removeRecord(path: string): Promise<void> {
  await rm(path, { force: true });
}

/** Sends a signal to the recorded process and to no other. */
export async function signal(record: ProcessRecord, name: NodeJS.Signals): Promise<boolean> {
  if (!(await isAlive(record))) return false;
  try {
    process.kill(record.pid, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}

async function startTicksOf(pid: number): Promise<string | null> {
  let stat: string;
  try {
    stat = await readFile(`/proc/${pid}/stat`, "utf8");
  } catch {
    return null;
  }
  // The command's name stands in parentheses and may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? null : (fields[19] ?? null);
}
