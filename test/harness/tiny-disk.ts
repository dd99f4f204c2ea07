// A file system of a few MiB in memory, to run full. Needs root, as all of Berth's tests do.

import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** Mounts it until the test ends. Returns its directory. */
export async function mountTinyDisk(t: TestContext, sizeMib: number): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "berth-tiny-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMib}m`, "tmpfs", directory]);
  if (mounted.status !== 0) throw new Error(`cannot mount a tmpfs: ${mounted.stderr}. Run as root`);
  t.after(async () => {
    spawnSync("umount", ["-l", directory]);
    await rm(directory, { recursive: true, force: true });
  });
  return directory;
}
