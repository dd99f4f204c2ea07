// The QEMU driver: the Driver interface on top of the parts beside it. One operation per box at a time.

import { readdir, rm, statfs } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { type BoxRun, type ListeningPort, releasesCompute } from "#domain/box.ts";
import type { BoxId, SnapshotId } from "#domain/ids.ts";
import type { SessionMode } from "#wire/exec-frames.ts";
import {
  type Driver,
  DriverError,
  type Egress,
  type ExecRequest,
  type ExecResult,
  type Fingerprint,
  type HostBox,
  type LocalSnapshot,
  type StartOptions,
  type StartResult,
} from "../driver.ts";
import { type BoxRecord, withNotice } from "./box-record.ts";
import {
  answered,
  beginSigning,
  bootBox,
  Phases,
  renew,
  restoreBox,
  waitForGuest,
} from "./bring-up.ts";
import { readConsole } from "./console.ts";
import { readEgress } from "./egress.ts";
import type { GuestControl } from "./guest-control.ts";
import { runGuestExec } from "./guest-exec.ts";
import { type Host, openHost, type QemuDriverOptions } from "./host.ts";
import { hostBoxOf, howItEnded, isReady } from "./inspect.ts";
import { boxLink } from "./network-rules.ts";
import { EXEC_PORT, openExec, openPort } from "./ports.ts";
import { prepare, sourceIsNewer } from "./prepare.ts";
import type { SnapshotMeta } from "./snapshot-dir.ts";
import {
  type SnapshotRequest,
  takeOfDisksAtRest,
  takeOfLiveDisks,
  takeWithMemory,
} from "./take.ts";
import { Turns } from "./turns.ts";
import { Vmms } from "./vmm.ts";

const ASK_TIMEOUT_MS = 10_000;
/** A monitor that is silent for this long is no busy host's. */
const HANG_TIMEOUT_MS = 30_000;
const QUIT_TIMEOUT_MS = 5_000;
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

export async function createQemuDriver(options: QemuDriverOptions): Promise<QemuDriver> {
  const host = await openHost(options);
  host.spares.fill();
  const driver = new QemuDriver(host);
  await driver.expectNewest();
  return driver;
}

export class QemuDriver implements Driver {
  readonly #host: Host;
  readonly #vmms: Vmms;
  readonly #turns = new Turns();

  constructor(host: Host) {
    this.#host = host;
    this.#vmms = new Vmms(host);
  }

  /** Makes spare VMMs for boxes like those that came to rest last. */
  async expectNewest(): Promise<void> {
    const snapshots = await this.#host.snapshots.list();
    snapshots.sort((a, b) => a.createdAtMs - b.createdAtMs);
    for (const snapshot of snapshots) if (snapshot.withMemory) this.#vmms.spares.expect(snapshot);
    this.#vmms.spares.fill();
  }

  /** Resolves when the spare VMMs and networks that are wanted now are made, or could not be. */
  async sparesReady(): Promise<void> {
    await this.#vmms.spares.settled();
    await this.#host.spares.settled();
  }

  async fingerprint(): Promise<Fingerprint> {
    const { kind, reason, compatibility } = await this.#host.accelerators.choose();
    const { blocks, bsize } = await statfs(this.#host.stateDir);
    return {
      driver: "qemu",
      accelerator: kind,
      acceleratorReason: reason,
      cpus: availableParallelism(),
      memoryMib: Math.floor(totalmem() / MIB),
      diskGib: Math.floor((blocks * bsize) / GIB),
      gpus: 0,
      compatibility,
    };
  }

  async list(): Promise<HostBox[]> {
    const ids = await this.#host.boxes.list();
    const found = await Promise.all(ids.map((boxId) => this.inspect(boxId)));
    return found.filter((box) => box !== null);
  }

  async inspect(boxId: BoxId): Promise<HostBox | null> {
    return await hostBoxOf(this.#host, boxId, () => this.#turns.isBusy(boxId));
  }

  async start(run: BoxRun, options: StartOptions): Promise<StartResult> {
    const start = () => this.#start(run, options);
    const isRestore = run.source.kind === "snapshot" && run.source.withMemory;
    return await this.#turns.take(run.boxId, isRestore ? () => this.#host.lull.not(start) : start);
  }

  async #start(run: BoxRun, options: StartOptions): Promise<StartResult> {
    options.signal?.throwIfAborted();
    const phases = new Phases(this.#host);
    const record = await this.#filesFor(run);
    phases.end("prepare");
    if (await isReady(this.#host, record, run.epoch)) return resultOf(record, "adopted");
    const signing = beginSigning(record, options);
    const [live, how] = await this.#liveFor(record, run, phases, options.signal);
    const certificate = await signing;
    phases.end("sign");
    const keys = options.sshAuthorizedKeys;
    const ready = await renew(this.#host, this.#vmms, live, run, certificate, how, phases, keys);
    if (how === "restored") this.#vmms.spares.fill();
    return resultOf(ready, how);
  }

  /** The box's complete files: those that are here, unless the source has newer ones. */
  async #filesFor(run: BoxRun): Promise<BoxRecord> {
    const record = await this.#host.boxes.read(run.boxId);
    if (record && record.run.epoch > run.epoch) {
      const message = `box ${run.boxId} is here with epoch ${record.run.epoch}, asked for ${run.epoch}`;
      throw new DriverError("epoch_stale", message, false);
    }
    const unusable = record?.stage !== "complete" || record.memoryFrom !== null;
    if (!unusable && !(await sourceIsNewer(this.#host, record, run))) return record;
    await this.#vmms.end(run.boxId);
    return await prepare(this.#host, this.#vmms.spares, run);
  }

  /** A VMM whose guest answers: the one that runs, or a new one. */
  async #liveFor(
    record: BoxRecord,
    run: BoxRun,
    phases: Phases,
    signal: AbortSignal | undefined,
  ): Promise<[BoxRecord, StartResult["how"]]> {
    signal?.throwIfAborted();
    const current: BoxRecord = { ...record, run };
    if (await this.#vmms.isAlive(record)) {
      await this.#letGo(record);
      await waitForGuest(this.#vmms, record, signal);
      phases.end("answer");
      return [current, "adopted"];
    }
    if (record.memoryFrom) {
      return [await restoreBox(this.#host, this.#vmms, current, phases, signal), "restored"];
    }
    // A boot that was asked for is no news.
    const isUnasked = record.vmm !== null && run.bootSerial <= record.run.bootSerial;
    const ended = isUnasked ? (record.ended ?? (await howItEnded(this.#host, record))) : null;
    const noticed = ended ? withNotice(record.notices, ended) : record.notices;
    const booting: BoxRecord = { ...current, acknowledged: null, notices: noticed };
    return [await bootBox(this.#host, this.#vmms, booting, phases, signal), "booted"];
  }

  /** Lets the vCPUs of a live VMM run when a snapshot that was not finished holds them. */
  async #letGo(record: BoxRecord, timeoutMs = ASK_TIMEOUT_MS): Promise<void> {
    const qmp = await this.#vmms.monitor(record);
    const status = (await qmp.execute("query-status", {}, timeoutMs)) as { running: boolean };
    if (!status.running) await qmp.execute("cont", {}, timeoutMs);
  }

  async snapshot(boxId: BoxId, epoch: number, request: SnapshotRequest): Promise<LocalSnapshot> {
    return await this.#turns.take(boxId, async () => {
      const done = await this.#host.snapshots.get(request.snapshotId);
      const record = await this.#host.boxes.read(boxId);
      if (!done) return await this.#takeSnapshot(boxId, epoch, record, request);
      if (record && record.run.epoch === done.epoch && releasesCompute(request.kind)) {
        await this.#release(boxId);
      }
      return done;
    });
  }

  async #takeSnapshot(
    boxId: BoxId,
    epoch: number,
    found: BoxRecord | null,
    request: SnapshotRequest,
  ): Promise<LocalSnapshot> {
    const record = this.#requireEpoch(boxId, epoch, found);
    const [host, vmms] = [this.#host, this.#vmms];
    const alive = await vmms.isAlive(record);
    if (!request.withMemory && !alive) {
      const snapshot = await takeOfDisksAtRest(host, record, request);
      if (releasesCompute(request.kind)) await this.#release(boxId);
      else await host.boxes.write({ ...record, originId: request.snapshotId }, true);
      return snapshot;
    }
    const ready = record.freezing && alive ? await this.#resume(record) : record;
    if (!(await isReady(host, ready, epoch))) {
      const message = `box ${boxId} is not ready, so it cannot be frozen; start it first`;
      throw new DriverError("box_wrong_state", message, true);
    }
    if (!request.withMemory && releasesCompute(request.kind)) {
      const message = `box ${boxId} still runs; shut it down before its disks are taken`;
      throw new DriverError("box_wrong_state", message, true);
    }
    const snapshot = request.withMemory
      ? await takeWithMemory(host, vmms, ready, request, (frozen) => this.#resume(frozen))
      : await takeOfLiveDisks(host, vmms, ready, request);
    if (releasesCompute(request.kind)) await this.#release(boxId);
    else await this.#noteOrigin(boxId, request.snapshotId);
    if (request.withMemory) {
      vmms.spares.expect(snapshot);
      vmms.spares.fill();
    }
    return snapshot;
  }

  async #noteOrigin(boxId: BoxId, snapshotId: SnapshotId): Promise<void> {
    const record = await this.#host.boxes.read(boxId);
    if (record) await this.#host.boxes.write({ ...record, originId: snapshotId }, true);
  }

  /** Makes a frozen box go on with the identity that it has. */
  async #resume(record: BoxRecord): Promise<BoxRecord> {
    await this.#letGo(record);
    const { acknowledged, sshHostCertificate, run } = record;
    if (!acknowledged || sshHostCertificate === null) {
      throw new DriverError("box_wrong_state", `box ${run.boxId} was never ready; start it`, true);
    }
    const { how } = acknowledged;
    const phases = new Phases(this.#host);
    return await renew(this.#host, this.#vmms, record, run, sshHostCertificate, how, phases);
  }

  /** Ends the VMM and removes the box from the host, after its snapshot was committed. */
  async #release(boxId: BoxId): Promise<void> {
    await this.#vmms.end(boxId);
    await this.#host.failpoints.hit("driver.release.ended");
    await this.#remove(boxId);
  }

  async thaw(boxId: BoxId, epoch: number): Promise<void> {
    await this.#turns.take(boxId, async () => {
      const record = this.#requireEpoch(boxId, epoch, await this.#host.boxes.read(boxId));
      if (!record.freezing) return;
      if (await this.#vmms.isAlive(record)) await this.#resume(record);
      else await this.#host.boxes.write({ ...record, freezing: null }, false);
    });
  }

  async shutdown(boxId: BoxId, epoch: number, timeoutMs: number): Promise<void> {
    await this.#turns.take(boxId, async () => {
      const record = this.#requireEpoch(boxId, epoch, await this.#host.boxes.read(boxId));
      if (await this.#vmms.isAlive(record)) {
        await this.#askToPowerOff(record, timeoutMs);
        await this.#vmms.end(boxId);
      }
      await this.#host.failpoints.hit("driver.shutdown.ended");
      // Wanted, so it is no news: the next boot carries no notice of it.
      await this.#host.boxes.write(
        { ...record, vmm: null, freezing: null, acknowledged: null, ended: null },
        true,
      );
    });
  }

  /** However the guest and the VMM behave, this ends some seconds after `timeoutMs`. */
  async #askToPowerOff(record: BoxRecord, timeoutMs: number): Promise<void> {
    const { boxId } = record.run;
    const endMs = this.#host.clock.monotonicMs() + timeoutMs;
    const leftMs = () => Math.max(1, endMs - this.#host.clock.monotonicMs());
    try {
      await this.#letGo(record, leftMs());
      const guest = await this.#vmms.guest(record, leftMs());
      await guest.shutdown(leftMs());
      if (await this.#vmms.waitForExit(record, leftMs())) return;
      this.#host.log.warn({ boxId, timeoutMs }, "guest did not power off in time; VMM ended");
    } catch (error) {
      this.#host.log.warn({ boxId, error: String(error) }, "guest cannot be asked to power off");
    }
    // QEMU writes out what it holds of the disks before it quits.
    const qmp = await this.#vmms.monitor(record).catch(() => null);
    const isQuitting = await qmp?.execute("quit", {}, QUIT_TIMEOUT_MS).then(
      () => true,
      () => false,
    );
    if (isQuitting) await this.#vmms.waitForExit(record, QUIT_TIMEOUT_MS);
  }

  async destroy(boxId: BoxId): Promise<void> {
    await this.#turns.take(boxId, async () => {
      await this.#vmms.end(boxId);
      await this.#host.failpoints.hit("driver.destroy.ended");
      await this.#remove(boxId);
    });
  }

  async #remove(boxId: BoxId): Promise<void> {
    await this.#host.boxes.remove(boxId);
    await this.#host.failpoints.hit("driver.remove.files-gone");
    for (const [slot, owner] of await this.#host.slots.mine()) {
      if (owner === boxId) await this.#host.slots.release(slot);
    }
  }

  async listSnapshots(): Promise<LocalSnapshot[]> {
    return await this.#host.snapshots.list();
  }

  async stageSnapshot(snapshotId: SnapshotId): Promise<string> {
    return await this.#host.snapshots.stage(snapshotId);
  }

  async commitSnapshot(snapshot: SnapshotMeta): Promise<LocalSnapshot> {
    const { snapshots } = this.#host;
    const done = await snapshots.get(snapshot.snapshotId);
    return done ?? (await snapshots.commitStaged(snapshot));
  }

  async removeSnapshot(snapshotId: SnapshotId): Promise<void> {
    await this.#host.snapshots.remove(snapshotId);
  }

  async exec(boxId: BoxId, request: ExecRequest): Promise<ExecResult> {
    const record = await this.#requireReady(boxId, null);
    const stream = await this.connect(boxId, record.run.epoch, EXEC_PORT);
    return await runGuestExec(stream, request, { clock: this.#host.clock, token: null });
  }

  async connect(boxId: BoxId, epoch: number, port: number): Promise<Duplex> {
    const { slot, acknowledged } = await this.#requireReady(boxId, epoch);
    const { boxAddress } = boxLink(this.#host.owner, slot ?? -1);
    return await openPort(boxAddress, port, acknowledged?.execToken ?? "", this.#host.clock);
  }

  async openSession(
    boxId: BoxId,
    epoch: number,
    session: string,
    mode: SessionMode,
  ): Promise<Duplex> {
    const { slot, acknowledged } = await this.#requireReady(boxId, epoch);
    const { boxAddress } = boxLink(this.#host.owner, slot ?? -1);
    const token = acknowledged?.execToken ?? "";
    return await openExec(boxAddress, { token, session, mode }, this.#host.clock);
  }

  async listeningPorts(boxId: BoxId, epoch: number): Promise<ListeningPort[]> {
    return await this.#askGuest(boxId, epoch, (guest) => guest.ports());
  }

  async egress(boxId: BoxId, epoch: number): Promise<Egress | null> {
    const record = await this.#host.boxes.read(boxId);
    if (record?.run.epoch !== epoch || record.slot === null) return null;
    return await readEgress(boxLink(this.#host.owner, record.slot).hostInterface);
  }

  async authorizeKeys(boxId: BoxId, epoch: number, keys: readonly string[]): Promise<void> {
    await this.#askGuest(boxId, epoch, (guest) => guest.authorizeKeys(keys));
  }

  async certifyHostKey(
    boxId: BoxId,
    epoch: number,
    { signHostKey, olderThanMs }: Parameters<Driver["certifyHostKey"]>[2],
  ): Promise<void> {
    const isOld = ({ certifiedAtMs = 0 }: BoxRecord) =>
      this.#host.clock.nowMs() - certifiedAtMs >= olderThanMs;
    const found = await this.#requireReady(boxId, epoch);
    if (!isOld(found)) return;
    const certificate = await signHostKey(found.sshHostKey.publicKey);
    await this.#turns.take(boxId, async () => {
      const record = await this.#requireReady(boxId, epoch);
      const { acknowledged, run } = record;
      if (!acknowledged || !isOld(record)) return;
      const phases = new Phases(this.#host);
      await renew(this.#host, this.#vmms, record, run, certificate, acknowledged.how, phases);
    });
  }

  /** Between two changes of the box: its control channel is not to be had in the middle of a snapshot. */
  async #askGuest<T>(
    boxId: BoxId,
    epoch: number,
    ask: (guest: GuestControl) => Promise<T>,
  ): Promise<T> {
    return await this.#turns.take(boxId, async () => {
      const record = await this.#requireReady(boxId, epoch);
      return await answered(record, async () => ask(await this.#vmms.guest(record)));
    });
  }

  async console(boxId: BoxId, maxBytes: number): Promise<string> {
    return await readConsole(this.#host.boxes.filesPath(boxId), maxBytes);
  }

  async sweep(): Promise<void> {
    await this.#healVmms();
    const { boxes, cgroups, networks, slots, spares, runDir, stateDir } = this.#host;
    await networks.protectHost();
    const isHeld = (name: BoxId) => spares.holds(name) || this.#vmms.spares.holds(name);
    const isRemains = async (boxId: BoxId) =>
      !this.#turns.isBusy(boxId) && !isHeld(boxId) && (await boxes.read(boxId)) === null;
    for (const name of await cgroups.list()) {
      if (await isRemains(name as BoxId)) await cgroups.remove(name);
    }
    for (const name of await readdir(runDir)) {
      if (await isRemains(name as BoxId)) await rm(join(runDir, name), { recursive: true });
    }
    for (const [slot, boxId] of await slots.mine()) {
      if (!(await isRemains(boxId as BoxId))) continue;
      if ((await slots.mine()).get(slot) !== boxId) continue; // Handed over in the meantime.
      await networks.remove(slot);
      await slots.release(slot);
    }
    const found = await networks.list();
    const held = await slots.mine(); // Later than the list: a claim comes before its network.
    for (const slot of found) if (!held.has(slot)) await networks.remove(slot);
    for (const boxId of await boxes.list()) if (await isRemains(boxId)) await boxes.remove(boxId);
    await this.#vmms.spares.sweep();
    if (!this.#turns.anyBusy()) {
      await boxes.emptyTrash();
      await rm(join(stateDir, "taking"), { recursive: true, force: true });
    }
  }

  /** Ends VMMs whose monitor is silent, so that their boxes are seen to be down and boot again. */
  async #healVmms(): Promise<void> {
    for (const boxId of await this.#host.boxes.list()) {
      if (this.#turns.isBusy(boxId)) continue;
      await this.#turns.take(boxId, async () => {
        const record = await this.#host.boxes.read(boxId);
        if (!record || record.freezing || !(await isReady(this.#host, record, record.run.epoch)))
          return;
        try {
          await this.#letGo(record, HANG_TIMEOUT_MS);
        } catch (error) {
          this.#host.log.warn({ boxId, error: String(error) }, "VMM does not answer; it is ended");
          await this.#vmms.end(boxId);
        }
      });
    }
  }

  /** Lets go of every connection and of what was made ahead; the boxes run on. */
  async close(): Promise<void> {
    this.#vmms.close();
    await this.#vmms.spares.close();
    await this.#host.spares.close();
  }

  #requireEpoch(boxId: BoxId, epoch: number, record: BoxRecord | null): BoxRecord {
    if (record?.stage !== "complete") {
      throw new DriverError("box_missing", `box ${boxId} is not on this host`, false);
    }
    if (record.run.epoch !== epoch) {
      const message = `box ${boxId} is here with epoch ${record.run.epoch}, not ${epoch}`;
      throw new DriverError("epoch_stale", message, false);
    }
    return record;
  }

  async #requireReady(boxId: BoxId, epoch: number | null): Promise<BoxRecord> {
    const found = await this.#host.boxes.read(boxId);
    const record = this.#requireEpoch(boxId, epoch ?? found?.run.epoch ?? 0, found);
    if (await isReady(this.#host, record, record.run.epoch)) return record;
    throw new DriverError("guest_unreachable", `box ${boxId} is not ready`, true);
  }
}

function resultOf(record: BoxRecord, how: StartResult["how"]): StartResult {
  const { acknowledged } = record;
  if (!acknowledged) throw new Error("no acknowledgement");
  return { how, renewal: acknowledged.renewal, phases: acknowledged.phases };
}
