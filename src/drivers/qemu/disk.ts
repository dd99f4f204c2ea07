// A box's files for its VMM: RAM, root overlay, home volume, console. They belong to the box's uid; their
// directory does not, so the VMM can neither add nor replace files.

import { constants } from "node:fs";
import { chmod, chown, copyFile, mkdir, open, stat } from "node:fs/promises";
import { join } from "node:path";
import type { BoxSpec } from "#domain/box.ts";
import type { Run } from "#lib/run.ts";
import { reflink } from "./reflink-fs.ts";

export const BOX_FILES = {
  ram: "ram",
  root: "root.qcow2",
  home: "home.qcow2",
  console: "console.log",
} as const;
/** What the console of the VMM before said, and what was cut from this one's; not the VMM's. */
export const OLD_CONSOLE = "console.old";

const MIB = 1024 * 1024;

/** Fresh disks for a box that boots from its base image. */
export async function createDisks(directory: string, spec: BoxSpec, run: Run): Promise<void> {
  await mkdir(directory, { mode: 0o755 });
  // The header names no backing: the VMM's command line does.
  const create = (name: string, sizeGib: number) =>
    run(["qemu-img", "create", "-q", "-f", "qcow2", join(directory, name), `${sizeGib}G`]);
  await Promise.all([
    create(BOX_FILES.root, spec.rootDiskGib),
    create(BOX_FILES.home, spec.homeDiskGib),
  ]);
  await createEmpty(join(directory, BOX_FILES.console), 0);
}

/** Disks, and RAM when `withMemory`, as a snapshot has them. */
export async function copyDisks(
  snapshotDirectory: string,
  directory: string,
  withMemory: boolean,
  run: Run,
): Promise<void> {
  await mkdir(directory, { mode: 0o755 });
  const names = [BOX_FILES.root, BOX_FILES.home, ...(withMemory ? [BOX_FILES.ram] : [])];
  await Promise.all([
    ...names.map((name) => reflink(join(snapshotDirectory, name), join(directory, name), run)),
    createEmpty(join(directory, BOX_FILES.console), 0),
  ]);
}

/**
 * Puts a snapshot's disks and RAM into the files of a spare VMM, which has them open: by reference, or not at all. A
 * file that is replaced would not be the VMM's any more.
 */
export async function pourDisks(snapshotDirectory: string, directory: string): Promise<void> {
  await Promise.all(
    [BOX_FILES.root, BOX_FILES.home, BOX_FILES.ram].map(async (name) => {
      const path = join(directory, name);
      const { ino } = await stat(path);
      await copyFile(join(snapshotDirectory, name), path, constants.COPYFILE_FICLONE_FORCE);
      if ((await stat(path)).ino !== ino) throw new Error(`${path} was replaced`);
    }),
  );
}

/** RAM for a boot: all holes. What an earlier boot left in it is gone. */
export async function clearRam(directory: string, memoryMib: number): Promise<void> {
  await createEmpty(join(directory, BOX_FILES.ram), memoryMib * MIB);
}

/** Gives the files to the VMM's uid, and to nobody else. */
export async function giveFiles(directory: string, uid: number): Promise<void> {
  await Promise.all(
    Object.values(BOX_FILES).map(async (name) => {
      const path = join(directory, name);
      await chmod(path, 0o600);
      await chown(path, uid, uid);
    }),
  );
}

export async function clearConsole(directory: string): Promise<void> {
  await createEmpty(join(directory, BOX_FILES.console), 0);
}

async function createEmpty(path: string, sizeBytes: number): Promise<void> {
  const handle = await open(path, "w", 0o600);
  try {
    await handle.truncate(sizeBytes);
  } finally {
    await handle.close();
  }
}
