// Keys of a phone.

import assert from "node:assert/strict";
import { test } from "node:test";
import { controlOf, sequenceOf } from "./touch-keys.ts";

test("keys are what a terminal sends for them", () => {
  assert.equal(sequenceOf("Esc", false), "\x1b");
  assert.equal(sequenceOf("Tab", true), "\t");
  assert.equal(sequenceOf("↑", false), "\x1b[A");
  assert.equal(sequenceOf("←", true), "\x1bOD");
});

test("Ctrl makes a control character of a letter, and of nothing else", () => {
  assert.deepEqual(["c", "C", "[", "@"].map(controlOf), ["\x03", "\x03", "\x1b", "\x00"]);
  for (const text of ["1", "é", "cd", "\x1b[A", ""]) assert.equal(controlOf(text), text);
});
