// A key that nobody named is called by its comment.

import assert from "node:assert/strict";
import { test } from "node:test";
import { nameOfKey } from "./key-name.ts";

test("comment, else type, else something", () => {
  assert.equal(nameOfKey("ssh-ed25519 AAAA ann@laptop\n"), "ann@laptop");
  assert.equal(nameOfKey("ssh-ed25519 AAAA my own laptop"), "my own laptop");
  assert.equal(nameOfKey("ssh-ed25519 AAAA"), "ssh-ed25519");
  assert.equal(nameOfKey("  "), "key");
});
