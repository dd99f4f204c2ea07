// Loads a snapshot's page table from its layers, and makes the layer that an upload adds.

import { hash } from "node:crypto";
import { DIGEST_BYTES, type FileDigests } from "#lib/page-digests.ts";
import type { LayerRef, Manifest } from "#objects/manifest.ts";
import { getOrMissing } from "#objects/manifest.ts";
import { type FileTable, SnapshotTable, ZERO_PAGE } from "#objects/page-table.ts";
import { SnapshotError } from "#objects/snapshot-error.ts";
import type { ObjectStore } from "#objects/store.ts";
import { applyLayer, decodeLayer, type LayerSection } from "#objects/table-layer.ts";

/** So many layers of about one size are folded into one. */
const FAN = 8;
const LAYERS_MAX = 64;

export interface LoadedTable {
  readonly table: SnapshotTable;
  readonly layers: readonly {
    readonly ref: LayerRef;
    readonly sections: readonly LayerSection[];
  }[];
}

export const EMPTY_TABLE: LoadedTable = { table: new SnapshotTable(), layers: [] };

/** Reads and verifies every layer, and that together they give the files that the manifest names. */
export async function loadTable(
  store: ObjectStore,
  manifestKey: string,
  manifest: Manifest,
): Promise<LoadedTable> {
  const table = new SnapshotTable();
  const layers = [];
  const bodies = await Promise.all(manifest.layers.map((ref) => getOrMissing(store, ref.key)));
  for (const [i, ref] of manifest.layers.entries()) {
    const layer = decodeLayer(ref.key, bodies[i]!);
    applyLayer(table, layer);
    const sections = layer.sections.map(({ name, keepPages, pages, indices }) => {
      return { name, keepPages, pages, indices };
    });
    layers.push({ ref, sections });
  }
  for (const file of manifest.files)
    if (pagesSha256(table.files.get(file.name)) !== file.pagesSha256)
      throw new SnapshotError(
        "corrupt",
        manifestKey,
        `its page tables do not add up to ${file.name}`,
      );
  return { table, layers };
}

export function pagesSha256(file: FileTable | undefined): string {
  return hash("sha256", file?.digests ?? Buffer.alloc(0));
}

/**
 * What an upload adds over its parent: the layers it keeps, and the sections of the new one. Null sections: the
 * tables are the same. Small layers are folded into the new one, so that a chain of n pauses reads
 * O(log n) layers and writes each entry O(log n) times. `whole` folds all of them.
 */
export function nextLayer(
  parent: LoadedTable,
  next: SnapshotTable,
  whole: boolean,
): { kept: readonly LayerRef[]; sections: LayerSection[] | null } {
  const changed = changedSections(parent.table, next);
  if (changed.length === 0) return { kept: refsOf(parent), sections: null };
  const added = entriesOf(changed);
  const start = whole
    ? 0
    : foldFrom(
        parent.layers.map(({ ref }) => ref.entries),
        added,
        next.storedPages(),
      );
  if (start === parent.layers.length) return { kept: refsOf(parent), sections: changed };
  if (start === 0) return { kept: [], sections: changedSections(new SnapshotTable(), next) };
  const folded = parent.layers.slice(start).map((layer) => layer.sections);
  return {
    kept: refsOf(parent).slice(0, start),
    sections: foldSections([...folded, changed]),
  };
}

function refsOf(loaded: LoadedTable): LayerRef[] {
  return loaded.layers.map(({ ref }) => ref);
}

export function entriesOf(sections: readonly LayerSection[]): number {
  return sections.reduce((sum, section) => sum + section.indices.length, 0);
}

/**
 * From which layer on the new one replaces the old ones. All of them when more than half of what they
 * say is outdated, because outdated entries keep packs from being collected.
 */
export function foldFrom(counts: readonly number[], added: number, live: number): number {
  const all = counts.reduce((sum, n) => sum + n, added);
  if (all > 2 * live || counts.length >= LAYERS_MAX) return 0;
  let start = counts.length;
  for (let total = added; ; ) {
    let first = start;
    while (first > 0 && counts[first - 1]! <= total * FAN) first -= 1;
    if (start - first < FAN - 1) return start;
    for (let i = first; i < start; i++) total += counts[i]!;
    start = first;
  }
}

/** Sections that turn `before` into `after`; files that are gone become empty. */
function changedSections(before: SnapshotTable, after: SnapshotTable): LayerSection[] {
  const sections: LayerSection[] = [];
  for (const name of new Set([...before.files.keys(), ...after.files.keys()])) {
    const old = before.files.get(name);
    const file = after.files.get(name);
    const pages = file?.pages ?? 0;
    const indices: number[] = [];
    for (let page = 0; page < pages; page++) if (file!.differs(page, old)) indices.push(page);
    if (indices.length > 0 || pages !== (old?.pages ?? 0))
      sections.push({
        name,
        keepPages: Math.min(pages, old?.pages ?? 0),
        pages,
        indices: Uint32Array.from(indices),
      });
  }
  return sections;
}

/** One set of sections for several that follow each other. Only pages below every cut are kept from before. */
function foldSections(layers: readonly (readonly LayerSection[])[]): LayerSection[] {
  const folded = new Map<string, { keepPages: number; pages: number; touched: Set<number> }>();
  for (const sections of layers)
    for (const { name, keepPages, pages, indices } of sections) {
      const into = folded.get(name) ?? { keepPages, pages, touched: new Set<number>() };
      into.keepPages = Math.min(into.keepPages, keepPages);
      into.pages = pages;
      for (const page of indices) into.touched.add(page);
      folded.set(name, into);
    }
  return [...folded].map(([name, { keepPages, pages, touched }]) => ({
    name,
    keepPages,
    pages,
    indices: Uint32Array.from([...touched].filter((page) => page < pages)).sort(),
  }));
}

/** Digests of one file's pages that are not zero, in the form that lies beside a local snapshot. */
export function digestsOf(name: string, size: number, file: FileTable): FileDigests {
  const pages: number[] = [];
  for (let page = 0; page < file.pages; page++)
    if (file.blocks[page] !== ZERO_PAGE) pages.push(page);
  const digests = Buffer.alloc(pages.length * DIGEST_BYTES);
  for (const [i, page] of pages.entries()) file.digest(page).copy(digests, i * DIGEST_BYTES);
  return { name, size, pages: Uint32Array.from(pages), digests };
}
