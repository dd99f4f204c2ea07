// Tools that keep images: Berth's object store, restic and borg, each as a way to store the same files again and a
// directory whose growth is what that cost.

import { lstat, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { Failpoints } from "#lib/failpoint.ts";
import { run } from "#lib/run.ts";
import { installPackages, missingPackages } from "#main/packages.ts";
import { openDirectoryStore } from "#objects/directory-store.ts";
import { uploadSnapshot } from "#objects/snapshots.ts";

const PEERS = [
  { package: "restic", proof: "restic", why: "the bench compares stored bytes with it" },
  { package: "borgbackup", proof: "borg", why: "the bench compares stored bytes with it" },
];

/** What the peers are, by the name of their keeper. */
export const PEER_NOTES = {
  restic: "restic 0.14, compression auto",
  borg: "borg 1.2, default chunker, zstd,1",
  "borg-64k": "borg 1.2, --chunker-params fixed,65536, zstd,1",
} as const;

interface Keeper {
  readonly name: string;
  /** Where its bytes are. */
  readonly directory: string;
  /** Stores the files, knowing what it stored before. */
  store(image: string, files: readonly string[]): Promise<void>;
}

export interface Added {
  readonly bytes: number;
  readonly ms: number;
}

export async function installPeers(): Promise<void> {
  const missing = await missingPackages(PEERS);
  for (const entry of missing) console.log(`installing ${entry.package}: ${entry.why}`);
  if (missing.length > 0) await installPackages(missing, run);
}

export async function openKeepers(root: string): Promise<Keeper[]> {
  await mkdir(root);
  return [
    await restic(join(root, "restic")),
    await borg("borg", join(root, "borg"), []),
    await borg("borg-64k", join(root, "borg-64k"), ["--chunker-params", "fixed,65536"]),
    await berth(join(root, "berth")),
  ];
}

/** Stores the same files with each keeper, one after the other. */
export async function storeAll(
  keepers: readonly Keeper[],
  image: string,
  files: readonly string[],
): Promise<Map<string, Added>> {
  const added = new Map<string, Added>();
  for (const keeper of keepers) {
    const before = await bytesUnder(keeper.directory);
    const startedAt = performance.now();
    await keeper.store(image, files);
    const ms = performance.now() - startedAt;
    added.set(keeper.name, { ms, bytes: (await bytesUnder(keeper.directory)) - before });
  }
  return added;
}

async function berth(directory: string): Promise<Keeper> {
  const failpoints = new Failpoints();
  const store = await openDirectoryStore({ root: directory, failpoints });
  let parentManifestKey: string | null = null;
  let generation = 0;
  return {
    name: "berth",
    directory,
    store: async (image, files) => {
      generation += 1;
      const what = { snapshotId: `s${generation}`, directory: image, files };
      const input = { ...what, scope: "org_bench", parentManifestKey, meta: {} };
      parentManifestKey = (await uploadSnapshot(input, { store, failpoints })).manifestKey;
    },
  };
}

const TIMEOUT_MS = 10 * 60_000;

async function restic(directory: string): Promise<Keeper> {
  const env = {
    PATH: "/usr/bin:/bin",
    RESTIC_REPOSITORY: directory,
    RESTIC_PASSWORD: "bench",
    RESTIC_CACHE_DIR: `${directory}-cache`,
  };
  await run(["restic", "init"], { env, timeoutMs: TIMEOUT_MS });
  const store = async (image: string, files: readonly string[]): Promise<void> => {
    const paths = files.map((name) => join(image, name));
    await run(["restic", "backup", "-q", ...paths], { env, timeoutMs: TIMEOUT_MS });
  };
  return { name: "restic", directory, store };
}

async function borg(name: string, directory: string, more: readonly string[]): Promise<Keeper> {
  const env = { PATH: "/usr/bin:/bin", BORG_BASE_DIR: `${directory}-base`, LC_ALL: "C.UTF-8" };
  const options = { env, timeoutMs: TIMEOUT_MS };
  await run(["borg", "init", "--encryption", "none", directory], options);
  let generation = 0;
  const store = async (image: string, files: readonly string[]): Promise<void> => {
    generation += 1;
    const archive = `${directory}::s${generation}`;
    const paths = files.map((name) => join(image, name));
    await run(["borg", "create", "-C", "zstd,1", ...more, archive, ...paths], options);
  };
  return { name, directory, store };
}

/** Lengths of all files: what would be paid for in an object store. */
async function bytesUnder(directory: string): Promise<number> {
  let sum = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) sum += (await lstat(join(entry.parentPath, entry.name))).size;
  return sum;
}
