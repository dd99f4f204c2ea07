// What people type for a new box.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseEnv, problemOfName } from "./new-box.ts";

test("names are those that the API takes", () => {
  for (const name of ["", "web", "w", "web-2", "a".repeat(40)])
    assert.equal(problemOfName(name), null, name);
  for (const name of ["Web", "2web", "web-", "w_b", "a".repeat(41), "-a", "wéb"])
    assert.ok(problemOfName(name), name);
});

test("an env file is read as shells write it", () => {
  assert.deepEqual(
    parseEnv('# comment\n\nPORT=3000\nexport A="b c"\nEMPTY=\nURL=http://x?a=b\nQ="'),
    {
      env: { PORT: "3000", A: "b c", EMPTY: "", URL: "http://x?a=b", Q: '"' },
    },
  );
  assert.deepEqual(parseEnv("PORT=1\nnonsense"), { problem: "Line 2 is not NAME=value" });
  assert.deepEqual(parseEnv("=x"), { problem: "Line 1 is not NAME=value" });
  assert.deepEqual(Object.keys((parseEnv("__proto__=1") as { env: object }).env), ["__proto__"]);
});
