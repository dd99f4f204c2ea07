// Stand-ins for boxes, where the ways into boxes are measured and not an emulated processor: the guest's own exec server
// on this machine, each in a control group as a VMM is, so that none takes more of the CPUs than a box of its size.

import { writeFile } from "node:fs/promises";
import { Cgroups } from "#drivers/qemu/cgroup.ts";
import { systemClock } from "#lib/clock.ts";
import { type ExecHost, startExecHost } from "#test/harness/exec-host.ts";

const LIMITS = { memoryMib: 1024, cpus: 1, processes: 512 };

export class StandIns {
  readonly #groups: Cgroups;
  readonly #hosts: ExecHost[] = [];

  private constructor(groups: Cgroups) {
    this.#groups = groups;
  }

  static async open(): Promise<StandIns> {
    return new StandIns(await Cgroups.open(`berth-bench-${process.pid}`, systemClock));
  }

  async start(name: string): Promise<ExecHost> {
    const host = await startExecHost(["-O2"], this.#hosts[0]?.program);
    this.#hosts.push(host);
    await this.#groups.create(name, LIMITS);
    await this.enter(name, host.pid);
    return host;
  }

  /** What it starts from now on belongs to the box too. */
  async enter(name: string, pid: number): Promise<void> {
    for (const entrance of this.#groups.entrances(name)) await writeFile(entrance, String(pid));
  }

  async close(): Promise<void> {
    for (const host of this.#hosts) await host.stop();
    await this.#groups.close();
  }
}
