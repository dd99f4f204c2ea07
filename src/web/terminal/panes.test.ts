// Tabs and panes of a box's terminals.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SESSION_ID } from "#contract/gateway-protocol.ts";
import { closePane, NO_PANES, newSessionId, openTab, parsePanes, splitTab } from "./panes.ts";

const pane = (session: string) => ({ session, mode: "write" as const });

test("a session is shown once: opening it again brings its tab forward", () => {
  const two = openTab(openTab(NO_PANES, pane("a")), pane("b"));
  assert.equal(two.active, "b");
  const again = openTab(two, { session: "a", mode: "read" });
  assert.equal(again.tabs.length, 2);
  assert.equal(again.active, "a");
});

test("a tab is split into four at most", () => {
  let panes = openTab(NO_PANES, pane("a"));
  for (const session of ["b", "c", "d", "e"]) panes = splitTab(panes, "a", pane(session));
  assert.deepEqual(
    panes.tabs[0]?.panes.map((one) => one.session),
    ["a", "b", "c", "d"],
  );
});

test("closing the first pane keeps the tab, closing the last brings a neighbour forward", () => {
  let panes = openTab(openTab(openTab(NO_PANES, pane("a")), pane("b")), pane("c"));
  panes = splitTab(panes, "b", pane("b2"));
  panes = { ...panes, active: "b" };
  panes = closePane(panes, "b");
  assert.equal(panes.active, "b");
  assert.deepEqual(panes.tabs[1]?.panes, [pane("b2")]);
  panes = closePane(panes, "b2");
  assert.equal(panes.active, "c");
  panes = closePane(closePane(panes, "c"), "a");
  assert.deepEqual(panes, NO_PANES);
});

test("what the browser kept comes back, and nonsense does not", () => {
  const panes = splitTab(openTab(openTab(NO_PANES, pane("a")), pane("b")), "b", pane("b2"));
  assert.deepEqual(parsePanes(JSON.stringify(panes)), panes);
  for (const text of [null, "", "1", "[]", "{", '{"tabs":[{}]}', '{"tabs":1}'])
    assert.deepEqual(parsePanes(text), NO_PANES, String(text));
  const evil = JSON.stringify({ tabs: [{ id: "x", panes: [{ session: "../x", mode: "write" }] }] });
  assert.deepEqual(parsePanes(evil), NO_PANES);
});

test("new ids are such as the box takes, and differ", () => {
  const ids = new Set(Array.from({ length: 200 }, newSessionId));
  assert.equal(ids.size, 200);
  for (const id of ids) assert.match(id, SESSION_ID);
});
