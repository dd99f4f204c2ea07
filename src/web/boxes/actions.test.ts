// What may be asked of a box, and which boxes are found.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Box, Phase } from "#sdk/client.ts";
import {
  allowedActions,
  isInView,
  mainAction,
  matches,
  noteOf,
  possibleActions,
} from "./actions.ts";

const box = (change: Partial<Box>): Box =>
  ({
    ...{ id: "box_1", name: "web", phase: "running", reason: null, fault: null, snapshot: null },
    ...{ notices: [], template: { name: "node-app", version: 1 }, node: { name: "vm-1" } },
    ...change,
  }) as unknown as Box;

test("the button follows the phase", () => {
  const expected: Partial<Record<Phase, string | null>> = {
    ...{ running: "pause", paused: "resume", stopped: "start", failed: "start", creating: null },
    ...{ pausing: "resume", deleting: null },
  };
  for (const [phase, action] of Object.entries(expected))
    assert.equal(mainAction(possibleActions({ phase: phase as Phase })), action, phase);
});

test("who may enter a box and not run it is offered a fork, if they may make boxes", () => {
  const may = (given: readonly string[]) => (permission: string) => given.includes(permission);
  assert.deepEqual(allowedActions({ phase: "running" }, may(["box.enter"])), []);
  assert.deepEqual(allowedActions({ phase: "running" }, may(["box.enter", "box.create"])), [
    "fork",
  ]);
  assert.deepEqual(allowedActions({ phase: "paused" }, may(["box.control"])), ["resume"]);
});

test("delete is possible until it is asked for", () => {
  for (const phase of ["creating", "running", "paused", "stopped", "failed"] as const)
    assert.ok(possibleActions({ phase }).includes("delete"), phase);
  assert.deepEqual(possibleActions({ phase: "deleting" }), []);
});

test("each box is in `all`, and those with a fault need attention", () => {
  const fault = { code: "x", message: "disk full" } as Box["fault"];
  assert.ok(isInView(box({ phase: "paused" }), "resting"));
  assert.ok(!isInView(box({ phase: "paused" }), "running"));
  assert.ok(isInView(box({ phase: "starting" }), "running"));
  assert.ok(isInView(box({ phase: "starting", fault }), "failed"));
  assert.ok(
    !isInView(box({ phase: "failed" }), "running") || isInView(box({ phase: "failed" }), "failed"),
  );
});

test("every word of a search must be found", () => {
  assert.ok(matches(box({}), "WEB running"));
  assert.ok(matches(box({}), "node-app vm-1"));
  assert.ok(!matches(box({}), "web paused"));
});

test("the note is a fault before a reason, and how far a rest snapshot is saved", () => {
  const fault = { code: "x", message: "disk full" } as Box["fault"];
  assert.equal(noteOf(box({ fault, reason: "waiting" })), "disk full");
  assert.equal(noteOf(box({ reason: "waiting" })), "waiting");
  const snapshot = { durable: false, progress: 0.456 } as Box["snapshot"];
  assert.equal(noteOf(box({ snapshot })), "Saving, 45 %");
  assert.equal(noteOf(box({})), null);
});
