// Records: what goes in comes out, and garbage is refused, never misread.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fc } from "#test/harness/fc.ts";
import { decodeRecord, encodeRecord, RecordError } from "./records.ts";

const fields = fc.array(
  fc.tuple(
    fc.string({ minLength: 1, maxLength: 40, unit: "grapheme-ascii" }),
    fc.uint8Array({ maxLength: 300 }),
  ),
);

test("every record comes back as it was", () => {
  fc.assert(
    fc.property(fields, (given) => {
      const record = decodeRecord(encodeRecord(given));
      assert.deepEqual(
        record.fields.map(([name, value]) => [name, [...value]]),
        given.map(([name, value]) => [name, [...value]]),
      );
    }),
  );
});

test("a record that is cut is refused, or is the record of the whole fields before the cut", () => {
  fc.assert(
    fc.property(fields, fc.nat(), (given, seed) => {
      const bytes = encodeRecord(given);
      const cut = bytes.length === 0 ? 0 : seed % bytes.length;
      try {
        const { length } = decodeRecord(bytes.subarray(0, cut)).fields;
        assert.equal(encodeRecord(given.slice(0, length)).length, cut);
      } catch (error) {
        assert.ok(error instanceof RecordError);
      }
    }),
  );
});

test("random bytes are decoded or refused, and nothing else happens", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      try {
        assert.deepEqual([...encodeRecord(decodeRecord(bytes).fields)], [...bytes]);
      } catch (error) {
        assert.ok(error instanceof RecordError);
      }
    }),
    { numRuns: 2000 },
  );
});

test("fields are found by name, all of them in order", () => {
  const record = decodeRecord(
    encodeRecord([
      ["argv", "ls"],
      ["user", "dev"],
      ["argv", "-l"],
      ["count", "12"],
      ["bad", "1e999"],
    ]),
  );
  assert.equal(record.text("user"), "dev");
  assert.equal(record.text("none"), undefined);
  assert.deepEqual(record.texts("argv"), ["ls", "-l"]);
  assert.equal(record.number("count"), 12);
  assert.equal(record.number("bad"), 0);
  assert.equal(record.number("none"), 0);
});

test("a name that a length byte cannot hold is refused when encoding", () => {
  assert.throws(() => encodeRecord([["", "x"]]), RecordError);
  assert.throws(() => encodeRecord([["n".repeat(256), "x"]]), RecordError);
});
