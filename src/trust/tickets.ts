// Tickets for the gateway: a JWT (EdDSA) of minutes that says who may open which streams into which
// box. The control plane signs, the gateway checks with the public key and asks nobody.

import { createPublicKey, generateKeyPairSync, randomUUID } from "node:crypto";
import { type Claims, claimsCheck, claimsSigner, TicketError } from "./signed-claims.ts";

export { TicketError };

export const TICKET_LIFETIME_MS = 5 * 60_000;

const AUDIENCE = "berth-gateway";

/**
 * `port`: a TCP port inside. `console`: what the box wrote to its serial port. `session`: the one exec session
 * that the ticket names.
 */
export type StreamKind = "port" | "console" | "session";
const STREAM_KINDS: readonly unknown[] = ["port", "console", "session"] satisfies StreamKind[];

export interface Ticket {
  readonly userId: string;
  readonly orgId: string;
  readonly boxId: string;
  /** The only placement of the box that it opens; null: whichever is current. */
  readonly epoch: number | null;
  readonly ports: readonly number[] | "any";
  readonly kinds: readonly StreamKind[];
  /** The exec session that it opens, and whether for looking only. */
  readonly session: { readonly id: string; readonly mode: "read" | "write" } | null;
  /** The token or web session that it was got by: revoking that ends its streams. */
  readonly credentialId: string;
  /**
   * The only page that may use it, as an exact origin; null: no page may. A page's ticket is taken once.
   */
  readonly origin: string | null;
  /** The only gateway that takes it, as clients know its address; null: any. A page's ticket names one. */
  readonly gatewayUrl: string | null;
  /** Names this ticket; the signer makes it. */
  readonly ticketId: string;
  /** To the second. */
  readonly issuedAtMs: number;
}

/** What a signer is given. */
export type NewTicket = Omit<Ticket, "ticketId" | "issuedAtMs">;

export interface TicketKeyPem {
  readonly privateKeyPem: string;
  readonly publicKeyPem: string;
}

export function makeTicketKey(): TicketKeyPem {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    privateKeyPem: privateKey.export({ format: "pem", type: "pkcs8" }) as string,
    publicKeyPem: publicKey.export({ format: "pem", type: "spki" }) as string,
  };
}

export function ticketPublicKey(privateKeyPem: string): string {
  return createPublicKey(privateKeyPem).export({ format: "pem", type: "spki" }) as string;
}

export type TicketSigner = (
  ticket: NewTicket,
  nowMs: number,
  /** Default: TICKET_LIFETIME_MS. */
  lifetimeMs?: number,
) => Promise<{ ticket: string; expiresAtMs: number }>;

/** Loads the private key once; the result mints tickets. */
export function ticketSigner(
  privateKeyPem: string,
  defaultLifetimeMs = TICKET_LIFETIME_MS,
): TicketSigner {
  const sign = claimsSigner(privateKeyPem, AUDIENCE);
  return async (ticket, nowMs, lifetimeMs = defaultLifetimeMs) => {
    const { userId, orgId, boxId, epoch, ports, kinds, session, credentialId } = ticket;
    const { origin, gatewayUrl } = ticket;
    const { text, expiresAtMs } = await sign(
      {
        ...{ sub: userId, org: orgId, box: boxId, cred: credentialId, jti: randomUUID() },
        ...{ epoch, ports, kinds, session, origin, gw: gatewayUrl },
      },
      nowMs,
      lifetimeMs,
    );
    return { ticket: text, expiresAtMs };
  };
}

/** Throws TicketError; returns what the ticket says. */
export type TicketCheck = (ticket: string, nowMs: number) => Promise<Ticket>;

export function ticketCheck(publicKeysPem: readonly string[]): TicketCheck {
  const check = claimsCheck(publicKeysPem, AUDIENCE);
  return async (text, nowMs) => readClaims((await check(text, nowMs)).claims);
}

/** Whose ticket was refused because it is over; null: it was refused for something else. */
export function expiredTicket(error: unknown): Ticket | null {
  return error instanceof TicketError && error.claims ? readClaims(error.claims) : null;
}

/** The signature is ours; the shape is checked all the same, because an older version may have signed. */
function readClaims(claims: Claims): Ticket {
  const { sub, org, box, epoch, ports, kinds, session = null, origin = null, cred, jti } = claims;
  const { gw: gatewayUrl = null, iat } = claims;
  const isText = (value: unknown): value is string => typeof value === "string" && value !== "";
  const isPort = (value: unknown) =>
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65_535;
  const isKind = (value: unknown) => STREAM_KINDS.includes(value);
  if (
    !isText(sub) ||
    !isText(org) ||
    !isText(box) ||
    !isText(cred) ||
    !isText(jti) ||
    !(origin === null || isText(origin)) ||
    !(gatewayUrl === null || isText(gatewayUrl)) ||
    !Number.isInteger(iat) ||
    !isSession(session) ||
    !(epoch === null || Number.isInteger(epoch)) ||
    !(ports === "any" || (Array.isArray(ports) && ports.every(isPort))) ||
    !(Array.isArray(kinds) && kinds.every(isKind))
  )
    throw new TicketError("invalid", "the ticket's claims are not complete");
  return {
    ...{ userId: sub, orgId: org, boxId: box, credentialId: cred, ticketId: jti },
    ...{ epoch: epoch as number | null, ports, kinds, session, origin, gatewayUrl },
    issuedAtMs: (iat as number) * 1000,
  };
}

function isSession(value: unknown): value is Ticket["session"] {
  if (value === null) return true;
  const { id, mode } = value as { id?: unknown; mode?: unknown };
  return typeof id === "string" && id !== "" && (mode === "read" || mode === "write");
}

type TicketDoor =
  | { readonly port: number }
  | { readonly console: true }
  | { readonly session: string; readonly mode: "read" | "write" };

export function ticketOpens(ticket: Ticket, door: TicketDoor): boolean {
  if ("console" in door) return ticket.kinds.includes("console");
  if ("port" in door) {
    const isListed = ticket.ports === "any" || ticket.ports.includes(door.port);
    return ticket.kinds.includes("port") && isListed;
  }
  const { kinds, session } = ticket;
  if (!kinds.includes("session") || session?.id !== door.session) return false;
  return session.mode === "write" || door.mode === "read";
}
