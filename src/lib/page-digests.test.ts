// Digests of files and their form on disk; holes cost no reading and lose nothing.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { dataRanges, parseSegments } from "#lib/data-ranges.ts";
import {
  DIGESTS_FILE,
  decodeDigests,
  digestFile,
  encodeDigests,
  forEachChunk,
  PAGE_BYTES,
  verifySnapshotFiles,
  writeSnapshotDigests,
} from "#lib/page-digests.ts";
import { fc } from "#test/harness/fc.ts";

const MIB = 1 << 20;

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "berth-digests-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A file of holes with `writes` in it. */
async function sparse(path: string, size: number, writes: readonly (readonly [number, Buffer])[]) {
  const handle = await open(path, "w");
  for (const [offset, bytes] of writes) await handle.write(bytes, 0, bytes.length, offset);
  await handle.truncate(size);
  await handle.close();
}

test("a file of holes is read where it has data, and nothing of that is missed", async (t) => {
  const path = join(await scratch(t), "ram");
  const size = 300 * MIB + 77;
  const writes = [
    [0, Buffer.from("first")],
    [100 * MIB - 3, Buffer.from("across a border")],
    [200 * MIB + 12345, randomBytes(3 * MIB)],
    [size - 1, Buffer.from("z")],
  ] as const;
  await sparse(path, size, writes);
  const ranges = await dataRanges(path, size);
  assert.ok(ranges, "xfs_io could not tell: is xfsprogs installed?");
  const data = ranges.reduce((sum, { from, to }) => sum + to - from, 0);
  assert.ok(data < 10 * MIB, `${data} bytes of data`);
  const back = Buffer.alloc(size);
  let chunks = 0;
  const read = await forEachChunk(path, (chunk, firstPage) => {
    chunk.copy(back, firstPage * PAGE_BYTES);
    chunks += 1;
  });
  assert.equal(read, size);
  assert.ok(back.equals(await readFile(path)));
  assert.ok(chunks < 10, `${chunks} chunks`);
});

test("segments that make no sense are not believed", () => {
  const text = (...lines: string[]): string => ["Whence\tResult", ...lines, ""].join("\n");
  assert.deepEqual(parseSegments(text("DATA\t0", "HOLE\t5"), 9), [{ from: 0, to: 5 }]);
  assert.deepEqual(parseSegments(text("HOLE\t0", "DATA\t5"), 9), [{ from: 5, to: 9 }]);
  assert.deepEqual(parseSegments(text("HOLE\t0"), 9), []);
  for (const lines of [
    [],
    ["DATA\tEOF"],
    ["DATA\t4", "HOLE\t5"],
    ["DATA\t0", "DATA\t5"],
    ["HOLE\t0", "DATA\t5", "HOLE\t5"],
    ["HOLE\t0", "DATA\t10"],
    ["HOLE\t0", "noise"],
  ])
    assert.equal(parseSegments(text(...lines), 9), null, lines.join());
  assert.equal(parseSegments("", 9), null);
});

test("a digest table survives its form on disk, and no flipped byte of it does", async (t) => {
  const directory = await scratch(t);
  await writeFile(join(directory, "a"), randomBytes(10_000));
  await writeFile(join(directory, "b"), "");
  await sparse(join(directory, "c"), 50 * PAGE_BYTES, [[7 * PAGE_BYTES, Buffer.from("x")]]);
  const files = await Promise.all(["a", "b", "c"].map((name) => digestFile(directory, name)));
  const bytes = encodeDigests(files);
  assert.deepEqual(decodeDigests(bytes), files);
  for (let at = 0; at < bytes.length; at++) {
    const bad = Buffer.from(bytes);
    bad[at]! ^= 4;
    assert.throws(() => decodeDigests(bad), /digest table/, `byte ${at}`);
    assert.throws(() => decodeDigests(bytes.subarray(0, at)), /digest table/);
  }
});

test("any one changed byte, and any other length, is found and named", async (t) => {
  const directory = await scratch(t);
  assert.match((await verifySnapshotFiles(directory)).join(), /digests is missing/);
  const path = join(directory, "ram");
  const size = 64 * PAGE_BYTES + 100;
  await sparse(path, size, [
    [3 * PAGE_BYTES, randomBytes(PAGE_BYTES)],
    [40 * PAGE_BYTES, randomBytes(24 * PAGE_BYTES + 100)],
  ]);
  await writeSnapshotDigests(directory, [await digestFile(directory, "ram")]);
  assert.deepEqual(await verifySnapshotFiles(directory), []);
  const good = await readFile(path);
  await fc.assert(
    fc.asyncProperty(fc.nat(size - 1), fc.nat(7), async (at, bit) => {
      const bad = Buffer.from(good);
      bad[at]! ^= 1 << bit;
      await writeFile(path, bad);
      const page = Math.floor(at / PAGE_BYTES);
      assert.deepEqual(await verifySnapshotFiles(directory), [
        `ram: page ${page} (byte ${page * PAGE_BYTES}) differs`,
      ]);
    }),
    { numRuns: 100 },
  );
  await writeFile(path, Buffer.alloc(size));
  assert.match((await verifySnapshotFiles(directory)).at(-1)!, /26 pages differ in all/);
  await writeFile(path, good.subarray(0, -1));
  assert.match(
    (await verifySnapshotFiles(directory)).join(),
    /has 262243 bytes, 262244 were frozen/,
  );
  await rm(path);
  assert.match((await verifySnapshotFiles(directory)).join(), /ram: ENOENT/);
  await writeFile(join(directory, DIGESTS_FILE), "rubbish");
  assert.match((await verifySnapshotFiles(directory)).join(), /digest table/);
});
