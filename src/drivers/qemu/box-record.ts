// What the driver writes down of a box, in boxes/<id>/box.json. What the kernel can tell (does the VMM live?)
// is asked of the kernel; this says what the files beside it mean.

import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { BoxRun, Notice } from "#domain/box.ts";
import type { BoxId, SnapshotId } from "#domain/ids.ts";
import type { RenewalReport, StartResult } from "../driver.ts";
import { readJson, writeJson } from "./durable-file.ts";
import type { ProcessIdentity } from "./proc.ts";
import { type SshHostKey, safeName } from "./snapshot-dir.ts";

/** The guest acknowledged its identity for this epoch, in this VMM. */
export interface Acknowledgement {
  readonly epoch: number;
  readonly pid: number;
  readonly startTicks: string;
  readonly execToken: string;
  readonly how: StartResult["how"];
  readonly renewal: RenewalReport;
  readonly phases: Readonly<Record<string, number>>;
}

export interface BoxRecord {
  readonly run: BoxRun;
  /** `preparing`: the files are not complete, nothing in them counts. */
  readonly stage: "preparing" | "complete";
  readonly slot: number | null;
  /**
   * RAM is to be restored from this snapshot: nothing of the tenant's has run since the files were copied, so they
   * may be copied again. Cleared, durably, before the guest is told to go on.
   */
  readonly memoryFrom: SnapshotId | null;
  /** Snapshot that the disks and the memory came from or were last frozen as, for incremental upload. */
  readonly originId: SnapshotId | null;
  /** The run asks for larger disks than the snapshot had. */
  readonly mustGrow: boolean;
  readonly sshHostKey: SshHostKey;
  /** Certificate of the host key, for a renewal without the control plane. */
  readonly sshHostCertificate: string | null;
  /** When it was made; absent: before that was written down. */
  readonly certifiedAtMs?: number;
  readonly imageContentDigest: string;
  readonly vmm: ProcessIdentity | null;
  /** A snapshot began that was neither committed nor given up. */
  readonly freezing: SnapshotId | null;
  readonly acknowledged: Acknowledgement | null;
  /** How the last VMM ended, once seen; null while one is expected to run. */
  readonly ended: Notice | null;
  readonly notices: readonly Notice[];
}

const NOTICES_MAX = 10;

export function withNotice(notices: readonly Notice[], notice: Notice): Notice[] {
  return [...notices, notice].slice(-NOTICES_MAX);
}

export class BoxDirectory {
  readonly #root: string;

  constructor(stateDir: string) {
    this.#root = stateDir;
  }

  path(boxId: BoxId): string {
    return join(this.#root, "boxes", safeName(boxId));
  }

  /** What the VMM sees as /box. */
  filesPath(boxId: BoxId): string {
    return join(this.path(boxId), "files");
  }

  vmmLogPath(boxId: BoxId): string {
    return join(this.path(boxId), "vmm.log");
  }

  async list(): Promise<BoxId[]> {
    const names = await readdir(join(this.#root, "boxes")).catch(() => []);
    return names as BoxId[];
  }

  async read(boxId: BoxId): Promise<BoxRecord | null> {
    return await readJson<BoxRecord>(join(this.path(boxId), "box.json"));
  }

  /** `durable` for what decides about files; of what dies with the host's power the older record will do. */
  async write(record: BoxRecord, durable: boolean): Promise<void> {
    await mkdir(this.path(record.run.boxId), { recursive: true, mode: 0o700 });
    await writeJson(join(this.path(record.run.boxId), "box.json"), record, durable);
  }

  /** Makes a directory with files in it the box's, with its record, at once. The box must have none. */
  async moveIn(directory: string, record: BoxRecord): Promise<void> {
    await writeJson(join(directory, "box.json"), record, true);
    await rename(directory, this.path(record.run.boxId));
  }

  /** Removes everything of the box, out of sight at once. */
  async remove(boxId: BoxId): Promise<void> {
    const trash = join(this.#root, "trash");
    await mkdir(trash, { recursive: true, mode: 0o700 });
    const doomed = join(trash, `box-${safeName(boxId)}`);
    await rm(doomed, { recursive: true, force: true });
    await rename(this.path(boxId), doomed).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    await rm(doomed, { recursive: true, force: true });
  }

  async emptyTrash(): Promise<void> {
    await rm(join(this.#root, "trash"), { recursive: true, force: true });
  }
}
