// The live VMMs: launching one, talking to its monitor and to its guest, freezing and restoring its state,
// ending it. Connections are kept while the VMM lives and made again after the agent restarted.

import { createWriteStream } from "node:fs";
import { chmod, mkdir, readFile, rm, stat } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { BoxId } from "#domain/ids.ts";
import { DriverError } from "../driver.ts";
import { JAIL_PATHS, vmmArguments } from "./args.ts";
import type { BoxRecord } from "./box-record.ts";
import { giveFiles } from "./disk.ts";
import { GuestControl } from "./guest-control.ts";
import type { Host } from "./host.ts";
import { jailed } from "./jail.ts";
import { launchVmm, VMM_FDS } from "./launch.ts";
import { boxLink, TAP } from "./network-rules.ts";
import { isAlive } from "./proc.ts";
import { connectQmp, type Qmp } from "./qmp.ts";
import { safeName } from "./snapshot-dir.ts";

/** Beside guest RAM: QEMU itself, TCG's translation buffer, page cache of the disks. */
const OVERHEAD_MIB = 512;
/** QEMU's main loop and I/O threads beside the vCPUs. */
const OVERHEAD_CPUS = 0.25;
const PROCESSES_MAX = 256;

const MONITOR_TIMEOUT_MS = 30_000;
const ANSWER_TIMEOUT_MS = 15_000;
const MIGRATION_TIMEOUT_MS = 120_000;
const EXIT_POLL_MS = 10;

interface Connections {
  readonly pid: number;
  qmp: Promise<Qmp> | null;
  guest: GuestConnection | null;
}

interface GuestConnection {
  readonly stream: Socket;
  readonly control: GuestControl;
  /** The guest answered on this connection; without that, it takes nothing else. */
  isGreeted: boolean;
}

export class Vmms {
  readonly #host: Host;
  readonly #connections = new Map<BoxId, Connections>();

  constructor(host: Host) {
    this.#host = host;
  }

  async isAlive(record: BoxRecord): Promise<boolean> {
    return record.vmm !== null && (await isAlive(record.vmm, this.#host.bootId));
  }

  /**
   * Starts a VMM on the box's files, in a fresh network that is shut. With `statePath` it waits for
   * `restore`. Returns the record with the new process in it, written down.
   */
  async launch(record: BoxRecord, statePath: string | null): Promise<BoxRecord> {
    const { boxId, imageDigest } = record.run;
    const { slots, spares, boxes, failpoints } = this.#host;
    await this.end(boxId); // What an unfinished launch left.
    const image = await imageDirectory(this.#host, imageDigest);
    const accelerator = await this.#host.accelerators.choose();
    const spare = record.slot === null ? await spares.take(boxId) : null;
    const slot = spare ?? (await slots.claim(boxId, record.slot));
    await failpoints.hit("driver.launch.claimed"); // The claim itself is a file.
    // As udev has it on most hosts: the VMM opens it under its own uid.
    if (accelerator.kind === "kvm") await chmod("/dev/kvm", 0o666);
    const uid = this.#host.uidBase + slot;
    const [cgroupProcs] = await Promise.all([
      this.#limit(record),
      spare ?? this.#host.networks.make(slot, uid),
      giveFiles(boxes.filesPath(boxId), uid),
      mkdir(this.#jailSockets(boxId), { recursive: true, mode: 0o755 }),
    ]);
    await failpoints.hit("driver.launch.prepared");
    const program = vmmArguments({
      accelerator: accelerator.kind,
      tscKhz: accelerator.kind === "tcg" ? accelerator.tscKhz : null,
      cpus: record.run.spec.cpus,
      memoryMib: record.run.spec.memoryMib,
      tapName: TAP,
      qmpFd: VMM_FDS.qmp,
      controlFd: VMM_FDS.control,
      incoming: statePath !== null,
    });
    const argv = jailed(
      {
        ...{ uid, cgroupProcs, imageDirectory: image },
        netns: boxLink(this.#host.owner, slot).netns,
        boxDirectory: boxes.filesPath(boxId),
        socketDirectory: this.#jailSockets(boxId),
        kvm: accelerator.kind === "kvm",
        keptFds: Object.values(VMM_FDS),
        infoFd: VMM_FDS.info,
      },
      ["qemu-system-x86_64", ...program],
    );
    const vmm = await launchVmm({
      ...{ argv, statePath, bootId: this.#host.bootId, log: this.#host.log },
      socketDirectory: this.#sockets(boxId),
      logPath: boxes.vmmLogPath(boxId),
    });
    await failpoints.hit("driver.launch.spawned");
    const launched: BoxRecord = { ...record, slot, vmm, ended: null, freezing: null };
    await boxes.write(launched, false);
    await failpoints.hit("driver.launch.recorded");
    return launched;
  }

  async #limit(record: BoxRecord): Promise<string[]> {
    const { spec, boxId } = record.run;
    return await this.#host.cgroups.create(boxId, {
      memoryMib: spec.memoryMib + OVERHEAD_MIB,
      cpus: spec.cpus + OVERHEAD_CPUS,
      processes: PROCESSES_MAX,
    });
  }

  /** The monitor of a live VMM. */
  async monitor(record: BoxRecord): Promise<Qmp> {
    const connections = this.#connectionsOf(record);
    const held = await connections.qmp?.catch(() => null);
    if (held?.isOpen) return held;
    const path = join(this.#sockets(record.run.boxId), "qmp.sock");
    connections.qmp = connectQmp(path, this.#host.clock, MONITOR_TIMEOUT_MS);
    return await connections.qmp.catch(async (error: Error) => {
      throw await this.#vmmFailed(record, error);
    });
  }

  /** Opens the control channel to a live VMM, whether or not its guest listens yet. */
  openGuest(record: BoxRecord): GuestControl {
    const connections = this.#connectionsOf(record);
    if (connections.guest && !connections.guest.stream.destroyed) return connections.guest.control;
    const stream = connect(join(this.#sockets(record.run.boxId), "control.sock"));
    const control = new GuestControl(stream, { clock: this.#host.clock });
    connections.guest = { stream, control, isGreeted: false };
    return control; // A failure to connect meets the first question.
  }

  /** The control channel to a guest that answers on it; waits for its boot when need be. */
  async guest(
    record: BoxRecord,
    timeoutMs = ANSWER_TIMEOUT_MS,
    signal?: AbortSignal,
  ): Promise<GuestControl> {
    const control = this.openGuest(record);
    const guest = this.#connectionsOf(record).guest;
    if (guest?.isGreeted) return control;
    await control.hello(timeoutMs, signal);
    if (guest) guest.isGreeted = true;
    return control;
  }

  #connectionsOf(record: BoxRecord): Connections {
    const { boxId } = record.run;
    if (!record.vmm) throw new DriverError("vmm_failed", `box ${boxId} has no VMM`, true);
    const held = this.#connections.get(boxId);
    if (held?.pid === record.vmm.pid) return held;
    this.#disconnect(boxId);
    const fresh: Connections = { pid: record.vmm.pid, qmp: null, guest: null };
    this.#connections.set(boxId, fresh);
    return fresh;
  }

  /** Loads the device state that the VMM was launched with; its vCPUs stand still. */
  async restore(record: BoxRecord): Promise<void> {
    const qmp = await this.monitor(record);
    try {
      await setCapabilities(qmp);
      await migration(qmp, () => qmp.execute("migrate-incoming", { uri: `fd:${VMM_FDS.state}` }));
    } catch (error) {
      throw await this.#vmmFailed(record, error as Error);
    }
  }

  /** Stops the vCPUs and writes the device state to `path`. Disks and RAM file are at rest until `cont`. */
  async freeze(record: BoxRecord, path: string): Promise<void> {
    const { boxId } = record.run;
    const qmp = await this.monitor(record);
    const socketPath = join(this.#jailSockets(boxId), "migrate.sock");
    await rm(socketPath, { force: true });
    const received = Promise.withResolvers<void>();
    received.promise.catch(() => {});
    const server = createServer((socket) => {
      pipeline(socket, createWriteStream(path, { mode: 0o600 })).then(
        received.resolve,
        received.reject,
      );
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(socketPath, resolve);
    });
    try {
      await chmod(socketPath, 0o666); // Only this VMM's jail shows it.
      await setCapabilities(qmp);
      await qmp.execute("stop");
      await this.#host.failpoints.hit("driver.freeze.stopped");
      await migration(qmp, () =>
        qmp.execute("migrate", { uri: `unix:${JAIL_PATHS.migrateSocket}` }),
      );
      await received.promise;
    } finally {
      server.close();
    }
  }

  /** Kills whatever runs for the box and takes its network down; its files stay. */
  async end(boxId: BoxId): Promise<void> {
    this.#disconnect(boxId);
    await this.#host.cgroups.remove(boxId);
    for (const [slot, owner] of await this.#host.slots.mine()) {
      if (owner === boxId) await this.#host.networks.remove(slot);
    }
    await rm(this.#sockets(boxId), { recursive: true, force: true });
  }

  /** True once the VMM is gone; false when it still lives after `timeoutMs`. */
  async waitForExit(record: BoxRecord, timeoutMs: number): Promise<boolean> {
    const endMs = this.#host.clock.monotonicMs() + timeoutMs;
    while (await this.isAlive(record)) {
      if (this.#host.clock.monotonicMs() > endMs) return false;
      await this.#host.clock.sleep(EXIT_POLL_MS);
    }
    return true;
  }

  async #vmmFailed(record: BoxRecord, error: Error): Promise<DriverError> {
    const log = await readFile(this.#host.boxes.vmmLogPath(record.run.boxId), "utf8").catch(
      () => "",
    );
    const said = log.trim().slice(-1000);
    return new DriverError("vmm_failed", `${error.message}${said && ` (QEMU: ${said})`}`, true);
  }

  #disconnect(boxId: BoxId): void {
    const connections = this.#connections.get(boxId);
    this.#connections.delete(boxId);
    connections?.qmp?.then(
      (qmp) => qmp.close(),
      () => {},
    );
    connections?.guest?.control.close();
  }

  #sockets(boxId: BoxId): string {
    return join(this.#host.runDir, safeName(boxId));
  }

  #jailSockets(boxId: BoxId): string {
    return join(this.#sockets(boxId), "jail");
  }

  close(): void {
    for (const boxId of [...this.#connections.keys()]) this.#disconnect(boxId);
  }
}

async function setCapabilities(qmp: Qmp): Promise<void> {
  const capabilities = ["x-ignore-shared", "events"].map((capability) => ({
    capability,
    state: true,
  }));
  await qmp.execute("migrate-set-capabilities", { capabilities });
}

/** Begins a migration and waits for its end. */
async function migration(qmp: Qmp, begin: () => Promise<unknown>): Promise<void> {
  const ended = Promise.withResolvers<string>();
  const stop = qmp.onEvent(({ name, data }) => {
    const status = String(data.status);
    if (name === "MIGRATION" && ["completed", "failed", "cancelled"].includes(status)) {
      ended.resolve(status);
    }
  });
  qmp.closed.then(() => ended.resolve("lost"));
  try {
    await begin();
    const status = await qmp.within(ended.promise, MIGRATION_TIMEOUT_MS, "migration");
    if (status === "completed") return;
    const detail = status === "lost" ? "the VMM died" : await qmp.execute("query-migrate");
    throw new Error(`migration ${status}: ${JSON.stringify(detail)}`);
  } finally {
    stop();
  }
}

/** Directory of a base image, when it is whole. */
export async function imageDirectory(host: Host, digest: string): Promise<string> {
  const directory = join(host.imagesDir, safeName(digest.replace(/^sha256:/, "")));
  const there = await stat(join(directory, "meta.json")).then(
    () => true,
    () => false,
  );
  if (there) return directory;
  throw new DriverError("image_missing", `base image ${digest} is not in ${host.imagesDir}`, true);
}
