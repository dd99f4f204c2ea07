// Writes a stored snapshot to a local directory as sparse files. Every block and every page is checked
// against its digest before it is written, so that what is on the disk at the end is what was frozen.

import { hash } from "node:crypto";
import { writeSync } from "node:fs";
import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import {
  DIGEST_BYTES,
  DIGESTS_FILE,
  PAGE_BYTES,
  pageDigest,
  writeSnapshotDigests,
} from "#lib/page-digests.ts";
import { digestsOf, loadTable } from "#objects/layers.ts";
import { assertFileName, type Manifest, rangeOrMissing, readManifest } from "#objects/manifest.ts";
import { type Block, CODEC_ZSTD, type SnapshotTable, ZERO_PAGE } from "#objects/page-table.ts";
import { SnapshotError } from "#objects/snapshot-error.ts";
import type { ObjectStore } from "#objects/store.ts";
import { StoreError } from "#objects/store.ts";
import type { TransferPorts } from "#objects/upload.ts";

export interface FetchInput {
  readonly manifestKey: string;
  /** Made when it is not there. Files of the snapshot in it are replaced. */
  readonly directory: string;
}

export interface FetchResult {
  readonly snapshotId: string;
  readonly files: readonly string[];
  /** As given to upload. */
  readonly meta: unknown;
  readonly fetchedBytes: number;
}

/** Blocks that lie closer than this are read with what is between them. */
const GAP_BYTES = 64 << 10;
const READ_BYTES_MAX = 4 << 20;
const READS_AHEAD = 3;

export async function fetchFiles(input: FetchInput, ports: TransferPorts): Promise<FetchResult> {
  const manifest = await readManifest(ports.store, input.manifestKey);
  const { table } = await loadTable(ports.store, input.manifestKey, manifest);
  await mkdir(input.directory, { recursive: true });
  const names = manifest.files.map(({ name }) => name);
  for (const name of names) assertFileName(input.manifestKey, name);
  try {
    const fetchedBytes = await writeFiles(input.directory, manifest, table, ports);
    await ports.failpoints.hit("objects.fetch.written");
    await writeSnapshotDigests(
      input.directory,
      manifest.files.map(({ name, size }) => {
        const file = table.files.get(name);
        return file ? digestsOf(name, size, file) : emptyDigests(name);
      }),
    );
    return { snapshotId: manifest.snapshotId, files: names, meta: manifest.meta, fetchedBytes };
  } catch (error) {
    // Half a snapshot is of no use, and the disk may be full of it.
    for (const name of [...names, DIGESTS_FILE])
      await rm(join(input.directory, name), { force: true }).catch(() => {});
    throw localError(error, input.directory);
  }
}

function emptyDigests(name: string) {
  return { name, size: 0, pages: new Uint32Array(0), digests: Buffer.alloc(0) };
}

function localError(error: unknown, directory: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (!(error instanceof StoreError) && (code === "ENOSPC" || code === "EDQUOT"))
    return new StoreError(
      "no_space",
      directory,
      `${directory}: the disk is full while a snapshot is fetched. Free space there; it is retried`,
    );
  return error;
}

async function writeFiles(
  directory: string,
  manifest: Manifest,
  table: SnapshotTable,
  ports: TransferPorts,
): Promise<number> {
  const handles = new Map<string, FileHandle>();
  try {
    for (const { name, size } of manifest.files) {
      const path = join(directory, name);
      await rm(path, { force: true });
      const handle = await open(path, "wx+", 0o600);
      handles.set(name, handle);
      await handle.truncate(size);
    }
    const writer = new PageWriter(table, manifest, handles);
    const reads = planReads(writer.blocksNeeded());
    const totalBytes = reads.reduce((sum, read) => sum + read.length, 0);
    let doneBytes = 0;
    for await (const { read, bytes } of readAhead(ports.store, reads)) {
      for (const number of read.blocks)
        writer.writeBlock(number, blockBytes(table.blocks[number]!, read, bytes));
      doneBytes += read.length;
      ports.onProgress({ doneBytes, totalBytes });
    }
    for (const handle of handles.values()) await handle.sync();
    return totalBytes;
  } finally {
    for (const handle of handles.values()) await handle.close();
  }
}

interface Read {
  readonly key: string;
  readonly offset: number;
  length: number;
  readonly blocks: number[];
}

/** Few, large reads: needed blocks of a pack in order, joined over small gaps. */
function planReads(blocks: readonly { number: number; block: Block }[]): Read[] {
  const byPack = new Map<string, { number: number; block: Block }[]>();
  for (const needed of blocks) {
    const { key } = needed.block.pack;
    const others = byPack.get(key);
    if (others) others.push(needed);
    else byPack.set(key, [needed]);
  }
  const reads: Read[] = [];
  for (const [key, needed] of byPack) {
    needed.sort((a, b) => a.block.offset - b.block.offset);
    let read: Read | null = null;
    for (const { number, block } of needed) {
      const end: number = read ? read.offset + read.length : 0;
      const length: number = read ? block.offset + block.storedBytes - read.offset : 0;
      if (read && block.offset - end <= GAP_BYTES && length <= READ_BYTES_MAX) {
        read.length = length;
        read.blocks.push(number);
      } else {
        read = { key, offset: block.offset, length: block.storedBytes, blocks: [number] };
        reads.push(read);
      }
    }
  }
  return reads;
}

async function* readAhead(store: ObjectStore, reads: readonly Read[]) {
  const pending: Promise<Buffer>[] = [];
  for (let i = 0, next = 0; i < reads.length; i++) {
    for (; next < reads.length && next <= i + READS_AHEAD; next++) {
      const promise = readRange(store, reads[next]!);
      promise.catch(() => {}); // Thrown when its turn comes.
      pending[next] = promise;
    }
    const bytes = await pending[i]!;
    delete pending[i];
    yield { read: reads[i]!, bytes };
  }
}

async function readRange(store: ObjectStore, { key, offset, length }: Read): Promise<Buffer> {
  const bytes = await rangeOrMissing(store, key, offset, length);
  if (bytes.length < length)
    throw new SnapshotError("corrupt", key, `is cut short: ends before byte ${offset + length}`);
  return bytes;
}

/** The pages of a block, after its digest was checked. */
function blockBytes(block: Block, read: Read, bytes: Buffer): Buffer {
  const from = block.offset - read.offset;
  const stored = bytes.subarray(from, from + block.storedBytes);
  if (!hash("sha256", stored, "buffer").equals(block.sha256))
    throw new SnapshotError("corrupt", block.pack.key, `block at byte ${block.offset} changed`);
  if (block.codec !== CODEC_ZSTD) return stored;
  return zstdDecompressSync(stored, {
    maxOutputLength: block.pages * PAGE_BYTES,
    chunkSize: block.pages * PAGE_BYTES, // One output buffer: half the time of the default's many.
  });
}

/** Knows, for each block, which pages of which files come from it, and writes them in runs. */
class PageWriter {
  readonly #table: SnapshotTable;
  readonly #manifest: Manifest;
  readonly #handles: ReadonlyMap<string, FileHandle>;
  /** Per block: file number and page, interleaved. */
  readonly #targets = new Map<number, number[]>();

  constructor(table: SnapshotTable, manifest: Manifest, handles: ReadonlyMap<string, FileHandle>) {
    this.#table = table;
    this.#manifest = manifest;
    this.#handles = handles;
    manifest.files.forEach(({ name }, fileNumber) => {
      const blocks = table.files.get(name)?.blocks ?? [];
      blocks.forEach((block, page) => {
        if (block === ZERO_PAGE) return;
        const targets = this.#targets.get(block);
        if (targets) targets.push(fileNumber, page);
        else this.#targets.set(block, [fileNumber, page]);
      });
    });
  }

  blocksNeeded(): { number: number; block: Block }[] {
    return [...this.#targets.keys()].map((number) => {
      return { number, block: this.#table.blocks[number]! };
    });
  }

  /** Synchronous, because a worker has nothing else to do and a call to the thread pool costs more. */
  writeBlock(number: number, bytes: Buffer): void {
    const targets = this.#targets.get(number)!;
    const { key } = this.#table.blocks[number]!.pack;
    const digests = new Map<number, Buffer>();
    for (let i = 0; i < targets.length; ) {
      const { name, size } = this.#manifest.files[targets[i]!]!;
      const file = this.#table.files.get(name)!;
      const first = targets[i + 1]!;
      const firstSlot = file.slots[first]!;
      let pages = 0;
      // A run: the next target is the next page of the same file, in the next slot.
      do {
        const page = first + pages;
        const slot = firstSlot + pages;
        const at = slot * PAGE_BYTES;
        const digest = digests.get(slot) ?? pageDigest(bytes.subarray(at, at + PAGE_BYTES));
        digests.set(slot, digest);
        if (digest.length !== DIGEST_BYTES || !digest.equals(file.digest(page)))
          throw new SnapshotError(
            "corrupt",
            key,
            `page ${page} of ${name} does not have its digest`,
          );
        pages += 1;
        i += 2;
      } while (
        i < targets.length &&
        targets[i] === targets[i - 2] &&
        targets[i + 1] === first + pages &&
        file.slots[first + pages] === firstSlot + pages
      );
      const offset = first * PAGE_BYTES;
      const length = Math.min(pages * PAGE_BYTES, size - offset);
      writeAll(this.#handles.get(name)!.fd, bytes, firstSlot * PAGE_BYTES, length, offset);
    }
    this.#targets.delete(number);
  }
}

function writeAll(fd: number, bytes: Buffer, from: number, length: number, at: number): void {
  for (let done = 0; done < length; )
    done += writeSync(fd, bytes, from + done, length - done, at + done);
}
