// A box on a lost node: every combination of facts has the safe answer.

import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeLostBox, type KeptState, type LostBoxFacts } from "./lost-box.ts";

const state = (snapshotId: string, isDurable = true): KeptState => ({
  ...{ snapshotId, withMemory: true, isDurable },
});

function facts(change: Partial<LostBoxFacts> = {}): LostBoxFacts {
  return {
    ...{ cameUp: true, isComingToRest: false, source: state("prebuild"), lastDurable: null },
    ...change,
  };
}

test("what ran goes on only from a durable snapshot of its own, and what came later is told as lost", () => {
  const own = state("own");
  assert.deepEqual(judgeLostBox(facts({ lastDurable: own })), {
    ...{ do: "restart", from: own, loses: true },
  });
  for (const lastDurable of [null, state("own", false)])
    assert.equal(judgeLostBox(facts({ lastDurable })).do, "wait");
});

test("what never came up begins elsewhere from the same source, when that is durable", () => {
  const source = state("prebuild");
  assert.deepEqual(judgeLostBox(facts({ cameUp: false })), {
    ...{ do: "restart", from: source, loses: false },
  });
  assert.deepEqual(judgeLostBox(facts({ cameUp: false, source: null })), {
    ...{ do: "restart", from: null, loses: false },
  });
  assert.equal(judgeLostBox(facts({ cameUp: false, source: state("s", false) })).do, "wait");
});

test("what was coming to rest waits for its node, whatever else is there", () => {
  for (const cameUp of [true, false])
    assert.equal(
      judgeLostBox(facts({ cameUp, isComingToRest: true, lastDurable: state("own") })).do,
      "wait",
    );
});
