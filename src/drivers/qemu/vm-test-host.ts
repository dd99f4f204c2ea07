// For tests with real VMs: a state directory with reflinks, the base image, and an account of what is left.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BoxSpec } from "#domain/box.ts";
import { ensureBaseImage } from "#images/build.ts";
import { systemClock } from "#lib/clock.ts";
import { Failpoints } from "#lib/failpoint.ts";
import { silentLog } from "#lib/log.ts";
import { run } from "#lib/run.ts";
import type { CrashCall } from "./crash-agent.ts";
import { createQemuDriver, type QemuDriver } from "./driver.ts";
import { openHost, type QemuDriverOptions } from "./host.ts";
import { ensureReflinkDirectory, removeReflinkDirectory } from "./reflink-fs.ts";
import { SPARE_PREFIX } from "./spare-networks.ts";

export const IMAGES_DIR = "/var/cache/berth/images";
/** The smallest that boots well. */
export const TEST_SPEC: BoxSpec = { cpus: 1, memoryMib: 512, rootDiskGib: 5, homeDiskGib: 1 };

export interface VmTestHost {
  readonly stateDir: string;
  readonly runDir: string;
  /** Stands for the driver in names of cgroups and networks. */
  readonly owner: string;
  readonly imageDigest: string;
  readonly options: QemuDriverOptions;
  open(failpoints?: Failpoints): Promise<QemuDriver>;
  /** An agent of its own that dies in the middle; by which signal. */
  crashAgent(call: Omit<CrashCall, "stateDir" | "imagesDir">): Promise<string | null>;
  /** What boxes left on the host, one line each. */
  leftovers(): Promise<string[]>;
  /** What a restart of the host leaves: the disk, and nothing that the kernel held. */
  restartHost(): Promise<void>;
  close(): Promise<void>;
}

export async function openVmTestHost(): Promise<VmTestHost> {
  const imageOptions = { cacheDir: IMAGES_DIR, run, log: silentLog };
  const { digest } = await ensureBaseImage("debian-12", imageOptions);
  const base = await mkdtemp(join(tmpdir(), "berth-vm-"));
  const stateDir = join(base, "state");
  await ensureReflinkDirectory(stateDir, 16, run);
  const options = optionsOf(stateDir);
  const host = await openHost(options).catch(async (error) => {
    await removeReflinkDirectory(stateDir, run);
    await rm(base, { recursive: true });
    throw error;
  });
  return {
    ...{ stateDir, runDir: host.runDir, owner: host.owner, imageDigest: digest, options },
    open: (failpoints) =>
      createQemuDriver({ ...options, failpoints: failpoints ?? options.failpoints }),
    async crashAgent(call) {
      const program = fileURLToPath(new URL("./crash-agent.ts", import.meta.url));
      const whole: CrashCall = { ...call, stateDir, imagesDir: IMAGES_DIR };
      const child = spawn(process.execPath, [program, JSON.stringify(whole)], {
        stdio: ["ignore", "inherit", "inherit"],
      });
      const [, signal] = (await once(child, "exit")) as [number | null, string | null];
      return signal;
    },
    async leftovers() {
      const lines: string[] = [];
      const isSpare = (name: string) => name.startsWith(SPARE_PREFIX);
      for (const name of await host.cgroups.list())
        if (!isSpare(name)) lines.push(`cgroup ${name}`);
      const spares = new Set<number>();
      for (const [slot, name] of await host.slots.mine()) {
        if (isSpare(name)) spares.add(slot);
        else lines.push(`slot ${slot} ${name}`);
      }
      for (const slot of await host.networks.list()) {
        if (!spares.has(slot)) lines.push(`network ${slot}`);
      }
      for (const name of await readdir(host.runDir)) if (!isSpare(name)) lines.push(`run ${name}`);
      for (const part of ["boxes", "snapshots", "taking", "staging", "trash"]) {
        for (const name of await readdir(join(stateDir, part)).catch(() => [])) {
          lines.push(`${part} ${name}`);
        }
      }
      return lines;
    },
    async restartHost() {
      await host.cgroups.close();
      await host.networks.close();
      for (const slot of (await host.slots.mine()).keys()) await host.slots.release(slot);
      await rm(host.runDir, { recursive: true, force: true });
      await run(["umount", stateDir]);
      await ensureReflinkDirectory(stateDir, 16, run);
    },
    async close() {
      await forgetHost(stateDir);
      await rm(base, { recursive: true });
    },
  };
}

/** Ends everything of a driver on this host, VMs too, and removes its state directory. */
export async function forgetHost(stateDir: string): Promise<void> {
  const host = await openHost(optionsOf(stateDir));
  await host.cgroups.close();
  await host.networks.close();
  for (const slot of (await host.slots.mine()).keys()) await host.slots.release(slot);
  await rm(host.runDir, { recursive: true, force: true });
  await removeReflinkDirectory(stateDir, run);
}

export function optionsOf(stateDir: string): QemuDriverOptions {
  const failpoints = new Failpoints();
  return { stateDir, imagesDir: IMAGES_DIR, clock: systemClock, run, log: silentLog, failpoints };
}
