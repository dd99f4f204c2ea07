// The catalogue of errors against the places that throw them, both ways, and against its printed page.

import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { ERROR_CODES, ERRORS } from "#contract/errors.ts";

/** A comparison in the argument has literals that are no codes: reason === "expired". */
const isCode = (text: string) => text !== "expired";

/** Codes given to a Problem or a StoreRefusal, or mapped to one in api/problem.ts. */
function thrownCodes(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const note = (code: string, file: string) => found.set(code, [...(found.get(code) ?? []), file]);
  for (const file of globSync("src/{api,store,identity,gateway,node}/**/*.ts")) {
    if (file.endsWith(".test.ts")) continue;
    const source = readFileSync(file, "utf8");
    // The first argument may choose between codes.
    for (const [, first = ""] of source.matchAll(/new (?:Problem|StoreRefusal)\(([^,]*),/g))
      for (const [, code = ""] of first.matchAll(/"(\w+)"/g)) if (isCode(code)) note(code, file);
    if (file === "src/api/problem.ts")
      for (const [, code = ""] of source.matchAll(/FST_\w+: "(\w+)"/g)) note(code, file);
  }
  return found;
}

test("every code of the catalogue is thrown somewhere, and nothing else is", () => {
  assert.deepEqual([...thrownCodes().keys()].sort(), [...ERROR_CODES].sort());
});

test("every entry tells a status of its kind, and a next step in a sentence", () => {
  for (const [code, entry] of Object.entries(ERRORS)) {
    assert.ok(entry.status >= 400 && entry.status < 600, code);
    assert.match(entry.next, /^[A-Z].*[.)]$/, code);
    assert.doesNotMatch(entry.title, /[.!]$/, code);
    assert.match(code, /^[a-z]+(_[a-z]+)*$/);
  }
});

test("the printed page has a row for each code, and no other", () => {
  const rows = readFileSync("gen/errors.md", "utf8").matchAll(/^\| `(\w+)` \| (\d+) /gm);
  assert.deepEqual(
    [...rows].map(([, code, status]) => [code, Number(status)]),
    Object.entries(ERRORS).map(([code, { status }]) => [code, status]),
  );
});
