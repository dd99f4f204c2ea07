// Where each page of a snapshot's files lies in the object store, and its digest, in memory. Typed arrays,
// because a snapshot of 4 GiB has a million pages.

import { DIGEST_BYTES } from "#lib/page-digests.ts";

/** In place of a block: the page is all zero and stored nowhere. */
export const ZERO_PAGE = 0xffffffff;

export const CODEC_RAW = 0;
export const CODEC_ZSTD = 1;

/** An object of blocks one after another. The key is known when the pack is closed. */
export interface Pack {
  key: string;
  bytes: number;
}

/** Up to 64 pages that are compressed together. */
export interface Block {
  readonly pack: Pack;
  readonly offset: number;
  readonly storedBytes: number;
  readonly codec: number;
  readonly pages: number;
  /** Of the bytes as stored. */
  readonly sha256: Buffer;
}

/** The pages of one file: page i has digest i, and lies in slot `slots[i]` of block `blocks[i]`. */
export class FileTable {
  pages: number;
  digests: Buffer;
  blocks: Uint32Array;
  slots: Uint8Array;

  constructor(pages: number) {
    this.pages = pages;
    this.digests = Buffer.alloc(pages * DIGEST_BYTES);
    this.blocks = new Uint32Array(pages).fill(ZERO_PAGE);
    this.slots = new Uint8Array(pages);
  }

  digest(page: number): Buffer {
    return this.digests.subarray(page * DIGEST_BYTES, (page + 1) * DIGEST_BYTES);
  }

  set(page: number, digest: Buffer, block: number, slot: number): void {
    digest.copy(this.digests, page * DIGEST_BYTES);
    this.blocks[page] = block;
    this.slots[page] = slot;
  }

  /** Keeps the first `keep` pages and makes the rest of `pages` zero. */
  resized(keep: number, pages: number): FileTable {
    const kept = Math.min(keep, pages, this.pages);
    const next = new FileTable(pages);
    this.digests.copy(next.digests, 0, 0, kept * DIGEST_BYTES);
    next.blocks.set(this.blocks.subarray(0, kept));
    next.slots.set(this.slots.subarray(0, kept));
    return next;
  }

  differs(page: number, other: FileTable | undefined): boolean {
    if (!other || page >= other.pages) return this.blocks[page] !== ZERO_PAGE;
    const from = page * DIGEST_BYTES;
    const to = from + DIGEST_BYTES;
    if (this.digests.compare(other.digests, from, to, from, to) !== 0) return true;
    return this.blocks[page] !== other.blocks[page] || this.slots[page] !== other.slots[page];
  }
}

export class SnapshotTable {
  readonly files = new Map<string, FileTable>();
  readonly blocks: Block[] = [];
  readonly #byPlace = new Map<string, number>();

  /** Number of the block; the same block from two layers gets one number. */
  addBlock(block: Block): number {
    const place = `${block.pack.key}:${block.offset}`;
    const known = block.pack.key ? this.#byPlace.get(place) : undefined;
    if (known !== undefined) return known;
    if (block.pack.key) this.#byPlace.set(place, this.blocks.length);
    return this.blocks.push(block) - 1;
  }

  /** Pages that are stored: not zero. */
  storedPages(): number {
    let n = 0;
    for (const file of this.files.values())
      for (const block of file.blocks) if (block !== ZERO_PAGE) n += 1;
    return n;
  }
}

/** Finds where a page with a given digest lies. Open addressing over typed arrays. */
export class DigestIndex {
  #slots = new Int32Array(1 << 12).fill(-1);
  #digests = Buffer.alloc(DIGEST_BYTES << 11);
  #blocks = new Uint32Array(1 << 11);
  #places = new Uint8Array(1 << 11);
  #count = 0;

  /** Index for `block` and `slot`, or -1. */
  find(digest: Buffer): number {
    const mask = this.#slots.length - 1;
    for (let at = digest.readUInt32LE(0) & mask; ; at = (at + 1) & mask) {
      const entry = this.#slots[at]!;
      if (entry < 0) return -1;
      const from = entry * DIGEST_BYTES;
      if (digest.compare(this.#digests, from, from + DIGEST_BYTES) === 0) return entry;
    }
  }

  block(entry: number): number {
    return this.#blocks[entry]!;
  }

  slot(entry: number): number {
    return this.#places[entry]!;
  }

  /** The digest must not be there yet. */
  add(digest: Buffer, block: number, slot: number): void {
    if (this.#count === this.#blocks.length) this.#grow();
    digest.copy(this.#digests, this.#count * DIGEST_BYTES);
    this.#blocks[this.#count] = block;
    this.#places[this.#count] = slot;
    this.#link(this.#count);
    this.#count += 1;
  }

  #link(entry: number): void {
    const mask = this.#slots.length - 1;
    let at = this.#digests.readUInt32LE(entry * DIGEST_BYTES) & mask;
    while (this.#slots[at]! >= 0) at = (at + 1) & mask;
    this.#slots[at] = entry;
  }

  #grow(): void {
    const size = this.#blocks.length * 2;
    const digests = Buffer.alloc(size * DIGEST_BYTES);
    this.#digests.copy(digests);
    this.#digests = digests;
    const blocks = new Uint32Array(size);
    blocks.set(this.#blocks);
    this.#blocks = blocks;
    const places = new Uint8Array(size);
    places.set(this.#places);
    this.#places = places;
    this.#slots = new Int32Array(size * 2).fill(-1);
    for (let entry = 0; entry < this.#count; entry++) this.#link(entry);
  }
}
