// A run of tests has a temporary directory of its own, in which all that its tests make lies. What a run that was killed
// left behind (processes, virtual machines, mounts, files) is found by it, and cleared by the next run.

import { existsSync } from "node:fs";
import { chmod, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { forgetHost } from "#drivers/qemu/vm-test-host.ts";
import { run } from "#lib/run.ts";
import { claimRecord, readLiving } from "#main/process-record.ts";

/** Short: the path of a socket below it has 107 characters at most. */
const PREFIX = "bt-";
const RECORD = "run.json";

/** Makes this process the run, and returns its directory, which is to be TMPDIR. */
export async function openTestRun(parent: string): Promise<string> {
  await clearLeftBehind(parent);
  const directory = await mkdtemp(join(parent, PREFIX));
  await chmod(directory, 0o755); // The user that Postgres runs as must be able to enter.
  await claimRecord(join(directory, RECORD), new Date().toISOString());
  return directory;
}

async function clearLeftBehind(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(PREFIX)) continue;
    const directory = join(parent, name);
    // A run that is just beginning has no record yet.
    const text = await readFile(join(directory, RECORD), "utf8").catch(() => null);
    if (text !== null && (await readLiving(join(directory, RECORD))) === null)
      await clearTestRun(directory);
  }
}

/** Ends what runs in a run's directory, and removes it with all that is there. */
export async function clearTestRun(directory: string): Promise<void> {
  while (await endProcesses(directory)) await delay(50);
  for (const stateDir of await stateDirectories(directory)) await forgetHost(stateDir);
  for (const mount of (await mountsBelow(directory)).reverse()) await run(["umount", mount]);
  await rm(directory, { recursive: true, force: true });
}

/** Whoever has it as TMPDIR, or names a path in it. True when there was one. */
async function endProcesses(directory: string): Promise<boolean> {
  let found = false;
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const read = (file: string) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
    const environment = (await read("environ")).split("\0");
    const isOfRun =
      environment.includes(`TMPDIR=${directory}`) ||
      (await read("cmdline")).includes(`${directory}/`);
    if (!isOfRun) continue;
    found = true;
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
  return found;
}

/** Of drivers that keep VMs: each has a file system of its own, or a directory of boxes. */
async function stateDirectories(directory: string): Promise<string[]> {
  const found = new Set(await mountsBelow(directory));
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    for (const path of ["state", "state/node"].map((part) => join(directory, entry.name, part)))
      if (existsSync(join(path, "boxes"))) found.add(path);
  }
  return [...found];
}

async function mountsBelow(directory: string): Promise<string[]> {
  const mounts = await readFile("/proc/self/mounts", "utf8");
  return mounts
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((path) => path.startsWith(`${directory}/`));
}
