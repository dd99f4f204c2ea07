import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs, spreadMs } from "./backoff.ts";

test("waits double from the first to the longest, however many failures there were", () => {
  const times = { firstMs: 100, longestMs: 1000 };
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5, 6, 1e9].map((failures) => backoffMs(failures, times)),
    [100, 100, 200, 400, 800, 1000, 1000, 1000],
  );
});

test("a spread wait is in the upper half, and not always the same", () => {
  for (const ms of [1, 2, 3, 501]) {
    const waits = Array.from({ length: 200 }, () => spreadMs(ms));
    assert.ok(waits.every((wait) => wait >= Math.floor(ms / 2) && wait <= ms));
    assert.ok(new Set(waits).size > 1);
  }
});
