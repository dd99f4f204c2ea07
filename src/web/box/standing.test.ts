// What is said of a box that is not simply running or at rest.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Box } from "#sdk/client.ts";
import { standingOf } from "./standing.ts";

const SINCE = "2026-11-27T12:00:00.000Z";
const NOW_MS = Date.parse(SINCE) + 60_000;
const box = (change: Partial<Box>) =>
  ({
    ...{ phase: "running", since: SINCE, reason: null, next: null, fault: null },
    ...{ node: null, placement: null },
    ...change,
  }) as Box;
const fault = (change: object) => ({
  ...{ code: "start_failed", message: "the VMM did not start", retryable: true, attempts: 3 },
  ...{ since: SINCE, nextAttemptAt: new Date(NOW_MS + 12_000).toISOString() },
  ...change,
});

test("a box that runs or rests says nothing", () => {
  for (const phase of ["running", "paused", "stopped"] as const)
    assert.equal(standingOf(box({ phase }), NOW_MS), null);
});

test("a fault says how often it was tried, and when again", () => {
  const said = standingOf(box({ phase: "starting", fault: fault({}) }), NOW_MS);
  assert.deepEqual(said, {
    ...{ tone: "bad", why: "The VMM did not start.", since: SINCE },
    ...{ next: "Tried 3 times; again in 12s.", places: [] },
  });
  const due = fault({ attempts: 1, nextAttemptAt: null });
  assert.equal(standingOf(box({ fault: due }), NOW_MS)?.next, "Tried once; again at any moment.");
});

test("what is not tried again says what can be done", () => {
  const next = "Nothing happens until you start, stop or delete it.";
  const said = standingOf(
    box({ phase: "failed", next, fault: fault({ retryable: false }) }),
    NOW_MS,
  );
  assert.deepEqual([said?.tone, said?.next], ["bad", next]);
  const failed = standingOf(box({ phase: "failed", reason: "its disk is broken", next }), NOW_MS);
  assert.deepEqual([failed?.tone, failed?.why], ["bad", "Its disk is broken."]);
});

test("a node that is not heard of says more than what it said last", () => {
  const reason = "node one is unreachable; this is what it last said";
  const said = standingOf(box({ reason, fault: fault({}) }), NOW_MS);
  assert.deepEqual([said?.tone, said?.why], ["bad", `N${reason.slice(1)}.`]);
});

test("a box without a place says what is in the way, node by node", () => {
  const candidate = { nodeId: "node_1", score: null };
  const placement = {
    ...{ summary: "no node fits", at: SINCE },
    candidates: [
      { ...candidate, nodeName: "one", fits: false, reasons: ["cordoned"] },
      { ...candidate, nodeName: "two", fits: false, reasons: ["1 GiB of memory free", "no GPU"] },
    ],
  };
  const said = standingOf(box({ phase: "creating", reason: "no node fits", placement }), NOW_MS);
  assert.equal(said?.tone, "wait");
  assert.deepEqual(said?.places, [
    { name: "one", why: "cordoned" },
    { name: "two", why: "1 GiB of memory free, no GPU" },
  ]);
});

test("what is on its way is told of once it takes long", () => {
  const next = "It is ready when its guest answers.";
  const starting = box({ phase: "starting", next });
  assert.equal(standingOf(starting, Date.parse(SINCE) + 1000), null);
  assert.deepEqual(standingOf(starting, NOW_MS)?.next, next);
});
