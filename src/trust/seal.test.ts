// What is sealed opens with its key and purpose only, and shows every change.

import assert from "node:assert/strict";
import { test } from "node:test";
import { makeSealKey, sealer } from "./seal.ts";

test("it opens for its own purpose, and no two seals look alike", () => {
  const { seal, open } = sealer(makeSealKey());
  const sealed = seal("a", "sécret");
  assert.equal(open("a", sealed), "sécret");
  assert.equal(open("b", sealed), null);
  assert.notEqual(seal("a", "sécret"), sealed);
  assert.ok(!sealed.includes("cret"));
  assert.equal(open("a", seal("a", "")), "");
});

test("another key, a changed byte, a cut or strange text open nothing", () => {
  const { seal, open } = sealer(makeSealKey());
  const sealed = seal("a", "secret");
  assert.equal(sealer(makeSealKey()).open("a", sealed), null);
  const bytes = Buffer.from(sealed.slice(3), "base64url");
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.equal(open("a", `v1.${changed.toString("base64url")}`), null, `byte ${at}`);
  }
  for (const text of ["", "v1.", "v1.AAAA", sealed.slice(0, -4), sealed.slice(3), "secret"])
    assert.equal(open("a", text), null, text);
  assert.throws(() => sealer("short"), /32 bytes/);
});
