import assert from "node:assert/strict";
import { test } from "node:test";
import { abortable, Turnstile } from "#node/limits.ts";

test("abortable work is left behind when the signal aborts", async () => {
  const stop = new AbortController();
  const never = new Promise<void>(() => {});
  const waiting = abortable(never, stop.signal);
  stop.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  await assert.rejects(abortable(never, stop.signal), /enough/);
  assert.equal(await abortable(Promise.resolve(1), new AbortController().signal), 1);
});

test("a turnstile lets so many in, in order, and forgets who gave up", async () => {
  const { signal } = new AbortController();
  const turnstile = new Turnstile(1);
  const leave = await turnstile.enter(signal);
  const order: string[] = [];
  const giveUp = new AbortController();
  const lost = turnstile.enter(giveUp.signal);
  const second = turnstile.enter(signal).then((done) => {
    order.push("second");
    return done;
  });
  giveUp.abort(new Error("gave up"));
  await assert.rejects(lost, /gave up/);
  assert.deepEqual(order, []);
  leave();
  leave();
  (await second)();
  assert.deepEqual(order, ["second"]);
  (await turnstile.enter(signal))();
});
