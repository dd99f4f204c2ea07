// What the parts of the driver share: the host's tools, this driver's names on it, and the directories.

import { createHash } from "node:crypto";
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "#lib/clock.ts";
import type { Failpoints } from "#lib/failpoint.ts";
import type { Log } from "#lib/log.ts";
import type { Run } from "#lib/run.ts";
import { type Accelerators, openAccelerators } from "./accelerator.ts";
import { BoxDirectory } from "./box-record.ts";
import { Cgroups } from "./cgroup.ts";
import { Lull } from "./lull.ts";
import { type BoxNetworks, boxNetworks } from "./network.ts";
import { readBootId } from "./proc.ts";
import { canReflink } from "./reflink-fs.ts";
import { openSlots, type Slots } from "./slots.ts";
import { SnapshotDirectory } from "./snapshot-dir.ts";
import { SpareNetworks } from "./spare-networks.ts";

export interface QemuDriverOptions {
  /** On a file system with reflinks (see reflink-fs.ts). Its path is the driver's name on this host. */
  readonly stateDir: string;
  /** Cache of base images: <hex of the digest>/{root.ext4,vmlinux,initrd,probe.img,meta.json}. */
  readonly imagesDir: string;
  readonly clock: Clock;
  readonly run: Run;
  readonly log: Log;
  readonly failpoints: Failpoints;
  /** Sockets and slots; the same for all drivers of a host, emptied by a reboot. */
  readonly runDir?: string;
  /** Networks to make ahead of time. */
  readonly spareNetworks?: number;
  /** VMMs to start ahead of time. */
  readonly spareVmms?: number;
  /** The kernel's, unless a test restarts the host. */
  readonly bootId?: string;
  /** First uid for VMMs; a box's is this plus its slot. */
  readonly uidBase?: number;
}

export interface Host {
  readonly stateDir: string;
  readonly imagesDir: string;
  readonly clock: Clock;
  readonly run: Run;
  readonly log: Log;
  readonly failpoints: Failpoints;
  /** Stands for this state directory in names of namespaces, interfaces and cgroups. */
  readonly owner: string;
  readonly bootId: string;
  /** This driver's own part of the run directory. */
  readonly runDir: string;
  readonly uidBase: number;
  readonly boxes: BoxDirectory;
  readonly snapshots: SnapshotDirectory;
  readonly slots: Slots;
  readonly networks: BoxNetworks;
  readonly spares: SpareNetworks;
  readonly lull: Lull;
  readonly spareVmmsWanted: number;
  readonly cgroups: Cgroups;
  readonly accelerators: Accelerators;
}

const UID_BASE = 1_200_000_000;
const SPARE_NETWORKS = 2;
/** Each holds about 20 MiB. */
const SPARE_VMMS = 2;
const RUN_DIR = "/run/berth";

export async function openHost(options: QemuDriverOptions): Promise<Host> {
  const { stateDir, clock, run, log, failpoints } = options;
  const runRoot = options.runDir ?? RUN_DIR;
  const owner = createHash("sha256").update(stateDir).digest("hex").slice(0, 6);
  const runDir = join(runRoot, owner);
  await mkdir(join(stateDir, "boxes"), { recursive: true, mode: 0o700 });
  await mkdir(runDir, { recursive: true, mode: 0o700 });
  // Some hosts keep it to root; the VMM opens its own tap as an unprivileged user, as udev lets it.
  await chmod("/dev/net/tun", 0o666).catch((error: Error) => {
    throw new Error(`${error.message}: load the tun module (modprobe tun)`);
  });
  const bootId = options.bootId ?? (await readBootId());
  const networks = boxNetworks(owner, run);
  await networks.protectHost();
  const slots = await openSlots(join(runRoot, "slots"), owner);
  const uidBase = options.uidBase ?? UID_BASE;
  const lull = new Lull(clock);
  const wanted = options.spareNetworks ?? SPARE_NETWORKS;
  return {
    ...{
      stateDir,
      imagesDir: options.imagesDir,
      clock,
      run,
      log,
      failpoints,
      owner,
      bootId,
      runDir,
    },
    uidBase,
    boxes: new BoxDirectory(stateDir),
    snapshots: new SnapshotDirectory(stateDir, bootId),
    slots,
    networks,
    spares: new SpareNetworks(networks, slots, { uidBase, log, wanted, lull }),
    lull,
    // A snapshot's bytes get into the files that a spare has open by reference, or not at all.
    spareVmmsWanted: (await canReflink(stateDir)) ? (options.spareVmms ?? SPARE_VMMS) : 0,
    cgroups: await Cgroups.open(`berth-${owner}`, clock),
    accelerators: openAccelerators({ ...options, bootId }),
  };
}
