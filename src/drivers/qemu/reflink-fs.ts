// A directory whose files can be copied by reference. Where the file system cannot, an XFS inside a sparse
// file beside the directory is mounted over it.

import { constants } from "node:fs";
import {
  copyFile,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import type { Run } from "#lib/run.ts";

/** The smallest XFS that mkfs.xfs makes, rounded up. */
const SIZE_GIB_MIN = 1;

/** Copies by reference, else by bytes with holes kept. `target` must not exist. */
export async function reflink(source: string, target: string, run: Run): Promise<void> {
  try {
    await copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EEXIST" || code === "ENOSPC" || code === "ENOENT") throw error;
    await rm(target, { force: true });
    await run(["cp", "--reflink=auto", "--sparse=always", source, target], { timeoutMs: 600_000 });
  }
}

export async function canReflink(directory: string): Promise<boolean> {
  const probe = join(directory, ".reflink-probe");
  const copy = `${probe}-copy`;
  await rm(copy, { force: true });
  try {
    await writeFile(probe, Buffer.alloc(4096, 1));
    await copyFile(probe, copy, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    return false;
  } finally {
    await rm(probe, { force: true });
    await rm(copy, { force: true });
  }
}

export interface ReflinkDirectory {
  readonly how: "native" | "loop";
  /** The file that holds the file system, for `loop`. */
  readonly file: string | null;
}

/**
 * Makes `directory` one that can reflink. Idempotent; called at every start, so that the loop file is mounted
 * again after a reboot. `sizeGib` is the most it may take; the file is sparse and is never shrunk.
 */
export async function ensureReflinkDirectory(
  directory: string,
  sizeGib: number,
  run: Run,
): Promise<ReflinkDirectory> {
  await mkdir(directory, { recursive: true });
  const file = loopFile(directory);
  const hasFile = await stat(file).then(
    () => true,
    () => false,
  );
  if (await canReflink(directory)) {
    return (await isMountPoint(directory)) && hasFile
      ? { how: "loop", file }
      : { how: "native", file: null };
  }
  const inTheWay = await readdir(directory);
  if (inTheWay.length > 0) {
    throw new Error(
      `${directory} has files (${inTheWay.slice(0, 3).join(", ")}) and cannot reflink: a mount would hide them. Move them away, or use an XFS or btrfs directory`,
    );
  }
  if (!hasFile) await makeFileSystem(file, Math.max(SIZE_GIB_MIN, sizeGib), run);
  // Without `discard`: freed blocks would be punched out of the file in the middle of a delete.
  await run(["mount", "-t", "xfs", "-o", "loop,noatime,nodev,nosuid,noexec", file, directory]);
  if (!(await canReflink(directory))) {
    throw new Error(`${directory}: XFS is mounted from ${file} but cannot reflink`);
  }
  return { how: "loop", file };
}

/** Unmounts and deletes the file system that ensureReflinkDirectory made: everything in it is lost. */
export async function removeReflinkDirectory(directory: string, run: Run): Promise<void> {
  if (await isMountPoint(directory)) await run(["umount", directory]);
  await rm(loopFile(directory), { force: true });
  await rmdir(directory).catch(() => {}); // Not empty: it was never ours.
}

export function loopFile(directory: string): string {
  return `${directory.replace(/\/+$/, "")}.xfs`;
}

async function makeFileSystem(file: string, sizeGib: number, run: Run): Promise<void> {
  const draft = `${file}.new`;
  await rm(draft, { force: true });
  const handle = await open(draft, "wx", 0o600);
  await handle.truncate(sizeGib * 1024 ** 3);
  await handle.close();
  await run(["mkfs.xfs", "-q", "-m", "reflink=1", draft]);
  await rename(draft, file);
}

async function isMountPoint(directory: string): Promise<boolean> {
  const device = (path: string) =>
    stat(path).then(
      ({ dev }) => dev,
      () => null,
    );
  const [here, above] = await Promise.all([device(directory), device(join(directory, ".."))]);
  return here !== null && here !== above;
}
