// Escape sequences of a box against a terminal that would obey every one of them, with the refusal and without.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { cleanTitle, refuseReports } from "./box-output.ts";

// xterm.js is made for pages and bundlers; its parser, and what it answers, need neither.
Object.assign(globalThis, { window: globalThis, self: globalThis });
const { Terminal } = createRequire(import.meta.url)(
  "@xterm/xterm",
) as typeof import("@xterm/xterm");

const ESC = "\x1b";
const CLIPBOARD = [`${ESC}]52;c;c3RvbGVu\x07`, `${ESC}]52;c;?\x07`, `${ESC}]52;p;c3RvbGVu${ESC}\\`];
const REPORTS = [11, 13, 14, 15, 16, 18, 19, 20, 21].map((code) => `${ESC}[${code}t`);

/** What comes of it: answers that would be typed into the box, and what would be done with the clipboard. */
async function show(output: string, isRefusing: boolean) {
  const term = new Terminal({
    allowProposedApi: true,
    windowOptions: { getWinTitle: true, getIconTitle: true, getWinSizeChars: true },
  });
  const typed: string[] = [];
  const clipboard: string[] = [];
  term.onData((text) => typed.push(text));
  // As the add-on for the clipboard does.
  term.parser.registerOscHandler(52, (data) => clipboard.push(data) > 0);
  if (isRefusing) refuseReports(term);
  await new Promise<void>((done) => term.write(output, done));
  term.dispose();
  return { typed, clipboard };
}

test("nothing that a box prints reaches the clipboard or asks the window", async () => {
  const all = [`${ESC}]0;rm -rf ~\x07`, ...CLIPBOARD, ...REPORTS].join("");
  assert.deepEqual(await show(all, true), { typed: [], clipboard: [] });
});

test("without the refusal the same would", async () => {
  for (const sequence of CLIPBOARD)
    assert.equal((await show(sequence, false)).clipboard.length, 1, JSON.stringify(sequence));
  assert.deepEqual((await show(REPORTS.join(""), false)).typed, [`${ESC}[8;24;80t`]);
});

test("what programs need to know they are still told", async () => {
  const { typed } = await show(`${ESC}[c${ESC}[6n`, true);
  assert.deepEqual(typed, [`${ESC}[?1;2c`, `${ESC}[1;1R`]);
});

test("a title is short, and of characters that are seen", () => {
  assert.equal(cleanTitle("vim\n\x1b[31m\u202egnp.exe\u200b"), "vim[31mgnp.exe");
  assert.equal(cleanTitle("x".repeat(1000)).length, 80);
});
