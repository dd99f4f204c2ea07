// A lock between processes on one host, as a directory: whoever makes it holds it. The holder's pid and start
// time are in it, so that a lock whose holder died is taken over.

import { randomBytes } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "#lib/clock.ts";

const POLL_MS = 250;

/** Runs `work` while holding the lock; waits for another holder as long as it lives. */
export async function withLock<T>(
  path: string,
  clock: Clock,
  onWait: () => void,
  work: () => Promise<T>,
): Promise<T> {
  const mine = `${process.pid} ${await startTimeOf(process.pid)}`;
  let told = false;
  while (!(await take(path, mine))) {
    if (await holderIsGone(path)) {
      await discard(path);
      continue;
    }
    if (!told) onWait();
    told = true;
    await clock.sleep(POLL_MS);
  }
  try {
    return await work();
  } finally {
    await discard(path);
  }
}

/** A lock appears with its holder's name in it, in one step: rename refuses a full directory. */
async function take(path: string, mine: string): Promise<boolean> {
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  await mkdir(draft, { recursive: true });
  await writeFile(join(draft, "holder"), mine);
  try {
    await rename(draft, path);
    return true;
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOTEMPTY" || code === "EEXIST") return false;
    throw error;
  }
}

/** Of two that discard the same dead lock only one gets it; the other's rename finds nothing. */
async function discard(path: string): Promise<void> {
  const away = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    await rename(path, away);
  } catch {
    return;
  }
  await rm(away, { recursive: true, force: true });
}

async function holderIsGone(path: string): Promise<boolean> {
  const holder = await readFile(join(path, "holder"), "utf8").catch(() => null);
  if (holder === null) return false; // Just given back; try again.
  const [pid = "", startTime] = holder.split(" ");
  return (await startTimeOf(Number(pid)).catch(() => "gone")) !== startTime;
}

/** Field 22 of /proc/PID/stat: with it a pid names one process for as long as the host is up. */
async function startTimeOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}
