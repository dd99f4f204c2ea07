// Gathers new pages into blocks of 64 that are compressed together, and blocks into packs.

import { hash } from "node:crypto";
import { constants, zstdCompressSync } from "node:zlib";
import { PAGE_BYTES } from "#lib/page-digests.ts";
import type { Pack, SnapshotTable } from "#objects/page-table.ts";
import { CODEC_RAW, CODEC_ZSTD } from "#objects/page-table.ts";

export const BLOCK_PAGES = 64;
/** A pack is closed at the first block that reaches this. */
export const PACK_BYTES = 8 << 20;
/** Compressed blocks that save less than this are stored raw: reading them back costs no codec. */
const WORTH_IT = 0.95;

export interface ClosedPack {
  readonly pack: Pack;
  readonly parts: readonly Buffer[];
}

export class PackWriter {
  readonly #table: SnapshotTable;
  readonly #packBytes: number;
  #open = Buffer.allocUnsafeSlow(BLOCK_PAGES * PAGE_BYTES);
  #openPages = 0;
  #pack: Pack = { key: "", bytes: 0 };
  #parts: Buffer[] = [];
  #closed: ClosedPack[] = [];
  pages = 0;

  /** Blocks are added to `table` as they fill. */
  constructor(table: SnapshotTable, packBytes: number = PACK_BYTES) {
    this.#table = table;
    this.#packBytes = packBytes;
  }

  /** Copies a page; returns where it will lie. */
  add(page: Uint8Array): { block: number; slot: number } {
    this.#open.set(page, this.#openPages * PAGE_BYTES);
    const place = { block: this.#table.blocks.length, slot: this.#openPages };
    this.#openPages += 1;
    this.pages += 1;
    if (this.#openPages === BLOCK_PAGES) this.#closeBlock();
    return place;
  }

  /** Packs that became full since the last call; the caller names and stores them. */
  takeClosed(): ClosedPack[] {
    const closed = this.#closed;
    this.#closed = [];
    return closed;
  }

  end(): void {
    this.#closeBlock();
    this.#closePack();
  }

  #closeBlock(): void {
    if (this.#openPages === 0) return;
    const raw = this.#open.subarray(0, this.#openPages * PAGE_BYTES);
    const packed = zstdCompressSync(raw, {
      params: { [constants.ZSTD_c_compressionLevel]: 1 },
      chunkSize: raw.length + BLOCK_PAGES,
    });
    const pays = packed.length < raw.length * WORTH_IT;
    const stored = pays ? packed : Buffer.from(raw);
    this.#table.addBlock({
      pack: this.#pack,
      offset: this.#pack.bytes,
      storedBytes: stored.length,
      codec: pays ? CODEC_ZSTD : CODEC_RAW,
      pages: this.#openPages,
      sha256: hash("sha256", stored, "buffer"),
    });
    this.#parts.push(stored);
    this.#pack.bytes += stored.length;
    this.#openPages = 0;
    if (this.#pack.bytes >= this.#packBytes) this.#closePack();
  }

  #closePack(): void {
    if (this.#parts.length === 0) return;
    this.#closed.push({ pack: this.#pack, parts: this.#parts });
    this.#pack = { key: "", bytes: 0 };
    this.#parts = [];
  }
}
