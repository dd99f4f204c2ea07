import assert from "node:assert/strict";
import { test } from "node:test";
import { seedCrypto } from "./random.ts";
import { simulate } from "./simulation.ts";

/** SEED=N runs that one alone; FIRST_SEED=N begins there. */
const given = process.env.SEED;
const first = Number(given ?? process.env.FIRST_SEED ?? 1);
const BUDGET_MS = Number(process.env.SIM_MS ?? 75_000);

test(`random histories from seed ${first}`, { timeout: 15 * 60_000 }, async (t) => {
  const startedMs = performance.now();
  const sum = { histories: 0, requests: 0, steps: 0, faults: 0 };
  const kinds: Record<string, number> = {};
  for (let seed = first; ; seed += 1) {
    const options = { seed, nodes: 3, boxes: 60, requests: 400 };
    await t.test(`seed ${seed}`, async (s) => {
      seedCrypto(seed);
      const outcome = await simulate(s, options);
      sum.histories += outcome.boxes;
      sum.requests += outcome.requests;
      sum.steps += outcome.steps;
      for (const [kind, count] of Object.entries(outcome.faults)) {
        kinds[kind] = (kinds[kind] ?? 0) + count;
        sum.faults += count;
      }
    });
    if (given || performance.now() - startedMs > BUDGET_MS) break;
  }
  t.diagnostic(JSON.stringify(sum));
  t.diagnostic(JSON.stringify(kinds));
  if (!given) assert.ok(sum.histories > 0);
});
