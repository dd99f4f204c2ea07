// What the line below a terminal says.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ExecError } from "#sdk/exec-error.ts";
import type { SessionStatus } from "#sdk/exec-session.ts";
import { statusLine } from "./status-line.ts";

const attached: SessionStatus = {
  kind: "attached",
  isTerminal: true,
  size: { rows: 24, cols: 80 },
  replayBytes: 0,
};
const waiting: SessionStatus = { kind: "waiting", retryMs: 2000, error: new Error("lost") };

test("it says how the connection stands, and when the next try is", () => {
  assert.equal(statusLine(attached, "running", "web", 0).text, "Connected");
  assert.equal(statusLine(waiting, "running", "web", 1400).text, "Reconnecting in 2 s: lost");
  assert.equal(
    statusLine({ kind: "connecting", attempt: 0 }, "running", "web", 0).text,
    "Connecting…",
  );
});

test("a box at rest says so, whatever its connection does", () => {
  assert.equal(statusLine(waiting, "paused", "web", 1400).text, "web is paused");
  assert.equal(statusLine(attached, "pausing", "web", 0).text, "web is pausing");
});

test("an end is told in words", () => {
  assert.equal(
    statusLine({ kind: "exited", exitCode: 3 }, "running", "web", 0).text,
    "Ended with 3",
  );
  const gone = new ExecError("no_such_session", "no such session");
  const line = statusLine({ kind: "failed", error: gone }, "running", "web", 0);
  assert.equal(line.tone, "bad");
  assert.match(line.text, /not in the box any more/);
});
