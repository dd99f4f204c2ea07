// Phases: total over every combination of facts, and the word that a user would expect in the usual ones.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fc } from "#test/harness/fc.ts";
import { DESIRED_STATES, HOST_STATES, PHASES } from "./box.ts";
import { judgeOperation } from "./operation.ts";
import { type BoxFacts, phaseOf } from "./phase.ts";

type Observed = NonNullable<BoxFacts["observed"]>;

function observed(change: Partial<Observed> = {}): Observed {
  return { state: "ready", bootSerial: 0, activity: null, fault: null, build: null, ...change };
}

function facts(change: Partial<BoxFacts> = {}): BoxFacts {
  return {
    desired: "running",
    epoch: 1,
    isDeleted: false,
    reserved: true,
    bootSerial: 0,
    failure: null,
    source: null,
    rest: null,
    node: { name: "n1", status: "ready" },
    observed: observed(),
    needsBuild: false,
    placementSummary: null,
    ...change,
  };
}

const fault = {
  code: "vmm_failed",
  message: "QEMU did not start",
  retryable: true,
  attempts: 2,
  sinceMs: 0,
  nextAttemptMs: 1,
};
const own = { state: "durable", withMemory: true, isOwn: true } as const;

const CASES: [string, Partial<BoxFacts>, string, RegExp | null][] = [
  [
    "not placed yet",
    { epoch: 0, reserved: false, observed: null },
    "creating",
    /waiting for a node/,
  ],
  [
    "no node fits",
    { epoch: 0, reserved: false, observed: null, placementSummary: "no node fits: a is full" },
    "creating",
    /a is full/,
  ],
  ["placed, nothing heard", { observed: null }, "starting", null],
  [
    "coming up",
    { observed: observed({ state: "up", activity: "booting" }) },
    "starting",
    /booting/,
  ],
  ["usable", {}, "running", null],
  ["restarting", { bootSerial: 1 }, "starting", null],
  ["frozen for a fork", { observed: observed({ state: "frozen" }) }, "running", /snapshot/],
  ["its VMM died", { observed: observed({ state: "down" }) }, "starting", null],
  [
    "setting up",
    { needsBuild: true, observed: observed({ build: { done: false, step: "packages" } }) },
    "starting",
    /packages/,
  ],
  [
    "set up",
    { needsBuild: true, observed: observed({ build: { done: true, step: null } }) },
    "running",
    null,
  ],
  ["pausing", { desired: "paused", rest: { kind: "pause", state: "requested" } }, "pausing", null],
  ["stopping", { desired: "stopped", rest: { kind: "stop", state: "local" } }, "stopping", null],
  ["resumed while pausing", { rest: { kind: "pause", state: "requested" } }, "pausing", null],
  [
    "paused",
    { desired: "paused", reserved: false, rest: { kind: "pause", state: "local" } },
    "paused",
    null,
  ],
  [
    "stopped",
    { desired: "stopped", reserved: false, rest: { kind: "stop", state: "local" } },
    "stopped",
    null,
  ],
  [
    "stopped before it started",
    { desired: "stopped", reserved: false, epoch: 0 },
    "stopped",
    /never/,
  ],
  [
    "resuming, unplaced",
    { reserved: false, source: own, rest: { kind: "pause", state: "local" } },
    "resuming",
    null,
  ],
  ["resuming, placed", { source: own, observed: null, epoch: 2 }, "resuming", null],
  [
    "starting from disks",
    { source: { ...own, withMemory: false }, observed: null },
    "starting",
    null,
  ],
  [
    "a fork waits",
    { epoch: 0, reserved: false, source: { ...own, isOwn: false, state: "requested" } },
    "creating",
    /snapshot/,
  ],
  [
    "trouble that may pass",
    { observed: observed({ state: "absent", fault }) },
    "starting",
    /did not start.*2 attempts/,
  ],
  [
    "trouble that stays",
    { observed: observed({ state: "absent", fault: { ...fault, retryable: false } }) },
    "failed",
    /did not start/,
  ],
  [
    "given up",
    { reserved: false, failure: { code: "source_lost", message: "gone" } },
    "failed",
    /gone/,
  ],
  ["unreachable", { node: { name: "n1", status: "unreachable" } }, "running", /n1 is unreachable/],
  ["deleting", { desired: "deleted" }, "deleting", null],
  [
    "deleting beats failure",
    { desired: "deleted", failure: { code: "x", message: "x" } },
    "deleting",
    null,
  ],
  ["deleted", { desired: "deleted", isDeleted: true, reserved: false }, "deleted", null],
];

test("the usual situations have the phase that a user expects", () => {
  for (const [name, change, phase, reason] of CASES) {
    const view = phaseOf(facts(change));
    assert.equal(view.phase, phase, name);
    if (reason) assert.match(view.reason ?? "", reason, name);
  }
});

const snapshotState = fc.constantFrom(
  ...(["requested", "local", "durable", "failed", "deleting", "deleted"] as const),
);
const anyFacts: fc.Arbitrary<BoxFacts> = fc.record({
  desired: fc.constantFrom(...DESIRED_STATES),
  epoch: fc.integer({ min: 0, max: 3 }),
  isDeleted: fc.boolean(),
  reserved: fc.boolean(),
  bootSerial: fc.integer({ min: 0, max: 2 }),
  failure: fc.constantFrom(null, { code: "x", message: "x" }),
  source: fc.option(
    fc.record({ state: snapshotState, withMemory: fc.boolean(), isOwn: fc.boolean() }),
  ),
  rest: fc.option(fc.record({ kind: fc.constantFrom("pause", "stop"), state: snapshotState })),
  node: fc.constantFrom(null, { name: "n1", status: "ready" }, { name: "n1", status: "removed" }),
  observed: fc.option(
    fc.record({
      state: fc.constantFrom(...HOST_STATES),
      bootSerial: fc.integer({ min: 0, max: 2 }),
      activity: fc.constantFrom(null, "booting"),
      fault: fc.constantFrom(null, fault, { ...fault, retryable: false }),
      build: fc.option(fc.record({ done: fc.boolean(), step: fc.constantFrom(null, "setup") })),
    }),
  ),
  needsBuild: fc.boolean(),
  placementSummary: fc.constantFrom(null, "no node fits"),
});

test("every combination has an answer, and no answer promises what is not there", () => {
  fc.assert(
    fc.property(anyFacts, (box) => {
      const { phase, reason, next } = phaseOf(box);
      assert.ok(PHASES.includes(phase));
      if (phase === "running") {
        assert.ok(box.reserved && box.desired === "running");
        assert.ok(box.observed?.state === "ready" || box.observed?.state === "frozen");
      }
      if (phase === "paused" || phase === "stopped") assert.ok(!box.reserved);
      if (phase === "deleted") assert.ok(box.isDeleted);
      if (phase === "failed") assert.ok(reason && next, "a failure has a reason and a next step");
      if (box.desired === "deleted") assert.ok(phase === "deleting" || phase === "deleted");
    }),
    { numRuns: 5000 },
  );
});

test("an operation ends when its goal is reached, given up, or replaced", () => {
  const box = { generation: 2, desired: "paused", phase: "pausing" } as const;
  assert.equal(judgeOperation({ generation: 2 }, box), "running");
  assert.equal(judgeOperation({ generation: 1 }, box), "superseded");
  assert.equal(judgeOperation({ generation: 2 }, { ...box, phase: "paused" }), "succeeded");
  assert.equal(judgeOperation({ generation: 2 }, { ...box, phase: "failed" }), "failed");
});
