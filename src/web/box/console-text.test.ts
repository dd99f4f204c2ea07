// A console as text: what a terminal would act on is gone, what people read is there.

import assert from "node:assert/strict";
import { test } from "node:test";
import { plainConsole } from "./console-text.ts";

test("colours, titles and other sequences are taken out", () => {
  assert.equal(plainConsole("\x1b[32m[ OK ]\x1b[0m started"), "[ OK ] started");
  assert.equal(plainConsole("\x1b]0;title\x07a\x1b]52;c;ZXZpbA==\x1b\\b"), "ab");
  assert.equal(plainConsole("\x1bP1$r\x1b\\x\x1b(By"), "xy");
  assert.equal(plainConsole("a\x00b\x08c\x9bd"), "abcd");
});

test("lines end as the console ended them, and a return overwrites", () => {
  assert.equal(plainConsole("one\r\ntwo\r\r\nthree"), "one\ntwo\nthree");
  assert.equal(plainConsole("10 %\r50 %\r100 %\n"), "100 %\n");
});
