import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { test } from "node:test";
import { SignJWT } from "jose";
import {
  makeTicketKey,
  type NewTicket,
  TicketError,
  ticketCheck,
  ticketOpens,
  ticketPublicKey,
  ticketSigner,
} from "./tickets.ts";

const NOW_MS = 1_790_000_000_000;
const key = makeTicketKey();
const sign = ticketSigner(key.privateKeyPem);
const check = ticketCheck([key.publicKeyPem]);

const TICKET: NewTicket = {
  userId: "usr_0123456789abcdefghjk",
  orgId: "org_0123456789abcdefghjk",
  boxId: "box_0123456789abcdefghjk",
  epoch: 3,
  ports: [22, 1],
  kinds: ["port"],
  session: null,
  credentialId: "token_0123456789abcdefghjk",
  origin: null,
  gatewayUrl: null,
};
const SIGNED = { ticketId: "t", issuedAtMs: NOW_MS };
/** A ticket's own name is random. */
const read = async (ticket: string, nowMs: number, by = check) => {
  const { ticketId, issuedAtMs, ...said } = await by(ticket, nowMs);
  assert.equal(issuedAtMs, NOW_MS);
  assert.match(ticketId, /^[0-9a-f-]{36}$/);
  return said;
};

const rejected = (reason: TicketError["reason"]) => (error: unknown) =>
  error instanceof TicketError && error.reason === reason;

test("a ticket says what was signed, for five minutes", async () => {
  const { ticket, expiresAtMs } = await sign(TICKET, NOW_MS);
  assert.deepEqual(await read(ticket, NOW_MS), TICKET);
  assert.equal(expiresAtMs, NOW_MS + 5 * 60_000);
  assert.deepEqual(await read(ticket, expiresAtMs - 1000), TICKET);
  await assert.rejects(check(ticket, expiresAtMs + 60_000), rejected("expired"));
});

test("a ticket signed by another key is not valid, and several keys may be good", async () => {
  const other = makeTicketKey();
  const { ticket } = await sign(TICKET, NOW_MS);
  await assert.rejects(ticketCheck([other.publicKeyPem])(ticket, NOW_MS), rejected("invalid"));
  const both = ticketCheck([other.publicKeyPem, ticketPublicKey(key.privateKeyPem)]);
  assert.deepEqual(await read(ticket, NOW_MS, both), TICKET);
  await assert.rejects(ticketCheck([])(ticket, NOW_MS), rejected("invalid"));
});

test("changed, unsigned, foreign and incomplete tickets are not valid", async () => {
  const { ticket } = await sign(TICKET, NOW_MS);
  const [header = "", payload = "", signature = ""] = ticket.split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString());
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const unsigned = `${encode({ alg: "none", typ: "JWT" })}.${payload}.`;
  const moved = `${header}.${encode({ ...claims, box: "box_kjhgfedcba9876543210" })}.${signature}`;
  for (const wrong of ["", "x", "a.b.c", unsigned, moved, `${ticket}x`])
    await assert.rejects(check(wrong, NOW_MS), rejected("invalid"), wrong);

  const signed = (change: object) =>
    new SignJWT({ ...claims, ...change })
      .setProtectedHeader({ alg: "EdDSA" })
      .sign(createPrivateKey(key.privateKeyPem));
  assert.deepEqual(await read(await signed({}), NOW_MS), TICKET);
  const changes = [
    { aud: "berth-api" },
    { iss: "somebody" },
    { sub: undefined },
    { exp: undefined },
    { box: "" },
    { epoch: "3" },
    { ports: ["22"] },
    { ports: [0] },
    { ports: undefined },
    { kinds: ["root"] },
    { cred: undefined },
    { jti: "" },
    { origin: 7 },
    { session: { id: "main", mode: "root" } },
  ];
  for (const change of changes)
    await assert.rejects(
      check(await signed(change), NOW_MS),
      rejected("invalid"),
      JSON.stringify(change),
    );
});

test("a ticket opens the ports and kinds that it names, and no other", () => {
  const opens = (change: Partial<NewTicket>, door: Parameters<typeof ticketOpens>[1]) =>
    ticketOpens({ ...TICKET, ...SIGNED, ...change }, door);
  assert.equal(opens({}, { port: 22 }), true);
  assert.equal(opens({}, { port: 80 }), false);
  assert.equal(opens({}, { console: true }), false);
  assert.equal(opens({ ports: "any" }, { port: 80 }), true);
  assert.equal(opens({ kinds: ["console"] }, { port: 22 }), false);
  assert.equal(opens({ kinds: ["console"] }, { console: true }), true);
});

test("a ticket for one exec session opens no other, and one for looking only looks", () => {
  const opens = (mode: "read" | "write", door: Parameters<typeof ticketOpens>[1]) =>
    ticketOpens({ ...TICKET, ...SIGNED, kinds: ["session"], session: { id: "main", mode } }, door);
  assert.equal(opens("read", { session: "main", mode: "read" }), true);
  assert.equal(opens("read", { session: "main", mode: "write" }), false);
  assert.equal(opens("write", { session: "main", mode: "write" }), true);
  assert.equal(opens("write", { session: "main", mode: "read" }), true);
  assert.equal(opens("write", { session: "other", mode: "read" }), false);
  assert.equal(opens("write", { port: 1 }), false);
});
