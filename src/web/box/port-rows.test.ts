// Ports that listen and ports that are previewed are one list.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Preview } from "../data/types.ts";
import { listenerWords, narrows, portRows } from "./port-rows.ts";

const preview = (port: number, closedAt: string | null = null) =>
  ({ id: `prv_${port}`, port, url: `http://${port}-x.localhost`, closedAt }) as Preview;

test("both kinds are merged, in order of ports", () => {
  const listening = [
    { port: 8080, isLoopback: false, program: "node", previewUrl: null },
    { port: 22, isLoopback: false, program: "sshd", previewUrl: null },
  ];
  const rows = portRows(listening, [preview(8080), preview(5173), preview(22, "2026-01-01")]);
  assert.deepEqual(
    rows.map((row) => [row.port, row.isListening, row.program, row.preview?.id ?? null]),
    [
      [22, true, "sshd", null],
      [5173, false, null, "prv_5173"],
      [8080, true, "node", "prv_8080"],
    ],
  );
});

test("narrower shuts somebody out", () => {
  assert.ok(narrows("public", "private"));
  assert.ok(narrows("org", "private"));
  assert.ok(!narrows("private", "org"));
  assert.ok(!narrows("org", "org"));
});

test("a port that nothing is known to listen on says why", () => {
  const [row] = portRows([], [preview(3000)]);
  assert.ok(row);
  assert.equal(listenerWords(row, { phase: "running" }), "nothing listens now");
  assert.equal(listenerWords(row, { phase: "paused" }), "opening it wakes the box");
  assert.equal(
    listenerWords({ ...row, isListening: true, program: "vite" }, { phase: "running" }),
    "vite",
  );
});
