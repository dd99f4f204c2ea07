// A layer: the part of a page table that one upload added, as an object of its own. A snapshot's table is its
// layers applied in order, so that an incremental pause stores about 18 bytes per changed page and
// shares all older layers with its parent. See layers.ts for when layers are folded together.
//
//   "BERTHPT1" | u32 header length | sha256 of the header | header: JSON { packs, salt? }
//   | zstd of: columns of blocks, then per file: name, keepPages, pages, columns of entries
//
// The header stands in the clear and has its own digest: collection reads which packs a layer needs without
// reading the entries. The object's key ends in the sha256 of the whole.

import { hash } from "node:crypto";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { DIGEST_BYTES } from "#lib/page-digests.ts";
import { sha256Of } from "#objects/keys.ts";
import type { Block, Pack, SnapshotTable } from "#objects/page-table.ts";
import { FileTable, ZERO_PAGE } from "#objects/page-table.ts";
import { SnapshotError } from "#objects/snapshot-error.ts";

const MAGIC = Buffer.from("BERTHPT1");
const HEADER_AT = MAGIC.length + 4 + 32;
const BLOCK_BYTES = 4 + 4 + 4 + 1 + 1 + 32;
const ENTRY_BYTES = 4 + 4 + 1 + DIGEST_BYTES;
const BODY_BYTES_MAX = 1 << 30;

/** Entries of one file in a layer: the pages that it sets, after cutting at `keepPages` and sizing to `pages`. */
export interface LayerSection {
  readonly name: string;
  readonly keepPages: number;
  readonly pages: number;
  /** Ascending. */
  readonly indices: Uint32Array;
}

interface DecodedSection extends LayerSection {
  readonly blocks: Uint32Array;
  readonly slots: Buffer;
  readonly digests: Buffer;
}

export interface DecodedLayer {
  readonly blocks: readonly Block[];
  readonly sections: readonly DecodedSection[];
}

/** Bytes of the layer that holds `sections` of `table`. `salt` only changes its key. */
export function encodeLayer(
  table: SnapshotTable,
  sections: readonly LayerSection[],
  salt: string | null,
): Buffer {
  const numbers = new Map<number, number>();
  const packs = new Map<string, number>();
  const headerPacks: Pack[] = [];
  for (const section of sections) {
    const file = table.files.get(section.name);
    for (const page of section.indices) {
      const block = file?.blocks[page] ?? ZERO_PAGE;
      if (block === ZERO_PAGE || numbers.has(block)) continue;
      numbers.set(block, numbers.size);
      const { pack } = table.blocks[block]!;
      if (packs.has(pack.key)) continue;
      packs.set(pack.key, packs.size);
      headerPacks.push(pack);
    }
  }
  const parts = [
    encodeBlocks(
      [...numbers.keys()].map((n) => table.blocks[n]!),
      packs,
    ),
  ];
  const count = Buffer.alloc(4);
  count.writeUInt32LE(sections.length);
  parts.push(count);
  for (const section of sections)
    parts.push(encodeSection(section, table.files.get(section.name), numbers));
  const body = zstdCompressSync(Buffer.concat(parts), {
    params: { [constants.ZSTD_c_compressionLevel]: 3 },
  });
  const header = Buffer.from(JSON.stringify({ packs: headerPacks, salt }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.length);
  return Buffer.concat([MAGIC, length, hash("sha256", header, "buffer"), header, body]);
}

function encodeBlocks(blocks: readonly Block[], packs: ReadonlyMap<string, number>): Buffer {
  const n = blocks.length;
  const out = Buffer.alloc(4 + n * BLOCK_BYTES);
  out.writeUInt32LE(n);
  blocks.forEach((block, i) => {
    out.writeUInt32LE(packs.get(block.pack.key)!, 4 + i * 4);
    out.writeUInt32LE(block.offset, 4 + (n + i) * 4);
    out.writeUInt32LE(block.storedBytes, 4 + (2 * n + i) * 4);
    out[4 + 12 * n + i] = block.codec;
    out[4 + 13 * n + i] = block.pages;
    block.sha256.copy(out, 4 + 14 * n + i * 32);
  });
  return out;
}

/** Columns compress better than records: page steps, block steps, slots, then digests (which do not). */
function encodeSection(
  section: LayerSection,
  file: FileTable | undefined,
  numbers: ReadonlyMap<number, number>,
): Buffer {
  const name = Buffer.from(section.name);
  const n = section.indices.length;
  const head = Buffer.alloc(2 + name.length + 12);
  head.writeUInt16LE(name.length);
  name.copy(head, 2);
  head.writeUInt32LE(section.keepPages, 2 + name.length);
  head.writeUInt32LE(section.pages, 6 + name.length);
  head.writeUInt32LE(n, 10 + name.length);
  const columns = Buffer.alloc(n * ENTRY_BYTES);
  let lastPage = -1;
  for (let i = 0; i < n; i++) {
    const page = section.indices[i]!;
    const block = file!.blocks[page]!;
    columns.writeUInt32LE(page - lastPage - 1, i * 4);
    columns.writeUInt32LE(block === ZERO_PAGE ? ZERO_PAGE : numbers.get(block)!, (n + i) * 4);
    columns[8 * n + i] = file!.slots[page]!;
    file!.digests.copy(
      columns,
      9 * n + i * DIGEST_BYTES,
      page * DIGEST_BYTES,
      (page + 1) * DIGEST_BYTES,
    );
    lastPage = page;
  }
  return Buffer.concat([head, columns]);
}

/** The packs that a layer needs. `bytes` is its beginning, at least the header. */
export function decodeLayerHeader(key: string, bytes: Buffer): { packs: Pack[]; end: number } {
  const end = headerEnd(key, bytes);
  if (bytes.length < end) throw new SnapshotError("corrupt", key, "is cut short");
  const header = bytes.subarray(HEADER_AT, end);
  if (!hash("sha256", header, "buffer").equals(bytes.subarray(MAGIC.length + 4, HEADER_AT)))
    throw new SnapshotError("corrupt", key, "its header does not have its digest");
  return { packs: (JSON.parse(header.toString()) as { packs: Pack[] }).packs, end };
}

/** How many bytes from the start hold the header. */
export function headerEnd(key: string, bytes: Buffer): number {
  if (bytes.length < HEADER_AT || !bytes.subarray(0, MAGIC.length).equals(MAGIC))
    throw new SnapshotError("corrupt", key, "is not a page table, or cut short");
  return HEADER_AT + bytes.readUInt32LE(MAGIC.length);
}

/** Checks the digest in the key first: nothing below reads bytes that we did not write. */
export function decodeLayer(key: string, bytes: Buffer): DecodedLayer {
  if (hash("sha256", bytes) !== sha256Of(key))
    throw new SnapshotError("corrupt", key, "does not have the digest in its name");
  const { packs, end } = decodeLayerHeader(key, bytes);
  const body = zstdDecompressSync(bytes.subarray(end), { maxOutputLength: BODY_BYTES_MAX });
  let at = 0;
  const u32 = (): number => {
    at += 4;
    return body.readUInt32LE(at - 4);
  };
  const n = u32();
  const blocks: Block[] = [];
  for (let i = 0; i < n; i++)
    blocks.push({
      pack: packs[body.readUInt32LE(at + i * 4)]!,
      offset: body.readUInt32LE(at + (n + i) * 4),
      storedBytes: body.readUInt32LE(at + (2 * n + i) * 4),
      codec: body[at + 12 * n + i]!,
      pages: body[at + 13 * n + i]!,
      sha256: body.subarray(at + 14 * n + i * 32, at + 14 * n + (i + 1) * 32),
    });
  at += n * BLOCK_BYTES;
  const sections: DecodedSection[] = [];
  for (let left = u32(); left > 0; left--) {
    const nameBytes = body.readUInt16LE(at);
    const name = body.toString("utf8", at + 2, at + 2 + nameBytes);
    at += 2 + nameBytes;
    const [keepPages, pages, entries] = [u32(), u32(), u32()];
    sections.push({ name, keepPages, pages, ...decodeColumns(body.subarray(at), entries) });
    at += entries * ENTRY_BYTES;
  }
  return { blocks, sections };
}

function decodeColumns(columns: Buffer, n: number) {
  const indices = new Uint32Array(n);
  const blocks = new Uint32Array(n);
  let page = -1;
  for (let i = 0; i < n; i++) {
    page += 1 + columns.readUInt32LE(i * 4);
    indices[i] = page;
    blocks[i] = columns.readUInt32LE((n + i) * 4);
  }
  const slots = columns.subarray(8 * n, 9 * n);
  const digests = columns.subarray(9 * n, (9 + DIGEST_BYTES) * n);
  return { indices, blocks, slots, digests };
}

/** Puts a layer over what `table` has. */
export function applyLayer(table: SnapshotTable, layer: DecodedLayer): void {
  const numbers = layer.blocks.map((block) => table.addBlock(block));
  for (const section of layer.sections) {
    const before = table.files.get(section.name) ?? new FileTable(0);
    const same = section.pages === before.pages && section.keepPages >= before.pages;
    const file = same ? before : before.resized(section.keepPages, section.pages);
    table.files.set(section.name, file);
    section.indices.forEach((page, i) => {
      const block = section.blocks[i]!;
      const digest = section.digests.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES);
      file.set(page, digest, block === ZERO_PAGE ? ZERO_PAGE : numbers[block]!, section.slots[i]!);
    });
  }
}
