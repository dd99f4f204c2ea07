// Digests of a snapshot's files, page by page: what says whether local bytes are still those that were
// frozen. Lies beside the snapshot as `digests`; drivers check it, src/objects writes it.
//
//   "BERTHDG1" | u32 files | per file: u16 name length, name, u64 size, u32 n, n x u32 page, n x 16 digest
//   | sha256 of all before.   Little endian. A page that is not listed is all zero.

import { createHash, hash } from "node:crypto";
import { open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { dataRanges } from "#lib/data-ranges.ts";

export const PAGE_BYTES = 4096;
/** SHA-256 cut to 128 bits: a collision costs 2^64 work and harms only the tenant that made it. */
export const DIGEST_BYTES = 16;
export const DIGESTS_FILE = "digests";

const MAGIC = Buffer.from("BERTHDG1");
const SHA256_BYTES = 32;
const CHUNK_BYTES = 1 << 20;
/** Holes of less than this in all are read: asking where they are starts a process. */
const HOLES_MIN_BYTES = 16 << 20;
const ZEROES = Buffer.alloc(CHUNK_BYTES);
const PROBLEMS_PER_FILE_MAX = 3;

/** The pages of one file that are not zero, ascending, and their digests one after another. */
export interface FileDigests {
  readonly name: string;
  readonly size: number;
  readonly pages: Uint32Array;
  readonly digests: Buffer;
}

export function pageDigest(page: Uint8Array): Buffer {
  return hash("sha256", page, "buffer").subarray(0, DIGEST_BYTES);
}

export function pagesOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / PAGE_BYTES);
}

/** `length` at most one MiB. */
export function isZero(bytes: Buffer, offset: number, length: number): boolean {
  return ZEROES.compare(bytes, offset, offset + length, 0, length) === 0;
}

/**
 * Calls `use` with each run of whole pages that is not all zero; the last page is padded with zeroes.
 * The buffer is reused. Returns the file's size. Reads one MiB at a time, so that a caller on a busy
 * event loop holds it up for about a millisecond.
 */
export async function forEachChunk(
  path: string,
  use: (chunk: Buffer, firstPage: number) => void | Promise<void>,
): Promise<number> {
  const handle = await open(path, "r");
  try {
    const { size, blocks } = await handle.stat();
    const isSparse = size - blocks * 512 >= HOLES_MIN_BYTES;
    const ranges = (isSparse ? await dataRanges(path, size) : null) ?? [{ from: 0, to: size }];
    let range = 0;
    const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    for (let offset = 0; offset < size; offset += CHUNK_BYTES) {
      const wanted = Math.min(CHUNK_BYTES, size - offset);
      while ((ranges[range]?.to ?? size) <= offset) range += 1;
      if ((ranges[range]?.from ?? size) >= offset + wanted) continue;
      let got = 0;
      while (got < wanted) {
        const { bytesRead } = await handle.read(buffer, got, wanted - got, offset + got);
        if (bytesRead === 0) throw new Error(`${path} became shorter while it was read`);
        got += bytesRead;
      }
      if (isZero(buffer, 0, wanted)) continue;
      const padded = pagesOf(wanted) * PAGE_BYTES;
      buffer.fill(0, wanted, padded);
      await use(buffer.subarray(0, padded), offset / PAGE_BYTES);
    }
    return size;
  } finally {
    await handle.close();
  }
}

/** Computes the digests of one file, by reading all of it. */
export async function digestFile(directory: string, name: string): Promise<FileDigests> {
  const pages: number[] = [];
  const digests: Buffer[] = [];
  const size = await forEachChunk(join(directory, name), (chunk, firstPage) => {
    for (let at = 0; at < chunk.length; at += PAGE_BYTES) {
      if (isZero(chunk, at, PAGE_BYTES)) continue;
      pages.push(firstPage + at / PAGE_BYTES);
      digests.push(pageDigest(chunk.subarray(at, at + PAGE_BYTES)));
    }
  });
  return { name, size, pages: Uint32Array.from(pages), digests: Buffer.concat(digests) };
}

export function encodeDigests(files: readonly FileDigests[]): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32LE(files.length);
  const parts: Buffer[] = [MAGIC, count];
  for (const file of files) {
    const name = Buffer.from(file.name);
    const head = Buffer.alloc(14 + name.length);
    head.writeUInt16LE(name.length);
    name.copy(head, 2);
    head.writeBigUInt64LE(BigInt(file.size), 2 + name.length);
    head.writeUInt32LE(file.pages.length, 10 + name.length);
    const pages = Buffer.from(file.pages.buffer, file.pages.byteOffset, file.pages.byteLength);
    parts.push(head, pages, file.digests);
  }
  const body = Buffer.concat(parts);
  return Buffer.concat([body, createHash("sha256").update(body).digest()]);
}

/** Throws when any byte is not what `encodeDigests` wrote. */
export function decodeDigests(bytes: Buffer): FileDigests[] {
  const end = bytes.length - SHA256_BYTES;
  if (end < MAGIC.length + 4 || !bytes.subarray(0, MAGIC.length).equals(MAGIC))
    throw new Error("digest table: not one, or cut short");
  const body = bytes.subarray(0, end);
  if (!createHash("sha256").update(body).digest().equals(bytes.subarray(end)))
    throw new Error("digest table: its own checksum does not match");
  let at = MAGIC.length;
  const count = body.readUInt32LE(at);
  at += 4;
  const files: FileDigests[] = [];
  for (let i = 0; i < count; i++) {
    const nameBytes = body.readUInt16LE(at);
    const name = body.toString("utf8", at + 2, at + 2 + nameBytes);
    at += 2 + nameBytes;
    const size = Number(body.readBigUInt64LE(at));
    const n = body.readUInt32LE(at + 8);
    at += 12;
    const pages = new Uint32Array(n);
    Buffer.from(pages.buffer).set(body.subarray(at, at + n * 4));
    at += n * 4;
    files.push({ name, size, pages, digests: body.subarray(at, at + n * DIGEST_BYTES) });
    at += n * DIGEST_BYTES;
  }
  return files;
}

/** Writes `<directory>/digests` for the given files, durably and at once. */
export async function writeSnapshotDigests(
  directory: string,
  files: readonly FileDigests[],
): Promise<void> {
  const path = join(directory, DIGESTS_FILE);
  const handle = await open(`${path}.tmp`, "w");
  try {
    await handle.writeFile(encodeDigests(files));
    await handle.sync();
  } catch (error) {
    await rm(`${path}.tmp`, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  await rename(`${path}.tmp`, path);
  await syncDirectory(directory);
}

export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Reads `<directory>/digests`; null when there is none. */
export async function readSnapshotDigests(directory: string): Promise<FileDigests[] | null> {
  try {
    return decodeDigests(await readFile(join(directory, DIGESTS_FILE)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

/** Compares a snapshot's files with their digests. Returns what is wrong, one line each; [] is good. */
export async function verifySnapshotFiles(directory: string): Promise<string[]> {
  try {
    const files = await readSnapshotDigests(directory);
    if (!files) return [`${join(directory, DIGESTS_FILE)} is missing`];
    return (await Promise.all(files.map((file) => verifyFile(directory, file)))).flat();
  } catch (error) {
    return [`${join(directory, DIGESTS_FILE)}: ${(error as Error).message}`];
  }
}

/** Compares one file with its digests. Returns what is wrong, one line each. */
export async function verifyFile(directory: string, expected: FileDigests): Promise<string[]> {
  const problems: string[] = [];
  let bad = 0;
  let next = 0;
  const differs = (page: number): void => {
    bad += 1;
    if (bad <= PROBLEMS_PER_FILE_MAX)
      problems.push(`${expected.name}: page ${page} (byte ${page * PAGE_BYTES}) differs`);
  };
  try {
    const size = await forEachChunk(join(directory, expected.name), (chunk, firstPage) => {
      for (let at = 0; at < chunk.length; at += PAGE_BYTES) {
        const page = firstPage + at / PAGE_BYTES;
        // Listed pages that were passed over lay in a run of zeroes.
        while ((expected.pages[next] ?? Infinity) < page) differs(expected.pages[next++]!);
        const listed = expected.pages[next] === page;
        const from = next * DIGEST_BYTES;
        if (listed) next += 1;
        const same = isZero(chunk, at, PAGE_BYTES)
          ? !listed
          : listed &&
            pageDigest(chunk.subarray(at, at + PAGE_BYTES)).equals(
              expected.digests.subarray(from, from + DIGEST_BYTES),
            );
        if (!same) differs(page);
      }
    });
    if (size !== expected.size)
      return [`${expected.name}: has ${size} bytes, ${expected.size} were frozen`];
    while (next < expected.pages.length) differs(expected.pages[next++]!);
  } catch (error) {
    return [`${expected.name}: ${(error as Error).message}`];
  }
  if (bad > PROBLEMS_PER_FILE_MAX) problems.push(`${expected.name}: ${bad} pages differ in all`);
  return problems;
}
