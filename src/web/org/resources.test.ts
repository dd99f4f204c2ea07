import assert from "node:assert/strict";
import { test } from "node:test";
import type { Quota } from "../data/types.ts";
import { waysToFree } from "./resources.ts";

test("what is full says so, and what makes room; what is not says nothing", () => {
  const quotaOf = (usage: object, limits: object) => {
    const none = { boxes: 0, running: 0, cpus: 0, memoryMib: 0, gpus: 0, diskGib: 0 };
    const zero = { ...none, snapshotBytes: 0, sharedPorts: 0, createsPerHour: 0 };
    const free = Object.fromEntries(Object.keys(zero).map((name) => [name, null]));
    return { usage: { ...zero, ...usage }, limits: { ...free, ...limits } } as unknown as Quota;
  };
  assert.deepEqual(waysToFree(quotaOf({ boxes: 5 }, { boxes: 10, cpus: 0 })), []);
  assert.deepEqual(waysToFree(quotaOf({ running: 9, cpus: 16 }, { running: 10, cpus: 16 })), [
    "Running boxes, vCPUs running: full, so more is refused. To free it, pause or stop boxes.",
  ]);
  assert.deepEqual(waysToFree(quotaOf({ boxes: 9 }, { boxes: 10 })), [
    "Boxes: nearly full. To free it, delete boxes, or hand them over to somebody else.",
  ]);
});
