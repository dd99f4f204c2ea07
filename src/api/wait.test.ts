// When a wait is over.

import assert from "node:assert/strict";
import { test } from "node:test";
import { WAIT_GOALS } from "#contract/boxes.ts";
import { DESIRED_STATES, PHASES } from "#domain/box.ts";
import { GOAL_PHASE } from "#domain/operation.ts";
import { judgeWait } from "./wait.ts";

test("every goal has an answer in every state, and `wait` only while the wish can still bring it", () => {
  for (const goal of WAIT_GOALS)
    for (const desired of DESIRED_STATES)
      for (const phase of PHASES) {
        const verdict = judgeWait(goal, { phase, desired, rest: null });
        const isPlain = goal !== "settled" && goal !== "durable";
        if (isPlain) assert.equal(verdict === "reached", phase === goal);
        if (isPlain && verdict === "wait") assert.equal(GOAL_PHASE[desired], goal);
        if (phase === "failed") assert.notEqual(verdict, "wait");
      }
});

test("durable means at rest, and every byte in the object store", () => {
  const paused = { phase: "paused", desired: "paused" } as const;
  assert.equal(judgeWait("durable", { ...paused, rest: { state: "local" } }), "wait");
  assert.equal(judgeWait("durable", { ...paused, rest: { state: "durable" } }), "reached");
  assert.equal(judgeWait("durable", { ...paused, rest: { state: "failed" } }), "hopeless");
  const pausing = { phase: "pausing", desired: "paused" } as const;
  assert.equal(judgeWait("durable", { ...pausing, rest: { state: "durable" } }), "wait");
  assert.equal(
    judgeWait("durable", { phase: "running", desired: "running", rest: null }),
    "hopeless",
  );
});

test("settled follows the latest wish", () => {
  assert.equal(judgeWait("settled", { phase: "running", desired: "paused", rest: null }), "wait");
  assert.equal(judgeWait("settled", { phase: "paused", desired: "paused", rest: null }), "reached");
  assert.equal(
    judgeWait("settled", { phase: "deleted", desired: "deleted", rest: null }),
    "reached",
  );
});
