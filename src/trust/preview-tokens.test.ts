import assert from "node:assert/strict";
import { test } from "node:test";
import {
  PREVIEW_CODE_LIFETIME_MS,
  PREVIEW_GRANT_LIFETIME_MS,
  previewCheck,
  previewSigner,
} from "#trust/preview-tokens.ts";
import { makeTicketKey, TicketError, ticketCheck } from "#trust/tickets.ts";

const NOW_MS = 1_790_000_000_000;
const key = makeTicketKey();
const sign = previewSigner(key.privateKeyPem);
const check = previewCheck([key.publicKeyPem]);
const GRANT = { previewId: "preview_1", serial: 3, credentialId: "session_1", userId: "usr_1" };
const SKEW_MS = 60_000;

const rejected = (reason: TicketError["reason"]) => (error: unknown) =>
  error instanceof TicketError && error.reason === reason;

test("a grant and a link say what was signed, for as long as they last", async () => {
  const grant = await sign.grant(GRANT, NOW_MS);
  const { kind, expiresAtMs, ...said } = await check.grant(grant, NOW_MS);
  assert.deepEqual([kind, expiresAtMs, said], ["grant", NOW_MS + PREVIEW_GRANT_LIFETIME_MS, GRANT]);
  const over = NOW_MS + PREVIEW_GRANT_LIFETIME_MS + SKEW_MS;
  await assert.rejects(check.grant(grant, over), rejected("expired"));
  const link = await sign.link({ ...GRANT, userId: null }, NOW_MS, 1000);
  assert.equal((await check.grant(link, NOW_MS)).kind, "link");
  await assert.rejects(check.grant(link, NOW_MS + SKEW_MS), rejected("expired"));
});

test("a code carries a grant for a minute", async () => {
  const said = { codeId: "c1", previewId: "preview_1", nonceHash: "abc", grant: "g" };
  const code = await sign.code(said, NOW_MS);
  assert.deepEqual(await check.code(code, NOW_MS), said);
  const over = NOW_MS + PREVIEW_CODE_LIFETIME_MS + SKEW_MS;
  await assert.rejects(check.code(code, over), rejected("expired"));
});

test("none is taken for another, nor when another key signed it", async () => {
  const grant = await sign.grant(GRANT, NOW_MS);
  const code = await sign.code({ codeId: "c", previewId: "p", nonceHash: "n", grant }, NOW_MS);
  await assert.rejects(check.code(grant, NOW_MS), rejected("invalid"));
  await assert.rejects(check.grant(code, NOW_MS), rejected("invalid"));
  await assert.rejects(ticketCheck([key.publicKeyPem])(grant, NOW_MS), rejected("invalid"));
  const other = previewCheck([makeTicketKey().publicKeyPem]);
  await assert.rejects(other.grant(grant, NOW_MS), rejected("invalid"));
});
