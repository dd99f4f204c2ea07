// The live VMMs: launching one, talking to its monitor and to its guest, freezing and restoring its state,
// ending it. Connections are kept while the VMM lives and made again after the agent restarted.

import { createWriteStream } from "node:fs";
import { chmod, readFile, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { BoxId } from "#domain/ids.ts";
import { DriverError } from "../driver.ts";
import { JAIL_PATHS } from "./args.ts";
import type { BoxRecord } from "./box-record.ts";
import { GuestControl } from "./guest-control.ts";
import type { Host } from "./host.ts";
import { jailSocketsOf, makeJail, socketsOf, spawnVmm } from "./jailed-vmm.ts";
import { type SpawnedVmm, VMM_FDS } from "./launch.ts";
import { isAlive } from "./proc.ts";
import { connectQmp, type Qmp } from "./qmp.ts";
import { SpareVmms } from "./spare-vmms.ts";

const MONITOR_TIMEOUT_MS = 30_000;
const ANSWER_TIMEOUT_MS = 15_000;
const MIGRATION_TIMEOUT_MS = 120_000;
const EXIT_POLL_MS = 10;

interface Connections {
  readonly pid: number;
  qmp: Promise<Qmp> | null;
  guest: GuestConnection | null;
  /** Where a device state goes, of a VMM that waits for one. */
  feed: Duplex | null;
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
  readonly spares: SpareVmms;

  constructor(host: Host) {
    this.#host = host;
    this.spares = new SpareVmms(host);
  }

  async isAlive(record: BoxRecord): Promise<boolean> {
    return record.vmm !== null && (await isAlive(record.vmm, this.#host.bootId));
  }

  /**
   * Starts a VMM on the box's files, in a fresh network that is shut; the one that has them open already, when they
   * are a spare's. `incoming`: it waits for `restore`. Returns the record with the process in it, written down.
   */
  async launch(record: BoxRecord, incoming: boolean): Promise<BoxRecord> {
    const { boxId, imageDigest, spec } = record.run;
    const { boxes, failpoints } = this.#host;
    const spare = incoming ? this.spares.takenBy(boxId) : null;
    if (spare) {
      this.#connectionsOf({ ...record, vmm: spare.spawned.identity }).qmp = Promise.resolve(
        spare.qmp,
      );
      return await this.#launched({ ...record, slot: spare.slot }, spare.spawned);
    }
    await this.end(boxId); // What an unfinished launch left.
    const ready = record.slot === null ? await this.#host.spares.take(boxId) : null;
    const slot = ready ?? (await this.#host.slots.claim(boxId, record.slot));
    await failpoints.hit("driver.launch.claimed"); // The claim itself is a file.
    const files = boxes.filesPath(boxId);
    const logPath = boxes.vmmLogPath(boxId);
    const place = { name: boxId, slot, spec, imageDigest, files, logPath };
    await Promise.all([
      makeJail(this.#host, place),
      ready ?? this.#host.networks.make(slot, this.#host.uidBase + slot),
    ]);
    await failpoints.hit("driver.launch.prepared");
    const spawned = await spawnVmm(this.#host, place, incoming);
    await failpoints.hit("driver.launch.spawned");
    return await this.#launched({ ...record, slot }, spawned);
  }

  async #launched(record: BoxRecord, { identity, feed }: SpawnedVmm): Promise<BoxRecord> {
    const launched: BoxRecord = { ...record, vmm: identity, ended: null, freezing: null };
    this.#connectionsOf(launched).feed = feed;
    // One that waits for a state is of no use to another agent: it begins anew, and ends what it finds.
    if (!feed) await this.#host.boxes.write(launched, false);
    await this.#host.failpoints.hit("driver.launch.recorded");
    return launched;
  }

  /** The monitor of a live VMM. */
  async monitor(record: BoxRecord): Promise<Qmp> {
    const connections = this.#connectionsOf(record);
    const held = await connections.qmp?.catch(() => null);
    if (held?.isOpen) return held;
    const path = join(socketsOf(this.#host, record.run.boxId), "qmp.sock");
    connections.qmp = connectQmp(path, this.#host.clock, MONITOR_TIMEOUT_MS);
    return await connections.qmp.catch(async (error: Error) => {
      throw await this.#vmmFailed(record, error);
    });
  }

  /** Opens the control channel to a live VMM, whether or not its guest listens yet. */
  openGuest(record: BoxRecord): GuestControl {
    const connections = this.#connectionsOf(record);
    if (connections.guest && !connections.guest.stream.destroyed) return connections.guest.control;
    const stream = connect(join(socketsOf(this.#host, record.run.boxId), "control.sock"));
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
    const fresh: Connections = { pid: record.vmm.pid, qmp: null, guest: null, feed: null };
    this.#connections.set(boxId, fresh);
    return fresh;
  }

  /** Loads a device state into a VMM that waits for it; its vCPUs stand still. */
  async restore(record: BoxRecord, statePath: string): Promise<void> {
    const qmp = await this.monitor(record);
    const connections = this.#connectionsOf(record);
    try {
      const { feed } = connections;
      if (!feed) throw new Error("the VMM waits for no device state");
      connections.feed = null;
      await setCapabilities(qmp);
      feed.end(await readFile(statePath)); // Whether all of it arrived is the migration's to tell.
      await migration(qmp, () => qmp.execute("migrate-incoming", { uri: `fd:${VMM_FDS.state}` }));
      await this.spares.handOver(record.run.boxId);
    } catch (error) {
      throw await this.#vmmFailed(record, error as Error);
    }
  }

  /** Stops the vCPUs and writes the device state to `path`. Disks and RAM file are at rest until `cont`. */
  async freeze(record: BoxRecord, path: string): Promise<void> {
    const { boxId } = record.run;
    const qmp = await this.monitor(record);
    const socketPath = join(jailSocketsOf(this.#host, boxId), "migrate.sock");
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
    await this.spares.drop(boxId);
    await this.#host.cgroups.remove(boxId);
    for (const [slot, owner] of await this.#host.slots.mine()) {
      if (owner === boxId) await this.#host.networks.remove(slot);
    }
    await rm(socketsOf(this.#host, boxId), { recursive: true, force: true });
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
    connections?.feed?.destroy();
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
