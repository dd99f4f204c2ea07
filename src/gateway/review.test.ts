import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "#lib/clock.ts";
import { reviewOnChange } from "./review.ts";

/** Changes, and pauses that the test ends. */
function world() {
  const sleeping: (() => void)[] = [];
  const clock: Clock = {
    nowMs: () => 0,
    monotonicMs: () => 0,
    sleep: (_ms, signal) =>
      new Promise((done, fail) => {
        sleeping.push(done);
        signal?.addEventListener("abort", () => fail(signal.reason), { once: true });
      }),
  };
  const listeners = new Set<() => void>();
  const known = {
    onChange: (listener: () => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const change = () => {
    for (const listener of listeners) listener();
  };
  return { options: { known, clock }, change, sleeping, listeners };
}

test("a burst of changes is one review now, and one after a pause", async () => {
  const { options, change, sleeping, listeners } = world();
  let reviews = 0;
  const stop = reviewOnChange(new Set(["one"]), () => (reviews += 1), options);
  for (let n = 0; n < 100; n += 1) change();
  assert.equal(reviews, 1, "at once");
  await nextTurn();
  assert.equal(sleeping.length, 1);
  sleeping.pop()?.();
  await nextTurn();
  assert.equal(reviews, 2, "what changed meanwhile");
  sleeping.pop()?.();
  await nextTurn();
  change();
  assert.equal(reviews, 3);
  stop();
  change();
  await nextTurn();
  assert.deepEqual([reviews, listeners.size], [3, 0]);
});

test("of many a part at a time, and what is gone or new meanwhile is seen so", async () => {
  const { options, change } = world();
  const items = new Set(Array.from({ length: 20_000 }, (_, n) => n));
  const seen = new Set<number>();
  const stop = reviewOnChange(items, (item) => seen.add(item), options);
  change();
  const first = seen.size;
  assert.ok(first > 0 && first < 2000, `${first} before anything else`);
  items.delete(19_999);
  items.add(20_000);
  let turns = 0;
  while (!seen.has(20_000)) {
    turns += 1;
    await nextTurn();
  }
  assert.ok(turns > 5, `${turns} turns of the loop between`);
  assert.ok(!seen.has(19_999));
  assert.equal(seen.size, 20_000);
  stop();
});
