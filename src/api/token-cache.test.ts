// Remembered for a moment, and never longer.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Clock, systemClock } from "#lib/clock.ts";
import { ADMIN_TOKEN as ADMIN } from "#test/harness/front-door.ts";
import { cachedIdentities } from "./token-cache.ts";

test("a token is looked up once a moment, a revoked one is refused after it, an unknown one never kept", async () => {
  let nowMs = 0;
  let loads = 0;
  const tokens = new Set(["a"]);
  const clock: Clock = { ...systemClock, monotonicMs: () => nowMs };
  const subjectOf = cachedIdentities(clock, async (hash) => {
    loads += 1;
    return tokens.has(hash) ? ADMIN : null;
  });
  assert.equal(await subjectOf("a"), ADMIN);
  assert.equal(await subjectOf("a"), ADMIN);
  assert.equal(loads, 1);
  tokens.delete("a");
  nowMs = 999;
  assert.equal(await subjectOf("a"), ADMIN);
  nowMs = 1000;
  assert.equal(await subjectOf("a"), null);
  tokens.add("a");
  assert.equal(await subjectOf("a"), ADMIN);
  assert.equal(loads, 3);
});
