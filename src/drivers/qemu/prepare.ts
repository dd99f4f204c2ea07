// A box's files from their source. Until its record says `complete`, nothing of it counts and it is made again.

import { statfs } from "node:fs/promises";
import { join } from "node:path";
import type { BoxRun } from "#domain/box.ts";
import type { SnapshotId } from "#domain/ids.ts";
import { syncDirectory } from "#lib/page-digests.ts";
import { makeHostKey } from "#lib/ssh-keys.ts";
import { DriverError, type LocalSnapshot } from "../driver.ts";
import type { BoxRecord } from "./box-record.ts";
import { copyDisks, createDisks, pourDisks } from "./disk.ts";
import { readJson } from "./durable-file.ts";
import type { Host } from "./host.ts";
import { imageDirectory } from "./images.ts";
import type { Machine, SshHostKey } from "./snapshot-dir.ts";
import type { SpareVmm, SpareVmms } from "./spare-vmms.ts";

const MIB = 1024 * 1024;
/** A full file system kills VMMs (their RAM is a file), so a start leaves this much beside its RAM. */
const FREE_MIB_MIN = 512;

/**
 * Makes the box's files anew; whatever it had on this host is gone. With memory to restore, a spare VMM is taken when
 * there is one: the files are then those that it has open.
 */
export async function prepare(host: Host, spares: SpareVmms, run: BoxRun): Promise<BoxRecord> {
  const { boxId, source, spec } = run;
  await requireSpace(host, spec.memoryMib);
  const imageContentDigest = await readContentDigest(host, run.imageDigest);
  const origin = source.kind === "snapshot" ? await openSource(host, run) : null;
  const machine = origin ? await host.snapshots.readMachine(origin.snapshotId) : null;
  if (origin && machine) await requireCompatible(host, run, origin, machine, imageContentDigest);
  await host.boxes.remove(boxId);
  const withMemory = source.kind === "snapshot" && source.withMemory;
  const draft = emptyRecord(run, imageContentDigest, hostKeyFor(run, origin, machine));
  const complete: BoxRecord = {
    ...draft,
    stage: "complete",
    memoryFrom: origin && withMemory ? origin.snapshotId : null,
    originId: origin?.snapshotId ?? null,
    mustGrow: origin !== null && isLarger(spec, origin.spec),
  };
  const spare = origin && withMemory ? await spares.take(boxId, run) : null;
  if (origin && spare) await fillSpare(host, origin, spare, complete);
  else await makeFiles(host, origin, draft, complete);
  await host.failpoints.hit("driver.prepare.complete");
  return complete;
}

async function makeFiles(
  host: Host,
  origin: LocalSnapshot | null,
  draft: BoxRecord,
  complete: BoxRecord,
): Promise<void> {
  const { boxId, spec } = draft.run;
  await host.boxes.write(draft, true);
  await syncDirectory(join(host.stateDir, "boxes"));
  await host.failpoints.hit("driver.prepare.begun");
  const files = host.boxes.filesPath(boxId);
  if (origin) await copyDisks(origin.directory, files, complete.memoryFrom !== null, host.run);
  else await createDisks(files, spec, host.run);
  await host.failpoints.hit("driver.prepare.copied");
  await syncDirectory(files);
  await host.boxes.write(complete, true);
}

/** The files of a spare are complete when they become the box's. */
async function fillSpare(
  host: Host,
  origin: LocalSnapshot,
  spare: SpareVmm,
  complete: BoxRecord,
): Promise<void> {
  await host.failpoints.hit("driver.prepare.begun");
  await pourDisks(origin.directory, join(spare.directory, "files"));
  await host.failpoints.hit("driver.prepare.copied");
  await host.boxes.moveIn(spare.directory, complete);
  await syncDirectory(join(host.stateDir, "boxes"));
}

function emptyRecord(run: BoxRun, imageContentDigest: string, sshHostKey: SshHostKey): BoxRecord {
  return {
    ...{ run, imageContentDigest, sshHostKey },
    stage: "preparing",
    slot: null,
    memoryFrom: null,
    originId: null,
    mustGrow: false,
    sshHostCertificate: null,
    vmm: null,
    freezing: null,
    acknowledged: null,
    ended: null,
    notices: [],
  };
}

/** The snapshot that the run starts from, its bytes verified. */
async function openSource(host: Host, run: BoxRun): Promise<LocalSnapshot> {
  if (run.source.kind !== "snapshot") throw new Error("not a snapshot");
  const { snapshotId, withMemory } = run.source;
  const snapshot = await host.snapshots.get(snapshotId);
  if (!snapshot) {
    throw new DriverError("snapshot_missing", `snapshot ${snapshotId} is not on this host`, true);
  }
  if (withMemory && !snapshot.withMemory) {
    throw new DriverError(
      "snapshot_incompatible",
      `snapshot ${snapshotId} has no memory; start it from its disks`,
      false,
    );
  }
  const relied = await host.snapshots.verify(snapshot);
  const entry = { snapshotId, relied };
  if (relied === "age")
    host.log.warn(entry, "snapshot not verified: no digests yet after a reboot");
  else host.log.debug(entry, "snapshot verified");
  return snapshot;
}

async function requireCompatible(
  host: Host,
  run: BoxRun,
  snapshot: LocalSnapshot,
  machine: Machine,
  imageContentDigest: string,
): Promise<void> {
  const refuse = (why: string) => {
    const message = `snapshot ${snapshot.snapshotId} cannot be restored here: ${why}`;
    throw new DriverError("snapshot_incompatible", message, false);
  };
  if (machine.imageContentDigest !== imageContentDigest) {
    refuse(`its base image has other bytes (${machine.imageContentDigest})`);
  }
  if (run.source.kind !== "snapshot" || !run.source.withMemory) return;
  const { compatibility } = await host.accelerators.choose();
  if (machine.compatibility !== compatibility) {
    refuse(`it was frozen on ${machine.compatibility}, this host is ${compatibility}`);
  }
  const { memoryMib, cpus } = snapshot.spec;
  if (memoryMib !== run.spec.memoryMib || cpus !== run.spec.cpus) {
    refuse(`its memory has ${memoryMib} MiB and ${cpus} CPUs; the box asks for others`);
  }
}

/** A box keeps its host key; a fork gets one of its own. */
function hostKeyFor(
  run: BoxRun,
  origin: LocalSnapshot | null,
  machine: Machine | null,
): SshHostKey {
  const isSame = origin !== null && origin.boxId === run.boxId;
  if (isSame && machine) return machine.sshHostKey;
  const { privateKeyOpenssh, publicKeyLine } = makeHostKey();
  return { privateKey: privateKeyOpenssh, publicKey: publicKeyLine };
}

function isLarger(wanted: BoxRun["spec"], has: BoxRun["spec"]): boolean {
  return wanted.homeDiskGib > has.homeDiskGib || wanted.rootDiskGib > has.rootDiskGib;
}

async function readContentDigest(host: Host, imageDigest: string): Promise<string> {
  const path = join(await imageDirectory(host, imageDigest), "meta.json");
  const meta = await readJson<{ contentDigest: string }>(path);
  return meta?.contentDigest ?? "";
}

export async function requireSpace(host: Host, memoryMib: number): Promise<void> {
  const { bavail, bsize } = await statfs(host.stateDir);
  const freeMib = Math.floor((bavail * bsize) / MIB);
  const neededMib = memoryMib + FREE_MIB_MIN;
  if (freeMib >= neededMib) return;
  throw new DriverError(
    "disk_full",
    `${host.stateDir} has ${freeMib} MiB free, ${neededMib} MiB are needed: delete snapshots or boxes, or enlarge it`,
    true,
  );
}

/**
 * May the box's files be thrown away for `run.source`? Only when the source is a snapshot of this very box
 * that was frozen in the files' epoch or a later one; anything else is older than the files.
 */
export async function sourceIsNewer(host: Host, record: BoxRecord, run: BoxRun): Promise<boolean> {
  if (run.source.kind !== "snapshot" || run.epoch <= record.run.epoch) return false;
  const snapshotId: SnapshotId = run.source.snapshotId;
  const snapshot = await host.snapshots.get(snapshotId);
  return snapshot !== null && snapshot.boxId === run.boxId && snapshot.epoch >= record.run.epoch;
}
