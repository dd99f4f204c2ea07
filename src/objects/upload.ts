// Stores a local snapshot: pages that its parent does not have go to packs, then the layer that
// places them, then the manifest. May be repeated after a crash anywhere: packs and layers are named by
// their content, and the manifest is written once. Runs in a worker in production (snapshots.ts).

import { hash, randomBytes } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Failpoints } from "#lib/failpoint.ts";
import {
  encodeDigests,
  forEachChunk,
  isZero,
  PAGE_BYTES,
  pageDigest,
  pagesOf,
  readSnapshotDigests,
  writeSnapshotDigests,
} from "#lib/page-digests.ts";
import { manifestKeyOf, packKeyOf, tableKeyOf } from "#objects/keys.ts";
import {
  digestsOf,
  EMPTY_TABLE,
  entriesOf,
  type LoadedTable,
  loadTable,
  nextLayer,
  pagesSha256,
} from "#objects/layers.ts";
import {
  assertFileName,
  encodeManifest,
  type LayerRef,
  type Manifest,
  readManifest,
} from "#objects/manifest.ts";
import { type ClosedPack, PackWriter } from "#objects/pack-writer.ts";
import {
  DigestIndex,
  FileTable,
  type Pack,
  SnapshotTable,
  ZERO_PAGE,
} from "#objects/page-table.ts";
import { SnapshotError } from "#objects/snapshot-error.ts";
import type { ObjectStore } from "#objects/store.ts";
import { isStoreError } from "#objects/store.ts";
import { encodeLayer } from "#objects/table-layer.ts";
import { UploadIntent } from "#objects/upload-intent.ts";

export interface UploadInput {
  readonly snapshotId: string;
  readonly directory: string;
  /** Names of the files in `directory` that make up the snapshot. */
  readonly files: readonly string[];
  /** Organization, or "all" for public bases: equal pages are shared inside it. */
  readonly scope: string;
  /** Manifest of the snapshot that this one grew from; its absence costs bytes, never correctness. */
  readonly parentManifestKey: string | null;
  /** Stored in the manifest and given back by fetch. Must survive JSON. */
  readonly meta: unknown;
  /** For tests: smaller packs. */
  readonly packBytes?: number;
}

export interface UploadResult {
  readonly manifestKey: string;
  /** Bytes that this snapshot added to the store, its manifest included. */
  readonly storedBytes: number;
  /** Pages that neither the parent nor an earlier page of this snapshot had. */
  readonly newPages: number;
  /** Why the parent was not used although one was given; null when it was. */
  readonly fullBecause: string | null;
}

export interface TransferPorts {
  readonly store: ObjectStore;
  readonly failpoints: Pick<Failpoints, "hit">;
  readonly onProgress: (progress: TransferProgress) => void;
}

export interface TransferProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** Packs on their way to the store while the next one is compressed. */
const PACKS_IN_FLIGHT = 2;
/** A pack of which less is still used is left behind: its used pages are stored again. */
const PACK_USED_MIN = 0.25;
/** Only when that frees this share of all packs' bytes, because it costs a whole new page table. */
const LEAVE_WASTE_MIN = 0.1;

export async function upload(input: UploadInput, ports: TransferPorts): Promise<UploadResult> {
  const { store, failpoints } = ports;
  const manifestKey = manifestKeyOf(input.snapshotId);
  const intent = new UploadIntent(store, input.snapshotId);
  if (!(await intent.relyOnManifest(manifestKey)))
    throw new SnapshotError("upload_expired", manifestKey, "is being collected; try again later");
  await failpoints.hit("objects.upload.announced");
  const files = await sizesOf(input);
  const done = await finishedBefore(store, manifestKey, files);
  if (done) {
    await intent.release();
    return done;
  }
  const { parent, fullBecause } = await loadParent(store, intent, input.parentManifestKey);
  const next = new SnapshotTable();
  for (const block of parent.table.blocks) next.blocks.push(block);
  const writer = new PackWriter(next, input.packBytes);
  const packs = new PackStore(input.scope, intent, ports);
  const left = packsToLeave(parent.table);
  try {
    await scanFiles({ input, files, parent, left, next, writer, packs, ports });
  } finally {
    await packs.settle();
  }
  await failpoints.hit("objects.upload.packed");
  await writeLocalDigests(input.directory, files, next);
  const { layers, layerBytes } = await storeLayer(
    input.scope,
    nextLayer(parent, next, left.size > 0),
    next,
    intent,
    ports,
  );
  await failpoints.hit("objects.upload.tabled");
  const bytes = encodeManifest({
    snapshotId: input.snapshotId,
    meta: input.meta,
    files: files.map(({ name, size }) => {
      return { name, size, pagesSha256: pagesSha256(next.files.get(name)) };
    }),
    layers,
    parentManifestKey: fullBecause === null ? input.parentManifestKey : null,
    addedBytes: packs.bytes + layerBytes,
    newPages: writer.pages,
  });
  await intent.assertHeld();
  await store.put(manifestKey, bytes, { ifNoneMatch: true });
  await failpoints.hit("objects.upload.committed");
  await intent.release();
  return {
    manifestKey,
    storedBytes: packs.bytes + layerBytes + bytes.length,
    newPages: writer.pages,
    fullBecause,
  };
}

interface SizedFile {
  readonly name: string;
  readonly size: number;
}

async function sizesOf(input: UploadInput): Promise<SizedFile[]> {
  return Promise.all(
    input.files.map(async (name) => {
      assertFileName(input.directory, name);
      const path = join(input.directory, name);
      const found = await stat(path).catch(() => null);
      if (!found?.isFile())
        throw new SnapshotError("local_changed", path, "is not there to upload");
      return { name, size: found.size };
    }),
  );
}

/** The result of an upload that committed and then died; writes the manifest again so that it is young. */
async function finishedBefore(
  store: ObjectStore,
  manifestKey: string,
  files: readonly SizedFile[],
): Promise<UploadResult | null> {
  let manifest: Manifest;
  try {
    manifest = await readManifest(store, manifestKey);
  } catch (error) {
    if (error instanceof SnapshotError && error.code === "missing") return null;
    throw error;
  }
  const stored = manifest.files.map(({ name, size }) => ({ name, size }));
  if (JSON.stringify(stored) !== JSON.stringify(files))
    throw new SnapshotError("conflict", manifestKey, "holds other files than this snapshot has");
  const bytes = encodeManifest(manifest);
  await store.put(manifestKey, bytes);
  return {
    manifestKey,
    storedBytes: manifest.addedBytes + bytes.length,
    newPages: manifest.newPages,
    fullBecause: null,
  };
}

/** A parent that cannot be used makes the upload a full one; only an unreachable store is an error. */
async function loadParent(
  store: ObjectStore,
  intent: UploadIntent,
  key: string | null,
): Promise<{ parent: LoadedTable; fullBecause: string | null }> {
  if (key === null) return { parent: EMPTY_TABLE, fullBecause: null };
  const collected = { parent: EMPTY_TABLE, fullBecause: `${key} is being collected` };
  if (!(await intent.relyOnManifest(key))) return collected;
  try {
    const parent = await loadTable(store, key, await readManifest(store, key));
    const layers = parent.layers.map(({ ref }) => ref.key);
    const packs = new Set(parent.table.blocks.map(({ pack }) => pack.key));
    if (!(await intent.relyOnLayers(layers, [...packs]))) return collected;
    return { parent, fullBecause: null };
  } catch (error) {
    if (!(error instanceof SnapshotError)) throw error;
    return { parent: EMPTY_TABLE, fullBecause: error.message };
  }
}

interface Scan {
  readonly input: UploadInput;
  readonly files: readonly SizedFile[];
  readonly parent: LoadedTable;
  readonly next: SnapshotTable;
  readonly writer: PackWriter;
  readonly left: ReadonlySet<Pack>;
  readonly packs: PackStore;
  readonly ports: TransferPorts;
}

/** Places every page: where the parent has it, where an equal page lies, or in a new block. */
async function scanFiles(scan: Scan): Promise<void> {
  const { left, next, writer } = scan;
  const index = indexOf(scan.parent.table, left);
  const isLeft = (block: number): boolean => left.has(next.blocks[block]!.pack);
  const totalBytes = scan.files.reduce((sum, { size }) => sum + size, 0);
  let before = 0;
  for (const { name, size } of scan.files) {
    const file = new FileTable(pagesOf(size));
    next.files.set(name, file);
    const old = scan.parent.table.files.get(name);
    const path = join(scan.input.directory, name);
    const read = await forEachChunk(path, async (chunk, firstPage) => {
      for (let at = 0; at < chunk.length; at += PAGE_BYTES) {
        if (isZero(chunk, at, PAGE_BYTES)) continue;
        const page = firstPage + at / PAGE_BYTES;
        const bytes = chunk.subarray(at, at + PAGE_BYTES);
        const digest = pageDigest(bytes);
        if (old && page < old.pages && old.digest(page).equals(digest)) {
          const block = old.blocks[page]!;
          if (!isLeft(block)) {
            file.set(page, digest, block, old.slots[page]!);
            continue;
          }
        }
        const known = index.find(digest);
        if (known >= 0) {
          file.set(page, digest, index.block(known), index.slot(known));
          continue;
        }
        const { block, slot } = writer.add(bytes);
        file.set(page, digest, block, slot);
        index.add(digest, block, slot);
      }
      await scan.packs.store(writer.takeClosed());
      scan.ports.onProgress({
        doneBytes: before + firstPage * PAGE_BYTES + chunk.length,
        totalBytes,
      });
    });
    if (read !== size) throw new SnapshotError("local_changed", path, "changed while it was read");
    before += size;
  }
  writer.end();
  await scan.packs.store(writer.takeClosed());
  scan.ports.onProgress({ doneBytes: totalBytes, totalBytes });
}

/** Packs of which little is still used: they would be kept whole for a few pages. */
function packsToLeave(table: SnapshotTable): Set<Pack> {
  const usedSlots = new Uint32Array(table.blocks.length);
  for (const file of table.files.values())
    for (const block of file.blocks) if (block !== ZERO_PAGE) usedSlots[block]! += 1;
  const used = new Map<string, number>();
  table.blocks.forEach((block, i) => {
    const share = Math.min(1, usedSlots[i]! / block.pages);
    used.set(block.pack.key, (used.get(block.pack.key) ?? 0) + share * block.storedBytes);
  });
  const leave = new Set<Pack>();
  const seen = new Set<string>();
  let [allBytes, wasteBytes] = [0, 0];
  for (const { pack } of table.blocks) {
    const isLittle = used.get(pack.key)! < pack.bytes * PACK_USED_MIN;
    if (isLittle) leave.add(pack);
    if (seen.has(pack.key)) continue; // Each layer has an object of its own for the same pack.
    seen.add(pack.key);
    allBytes += pack.bytes;
    if (isLittle) wasteBytes += pack.bytes - used.get(pack.key)!;
  }
  return wasteBytes < allBytes * LEAVE_WASTE_MIN ? new Set() : leave;
}

function indexOf(table: SnapshotTable, left: ReadonlySet<Pack>): DigestIndex {
  const index = new DigestIndex();
  for (const file of table.files.values())
    for (let page = 0; page < file.pages; page++) {
      const block = file.blocks[page]!;
      if (block === ZERO_PAGE || left.has(table.blocks[block]!.pack)) continue;
      const digest = file.digest(page);
      if (index.find(digest) < 0) index.add(digest, block, file.slots[page]!);
    }
  return index;
}

/** Names packs and puts them into the store, two at a time. */
class PackStore {
  readonly #scope: string;
  readonly #intent: UploadIntent;
  readonly #ports: TransferPorts;
  readonly #inFlight = new Set<Promise<void>>();
  bytes = 0;

  constructor(scope: string, intent: UploadIntent, ports: TransferPorts) {
    this.#scope = scope;
    this.#intent = intent;
    this.#ports = ports;
  }

  async store(closed: readonly ClosedPack[]): Promise<void> {
    for (const pack of closed) {
      const put = this.#put(pack);
      this.#inFlight.add(put);
      put.then(
        () => this.#inFlight.delete(put),
        () => {}, // Kept, so that the next wait throws it.
      );
      if (this.#inFlight.size >= PACKS_IN_FLIGHT) await Promise.race(this.#inFlight);
    }
  }

  async #put({ pack, parts }: ClosedPack): Promise<void> {
    let bytes = Buffer.concat(parts);
    pack.key = packKeyOf(this.#scope, hash("sha256", bytes));
    if (!(await this.#intent.relyOnObject(pack.key))) {
      // About to be deleted: bytes that no block names give the pack another name.
      bytes = Buffer.concat([bytes, randomBytes(16)]);
      pack.key = packKeyOf(this.#scope, hash("sha256", bytes));
      await this.#intent.relyOnObject(pack.key);
    }
    pack.bytes = bytes.length;
    this.bytes += bytes.length;
    await putOnce(this.#ports.store, pack.key, bytes);
    await this.#ports.failpoints.hit("objects.upload.pack");
  }

  /** Waits for what is in flight; throws when one of it failed. */
  async settle(): Promise<void> {
    const ends = await Promise.allSettled(this.#inFlight);
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }
}

/** Content-addressed: what is there under the key with the same length is what we would write. */
async function putOnce(store: ObjectStore, key: string, bytes: Buffer): Promise<void> {
  const found = await store.head(key);
  if (found?.bytes === bytes.length) return;
  try {
    await store.put(key, bytes, { ifNoneMatch: found === null });
  } catch (error) {
    if (!isStoreError(error, "precondition_failed")) throw error;
  }
}

async function storeLayer(
  scope: string,
  { kept, sections }: ReturnType<typeof nextLayer>,
  next: SnapshotTable,
  intent: UploadIntent,
  ports: TransferPorts,
): Promise<{ layers: readonly LayerRef[]; layerBytes: number }> {
  if (!sections) return { layers: kept, layerBytes: 0 };
  let bytes = encodeLayer(next, sections, null);
  let key = tableKeyOf(scope, hash("sha256", bytes));
  if (!(await intent.relyOnObject(key))) {
    bytes = encodeLayer(next, sections, randomBytes(16).toString("hex"));
    key = tableKeyOf(scope, hash("sha256", bytes));
    await intent.relyOnObject(key);
  }
  await putOnce(ports.store, key, bytes);
  const added = { key, bytes: bytes.length, entries: entriesOf(sections) };
  return { layers: [...kept, added], layerBytes: bytes.length };
}

/** Puts the digests beside the files; refuses to go on when they were there and say something else. */
async function writeLocalDigests(
  directory: string,
  files: readonly SizedFile[],
  table: SnapshotTable,
): Promise<void> {
  const now = files.map(({ name, size }) => digestsOf(name, size, table.files.get(name)!));
  const before = await readSnapshotDigests(directory);
  if (!before) return writeSnapshotDigests(directory, now);
  if (!encodeDigests(before).equals(encodeDigests(now)))
    throw new SnapshotError(
      "local_changed",
      directory,
      "its files are not those that were frozen (they differ from its digests)",
    );
}
