import assert from "node:assert/strict";
import { test } from "node:test";
import {
  PREVIEW_CODE_LIFETIME_MS,
  PREVIEW_PASS_LIFETIME_MS,
  previewCheck,
  previewSigner,
} from "#trust/preview-tokens.ts";
import { makeTicketKey, TicketError, ticketCheck } from "#trust/tickets.ts";

const NOW_MS = 1_790_000_000_000;
const key = makeTicketKey();
const sign = previewSigner(key.privateKeyPem);
const check = previewCheck([key.publicKeyPem]);
const PASS = { previewId: "preview_1", serial: 3, credentialId: "session_1", userId: "usr_1" };
const SKEW_MS = 60_000;

const rejected = (reason: TicketError["reason"]) => (error: unknown) =>
  error instanceof TicketError && error.reason === reason;

test("a pass and a link say what was signed, for as long as they last", async () => {
  const pass = await sign.pass(PASS, NOW_MS);
  const { kind, expiresAtMs, ...said } = await check.pass(pass, NOW_MS);
  assert.deepEqual([kind, expiresAtMs, said], ["pass", NOW_MS + PREVIEW_PASS_LIFETIME_MS, PASS]);
  const over = NOW_MS + PREVIEW_PASS_LIFETIME_MS + SKEW_MS;
  await assert.rejects(check.pass(pass, over), rejected("expired"));
  const link = await sign.link({ ...PASS, userId: null }, NOW_MS, 1000);
  assert.equal((await check.pass(link, NOW_MS)).kind, "link");
  await assert.rejects(check.pass(link, NOW_MS + SKEW_MS), rejected("expired"));
});

test("a code carries a pass for a minute", async () => {
  const said = { codeId: "c1", previewId: "preview_1", nonceHash: "abc", pass: "g" };
  const code = await sign.code(said, NOW_MS);
  assert.deepEqual(await check.code(code, NOW_MS), said);
  const over = NOW_MS + PREVIEW_CODE_LIFETIME_MS + SKEW_MS;
  await assert.rejects(check.code(code, over), rejected("expired"));
});

test("none is taken for another, nor when another key signed it", async () => {
  const pass = await sign.pass(PASS, NOW_MS);
  const code = await sign.code({ codeId: "c", previewId: "p", nonceHash: "n", pass }, NOW_MS);
  await assert.rejects(check.code(pass, NOW_MS), rejected("invalid"));
  await assert.rejects(check.pass(code, NOW_MS), rejected("invalid"));
  await assert.rejects(ticketCheck([key.publicKeyPem])(pass, NOW_MS), rejected("invalid"));
  const other = previewCheck([makeTicketKey().publicKeyPem]);
  await assert.rejects(other.pass(pass, NOW_MS), rejected("invalid"));
});
