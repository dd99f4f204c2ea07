// A VMM in its jail, for a box or as a spare: its limits, its files' owner, its sockets, and the process itself.

import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { BoxSpec } from "#domain/box.ts";
import { vmmArguments } from "./args.ts";
import type { CgroupLimits } from "./cgroup.ts";
import { giveFiles } from "./disk.ts";
import type { Host } from "./host.ts";
import { imageDirectory } from "./images.ts";
import { jailed } from "./jail.ts";
import { launchVmm, type SpawnedVmm, VMM_FDS } from "./launch.ts";
import { boxLink, TAP } from "./network-rules.ts";
import { safeName } from "./snapshot-dir.ts";

/** Beside guest RAM: QEMU itself, TCG's translation buffer, page cache of the disks. */
const OVERHEAD_MIB = 512;
/** QEMU's main loop and I/O threads beside the vCPUs. */
const OVERHEAD_CPUS = 0.25;
const PROCESSES_MAX = 256;

export interface VmmPlace {
  /** Of its cgroup and its sockets: a box's id, or a spare's name. */
  readonly name: string;
  readonly slot: number;
  readonly spec: BoxSpec;
  readonly imageDigest: string;
  /** What the VMM sees as /box. */
  readonly files: string;
  readonly logPath: string;
}

/** Everything that must stand before the process does, but for the slot's network. */
export async function makeJail(
  host: Host,
  place: VmmPlace,
  limits = limitsOf(place.spec),
): Promise<void> {
  await Promise.all([
    host.cgroups.create(place.name, limits),
    giveFiles(place.files, host.uidBase + place.slot),
    mkdir(jailSocketsOf(host, place.name), { recursive: true, mode: 0o755 }),
  ]);
}

/** Boots, or with `incoming` waits for a device state. */
export async function spawnVmm(
  host: Host,
  place: VmmPlace,
  incoming: boolean,
): Promise<SpawnedVmm> {
  const { spec, slot } = place;
  const accelerator = await host.accelerators.choose();
  // As udev has it on most hosts: the VMM opens it under its own uid.
  if (accelerator.kind === "kvm") await chmod("/dev/kvm", 0o666);
  const program = vmmArguments({
    accelerator: accelerator.kind,
    tscKhz: accelerator.kind === "tcg" ? accelerator.tscKhz : null,
    ...{ cpus: spec.cpus, memoryMib: spec.memoryMib, tapName: TAP, incoming },
    qmpFd: VMM_FDS.qmp,
    controlFd: VMM_FDS.control,
  });
  const argv = jailed(
    {
      uid: host.uidBase + slot,
      cgroupProcs: host.cgroups.entrances(place.name),
      imageDirectory: await imageDirectory(host, place.imageDigest),
      netns: boxLink(host.owner, slot).netns,
      boxDirectory: place.files,
      socketDirectory: jailSocketsOf(host, place.name),
      kvm: accelerator.kind === "kvm",
      keptFds: Object.values(VMM_FDS),
      infoFd: VMM_FDS.info,
    },
    ["qemu-system-x86_64", ...program],
  );
  return await launchVmm({
    ...{ argv, incoming, bootId: host.bootId, log: host.log, logPath: place.logPath },
    socketDirectory: socketsOf(host, place.name),
  });
}

export function limitsOf(spec: BoxSpec): CgroupLimits {
  return {
    memoryMib: spec.memoryMib + OVERHEAD_MIB,
    cpus: spec.cpus + OVERHEAD_CPUS,
    processes: PROCESSES_MAX,
  };
}

/** Root's own: the VMM cannot see it. */
export function socketsOf(host: Host, name: string): string {
  return join(host.runDir, safeName(name));
}

/** What the VMM sees as /run/berth. */
export function jailSocketsOf(host: Host, name: string): string {
  return join(socketsOf(host, name), "jail");
}
