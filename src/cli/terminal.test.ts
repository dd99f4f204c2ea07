import assert from "node:assert/strict";
import { test } from "node:test";
import { recordedTerminal } from "#test/harness/terminal.ts";
import { wrap } from "./exit.ts";
import { Progress } from "./progress.ts";
import { facts, fit, table } from "./table.ts";
import { age, bytes, duration, plain, plainLine } from "./terminal.ts";

test("text of others cannot drive the terminal", () => {
  assert.equal(plain("a\u001b[2Jb"), "a\\u001b[2Jb");
  assert.equal(plain("x\u009b31m\u202eabc\u0007\r"), "x\\u009b31m\\u202eabc\\u0007\\u000d");
  assert.equal(plain("kept:\tä€😀\nnext"), "kept:\tä€😀\nnext");
  assert.equal(plainLine("one\r\ntwo\n\nthree"), "one two three");
  assert.ok(!table(["A"], [["\u001b]52;c;aGk=\u0007"]]).includes("\u001b"));
  assert.ok(!facts([["name", "\u001b[31mred"]]).includes("\u001b"));
});

test("columns are as wide as their widest cell", () => {
  assert.equal(
    table(
      ["NAME", "PHASE"],
      [
        ["a", "running"],
        ["longer", "paused"],
      ],
    ),
    "NAME    PHASE\na       running\nlonger  paused\n",
  );
});

test("facts leave out what is null and list what is several", () => {
  assert.equal(
    facts([
      ["name", "web"],
      ["gone", null],
      ["notes", ["one", "two"]],
    ]),
    "name   web\nnotes  one\n       two\n",
  );
});

test("ages, durations and sizes are short", () => {
  const nowMs = Date.parse("2026-01-02T00:00:00Z");
  const before = (seconds: number) => new Date(nowMs - seconds * 1000).toISOString();
  assert.deepEqual(
    [0, 42, 185, 7200, 86_400 * 3, -5].map((seconds) => age(before(seconds), nowMs)),
    ["now", "42 s", "3 min", "2 h", "3 d", "now"],
  );
  assert.deepEqual([820, 12_340, 125_000].map(duration), ["0.8 s", "12.3 s", "2 min 05 s"]);
  assert.deepEqual([5, 2048, 3 * 1024 ** 3].map(bytes), ["5 B", "2.0 KiB", "3.0 GiB"]);
});

test("text is broken at spaces only", () => {
  assert.equal(wrap("aaa bbb ccc", 7), "aaa bbb\nccc");
  assert.equal(wrap("averylongword x", 5), "averylongword\nx");
});

test("without a terminal, progress is a line for each change", async () => {
  const terminal = recordedTerminal();
  const progress = new Progress(terminal);
  const line = progress.line("web");
  line.update("creating");
  line.update("creating");
  line.update("starting: restoring \u001b[31mmemory");
  line.done("running");
  await progress.close();
  assert.match(
    terminal.written.err,
    /^web: creating\nweb: starting: restoring \\u001b\[31mmemory\nweb: running \(\d+\.\d s\)\n$/,
  );
  assert.equal(terminal.written.out, "");
});

test("on a terminal, lines are redrawn in place and stay when it ends", async () => {
  const terminal = recordedTerminal({ isLive: true, columns: 40 });
  const progress = new Progress(terminal);
  const line = progress.line("web");
  line.update(`starting ${"x".repeat(100)}`);
  progress.note("a note above");
  line.fail("failed");
  await progress.close();
  const { err } = terminal.written;
  assert.ok(err.includes("\u001b[1A\u001b[0J"), "redraws over the earlier lines");
  for (const drawn of err.split("\n")) assert.ok(drawn.replace(/\p{Cc}\[\w+/gu, "").length <= 40);
  assert.match(err, /✗ web {2}failed \d/);
  assert.ok(err.includes("a note above\n"));
});

test("what is too wide goes on below its last column; nothing is cut away", () => {
  const text = table(["NAME", "NOTE"], [["web", "emulated: slow, no security boundary"]]);
  assert.equal(fit(text, 30), "NAME  NOTE\nweb   emulated: slow, no\n      security boundary\n");
  assert.equal(fit(text, 80), text);
  const narrow = fit("a-very-long-name  another-column  the note of it\n", 24);
  assert.equal(narrow, "a-very-long-name \n    another-column  the\n    note of it\n");
});
