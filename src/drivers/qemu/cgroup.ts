// Limits of a box's VMM by cgroup, v1 and v2. A box is one group in every hierarchy, all of the
// same name; what is in it is what belongs to the box, whatever the agent remembers.

import { access, mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Clock } from "#lib/clock.ts";

export interface CgroupLimits {
  readonly memoryMib: number;
  readonly cpus: number;
  readonly processes: number;
  /** On a busy host it gets as much as this many ordinary programs; unless said, as it has CPUs. */
  readonly weight?: number;
}

interface Hierarchy {
  /** Directory of all of this driver's groups. */
  readonly directory: string;
  readonly settings: (limits: CgroupLimits) => Readonly<Record<string, string>>;
}

const CPU_PERIOD_US = 100_000;
const KILL_ROUNDS = 1_200;
const KILL_PAUSE_MS = 25;

const MIB = 1024 * 1024;
const quotaUs = (limits: CgroupLimits) => String(Math.round(limits.cpus * CPU_PERIOD_US));
// Without these all boxes together count as one program.
const sharesV1 = (weight: number) => ({ "cpu.shares": String(Math.round(weight * 1024)) });
const sharesV2 = (weight: number) => ({
  "cpu.weight": String(Math.min(10_000, Math.round(weight * 100))),
});
const weightOf = ({ weight, cpus }: CgroupLimits) => weight ?? cpus;

const V1_SETTINGS = {
  memory: (limits: CgroupLimits) => ({ "memory.limit_in_bytes": String(limits.memoryMib * MIB) }),
  cpu: (limits: CgroupLimits) => ({
    "cpu.cfs_period_us": String(CPU_PERIOD_US),
    "cpu.cfs_quota_us": quotaUs(limits),
    ...sharesV1(weightOf(limits)),
  }),
  pids: (limits: CgroupLimits) => ({ "pids.max": String(limits.processes) }),
};

const v2Settings = (limits: CgroupLimits) => ({
  "memory.max": String(limits.memoryMib * MIB),
  "memory.oom.group": "1",
  "cpu.max": `${quotaUs(limits)} ${CPU_PERIOD_US}`,
  ...sharesV2(weightOf(limits)),
  "pids.max": String(limits.processes),
});

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

async function writeSettings(directory: string, settings: Readonly<Record<string, string>>) {
  for (const [file, value] of Object.entries(settings))
    await writeFile(join(directory, file), value);
}

export class Cgroups {
  readonly version: "v1" | "v2";
  readonly #hierarchies: readonly Hierarchy[];
  /** Hierarchy with cgroup.kill, when there is one. */
  readonly #killable: string | null;
  readonly #clock: Clock;

  private constructor(
    version: "v1" | "v2",
    hierarchies: readonly Hierarchy[],
    killable: string | null,
    clock: Clock,
  ) {
    this.version = version;
    this.#hierarchies = hierarchies;
    this.#killable = killable;
    this.#clock = clock;
  }

  /** Finds out which version the host has. `owner` names the directory of all our groups. */
  static async open(owner: string, clock: Clock, root = "/sys/fs/cgroup"): Promise<Cgroups> {
    if (await exists(join(root, "cgroup.controllers"))) {
      const directory = join(root, owner);
      await mkdir(directory, { recursive: true });
      for (const parent of [root, directory]) {
        await writeFile(join(parent, "cgroup.subtree_control"), "+cpu +memory +pids");
      }
      await writeSettings(directory, sharesV2(availableParallelism()));
      return new Cgroups("v2", [{ directory, settings: v2Settings }], directory, clock);
    }
    const hierarchies: Hierarchy[] = [];
    for (const [controller, settings] of Object.entries(V1_SETTINGS)) {
      if (!(await exists(join(root, controller, "cgroup.procs")))) {
        throw new Error(
          `cgroup controller ${controller} is not mounted at ${join(root, controller)}: mount it, or boot with cgroup v2`,
        );
      }
      hierarchies.push({ directory: join(root, controller, owner), settings });
    }
    const unified = join(root, "unified");
    const hasUnified = await exists(join(unified, "cgroup.procs"));
    if (hasUnified) hierarchies.push({ directory: join(unified, owner), settings: () => ({}) });
    for (const { directory } of hierarchies) await mkdir(directory, { recursive: true });
    await writeSettings(join(root, "cpu", owner), sharesV1(availableParallelism()));
    return new Cgroups("v1", hierarchies, hasUnified ? join(unified, owner) : null, clock);
  }

  /** Makes the group, or sets its limits again. Returns the cgroup.procs files that a process enters it by. */
  async create(name: string, limits: CgroupLimits): Promise<string[]> {
    for (const { directory, settings } of this.#hierarchies) {
      await mkdir(join(directory, name), { recursive: true });
      await writeSettings(join(directory, name), settings(limits));
    }
    return this.entrances(name);
  }

  /** The cgroup.procs files of the group. */
  entrances(name: string): string[] {
    return this.#hierarchies.map(({ directory }) => join(directory, name, "cgroup.procs"));
  }

  /** Moves all processes of one group to another, which is there. */
  async move(from: string, to: string): Promise<void> {
    for (let round = 0; round < KILL_ROUNDS; round++) {
      const pids = await this.processes(from);
      if (pids.length === 0) return;
      for (const entrance of this.entrances(to)) {
        for (const pid of pids) await enter(entrance, pid);
      }
    }
    throw new Error(`processes of cgroup ${from} cannot be moved to ${to}`);
  }

  /** Every process in any of the box's groups. */
  async processes(name: string): Promise<number[]> {
    const pids = new Set<number>();
    for (const { directory } of this.#hierarchies) {
      const text = await readFile(join(directory, name, "cgroup.procs"), "utf8").catch(() => "");
      for (const line of text.split("\n")) if (line.trim()) pids.add(Number(line));
    }
    pids.delete(0); // Seen for a process of another pid namespace.
    return [...pids];
  }

  /** Kills whatever is in the group and returns when it is empty. */
  async kill(name: string): Promise<void> {
    for (let round = 0; round < KILL_ROUNDS; round++) {
      const pids = await this.processes(name);
      if (pids.length === 0) return;
      const killed = this.#killable
        ? await writeFile(join(this.#killable, name, "cgroup.kill"), "1").then(
            () => true,
            () => false,
          )
        : false;
      // Entered some hierarchies only, or a kernel without cgroup.kill: one by one.
      if (!killed || round > 0) for (const pid of pids) killQuietly(pid);
      await this.#clock.sleep(round === 0 ? 2 : KILL_PAUSE_MS);
    }
    throw new Error(
      `processes ${(await this.processes(name)).join(", ")} of cgroup ${name} do not die (stuck in the kernel?)`,
    );
  }

  /** Kills what is in the group and removes it. */
  async remove(name: string): Promise<void> {
    await this.kill(name);
    for (const { directory } of this.#hierarchies)
      await this.#removeDirectory(join(directory, name));
  }

  /** The kernel counts a process out of its group a little after it shows none. */
  async #removeDirectory(path: string): Promise<void> {
    for (let round = 0; ; round++) {
      try {
        await rmdir(path);
        return;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === "ENOENT") return;
        if (code !== "EBUSY" || round === KILL_ROUNDS) throw error;
        await this.#clock.sleep(KILL_PAUSE_MS);
      }
    }
  }

  async list(): Promise<string[]> {
    const names = new Set<string>();
    for (const { directory } of this.#hierarchies) {
      const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
      for (const entry of entries) if (entry.isDirectory()) names.add(entry.name);
    }
    return [...names];
  }

  /** Did the kernel kill the VMM for its memory limit? */
  async ranOutOfMemory(name: string): Promise<boolean> {
    for (const { directory } of this.#hierarchies) {
      for (const file of ["memory.oom_control", "memory.events"]) {
        const text = await readFile(join(directory, name, file), "utf8").catch(() => "");
        if (/^oom_kill [1-9]/m.test(text)) return true;
      }
    }
    return false;
  }

  /** Removes every group and the directory that holds them: for tests and `berth down`. */
  async close(): Promise<void> {
    for (const name of await this.list()) await this.remove(name);
    for (const { directory } of this.#hierarchies) await rmdir(directory).catch(() => {});
  }
}

async function enter(entrance: string, pid: number): Promise<void> {
  await writeFile(entrance, String(pid)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ESRCH") throw error; // Gone in the meantime.
  });
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone in the meantime.
  }
}
