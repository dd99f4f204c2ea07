// Round trips: what was frozen comes back byte for byte, an increment costs what changed, and any damage in
// the store is refused and named.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readdir, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { verifySnapshotFiles } from "#lib/page-digests.ts";
import { openDirectoryStore } from "#objects/directory-store.ts";
import { encodeManifest, readManifest } from "#objects/manifest.ts";
import { SnapshotError } from "#objects/snapshot-error.ts";
import { fetchSnapshot, uploadSnapshot, verifyLocal } from "#objects/snapshots.ts";
import { isStoreError } from "#objects/store.ts";
import { fc } from "#test/harness/fc.ts";
import { MemoryStore } from "#test/harness/memory-store.ts";
import { type Files, readFiles, SnapshotFiles } from "#test/harness/snapshot-files.ts";
import { mountTinyDisk } from "#test/harness/tiny-disk.ts";

const PAGE = 4096;

/** A page that compresses to about half and is unlike any other with another seed. */
function page(seed: number): Buffer {
  const bytes = Buffer.alloc(PAGE);
  for (let at = 0; at < PAGE / 2; at += 32)
    createHash("sha256").update(`${seed}:${at}`).digest().copy(bytes, at);
  return bytes;
}

function pagesOf(n: number, from = 0): Buffer {
  return Buffer.concat(Array.from({ length: n }, (_, i) => page(from + i)));
}

function withPages(bytes: Buffer, edits: readonly (readonly [number, Buffer])[]): Buffer {
  const next = Buffer.from(bytes);
  for (const [at, content] of edits) content.copy(next, at * PAGE);
  return next;
}

test("a snapshot comes back byte for byte, with its metadata, its digests and its holes", async (t) => {
  const made = await SnapshotFiles.make(t, new MemoryStore());
  const ram = Buffer.alloc(3000 * PAGE);
  page(1).copy(ram, 17 * PAGE);
  page(2).copy(ram, 2999 * PAGE);
  const files: Files = { "home.qcow2": Buffer.alloc(0), ram, state: randomBytes(10_001) };
  const { manifestKey, newPages } = await made.upload("s1", files);
  assert.equal(newPages, 2 + 3);
  const { files: back, result } = await made.fetch(manifestKey);
  assert.deepEqual(back, files);
  assert.deepEqual(result.meta, { snapshotId: "s1", note: "ünï" });
  const directory = join(made.root, "elsewhere");
  await fetchSnapshot(
    { manifestKey, directory },
    { store: made.store, failpoints: made.failpoints },
  );
  assert.deepEqual(await verifySnapshotFiles(directory), []);
  const { blocks } = await stat(join(directory, "ram"));
  assert.ok(blocks * 512 < 64 * PAGE, `zero pages were written: ${blocks} blocks`);
});

test("an increment stores changed pages only: at most 0.6 of the dirty bytes at 1 % scattered", async (t) => {
  const made = await SnapshotFiles.make(t, new MemoryStore());
  const before = pagesOf(8192);
  const first = await made.upload("s1", { ram: before });
  const edits = Array.from({ length: 82 }, (_, i) => [i * 99 + 5, page(100_000 + i)] as const);
  const after = withPages(before, edits);
  const second = await made.upload("s2", { ram: after }, { parentManifestKey: first.manifestKey });
  assert.equal(second.newPages, 82);
  assert.equal(second.fullBecause, null);
  const ratio = second.storedBytes / (82 * PAGE);
  assert.ok(ratio <= 0.6, `stored ${ratio} of the dirty bytes`);
  assert.deepEqual((await made.fetch(second.manifestKey)).files, { ram: after });
  assert.deepEqual((await made.fetch(first.manifestKey)).files, { ram: before });
});

test("equal pages are stored once: inside a snapshot, moved, and in another file", async (t) => {
  const made = await SnapshotFiles.make(t, new MemoryStore());
  const ten = pagesOf(10);
  const first = await made.upload("s1", { ram: Buffer.concat([ten, ten]) });
  assert.equal(first.newPages, 10);
  const moved = { ram: Buffer.concat([Buffer.alloc(PAGE), ten]), disk: ten };
  const second = await made.upload("s2", moved, { parentManifestKey: first.manifestKey });
  assert.equal(second.newPages, 0);
  assert.deepEqual((await made.fetch(second.manifestKey)).files, moved);
});

test("nothing changed: nothing but the manifest is stored", async (t) => {
  const store = new MemoryStore();
  const made = await SnapshotFiles.make(t, store);
  const files = { ram: pagesOf(500) };
  const first = await made.upload("s1", files);
  const before = new Set(store.objects.keys());
  await made.upload("s2", files, { parentManifestKey: first.manifestKey });
  const added = [...store.objects.keys()].filter((key) => !before.has(key));
  assert.deepEqual(added, ["snapshots/s2/manifest"]);
});

/** An edit of one file: its kind, and where and what. */
const editArb = fc.record({
  file: fc.constantFrom("ram", "state", "root.qcow2"),
  kind: fc.constantFrom("pages", "pages", "pages", "zero", "copy", "resize", "remove"),
  at: fc.nat(299),
  count: fc.integer({ min: 1, max: 80 }),
  seed: fc.nat(50),
});
type Edit = typeof editArb extends fc.Arbitrary<infer T> ? T : never;

function applyEdit(files: Record<string, Buffer>, { file, kind, at, count, seed }: Edit): void {
  const bytes = files[file];
  if (kind === "remove") {
    delete files[file];
  } else if (kind === "resize" || !bytes) {
    const next = Buffer.alloc(at * PAGE + (seed % 3) * 1000);
    bytes?.copy(next);
    files[file] = next;
  } else {
    for (let i = at; i < at + count && (i + 1) * PAGE <= bytes.length; i++) {
      if (kind === "pages") page(seed + i).copy(bytes, i * PAGE);
      else if (kind === "zero") bytes.fill(0, i * PAGE, (i + 1) * PAGE);
      else bytes.copyWithin(i * PAGE, 0, PAGE);
    }
  }
}

test("any history of edits comes back byte for byte from every generation", async () => {
  const history = fc.array(fc.array(editArb, { maxLength: 5 }), { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(history, async (generations) => {
      const made = await SnapshotFiles.make(null, new MemoryStore());
      try {
        const files: Record<string, Buffer> = { ram: pagesOf(200) };
        const wanted: { key: string; files: Files }[] = [];
        for (const [i, edits] of generations.entries()) {
          for (const edit of edits) applyEdit(files, edit);
          const copy = Object.fromEntries(
            Object.keys(files)
              .sort()
              .map((name) => [name, Buffer.from(files[name]!)]),
          );
          const parentManifestKey = wanted.at(-1)?.key ?? null;
          const more = { parentManifestKey, packBytes: 64 << 10 };
          const { manifestKey, fullBecause } = await made.upload(`s${i}`, copy, more);
          assert.equal(fullBecause, null);
          wanted.push({ key: manifestKey, files: copy });
        }
        for (const { key, files: then } of wanted)
          assert.deepEqual((await made.fetch(key)).files, then);
      } finally {
        await cleanUp(made);
      }
    }),
    { numRuns: 25, endOnFailure: true },
  );
});

async function cleanUp(made: SnapshotFiles): Promise<void> {
  const { rm } = await import("node:fs/promises");
  await rm(made.root, { recursive: true, force: true });
}

test("fifty pauses in a row keep few layers, and their tables stay small", async (t) => {
  const store = new MemoryStore();
  const made = await SnapshotFiles.make(t, store);
  let ram = pagesOf(2000);
  let last = await made.upload("s0", { ram });
  for (let i = 1; i <= 50; i++) {
    ram = withPages(ram, [[i * 7, page(10_000 + i)]]);
    const parentManifestKey = last.manifestKey;
    last = await made.upload(`s${i}`, { ram }, { parentManifestKey });
    const { layers } = await readManifest(store, last.manifestKey);
    assert.ok(layers.length <= 24, `${layers.length} layers after ${i} pauses`);
  }
  assert.deepEqual((await made.fetch(last.manifestKey)).files, { ram });
  const tables = [...store.objects].filter(([key]) => key.startsWith("tables/"));
  const [largest, ...others] = tables.map(([, { bytes }]) => bytes.length).sort((a, b) => b - a);
  const rest = others.reduce((sum, n) => sum + n, 0);
  assert.ok(rest < largest!, `50 increments of one page wrote ${rest} bytes of tables`);
});

test("a pack of which little is still used is left behind", async (t) => {
  const store = new MemoryStore();
  const made = await SnapshotFiles.make(t, store);
  const ram = pagesOf(400);
  const first = await made.upload("s1", { ram });
  const after = Buffer.concat([ram.subarray(0, 20 * PAGE), pagesOf(380, 5000)]);
  const second = await made.upload("s2", { ram: after }, { parentManifestKey: first.manifestKey });
  const third = await made.upload("s3", { ram: after }, { parentManifestKey: second.manifestKey });
  assert.deepEqual((await made.fetch(third.manifestKey)).files, { ram: after });
  for (const key of [...store.objects.keys()])
    if (/snapshots\/s[12]/.test(key)) await store.delete(key);
  const { collectGarbage } = await import("#objects/gc.ts");
  const clock = { nowMs: () => Date.now() + 1e9, monotonicMs: () => 0, sleep: async () => {} };
  const liveManifestKeys = [third.manifestKey];
  const { failpoints } = made;
  await collectGarbage({ store, liveManifestKeys, graceMs: 1000, clock, failpoints });
  assert.deepEqual((await made.fetch(third.manifestKey)).files, { ram: after });
  const { objects } = store;
  const packs = [...objects.keys()].filter((key) => key.startsWith("packs/"));
  assert.equal(packs.length, 2, "the pack with 20 used of 400 pages is still there");
});

test("damage anywhere in the store is refused and named, or does not matter", async (t) => {
  const store = new MemoryStore();
  const made = await SnapshotFiles.make(t, store);
  const ram = pagesOf(150);
  const first = await made.upload("s1", { ram, state: randomBytes(5000) });
  const after = withPages(ram, [[3, page(777)]]);
  const files = { ram: after, state: randomBytes(5000) };
  const second = await made.upload("s2", files, { parentManifestKey: first.manifestKey });
  const needed = [...store.objects.keys()].filter((key) => key !== first.manifestKey);
  assert.ok(needed.length >= 5);
  const anywhere = fc.record({
    key: fc.constantFrom(...needed),
    how: fc.constantFrom("flip", "flip", "truncate", "delete", "append"),
    where: fc.double({ min: 0, max: 1, noNaN: true }),
    bit: fc.nat(7),
  });
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(anywhere, async ({ key, how, where, bit }) => {
      const good = store.objects.get(key)!;
      const bytes = Buffer.from(good.bytes);
      const at = Math.min(bytes.length - 1, Math.floor(where * bytes.length));
      if (how === "flip") bytes[at]! ^= 1 << bit;
      if (how === "delete") store.objects.delete(key);
      else if (how === "truncate")
        store.objects.set(key, { ...good, bytes: bytes.subarray(0, at) });
      else if (how === "append")
        store.objects.set(key, { ...good, bytes: Buffer.concat([bytes, Buffer.from("x")]) });
      else store.objects.set(key, { ...good, bytes });
      try {
        const back = await made.fetch(second.manifestKey);
        assert.deepEqual(back.files, files);
        assert.ok(key.startsWith("packs/"), `${how} of ${key} was not noticed`);
      } catch (error) {
        assert.ok(error instanceof SnapshotError, String(error));
        assert.equal(error.code, how === "delete" ? "missing" : "corrupt");
        assert.equal(error.subject, key);
        refused += 1;
      } finally {
        store.objects.set(key, good);
      }
    }),
    { numRuns: 200, endOnFailure: true },
  );
  assert.ok(refused > 100, `only ${refused} of 200 damages were refused`);
});

test("every single byte of a stored snapshot matters", async (t) => {
  const store = new MemoryStore();
  const made = await SnapshotFiles.make(t, store);
  const { manifestKey } = await made.upload("s1", { state: Buffer.from("a small state") });
  for (const [key, good] of [...store.objects])
    for (let at = 0; at < good.bytes.length; at++) {
      const bytes = Buffer.from(good.bytes);
      bytes[at]! ^= 0x20;
      store.objects.set(key, { ...good, bytes });
      await assert.rejects(made.fetch(manifestKey), SnapshotError, `byte ${at} of ${key}`);
      store.objects.set(key, good);
    }
});

test("a manifest of a later version is refused with the version", async (t) => {
  const store = new MemoryStore();
  const made = await SnapshotFiles.make(t, store);
  const { manifestKey } = await made.upload("s1", { state: page(1) });
  const text = (await store.get(manifestKey)).toString().replace("snapshot 1 ", "snapshot 2 ");
  await store.put(manifestKey, Buffer.from(text));
  await assert.rejects(made.fetch(manifestKey), /version 2.*reads 1/);
});

test("a manifest cannot write outside the directory", async (t) => {
  const store = new MemoryStore();
  const made = await SnapshotFiles.make(t, store);
  const { manifestKey } = await made.upload("s1", { state: page(1) });
  const manifest = await readManifest(store, manifestKey);
  for (const name of ["../state", "/etc/x", "digests", ".x", "a/b"]) {
    const files = [
      { ...manifest.files[0]!, name, pagesSha256: createHash("sha256").digest("hex") },
    ];
    await store.put(manifestKey, encodeManifest({ ...manifest, files }));
    await assert.rejects(made.fetch(manifestKey), /not allowed/);
  }
});

test("a local file that changed after it was frozen is named, and refused by upload", async (t) => {
  const store = new MemoryStore();
  const made = await SnapshotFiles.make(t, store);
  const files = { ram: pagesOf(300), state: pagesOf(2, 900) };
  const first = await made.upload("s1", files);
  const directory = join(made.root, "s1");
  assert.deepEqual(await verifySnapshotFiles(directory), []);
  assert.deepEqual(await verifyLocal(store, first.manifestKey, directory), []);
  await writeFile(join(directory, "ram"), withPages(files.ram, [[123, page(1)]]));
  await truncate(join(directory, "state"), 100);
  for (const problems of [
    await verifySnapshotFiles(directory),
    await verifyLocal(store, first.manifestKey, directory),
  ]) {
    assert.equal(problems.length, 2);
    assert.match(problems[0]!, /ram: page 123 \(byte 503808\) differs/);
    assert.match(problems[1]!, /state: has 100 bytes, 8192 were frozen/);
  }
  await store.delete(first.manifestKey);
  await assert.rejects(
    made.upload("s1", { ram: withPages(files.ram, [[5, page(2)]]) }),
    (error) => error instanceof SnapshotError && error.code === "local_changed",
  );
});

test("another snapshot under the same id is a conflict", async (t) => {
  const made = await SnapshotFiles.make(t, new MemoryStore());
  await made.upload("s1", { ram: pagesOf(3) });
  await assert.rejects(
    made.upload("s1", { ram: pagesOf(4) }),
    (error) => error instanceof SnapshotError && error.code === "conflict",
  );
});

test("a lost or damaged parent makes the upload full, and says why", async (t) => {
  const store = new MemoryStore();
  const made = await SnapshotFiles.make(t, store);
  const files = { ram: pagesOf(100) };
  const first = await made.upload("s1", files);
  const { layers } = await readManifest(store, first.manifestKey);
  await store.put(layers[0]!.key, Buffer.from("rubbish"));
  const second = await made.upload("s2", files, { parentManifestKey: first.manifestKey });
  assert.match(second.fullBecause ?? "", /tables\//);
  const third = await made.upload("s3", files, { parentManifestKey: "snapshots/no/manifest" });
  assert.match(third.fullBecause ?? "", /not in the object store/);
  for (const { manifestKey } of [second, third])
    assert.deepEqual((await made.fetch(manifestKey)).files, files);
});

test("in a worker: the same, errors keep their type, and progress and abort arrive", async (t) => {
  const made = await SnapshotFiles.make(t, new MemoryStore());
  const { store, failpoints } = made;
  const files = { ram: pagesOf(3000) };
  const input = await made.write("s1", files);
  const seen: number[] = [];
  const onProgress = ({ doneBytes }: { doneBytes: number }): void => void seen.push(doneBytes);
  const result = await uploadSnapshot(input, { store, failpoints, onProgress });
  const { manifestKey } = result;
  const here = await SnapshotFiles.make(t, new MemoryStore());
  assert.deepEqual(await here.upload("s1", files), result);
  const { objects } = here.store as MemoryStore;
  for (const [key, { bytes }] of objects) assert.deepEqual(await store.get(key), bytes);
  assert.equal(seen.at(-1), files.ram.length);
  assert.ok(failpoints.hits("objects.upload.pack") > 0);
  const directory = join(made.root, "back");
  await fetchSnapshot({ manifestKey, directory }, { store, failpoints });
  assert.deepEqual(await readFiles(directory), files);
  const other = { manifestKey: "snapshots/no/manifest", directory };
  await assert.rejects(fetchSnapshot(other, { store, failpoints }), (error: Error) => {
    assert.ok(error instanceof SnapshotError);
    assert.equal(error.message, "snapshots/no/manifest: is not in the object store");
    return error.code === "missing";
  });
  const controller = new AbortController();
  failpoints.arm("objects.upload.pack", { kind: "run", run: () => controller.abort() });
  const second = await made.write("s2", { ram: pagesOf(3000, 9000) });
  const { signal } = controller;
  await assert.rejects(uploadSnapshot(second, { store, failpoints, signal }), /abort/i);
  assert.equal(await store.head("snapshots/s2/manifest"), null);
});

test("a full disk under the store or under fetch refuses cleanly, and a retry with space works", async (t) => {
  const { spawnSync } = await import("node:child_process");
  const disk = await mountTinyDisk(t, 2);
  const made = await SnapshotFiles.make(t, new MemoryStore());
  const { failpoints } = made;
  const store = await openDirectoryStore({ root: join(disk, "objects"), failpoints });
  const files = { ram: randomBytes(4 << 20) };
  const input = { ...(await made.write("s1", files)), packBytes: 1 << 20 };
  const noSpace = (error: unknown): boolean => isStoreError(error, "no_space");
  await assert.rejects(uploadSnapshot(input, { store, failpoints }), noSpace);
  assert.equal(await store.head("snapshots/s1/manifest"), null);
  spawnSync("mount", ["-o", "remount,size=7m", disk]);
  const { manifestKey } = await uploadSnapshot(input, { store, failpoints });
  const directory = join(disk, "fetched");
  await assert.rejects(fetchSnapshot({ manifestKey, directory }, { store, failpoints }), noSpace);
  assert.deepEqual(await readdir(directory), []);
  spawnSync("mount", ["-o", "remount,size=16m", disk]);
  await fetchSnapshot({ manifestKey, directory }, { store, failpoints });
  assert.deepEqual(await readFiles(directory), files);
});
