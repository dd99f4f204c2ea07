// Layers alone, without files: a table read back from its layers is the table that was written, over long
// histories that fold layers, shrink and grow files, and drop them.

import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { pageDigest } from "#lib/page-digests.ts";
import { tableKeyOf } from "#objects/keys.ts";
import {
  EMPTY_TABLE,
  entriesOf,
  foldFrom,
  loadTable,
  nextLayer,
  pagesSha256,
} from "#objects/layers.ts";
import type { Manifest } from "#objects/manifest.ts";
import { FileTable, SnapshotTable } from "#objects/page-table.ts";
import { encodeLayer } from "#objects/table-layer.ts";
import { fc } from "#test/harness/fc.ts";
import { MemoryStore } from "#test/harness/memory-store.ts";

/** A file as the numbers of its pages' contents; 0 is a zero page. */
type Model = Record<string, number[]>;

/** The table of a model, with blocks of the parent where the parent has the content. */
function tableOf(model: Model, parent: SnapshotTable): SnapshotTable {
  const table = new SnapshotTable();
  const blocks = new Map<string, number>();
  for (const block of parent.blocks) blocks.set(block.pack.key, table.blocks.push(block) - 1);
  for (const [name, pages] of Object.entries(model)) {
    const file = new FileTable(pages.length);
    table.files.set(name, file);
    pages.forEach((content, page) => {
      if (content === 0) return;
      const key = `packs/test/${content}`;
      const sha256 = hash("sha256", key, "buffer");
      let block = blocks.get(key);
      if (block === undefined) {
        const pack = { key, bytes: 100 };
        block = table.addBlock({ pack, offset: 0, storedBytes: 100, codec: 0, pages: 1, sha256 });
        blocks.set(key, block);
      }
      file.set(page, pageDigest(Buffer.from(key)), block, 0);
    });
  }
  return table;
}

class Chain {
  readonly store = new MemoryStore();
  manifest: Manifest | null = null;
  layersMax = 0;

  async push(model: Model): Promise<void> {
    const parent = this.manifest ? await loadTable(this.store, "m", this.manifest) : EMPTY_TABLE;
    const next = tableOf(model, parent.table);
    const { kept, sections } = nextLayer(parent, next, false);
    const layers = [...kept];
    if (sections) {
      const bytes = encodeLayer(next, sections, null);
      const key = tableKeyOf("test", hash("sha256", bytes));
      await this.store.put(key, bytes);
      layers.push({ key, bytes: bytes.length, entries: entriesOf(sections) });
    }
    this.layersMax = Math.max(this.layersMax, layers.length);
    const files = Object.keys(model).map((name) => {
      return { name, size: 0, pagesSha256: pagesSha256(next.files.get(name)) };
    });
    const rest = { snapshotId: "s", meta: {}, parentManifestKey: null, addedBytes: 0, newPages: 0 };
    this.manifest = { ...rest, files, layers };
  }

  /** The model that the stored layers give. */
  async read(): Promise<Model> {
    const { table } = await loadTable(this.store, "m", this.manifest!);
    const model: Model = {};
    for (const { name } of this.manifest!.files) {
      const blocks = table.files.get(name)?.blocks ?? new Uint32Array(0);
      model[name] = [...blocks].map((block) => {
        return block === 0xffffffff ? 0 : Number(table.blocks[block]!.pack.key.split("/").at(-1));
      });
    }
    return model;
  }
}

const stepArb = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("set"), at: fc.nat(399), to: fc.nat(9999) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("size"), at: fc.nat(60), to: fc.nat(60) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("file"), at: fc.nat(1), to: fc.nat(20) }) },
);

test("what is read from the layers is what was written, in every generation of a long history", async () => {
  let folded = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(stepArb, { minLength: 10, maxLength: 60 }), async (steps) => {
      const chain = new Chain();
      const model: Model = { ram: Array.from({ length: 400 }, (_, i) => 10_000 + i), disk: [1, 2] };
      await chain.push(model);
      for (const { kind, at, to } of steps) {
        const ram = model.ram!;
        if (kind === "set") ram[at % ram.length] = to % 7 === 0 ? 0 : to;
        else if (kind === "size") {
          // Shrinks to 340..400 pages or grows with zero pages.
          const pages = 340 + at;
          while (ram.length < pages) ram.push(0);
          ram.length = pages;
        } else if (at === 0) delete model.disk;
        else model.disk = Array.from({ length: to }, (_, i) => i);
        await chain.push(model);
        assert.deepEqual(await chain.read(), model);
      }
      const { layers } = chain.manifest!;
      if (chain.layersMax > layers.length) folded += 1;
      assert.ok(chain.layersMax <= 28, `${chain.layersMax} layers`);
    }),
    { numRuns: 50, endOnFailure: true },
  );
  assert.ok(folded > 10, `layers were folded in ${folded} histories only`);
});

test("when layers are folded: many of one size, or when most of what they say is outdated", () => {
  assert.equal(foldFrom([], 100, 100), 0);
  assert.equal(foldFrom([1000], 10, 1000), 1, "a small one is put on top");
  const sevenSmall = [1000, 10, 10, 10, 10, 10, 10, 10];
  assert.equal(foldFrom(sevenSmall, 10, 1000), 1, "the eighth of its size takes the seven");
  assert.equal(foldFrom([1000, 500, 400], 200, 1000), 0, "over half is outdated");
  assert.equal(foldFrom([1_000_000, ...Array.from({ length: 63 }, () => 1)], 1, 1_000_000), 0);
});
