// What is due of a budget, for any amounts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fc } from "#test/harness/fc.ts";
import { judgeBudget, nextMonth } from "./budget.ts";
import { formatDecimal } from "./price.ts";

test("every threshold that is reached and was not told is due, once; spent means all of it", () => {
  const money = fc.bigInt({ min: 0n, max: 10n ** 15n });
  fc.assert(
    fc.property(
      money.map((n) => n + 1n),
      money,
      fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 6 }),
      (amount, spent, thresholds) => {
        const facts = { amount: formatDecimal(amount), spent: formatDecimal(spent), thresholds };
        const { due, isExhausted, percent } = judgeBudget({ ...facts, told: [] });
        const reached = thresholds.filter((one) => spent * 100n >= BigInt(one) * amount);
        assert.deepEqual(
          due,
          [...new Set(reached)].sort((a, b) => a - b),
        );
        assert.equal(isExhausted, spent >= amount);
        assert.equal(isExhausted, percent >= 100);
        assert.deepEqual(judgeBudget({ ...facts, told: due }).due, []);
      },
    ),
  );
});

test("the next month begins on its first day, also after December", () => {
  assert.equal(nextMonth("2026-11-01"), "2026-12-01T00:00:00.000Z");
  assert.equal(nextMonth("2026-12-01"), "2027-01-01T00:00:00.000Z");
});
