// Names that people give themselves.

import assert from "node:assert/strict";
import { test } from "node:test";
import { personName } from "./person-name.ts";

test("a name is kept in one form", () => {
  for (const [given, kept] of [
    ["Ada", "Ada"],
    ["  Ada \u00a0 \u3000Lovelace ", "Ada Lovelace"],
    ["Ａｄａ", "Ada"],
    ["Zoe\u0308", "Zoë"],
    ["山田 太郎", "山田 太郎"],
    ["x".repeat(80), "x".repeat(80)],
  ] as const)
    assert.equal(personName(given), kept, JSON.stringify(given));
});

test("what could be taken for an address, or hides something, is no name", () => {
  for (const given of [
    ...["", "   ", "-", "x".repeat(81), "\ufdfa".repeat(5)],
    ...["ada@corp.example", "ada＠corp.example", "ada﹫corp.example"],
    ...["Ada\nBob", "Ada\u0000", "Ada\u001b[31m", "Ada\u2028", "\ud800"],
    ...["Ada\u202egro", "Ada\u2066x\u2069", "\u200fAda", "A\u200bda", "A\u00adda", "Ada\ufeff"],
    ...["Ada\u3164", "Ada\u115f", "Ada\u2800"],
  ])
    assert.equal(personName(given), null, JSON.stringify(given));
});
