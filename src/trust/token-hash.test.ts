import assert from "node:assert/strict";
import { test } from "node:test";
import { hashToken, looksLikeToken, makeToken, tokenMatches } from "./token-hash.ts";

test("a token matches its own hash only", () => {
  const token = makeToken();
  assert.ok(looksLikeToken(token));
  assert.equal(tokenMatches(token, hashToken(token)), true);
  assert.equal(tokenMatches(makeToken(), hashToken(token)), false);
  assert.equal(tokenMatches(token, token), false);
  assert.equal(tokenMatches(token, ""), false);
  assert.equal(tokenMatches(token, hashToken(token).slice(0, 10)), false);
});

test("what is not a token does not look like one", () => {
  const token = makeToken();
  for (const text of ["", "berth_", token.slice(0, -1), `${token}x`, token.replace("berth_", "")])
    assert.equal(looksLikeToken(text), false, text);
});
