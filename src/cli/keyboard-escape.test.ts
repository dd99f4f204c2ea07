import assert from "node:assert/strict";
import { test } from "node:test";
import { KeyboardEscape } from "#cli/keyboard-escape.ts";

/** All keys at once, and one by one, must say the same. */
function typed(keys: string): [string, boolean] {
  const whole = new KeyboardEscape().push(Buffer.from(keys));
  const keyboard = new KeyboardEscape();
  let sent = "";
  let isLeaving = false;
  for (const key of keys) {
    if (isLeaving) break;
    const step = keyboard.push(Buffer.from(key));
    sent += Buffer.from(step.send).toString();
    isLeaving = step.isLeaving;
  }
  assert.deepEqual([Buffer.from(whole.send).toString(), whole.isLeaving], [sent, isLeaving]);
  return [sent, isLeaving];
}

test("~. leaves at the beginning of a line, and nowhere else", () => {
  assert.deepEqual(typed("~."), ["", true]);
  assert.deepEqual(typed("ls\r~."), ["ls\r", true]);
  assert.deepEqual(typed("cd ~.x\r"), ["cd ~.x\r", false]);
  assert.deepEqual(typed("~~.\r"), ["~.\r", false]);
  assert.deepEqual(typed("~/bin/x\r"), ["~/bin/x\r", false]);
  assert.deepEqual(typed("~\r~."), ["~\r", true]);
});
