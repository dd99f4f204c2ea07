// Decimals that are exact, and what an hour of a box costs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fc } from "#test/harness/fc.ts";
import { formatDecimal, hourlyPrice, parseDecimal, RESOURCES, UNITS } from "./price.ts";

test("a decimal is what was written, without zeros at its end", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 10n ** 20n }), (billionths) => {
      assert.equal(parseDecimal(formatDecimal(billionths)), billionths);
    }),
  );
  assert.equal(formatDecimal(parseDecimal("0012.500000000")), "12.5");
  assert.equal(formatDecimal(-1n), "-0.000000001");
  for (const text of ["", "1.", ".5", "1e3", "-1", "1.0000000001", "١"])
    assert.throws(() => parseDecimal(text), text);
});

test("an hour costs each resource's amount times its price, and nothing that has none", () => {
  const spec = { cpus: 4, memoryMib: 1536, rootDiskGib: 20, homeDiskGib: 10, gpus: 1 };
  const prices = { vcpu: "0.02", memory: "0.01", gpu: "1.1", disk_running: "0.0001" };
  const { running, paused, stopped, lines } = hourlyPrice(spec, prices);
  assert.equal(running, "1.198");
  assert.deepEqual([paused, stopped], ["0", "0"]);
  assert.deepEqual(
    lines.map(({ resource, amount, cost }) => [resource, amount, cost]),
    [
      ["vcpu", "4", "0.08"],
      ["memory", "1.5", "0.015"],
      ["gpu", "1", "1.1"],
      ["disk_running", "30", "0.003"],
    ],
  );
  assert.equal(hourlyPrice({ ...spec, gpus: 0 }, {}).running, "0");
  assert.ok(RESOURCES.every((resource) => UNITS[resource].perUnit > 0));
});
