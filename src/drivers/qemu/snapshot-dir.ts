// Snapshots on this host: directories of immutable files that appear by one rename.
//
//   snapshots/<id>/   ram state root.qcow2 home.qcow2 machine.json    what the snapshot is (ram, state: with memory)
//                     meta.json seal.json                             written here at the commit
//                     digests                                         page digests, once src/objects wrote them
//   staging/<id>/     filled by a download (stageSnapshot)
//   taking/<id>/      filled by this driver; nothing in it counts
//
// The seal says that no file was touched since the commit: inode, size and change time. While it holds, a restore
// needs no reading of gigabytes. When it does not, every page is compared with its digest, or the
// snapshot is refused.

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { readSnapshotDigests, syncDirectory, verifySnapshotFiles } from "#lib/page-digests.ts";
import { DriverError, type LocalSnapshot } from "../driver.ts";
import { BOX_FILES } from "./disk.ts";
import { readJson, syncFile, writeJson } from "./durable-file.ts";

export const STATE_FILE = "state";
const MACHINE_FILE = "machine.json";
const META_FILE = "meta.json";
const SEAL_FILE = "seal.json";

/** Made on the host, so that its certificate is ready before the guest has it. */
export interface SshHostKey {
  /** OpenSSH private key file. */
  readonly privateKey: string;
  /** Public key line. */
  readonly publicKey: string;
}

/** What a restore needs besides the files; travels with them. */
export interface Machine {
  readonly compatibility: string;
  /** Digest of the bytes of the base image that the root overlay lies on. */
  readonly imageContentDigest: string;
  readonly sshHostKey: SshHostKey;
  /** SHA-256 of the device state; null without memory. */
  readonly stateSha256: string | null;
}

export type SnapshotMeta = Omit<LocalSnapshot, "directory" | "allocatedBytes">;

interface FileSeal {
  readonly inode: string;
  readonly size: string;
  readonly changeTimeNs: string;
}

interface Seal {
  readonly bootId: string;
  readonly metaSha256: string;
  readonly files: Readonly<Record<string, FileSeal>>;
}

export function snapshotFiles(withMemory: boolean): string[] {
  const disks = [BOX_FILES.root, BOX_FILES.home, MACHINE_FILE];
  return withMemory ? [BOX_FILES.ram, STATE_FILE, ...disks] : disks;
}

export class SnapshotDirectory {
  readonly #root: string;
  readonly #bootId: string;

  constructor(stateDir: string, bootId: string) {
    this.#root = stateDir;
    this.#bootId = bootId;
  }

  path(snapshotId: string): string {
    return join(this.#root, "snapshots", safeName(snapshotId));
  }

  stagingPath(snapshotId: string): string {
    return join(this.#root, "staging", safeName(snapshotId));
  }

  takingPath(snapshotId: string): string {
    return join(this.#root, "taking", safeName(snapshotId));
  }

  async list(): Promise<LocalSnapshot[]> {
    const names = await readdir(join(this.#root, "snapshots")).catch(() => []);
    // One that cannot be read is as good as gone; whoever asks for it by its id hears why.
    const found = await Promise.all(names.map((name) => this.get(name).catch(() => null)));
    return found.filter((snapshot) => snapshot !== null);
  }

  async get(snapshotId: string): Promise<LocalSnapshot | null> {
    const directory = this.path(snapshotId);
    const meta = await readPart<SnapshotMeta>(directory, META_FILE, snapshotId);
    if (!meta) return null;
    let allocatedBytes = 0;
    for (const name of meta.files) {
      const blocks = await stat(join(directory, name)).then(
        (file) => file.blocks,
        () => 0,
      );
      allocatedBytes += blocks * 512;
    }
    return { ...meta, directory, allocatedBytes };
  }

  /** A fresh directory for a snapshot that this driver takes. */
  async beginTaking(snapshotId: string): Promise<string> {
    const directory = this.takingPath(snapshotId);
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return directory;
  }

  /** Where a download writes to; kept over crashes, so that it can go on. */
  async stage(snapshotId: string): Promise<string> {
    const directory = this.stagingPath(snapshotId);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return directory;
  }

  async writeMachine(directory: string, machine: Machine): Promise<void> {
    await writeJson(join(directory, MACHINE_FILE), machine, false);
  }

  async readMachine(snapshotId: string): Promise<Machine> {
    return await this.#machineIn(this.path(snapshotId), snapshotId);
  }

  async #machineIn(directory: string, snapshotId: string): Promise<Machine> {
    const machine = await readPart<Machine>(directory, MACHINE_FILE, snapshotId);
    if (!machine) throw corrupt(snapshotId, [`${MACHINE_FILE} is missing`]);
    return machine;
  }

  /** Commits a download. Whoever wrote it checked every page against its digest. */
  async commitStaged(meta: SnapshotMeta): Promise<LocalSnapshot> {
    const directory = this.stagingPath(meta.snapshotId);
    await this.#verifyState(directory, meta);
    return await this.commit(directory, meta);
  }

  /** Makes what lies in `directory` the snapshot: everything to disk, sealed, then one rename. */
  async commit(directory: string, meta: SnapshotMeta): Promise<LocalSnapshot> {
    const target = this.path(meta.snapshotId);
    await Promise.all(meta.files.map((name) => syncFile(join(directory, name))));
    await writeJson(join(directory, META_FILE), meta, true);
    await writeJson(join(directory, SEAL_FILE), await this.#seal(directory, meta.files), true);
    await mkdir(join(this.#root, "snapshots"), { recursive: true, mode: 0o700 });
    await rename(directory, target);
    await syncDirectory(join(this.#root, "snapshots"));
    const committed = await this.get(meta.snapshotId);
    if (!committed) throw new Error(`snapshot ${meta.snapshotId} vanished at its commit`);
    return committed;
  }

  async remove(snapshotId: string): Promise<void> {
    await rm(this.stagingPath(snapshotId), { recursive: true, force: true });
    // Out of sight at once, so that a crash leaves no half of it to be listed.
    const trash = join(this.#root, "trash");
    await mkdir(trash, { recursive: true, mode: 0o700 });
    const doomed = join(trash, `snapshot-${safeName(snapshotId)}`);
    await rm(doomed, { recursive: true, force: true });
    await rename(this.path(snapshotId), doomed).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    await rm(doomed, { recursive: true, force: true });
  }

  /**
   * Throws snapshot_corrupt unless the snapshot's bytes are those that were frozen. Says what it relied on; `age` means
   * that the files are untouched as far as the file system tells, over a reboot and without digests yet.
   */
  async verify(snapshot: LocalSnapshot): Promise<"seal" | "digests" | "age"> {
    const { directory, snapshotId } = snapshot;
    const seal = await readJson<Seal>(join(directory, SEAL_FILE)).catch(() => null);
    const current = await this.#seal(directory, snapshot.files).catch((error: Error) => {
      throw corrupt(snapshotId, [error.message]);
    });
    const changes = seal ? differences(seal, current) : ["its seal is missing"];
    await this.#verifyState(directory, snapshot);
    if (changes.length === 0 && seal?.bootId === this.#bootId) return "seal";
    const digests = await readSnapshotDigests(directory).catch((error: Error) => {
      throw corrupt(snapshotId, [error.message]);
    });
    if (digests) {
      const listed = new Set(digests.map(({ name }) => name));
      const problems = snapshot.files
        .filter((name) => !listed.has(name))
        .map((name) => `${name}: has no digests`);
      problems.push(...(await verifySnapshotFiles(directory)));
      if (problems.length > 0) throw corrupt(snapshotId, problems);
      return "digests";
    }
    if (changes.length > 0) throw corrupt(snapshotId, changes);
    return "age";
  }

  /** The device state is small: it is always read. */
  async #verifyState(directory: string, snapshot: SnapshotMeta): Promise<void> {
    const machine = await this.#machineIn(directory, snapshot.snapshotId);
    if (!snapshot.withMemory) return;
    const actual = await sha256OfFile(join(directory, STATE_FILE)).catch(() => null);
    if (actual !== machine.stateSha256) {
      throw corrupt(snapshot.snapshotId, [`${STATE_FILE}: SHA-256 differs`]);
    }
  }

  async #seal(directory: string, names: readonly string[]): Promise<Seal> {
    const files: Record<string, FileSeal> = {};
    for (const name of names) {
      const { ino, size, ctimeNs } = await stat(join(directory, name), { bigint: true });
      files[name] = { inode: `${ino}`, size: `${size}`, changeTimeNs: `${ctimeNs}` };
    }
    const metaSha256 = await sha256OfFile(join(directory, META_FILE));
    return { bootId: this.#bootId, metaSha256, files };
  }
}

export async function sha256OfFile(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}

function differences(then: Seal, now: Seal): string[] {
  const changes: string[] = [];
  if (then.metaSha256 !== now.metaSha256) changes.push(`${META_FILE}: changed since the commit`);
  for (const [name, file] of Object.entries(now.files)) {
    const sealed = then.files[name];
    if (!sealed) changes.push(`${name}: not sealed`);
    else if (sealed.size !== file.size) {
      changes.push(`${name}: has ${file.size} bytes, ${sealed.size} were frozen`);
    } else if (sealed.inode !== file.inode || sealed.changeTimeNs !== file.changeTimeNs) {
      changes.push(`${name}: touched since the commit`);
    }
  }
  return changes;
}

async function readPart<T>(directory: string, name: string, snapshotId: string): Promise<T | null> {
  return await readJson<T>(join(directory, name)).catch((error: Error) => {
    throw corrupt(snapshotId, [`${name}: ${error.message}`]);
  });
}

function corrupt(snapshotId: string, problems: readonly string[]): DriverError {
  return new DriverError(
    "snapshot_corrupt",
    `snapshot ${snapshotId} is not what was frozen, so it is not restored: ${problems.join("; ")}. Fetch it from the object store again, or start from an older one`,
    false,
  );
}

/** Ids come from the control plane; as a path component they get no second meaning. */
export function safeName(id: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(id)) throw new Error(`not an id: ${id}`);
  return id;
}
