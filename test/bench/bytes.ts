// Target T7: bytes that a second pause adds to the store, beside restic and borg on the same image.
// Every page has half a page of entropy, so no tool can store a dirty one in less than half of it: as
// hexadecimal text, or as random bytes and then zeroes (as RAM often is; the zeroes happen to make restic
// cut its smallest chunks, which is the best case for it). Each round has new content; all see the same.

// Target T7: bytes that a second pause adds to the store, beside restic and borg on the same image.
// Every page has half a page of entropy, so no tool can store a dirty one in less than half of it: as
// hexadecimal text, or as random bytes and then zeroes (as RAM often is; the zeroes happen to make restic
// cut its smallest chunks, which is the best case for it). Each round has new content; all see the same.

import { randomBytes, randomInt } from "node:crypto";
import { mkdir, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Added,
  installPeers,
  openKeepers,
  PEER_NOTES,
  storeAll,
} from "#test/bench/keepers.ts";
import { type Pair, type Row, rowOf } from "#test/bench/row.ts";

const IMAGE_MIB = 512;
const DIRTY_SHARE = 0.01;
const ROUNDS = 3;
const PAGE = 4096;
const PAGES = (IMAGE_MIB << 20) / PAGE;

type Content = "hexadecimal" | "half zero";
type Pattern = "scattered" | "sequential";

const CASES: readonly (readonly [Content, Pattern])[] = [
  ["hexadecimal", "scattered"],
  ["half zero", "scattered"],
  ["hexadecimal", "sequential"],
];

export async function run(): Promise<Row[]> {
  await installPeers();
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
    ...Object.entries(PEER_NOTES).map(([peer, note]) =>
      rowOf(`${what}: ${peer}`, "MiB", pairs(peer, mib), note),
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
    const keepers = await openKeepers(join(root, "kept"));
    await storeAll(keepers, image, ["ram"]);
    await rm(join(image, "digests")); // Pauses have a directory each; here the image is changed in place.
    await dirty(join(image, "ram"), content, pattern);
    return await storeAll(keepers, image, ["ram"]);
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
