// Packages of npm's registry, as this host's npm is set up to reach it.

import { createHash } from "node:crypto";
import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Run } from "#lib/run.ts";
import type { NpmPackage } from "./recipe.ts";
import { STEP_TIMEOUT_MS } from "./script.ts";

/**
 * The host's npm under the Node beside it: under another it would look for its global settings (registry,
 * certificates) elsewhere.
 */
async function npm(args: readonly string[], directory: string, run: Run): Promise<void> {
  const script = 'PATH="$(dirname "$(command -v npm)"):$PATH"; export PATH; exec npm "$@"';
  const argv = ["sh", "-c", script, "npm", ...args, "--loglevel=error"];
  await run(argv, { cwd: directory, timeoutMs: STEP_TIMEOUT_MS });
}

/** Fetches the package as a tarball to `target`; anything but the pinned bytes is refused. */
export async function fetchNpm(
  wanted: NpmPackage,
  target: string,
  work: string,
  run: Run,
): Promise<void> {
  const name = `${wanted.name}@${wanted.version}`;
  await npm(["pack", name, "--pack-destination", work], work, run);
  const packed = join(work, `${wanted.name}-${wanted.version}.tgz`);
  const actual = `sha512-${createHash("sha512")
    .update(await readFile(packed))
    .digest("base64")}`;
  if (actual !== wanted.integrity)
    throw new Error(`npm package ${name} has digest ${actual}, expected ${wanted.integrity}`);
  await rename(packed, target);
}

/**
 * Installs what an unpacked package's lock file pins: for boxes, whatever this host is, and without running a
 * script of any package.
 */
export async function installLocked(directory: string, run: Run): Promise<void> {
  const forBoxes = ["--os=linux", "--cpu=x64", "--libc=glibc", "--omit=dev", "--ignore-scripts"];
  const calm = ["--legacy-peer-deps", "--engine-strict=false", "--no-audit", "--no-fund"];
  await npm(["ci", ...forBoxes, ...calm], directory, run);
}
