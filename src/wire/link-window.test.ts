// The window of a link follows what the way holds.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LinkWindow, MAX_WINDOW_BYTES, MIN_WINDOW_BYTES } from "./link-window.ts";

const MIB = 1024 * 1024;

/** A sender that is held back by nothing but the window, or by `mostMbs`. */
function run(window: LinkWindow, rttMs: number, mostMibs: number, rounds: number): number {
  for (let n = 0; n < rounds; n += 1) {
    const rateMibs = Math.min(mostMibs, window.bytes / MIB / (rttMs / 1000));
    window.received((rateMibs * MIB) / 10, 100);
  }
  return window.bytes;
}

test("on a short way it stays small, however much comes", () => {
  const window = new LinkWindow();
  window.answered(0.3, 0);
  assert.equal(run(window, 0.3, 500, 100), MIN_WINDOW_BYTES);
});

test("on a long way it grows until the sender is not held back, and shrinks with what comes", () => {
  const window = new LinkWindow();
  window.answered(50, 0);
  const bytes = run(window, 50, 40, 100);
  assert.ok(bytes >= 2 * MIB && bytes <= 5 * MIB, `${bytes}`);
  assert.ok(run(window, 50, 0, 1) >= MIB, "a pause is not the end");
  assert.equal(run(window, 50, 0, 10), MIN_WINDOW_BYTES);
  assert.equal(run(window, 50, 10_000, 100), MAX_WINDOW_BYTES);
});

test("an answer that waited behind bulk does not make it grow; a way that got longer does, later", () => {
  const window = new LinkWindow();
  window.answered(1, 0);
  window.answered(80, 1000);
  assert.equal(run(window, 1, 100, 100), MIN_WINDOW_BYTES);
  window.answered(80, 3_600_000);
  assert.ok(run(window, 80, 100, 100) > 8 * MIB);
});

test("before the first answer it is what it began as", () => {
  const window = new LinkWindow();
  assert.equal(window.received(100 * MIB, 100), false);
  assert.equal(window.bytes, MIN_WINDOW_BYTES);
});

test("it is a whole number of bytes, also while it shrinks", () => {
  const window = new LinkWindow();
  window.answered(50, 0);
  window.received(100_001, 7);
  assert.ok(window.bytes > 2 * MIN_WINDOW_BYTES, `${window.bytes}`);
  while (window.received(0, 100)) assert.ok(Number.isSafeInteger(window.bytes), `${window.bytes}`);
});
