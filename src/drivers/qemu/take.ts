// Taking a snapshot: everything frozen at one instant, copied by reference, committed by one rename.

import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { releasesCompute, type SnapshotKind } from "#domain/box.ts";
import type { SnapshotId } from "#domain/ids.ts";
import { DriverError, type LocalSnapshot } from "../driver.ts";
import type { BoxRecord } from "./box-record.ts";
import { Phases } from "./bring-up.ts";
import { BOX_FILES } from "./disk.ts";
import type { GuestControl } from "./guest-control.ts";
import type { Host } from "./host.ts";
import { requireSpace } from "./prepare.ts";
import { reflink } from "./reflink-fs.ts";
import { STATE_FILE, sha256OfFile, snapshotFiles } from "./snapshot-dir.ts";
import type { Vmms } from "./vmm.ts";

export interface SnapshotRequest {
  readonly snapshotId: SnapshotId;
  readonly kind: SnapshotKind;
  readonly withMemory: boolean;
}

/** Writing out what an emulated guest holds takes as long as the host's disk needs. */
const SETTLE_TIMEOUT_MS = 180_000;
const SEAL_TIMEOUT_MS = 60_000;
/** The guest thaws its file systems itself after this long, whatever becomes of us. */
const FREEZE_HOLD_MS = 15_000;

/**
 * Freezes a ready box with its memory. `resume` makes it run again, with its identity; it is called
 * as soon as the copy stands, before the copy is made durable, unless the kind releases the compute.
 */
export async function takeWithMemory(
  host: Host,
  vmms: Vmms,
  record: BoxRecord,
  request: SnapshotRequest,
  resume: (frozen: BoxRecord) => Promise<BoxRecord>,
): Promise<LocalSnapshot> {
  const { boxId } = record.run;
  const releases = releasesCompute(request.kind);
  await requireSpace(host, 0);
  const phases = new Phases(host);
  const guest = await vmms.guest(record);
  if (request.kind === "prebuild") await guest.settle(SETTLE_TIMEOUT_MS);
  else if (releases) await guest.sync(SETTLE_TIMEOUT_MS);
  phases.end("settle");
  const directory = await host.snapshots.beginTaking(request.snapshotId);
  const files = host.boxes.filesPath(boxId);
  // What was written until now goes to disk while the box still runs; copying by reference waits for the rest.
  await flush(join(files, BOX_FILES.ram));
  phases.end("flush");
  const freezing: BoxRecord = { ...record, freezing: request.snapshotId };
  await host.boxes.write(freezing, false);
  await host.failpoints.hit("driver.snapshot.begun");
  const beganMs = host.clock.monotonicMs();
  try {
    await guest.seal(SEAL_TIMEOUT_MS);
    phases.end("seal");
    await host.failpoints.hit("driver.snapshot.sealed");
    await vmms.freeze(record, join(directory, STATE_FILE));
    phases.end("freeze");
    await host.failpoints.hit("driver.snapshot.frozen");
    await copyFiles(host, files, directory, [BOX_FILES.ram, BOX_FILES.root, BOX_FILES.home]);
    phases.end("copy");
    await host.failpoints.hit("driver.snapshot.copied");
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    await resume(freezing).catch((failure: Error) =>
      host.log.error({ boxId, error: failure.message }, "box stays frozen after a failed snapshot"),
    );
    throw spaceError(error, host);
  }
  let pausedMs: number | null = null;
  if (!releases) {
    await (await vmms.monitor(record)).execute("cont");
    phases.end("cont");
    await resume(freezing);
    pausedMs = Math.round(host.clock.monotonicMs() - beganMs);
    phases.end("resume");
    await host.failpoints.hit("driver.snapshot.resumed");
  }
  try {
    const stateSha256 = await sha256OfFile(join(directory, STATE_FILE));
    const snapshot = await commit(host, record, request, directory, stateSha256);
    phases.end("commit");
    host.log.info({ boxId, ...request, pausedMs, phases: phases.all() }, "snapshot committed");
    return snapshot;
  } catch (error) {
    // Once it is committed, a box that was to come to rest must not run on beside it.
    if (await host.snapshots.get(request.snapshotId)) throw error;
    await rm(directory, { recursive: true, force: true });
    if (releases) await resume(freezing);
    throw spaceError(error, host);
  }
}

/** Copies the disks of a box whose VMM is gone. */
export async function takeOfDisksAtRest(
  host: Host,
  record: BoxRecord,
  request: SnapshotRequest,
): Promise<LocalSnapshot> {
  const directory = await host.snapshots.beginTaking(request.snapshotId);
  const files = host.boxes.filesPath(record.run.boxId);
  await copyFiles(host, files, directory, [BOX_FILES.root, BOX_FILES.home]);
  await host.failpoints.hit("driver.snapshot.copied");
  return await commit(host, record, request, directory, null);
}

/** Copies the disks of a running box while its guest holds its file systems. */
export async function takeOfLiveDisks(
  host: Host,
  vmms: Vmms,
  record: BoxRecord,
  request: SnapshotRequest,
): Promise<LocalSnapshot> {
  const directory = await host.snapshots.beginTaking(request.snapshotId);
  const files = host.boxes.filesPath(record.run.boxId);
  const [qmp, guest] = await Promise.all([vmms.monitor(record), vmms.guest(record)]);
  await guest.freeze(FREEZE_HOLD_MS);
  await host.failpoints.hit("driver.snapshot.frozen");
  let held = false;
  try {
    await host.boxes.write({ ...record, freezing: request.snapshotId }, false);
    await qmp.execute("stop"); // Also writes out what QEMU holds of the disks' maps.
    await copyFiles(host, files, directory, [BOX_FILES.root, BOX_FILES.home]);
  } finally {
    await qmp.execute("cont");
    held = await thawGuest(guest);
    await host.boxes.write({ ...record, freezing: null }, false);
  }
  if (!held) {
    await rm(directory, { recursive: true, force: true });
    throw new DriverError("guest_unreachable", "the guest let its file systems go too early", true);
  }
  await host.failpoints.hit("driver.snapshot.copied");
  return await commit(host, record, request, directory, null);
}

async function thawGuest(guest: GuestControl): Promise<boolean> {
  return await guest.thaw().catch(() => false); // Its own watchdog thaws.
}

async function commit(
  host: Host,
  record: BoxRecord,
  request: SnapshotRequest,
  directory: string,
  stateSha256: string | null,
): Promise<LocalSnapshot> {
  const { run } = record;
  const { compatibility } = await host.accelerators.choose();
  const { imageContentDigest, sshHostKey } = record;
  await host.snapshots.writeMachine(directory, {
    ...{ compatibility, imageContentDigest, sshHostKey, stateSha256 },
  });
  await host.failpoints.hit("driver.snapshot.before-commit");
  const snapshot = await host.snapshots.commit(directory, {
    ...request,
    boxId: run.boxId,
    epoch: run.epoch,
    spec: run.spec,
    imageDigest: run.imageDigest,
    compatibility,
    parentId: record.originId,
    identity: run.identity,
    createdAtMs: host.clock.nowMs(),
    files: snapshotFiles(request.withMemory),
  });
  await host.failpoints.hit("driver.snapshot.committed");
  return snapshot;
}

async function copyFiles(
  host: Host,
  from: string,
  to: string,
  names: readonly string[],
): Promise<void> {
  await Promise.all(names.map((name) => reflink(join(from, name), join(to, name), host.run)));
}

async function flush(path: string): Promise<void> {
  const handle = await open(path, "r+");
  try {
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

function spaceError(error: unknown, host: Host): unknown {
  const text = String((error as Error).message);
  if (!text.includes("ENOSPC") && !text.includes("No space left")) return error;
  const message = `${host.stateDir} is full, so no snapshot was taken and the box goes on: delete snapshots or boxes, or enlarge it`;
  return new DriverError("disk_full", message, true);
}
