import assert from "node:assert/strict";
import { type Duplex, duplexPair } from "node:stream";
import { test } from "node:test";
import { systemClock } from "./clock.ts";
import { breakOff, splice } from "./splice.ts";

test("each direction ends by itself, and nothing is lost", async () => {
  const [left, leftEnd] = duplexPair();
  const [right, rightEnd] = duplexPair();
  const over = splice<Duplex>(left, right, systemClock);
  leftEnd.end("from the left");
  assert.equal(String(await rightEnd.toArray()), "from the left");
  rightEnd.end("and an answer");
  assert.equal(String(await leftEnd.toArray()), "and an answer");
  assert.equal(await over, null);
});

test("the side that broke is named at once", async () => {
  const [left] = duplexPair();
  const [right, rightEnd] = duplexPair();
  const over = splice<Duplex>(left, right, systemClock);
  rightEnd.resume();
  breakOff(left);
  assert.equal(await over, left);
  assert.equal(right.writableEnded, false);
  right.destroy(); // As the caller does.
});
