// The strict reader of HTTP against llhttp: what we take, it takes, and frames as we do; what we pass on, it reads as we
// meant it. BERTH_FRAMING_CASES and BERTH_FRAMING_SEED make it longer.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  lastHeads,
  pieces,
  type Reading,
  readAnswerStrictly,
  readByLlhttp,
  readRequestsStrictly,
  seeded,
  someAnswer,
  someRequests,
} from "#test/harness/framing.ts";

const CASES = Number(process.env.BERTH_FRAMING_CASES ?? 100_000);
const SEED = Number(process.env.BERTH_FRAMING_SEED ?? 1);

/** Null: both frame it alike, or we refuse it. */
function requestsDiffer(bytes: Buffer, ours: Reading): string | null {
  const theirs = readByLlhttp(bytes, "request");
  for (const [at, message] of ours.messages.entries()) {
    const other = theirs.messages[at];
    if (other?.what !== message.what || other.body !== message.body)
      return `message ${at}: ${JSON.stringify(message)} is ${JSON.stringify(other)} to llhttp`;
  }
  const isMore = theirs.messages.length > ours.messages.length;
  if (isMore && (ours.outcome === "all" || ours.outcome === "more"))
    return `llhttp sees ${theirs.messages.length} messages, we ${ours.messages.length}`;
  const again = readByLlhttp(ours.passed, "request");
  const isSame = JSON.stringify(again.messages) === JSON.stringify(ours.messages);
  if (!isSame || again.outcome !== "all")
    return `passed on, it is ${JSON.stringify(again)} to llhttp`;
  return null;
}

test("what is taken of requests is what llhttp reads, however it arrives", () => {
  const dice = seeded(SEED);
  const seen = { all: 0, more: 0, refused: 0, last: 0 };
  for (let count = 0; count < CASES; count += 1) {
    const bytes = someRequests(dice);
    const heads = lastHeads();
    const ours = readRequestsStrictly([bytes], heads);
    seen[ours.outcome] += 1;
    const differ = requestsDiffer(bytes, ours);
    assert.equal(
      differ,
      null,
      `case ${count} of seed ${SEED}: ${JSON.stringify(bytes.toString("latin1"))}`,
    );
    // Heads that came before on the connection mean the same.
    for (const before of [lastHeads(), heads]) {
      const split = readRequestsStrictly(pieces(dice, bytes), before);
      assert.deepEqual(split, ours, JSON.stringify(bytes.toString("latin1")));
    }
  }
  // The corpus must be neither all right nor all wrong.
  for (const [outcome, count] of Object.entries(seen))
    assert.ok(count > CASES / 100, `${outcome}: ${count}`);
});

test("what is passed on of answers is one answer to llhttp", () => {
  const dice = seeded(SEED + 1);
  const heads = lastHeads();
  let whole = 0;
  for (let count = 0; count < CASES; count += 1) {
    const bytes = someAnswer(dice);
    const method = dice() < 0.1 ? "HEAD" : "GET";
    const parts = pieces(dice, bytes);
    const ours = readAnswerStrictly(parts, method);
    // Heads that came before on the connection mean the same.
    readAnswerStrictly(parts, method, heads);
    const second = readAnswerStrictly(parts, method, heads);
    assert.deepEqual(second, ours, JSON.stringify(bytes.toString("latin1")));
    if (ours.outcome !== "all") continue;
    whole += 1;
    const again = readByLlhttp(ours.passed, "answer", method);
    const note = `case ${count} of seed ${SEED}: ${JSON.stringify(bytes.toString("latin1"))} → ${JSON.stringify(ours.passed.toString("latin1"))}`;
    assert.equal(again.outcome, "all", note);
    assert.deepEqual(
      again.messages.map(({ what }) => what),
      ours.messages.map(({ what }) => what),
      note,
    );
  }
  assert.ok(whole > CASES / 20, `${whole} answers were whole`);
});
