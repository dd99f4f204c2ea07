// Packages of npm's registry, as this host's npm is set up to reach it.

import { createHash } from "node:crypto";
import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Run } from "#lib/run.ts";
import type { NpmPackage } from "./recipe.ts";
import { STEP_TIMEOUT_MS } from "./script.ts";

/** Fetches the package as a tarball to `target`; anything but the pinned bytes is refused. */
export async function fetchNpm(
  npm: NpmPackage,
  target: string,
  work: string,
  run: Run,
): Promise<void> {
  const name = `${npm.name}@${npm.version}`;
  const pack = ["npm", "pack", "--silent", "--pack-destination", work, name];
  await run(pack, { cwd: work, timeoutMs: STEP_TIMEOUT_MS });
  const packed = join(work, `${npm.name}-${npm.version}.tgz`);
  const actual = `sha512-${createHash("sha512")
    .update(await readFile(packed))
    .digest("base64")}`;
  if (actual !== npm.integrity)
    throw new Error(`npm package ${name} has digest ${actual}, expected ${npm.integrity}`);
  await rename(packed, target);
}

/**
 * Installs what an unpacked package's lock file pins: for boxes, whatever this host is, and without running a
 * script of any package.
 */
export async function installLocked(directory: string, run: Run): Promise<void> {
  const forBoxes = ["--os=linux", "--cpu=x64", "--libc=glibc", "--omit=dev", "--ignore-scripts"];
  const calm = ["--legacy-peer-deps", "--engine-strict=false", "--no-audit", "--no-fund"];
  const ci = ["npm", "ci", "--loglevel=error", ...forBoxes, ...calm];
  await run(ci, { cwd: directory, timeoutMs: STEP_TIMEOUT_MS });
}
