// Cursors are opaque, and a changed one is refused.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fc } from "#test/harness/fc.ts";
import { encodeCursor, numberPosition, pageFrom, textPosition } from "./cursor.ts";

const position = fc.oneof(
  fc.string().filter((text) => !text.includes("\0")),
  fc.maxSafeNat(),
);

function decodeCursor(scope: unknown[], cursor: string) {
  try {
    return textPosition(scope, cursor);
  } catch {
    return numberPosition(scope, cursor);
  }
}

test("a forged position of the wrong kind is refused", () => {
  for (const value of [1.5, -1e300, "x", "1"])
    assert.throws(() => numberPosition(["x"], encodeCursor(["x"], value)), {
      code: "invalid_cursor",
    });
  for (const value of [1, "a\0b"])
    assert.throws(() => textPosition(["x"], encodeCursor(["x"], value)), {
      code: "invalid_cursor",
    });
});

test("a cursor gives its position back, in its own list only", () => {
  fc.assert(
    fc.property(position, (value) => {
      const cursor = encodeCursor(["boxes", null], value);
      assert.match(cursor, /^[A-Za-z0-9_-]+$/);
      assert.deepEqual(decodeCursor(["boxes", null], cursor), value);
      assert.throws(() => decodeCursor(["boxes", "web"], cursor), { code: "invalid_cursor" });
      assert.throws(() => decodeCursor(["nodes", null], cursor), { code: "invalid_cursor" });
    }),
  );
});

test("a cursor with one character changed, or any other text, is refused", () => {
  fc.assert(
    fc.property(position, fc.nat(), fc.base64String(), (value, at, other) => {
      const cursor = encodeCursor(["boxes"], value);
      const index = at % cursor.length;
      const changed = `${cursor.slice(0, index)}${cursor[index] === "A" ? "B" : "A"}${cursor.slice(index + 1)}`;
      for (const text of [changed, cursor.slice(1), `${cursor}A`, other, ""])
        assert.throws(() => decodeCursor(["boxes"], text), { code: "invalid_cursor" });
    }),
  );
});

test("a page ends where the rows end", () => {
  const page = (rows: number[]) => pageFrom(rows, 2, ["x"], (n) => n, String);
  assert.deepEqual(page([1, 2]), { items: ["1", "2"], nextCursor: null });
  assert.deepEqual(page([1, 2, 3]), { items: ["1", "2"], nextCursor: encodeCursor(["x"], 2) });
  assert.deepEqual(page([]), { items: [], nextCursor: null });
});
