// Logging in leads only to pages of this origin, whatever the address says.

import assert from "node:assert/strict";
import { test } from "node:test";
import { safeNext } from "./next.ts";

const ORIGIN = "http://localhost:7300";
const at = (next: string) =>
  safeNext({ origin: ORIGIN, search: `?next=${encodeURIComponent(next)}` });

test("a path of this origin is gone to", () => {
  assert.equal(at("/boxes/web?session=a#b"), `${ORIGIN}/boxes/web?session=a#b`);
  assert.equal(
    at("/v1/preview-authorize?label=x&nonce=y"),
    `${ORIGIN}/v1/preview-authorize?label=x&nonce=y`,
  );
  assert.equal(safeNext({ origin: ORIGIN, search: "" }), `${ORIGIN}/`);
});

test("every other address leads home", () => {
  for (const next of [
    "https://evil.example/",
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "\n//evil.example",
    "javascript:alert(1)",
    " javascript:alert(1)",
    "data:text/html,x",
    "evil.example",
    "http://localhost:7300@evil.example/",
    "http://localhost:7301/",
  ]) {
    const url = new URL(at(next), ORIGIN);
    assert.equal(url.origin, ORIGIN, JSON.stringify(next));
    assert.ok(at(next).startsWith(`${ORIGIN}/`), JSON.stringify(next));
  }
});

test("what looks like another host inside the path stays a path", () => {
  assert.equal(at("/.//evil.example"), `${ORIGIN}//evil.example`);
  assert.equal(new URL(at("/.//evil.example")).hostname, "localhost");
});
