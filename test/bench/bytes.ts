// Target T7: bytes that a second pause adds to the store, beside restic and borg on the same image.
// Every page has half a page of entropy, so no tool can store a dirty one in less than half of it: as
// hexadecimal text, or as random bytes and then zeroes (as RAM often is; the zeroes happen to make restic
// cut its smallest chunks, which is the best case for it). Each round has new content; all see the same.

import { randomBytes, randomInt } from "node:crypto";
import { lstat, mkdir, mkdtemp, open, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failpoints } from "#lib/failpoint.ts";
import { run as runProgram } from "#lib/run.ts";
import { installPackages, missingPackages } from "#main/packages.ts";
import { openDirectoryStore } from "#objects/directory-store.ts";
import { uploadSnapshot } from "#objects/snapshots.ts";
import { type Pair, type Row, rowOf } from "#test/bench/row.ts";

const IMAGE_MIB = 512;
const DIRTY_SHARE = 0.01;
const ROUNDS = 3;
const PAGE = 4096;
const PAGES = (IMAGE_MIB << 20) / PAGE;

const PEERS = [
  { package: "restic", proof: "restic", why: "the bench compares stored bytes with it" },
  { package: "borgbackup", proof: "borg", why: "the bench compares stored bytes with it" },
];

type Content = "hexadecimal" | "half zero";
type Pattern = "scattered" | "sequential";

const CASES: readonly (readonly [Content, Pattern])[] = [
  ["hexadecimal", "scattered"],
  ["half zero", "scattered"],
  ["hexadecimal", "sequential"],
];

/** A tool that stores the image, and then stores it again after it changed. */
interface Keeper {
  readonly name: string;
  /** Stores the image as `generation` 1, 2, …; the second knows of the first. */
  store(image: string, generation: number): Promise<void>;
  /** Where its bytes are. */
  readonly directory: string;
}

interface Added {
  readonly bytes: number;
  readonly ms: number;
}

export async function run(): Promise<Row[]> {
  const missing = await missingPackages(PEERS);
  for (const entry of missing) console.log(`installing ${entry.package}: ${entry.why}`);
  if (missing.length > 0) await installPackages(missing, runProgram);
  const rows: Row[] = [];
  for (const [content, pattern] of CASES) {
    const rounds: Map<string, Added>[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      rounds.push(await oneRound(content, pattern));
      console.log(`bytes: ${content}, ${pattern}: round ${round + 1} of ${ROUNDS}`);
    }
    rows.push(...rowsOf(`${DIRTY_SHARE * 100} % ${pattern} writes, ${content} pages`, rounds));
  }
  return rows;
}

function rowsOf(how: string, rounds: readonly Map<string, Added>[]): Row[] {
  const what = `stored by a second pause of ${IMAGE_MIB} MiB, ${how}`;
  const dirtyBytes = Math.round(PAGES * DIRTY_SHARE) * PAGE;
  const pairs = (peer: string, of: (added: Added) => number): Pair[] =>
    rounds.map((round) => ({ ours: of(round.get("berth")!), theirs: of(round.get(peer)!) }));
  const mib = ({ bytes }: Added): number => bytes / (1 << 20);
  const ours = rounds.map((round) => round.get("berth")!.bytes);
  const toDirty = ours.map((n) => ({ ours: n / (1 << 20), theirs: dirtyBytes / (1 << 20) }));
  const share = Math.max(...ours) / dirtyBytes;
  return [
    rowOf(
      `${what}: dirty bytes`,
      "MiB",
      toDirty,
      `ours is at most ${share.toFixed(3)} of the dirty bytes (target 0.6; the content allows 0.5)`,
    ),
    rowOf(`${what}: restic`, "MiB", pairs("restic", mib), "restic 0.14, compression auto"),
    rowOf(`${what}: borg`, "MiB", pairs("borg", mib), "borg 1.2, default chunker, zstd,1"),
    rowOf(
      `${what}: borg, 64 KiB chunks`,
      "MiB",
      pairs("borg-64k", mib),
      "borg 1.2, --chunker-params fixed,65536, zstd,1",
    ),
    rowOf(
      `until that second pause is durable, ${how}: restic`,
      "s",
      pairs("restic", ({ ms }) => ms / 1000),
      `both read the whole image; ours starts a worker thread, restic a process`,
    ),
  ];
}

async function oneRound(content: Content, pattern: Pattern): Promise<Map<string, Added>> {
  const root = await mkdtemp(join(tmpdir(), "berth-bench-bytes-"));
  try {
    const image = join(root, "image");
    await mkdir(image);
    await writeImage(join(image, "ram"), content);
    const keepers = [
      await berth(join(root, "berth")),
      await restic(join(root, "restic")),
      await borg("borg", join(root, "borg"), []),
      await borg("borg-64k", join(root, "borg-64k"), ["--chunker-params", "fixed,65536"]),
    ];
    for (const keeper of keepers) await keeper.store(image, 1);
    await dirty(join(image, "ram"), content, pattern);
    const added = new Map<string, Added>();
    for (const keeper of keepers) {
      const before = await bytesUnder(keeper.directory);
      const startedAt = performance.now();
      await keeper.store(image, 2);
      const ms = performance.now() - startedAt;
      added.set(keeper.name, { ms, bytes: (await bytesUnder(keeper.directory)) - before });
    }
    return added;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

function newPage(content: Content): Buffer {
  const random = randomBytes(PAGE / 2);
  if (content === "hexadecimal") return Buffer.from(random.toString("hex"));
  return Buffer.concat([random, Buffer.alloc(PAGE / 2)]);
}

async function writeImage(path: string, content: Content): Promise<void> {
  const file = await open(path, "w");
  for (let page = 0; page < PAGES; page += 256)
    await file.write(Buffer.concat(Array.from({ length: 256 }, () => newPage(content))));
  await file.close();
}

async function dirty(path: string, content: Content, pattern: Pattern): Promise<void> {
  const count = Math.round(PAGES * DIRTY_SHARE);
  const pages = new Set<number>();
  const start = randomInt(PAGES - count);
  while (pages.size < count)
    pages.add(pattern === "scattered" ? randomInt(PAGES) : start + pages.size);
  const file = await open(path, "r+");
  for (const page of pages) await file.write(newPage(content), 0, PAGE, page * PAGE);
  await file.close();
}

async function berth(directory: string): Promise<Keeper> {
  const failpoints = new Failpoints();
  const store = await openDirectoryStore({ root: directory, failpoints });
  let parentManifestKey: string | null = null;
  return {
    name: "berth",
    directory,
    store: async (image, generation) => {
      const what = { snapshotId: `s${generation}`, directory: image, files: ["ram"] };
      const input = { ...what, scope: "org_bench", parentManifestKey, meta: {} };
      parentManifestKey = (await uploadSnapshot(input, { store, failpoints })).manifestKey;
      // Pauses have a directory each; here the image is changed in place.
      await rm(join(image, "digests"));
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
  await runProgram(["restic", "init"], { env, timeoutMs: TIMEOUT_MS });
  const store = async (image: string): Promise<void> => {
    await runProgram(["restic", "backup", "-q", image], { env, timeoutMs: TIMEOUT_MS });
  };
  return { name: "restic", directory, store };
}

async function borg(name: string, directory: string, more: readonly string[]): Promise<Keeper> {
  const env = { PATH: "/usr/bin:/bin", BORG_BASE_DIR: `${directory}-base`, LC_ALL: "C.UTF-8" };
  const options = { env, timeoutMs: TIMEOUT_MS };
  await runProgram(["borg", "init", "--encryption", "none", directory], options);
  const store = async (image: string, generation: number): Promise<void> => {
    const archive = `${directory}::s${generation}`;
    await runProgram(["borg", "create", "-C", "zstd,1", ...more, archive, image], options);
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
