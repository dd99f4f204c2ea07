import assert from "node:assert/strict";
import { test } from "node:test";
import { type Taker, Turns } from "./turns.ts";

const TURN = 16 * 1024;
const taker = (): Taker => ({ turn: "none", sentBytes: 0, sinceBytes: 0 });

/** Everybody has more, always; returns what each sent. */
function round(turns: Turns<Taker>, count: number): Map<Taker, number> {
  const sent = new Map<Taker, number>();
  for (let n = 0; n < count; n += 1) {
    const next = turns.next(false);
    assert.ok(next);
    turns.took(next, TURN);
    sent.set(next, (sent.get(next) ?? 0) + TURN);
    turns.add(next);
  }
  return sent;
}

test("those who have much go round", () => {
  const turns = new Turns<Taker>(TURN);
  for (let n = 0; n < 4; n += 1) turns.add(taker());
  const sent = [...round(turns, 4000).values()];
  assert.equal(sent.length, 4);
  assert.ok(Math.max(...sent) - Math.min(...sent) <= 2 * TURN, `${sent}`);
});

test("one who says little goes first, each time, also when the way is full", () => {
  const turns = new Turns<Taker>(TURN);
  for (let n = 0; n < 8; n += 1) turns.add(taker());
  round(turns, 100);
  const quiet = taker();
  for (let n = 0; n < 100; n += 1) {
    turns.add(quiet);
    assert.equal(turns.next(true), quiet);
    turns.took(quiet, 40);
    round(turns, 2);
  }
  assert.equal(turns.next(true), undefined, "the others wait");
});

test("one who says much in little pieces is not first for long", () => {
  const turns = new Turns<Taker>(TURN);
  for (let n = 0; n < 2; n += 1) turns.add(taker());
  round(turns, 10);
  const sly = taker();
  let slyBytes = 0;
  let theirBytes = 0;
  for (let n = 0; n < 10_000; n += 1) {
    turns.add(sly);
    const next = turns.next(false);
    assert.ok(next);
    const bytes = next === sly ? 1024 : TURN;
    turns.took(next, bytes);
    if (next === sly) slyBytes += bytes;
    else theirBytes += bytes;
    if (next !== sly) turns.add(next);
  }
  assert.ok(slyBytes < theirBytes, `${slyBytes} of ${theirBytes}`);
});
