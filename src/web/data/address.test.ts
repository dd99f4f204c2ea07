import assert from "node:assert/strict";
import { test } from "node:test";
import { readAddress, writeAddress } from "./address.ts";

test("what an address says is text, in both directions", () => {
  const values = { q: "12", verb: "boxes.", text: "a & b=ü #1" };
  assert.deepEqual(readAddress(writeAddress(values)), values);
  assert.equal(writeAddress({ q: undefined, n: 3 }), "");
  assert.equal(writeAddress({ q: "true" }), "?q=true");
});
