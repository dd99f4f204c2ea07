// Removes base images that nobody uses any more (1 GB each). Several installations of a host may share the cache:
// each writes down what it needs in CACHE/.needs/NAME.json, which counts as long as its state directory is
// there. What one needed last is the time of an image's meta.json, so that a restart forgets nothing.

import { createHash } from "node:crypto";
import { renameSync, statSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";

export interface ImageCacheUser {
  readonly cacheDir: string;
  /** Of the installation: when it is gone, so are its needs. */
  readonly stateDir: string;
}

interface Needs {
  readonly stateDir: string;
  readonly digests: readonly string[];
}

const IMAGE = /^[0-9a-f]{64}$/;

export async function writeNeeds(
  { cacheDir, stateDir }: ImageCacheUser,
  digests: Iterable<string>,
): Promise<void> {
  const directory = join(cacheDir, ".needs");
  await mkdir(directory, { recursive: true });
  const name = createHash("sha256").update(stateDir).digest("hex").slice(0, 16);
  const needs: Needs = { stateDir, digests: [...new Set(digests)].sort() };
  const path = join(directory, `${name}.json`);
  await writeFile(`${path}.new`, JSON.stringify(needs));
  await rename(`${path}.new`, path);
}

export interface CollectOptions {
  readonly graceMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Asked once more in the moment of the removal: a box may have come that needs it. */
  readonly isNeeded: (digest: string) => boolean;
}

/** Returns the digests of the images that were removed. Safe at any time, and twice at once. */
export async function collectImages(cacheDir: string, options: CollectOptions): Promise<string[]> {
  const { clock, graceMs, isNeeded } = options;
  const entries = await readdir(cacheDir).catch(() => []);
  for (const name of entries.filter((entry) => entry.startsWith(".removing-")))
    await rm(join(cacheDir, name), { recursive: true, force: true });
  const others = await readNeeds(cacheDir);
  const removed: string[] = [];
  for (const name of entries.filter((entry) => IMAGE.test(entry))) {
    const digest = `sha256:${name}`;
    const meta = join(cacheDir, name, "meta.json");
    if (isNeeded(digest) || others.has(digest)) {
      const now = new Date(clock.nowMs());
      await utimes(meta, now, now).catch(() => {});
      continue;
    }
    const neededMs = await stat(meta).then(
      ({ mtimeMs }) => mtimeMs,
      () => null,
    );
    // Without meta.json it is not an image, but perhaps the one that is being made whole again.
    if (neededMs === null || clock.nowMs() - neededMs < graceMs) continue;
    if (!takeAway(cacheDir, name, digest, isNeeded)) continue;
    await rm(join(cacheDir, `.removing-${name}`), { recursive: true, force: true });
    options.log.info({ digest, unusedDays: (clock.nowMs() - neededMs) / 86_400_000 }, "removed");
    removed.push(digest);
  }
  return removed;
}

/** In one turn, so that nobody in this process begins to need it between the question and the rename. */
function takeAway(
  cacheDir: string,
  name: string,
  digest: string,
  isNeeded: CollectOptions["isNeeded"],
): boolean {
  if (isNeeded(digest)) return false;
  try {
    renameSync(join(cacheDir, name), join(cacheDir, `.removing-${name}`));
    return true;
  } catch {
    return false; // Another one was faster.
  }
}

/** Of every installation that is still there. */
async function readNeeds(cacheDir: string): Promise<Set<string>> {
  const directory = join(cacheDir, ".needs");
  const needed = new Set<string>();
  for (const name of await readdir(directory).catch(() => [])) {
    if (!name.endsWith(".json")) continue;
    const needs = JSON.parse(await readFile(join(directory, name), "utf8")) as Needs;
    if (statSync(needs.stateDir, { throwIfNoEntry: false }))
      for (const digest of needs.digests) needed.add(digest);
    else await rm(join(directory, name), { force: true });
  }
  return needed;
}
