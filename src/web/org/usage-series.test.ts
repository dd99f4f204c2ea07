import assert from "node:assert/strict";
import { test } from "node:test";
import { chartOf, OTHERS, roundUp, stepsOf } from "./usage-series.ts";

const DAY_MS = 86_400_000;
const row = (at: string, id: string | null, cost: string, resource = "vcpu") =>
  ({ at, id, name: id, resource, unit: "vCPU-hour", amount: "2", cost }) as never;

test("a day without usage is a gap, and the smallest are drawn together", () => {
  const steps = stepsOf("2026-11-01T00:00:00Z", "2026-11-03T05:00:00Z", DAY_MS);
  assert.equal(steps.length, 3);
  const names = ["a", "b", "c", "d", "e", "f", "g"];
  const rows = names.map((id, index) => row("2026-11-01T00:00:00Z", id, String(10 - index)));
  const { series, bars, max } = chartOf(
    [...rows, row("2026-11-03T00:00:00.000Z", null, "1")],
    "cost",
    steps,
  );
  assert.deepEqual(
    series.map(({ id, total }) => [id, total]),
    [
      ["a", 10],
      ["b", 9],
      ["c", 8],
      ["d", 7],
      ["e", 6],
      [OTHERS, 10],
    ],
  );
  assert.deepEqual(
    bars.map(({ total }) => total),
    [49, 0, 1],
  );
  assert.equal(max, 49);
});

test("an amount is of one resource only", () => {
  const steps = stepsOf("2026-11-01T00:00:00Z", "2026-11-01T01:00:00Z", DAY_MS);
  const at = "2026-11-01T00:00:00Z";
  const { series } = chartOf([row(at, "a", "1"), row(at, "a", "5", "memory")], "vcpu", steps);
  assert.deepEqual(
    series.map(({ total }) => total),
    [2],
  );
});

test("scales end at round numbers", () => {
  assert.deepEqual([0, 0.03, 1, 1.2, 23, 49, 700].map(roundUp), [1, 0.03, 1, 1.2, 30, 50, 800]);
});
