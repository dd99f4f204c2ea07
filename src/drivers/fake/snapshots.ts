// Snapshots of the fake host: small real files, so that upload, fetch and verification are the real ones.

import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SnapshotKind } from "#domain/box.ts";
import type { SnapshotId } from "#domain/ids.ts";
import { DriverError, type LocalSnapshot } from "#drivers/driver.ts";
import type { FakeBox, FakeHost } from "#drivers/fake/host.ts";
import { digestFile, verifySnapshotFiles, writeSnapshotDigests } from "#lib/page-digests.ts";

const META_FILE = "meta.json";
const MEMORY_FILE = "memory.json";
const DISK_FILE = "disk.json";

export type SnapshotMeta = Omit<LocalSnapshot, "directory" | "allocatedBytes">;

export function metaOf(
  box: FakeBox,
  request: { snapshotId: SnapshotId; kind: SnapshotKind; withMemory: boolean },
  compatibility: string,
  nowMs: number,
): SnapshotMeta {
  return {
    ...request,
    boxId: box.run.boxId,
    epoch: box.run.epoch,
    spec: box.run.spec,
    imageDigest: box.run.imageDigest,
    compatibility,
    parentId: box.parentId as SnapshotId | null,
    identity: box.run.identity,
    createdAtMs: nowMs,
    files: request.withMemory ? [MEMORY_FILE, DISK_FILE] : [DISK_FILE],
  };
}

/** Writes what was frozen beside its final place. */
export async function writeStaged(host: FakeHost, meta: SnapshotMeta, box: FakeBox): Promise<void> {
  const directory = host.stagingDirectory(meta.snapshotId);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const disk = { files: box.disk, sshHostKey: box.sshHostKey };
  await writeFile(join(directory, DISK_FILE), JSON.stringify(disk));
  if (meta.withMemory) await writeFile(join(directory, MEMORY_FILE), JSON.stringify(box.memory));
  const digests = await Promise.all(meta.files.map((name) => digestFile(directory, name)));
  await writeSnapshotDigests(directory, digests);
}

export async function commitStaged(host: FakeHost, meta: SnapshotMeta): Promise<LocalSnapshot> {
  const staged = host.stagingDirectory(meta.snapshotId);
  await writeFile(join(staged, META_FILE), JSON.stringify(meta));
  if (host.hasSnapshot(meta.snapshotId)) rmSync(staged, { recursive: true, force: true });
  else renameSync(staged, host.snapshotDirectory(meta.snapshotId));
  const committed = readSnapshot(host, meta.snapshotId);
  if (!committed) throw new Error(`snapshot ${meta.snapshotId} vanished at its commit`);
  return committed;
}

export function readSnapshot(host: FakeHost, snapshotId: string): LocalSnapshot | null {
  if (!host.hasSnapshot(snapshotId)) return null;
  const directory = host.snapshotDirectory(snapshotId);
  const meta: SnapshotMeta = JSON.parse(readFileSync(join(directory, META_FILE), "utf8"));
  return { ...meta, directory, allocatedBytes: meta.files.length * 4096 };
}

export function readSnapshots(host: FakeHost): LocalSnapshot[] {
  const names = host.inventory().snapshots;
  return names.map((name) => readSnapshot(host, name)).filter((snapshot) => snapshot !== null);
}

export interface Thawed {
  readonly memory: Record<string, string>;
  readonly disk: Record<string, string>;
  readonly sshHostKey: string;
}

/** Reads a snapshot after checking every page of it. */
export async function readFrozen(
  host: FakeHost,
  snapshotId: string,
  withMemory: boolean,
  compatibility: string,
): Promise<Thawed> {
  const snapshot = readSnapshot(host, snapshotId);
  if (!snapshot)
    throw new DriverError("snapshot_missing", `${snapshotId} is not on this host`, true);
  const { directory } = snapshot;
  const problems = await verifySnapshotFiles(directory);
  if (problems.length > 0)
    throw new DriverError("snapshot_corrupt", `${snapshotId}: ${problems.join("; ")}`, false);
  if (withMemory && !snapshot.withMemory)
    throw new DriverError("snapshot_incompatible", `${snapshotId} has no memory`, false);
  if (withMemory && snapshot.compatibility !== compatibility)
    throw new DriverError(
      "snapshot_incompatible",
      `${snapshotId} is of ${snapshot.compatibility}, this host is ${compatibility}`,
      false,
    );
  const disk = JSON.parse(readFileSync(join(directory, DISK_FILE), "utf8"));
  const memory = withMemory ? JSON.parse(readFileSync(join(directory, MEMORY_FILE), "utf8")) : {};
  return { memory, disk: disk.files, sshHostKey: disk.sshHostKey };
}

/** Removes it at once for every reader, then its bytes. */
export function removeSnapshot(host: FakeHost, snapshotId: string): void {
  const directory = host.snapshotDirectory(snapshotId);
  if (existsSync(directory)) {
    const doomed = join(host.directory, "snapshots", `.removed-${randomUUID()}`);
    renameSync(directory, doomed);
    rmSync(doomed, { recursive: true, force: true });
  }
  rmSync(host.stagingDirectory(snapshotId), { recursive: true, force: true });
}

/** Removes what no running call of this driver is writing. */
export function sweepSnapshots(host: FakeHost, isInUse: (snapshotId: string) => boolean): void {
  for (const name of readdirSync(join(host.directory, "snapshots"))) {
    const staged = /^\.staging-(.*)$/.exec(name)?.[1];
    if (!name.startsWith(".") || (staged && isInUse(staged))) continue;
    rmSync(join(host.directory, "snapshots", name), { recursive: true, force: true });
  }
}
