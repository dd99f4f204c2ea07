// Tickets for the gateway: a JWT (EdDSA) of minutes that says who may open which streams into which
// box. The control plane signs, the gateway checks with the public key and asks nobody.

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import { errors, jwtVerify, SignJWT } from "jose";

export const TICKET_LIFETIME_MS = 5 * 60_000;

const ALGORITHM = "EdDSA";
const ISSUER = "berth";
const AUDIENCE = "berth-gateway";
/** Clocks of a gateway and a control plane may differ by this much. */
const CLOCK_TOLERANCE_S = 30;

/** `port`: a TCP port inside. `console`: what the box wrote to its serial port. */
export type StreamKind = "port" | "console";

export interface Ticket {
  readonly userId: string;
  readonly orgId: string;
  readonly boxId: string;
  /** The only placement of the box that it opens; null: whichever is current. */
  readonly epoch: number | null;
  readonly ports: readonly number[] | "any";
  readonly kinds: readonly StreamKind[];
}

export class TicketError extends Error {
  override readonly name = "TicketError";
  readonly reason: "expired" | "invalid";
  constructor(reason: "expired" | "invalid", message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

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
  ticket: Ticket,
  nowMs: number,
) => Promise<{ ticket: string; expiresAtMs: number }>;

/** Loads the private key once; the result mints tickets. */
export function ticketSigner(privateKeyPem: string, lifetimeMs = TICKET_LIFETIME_MS): TicketSigner {
  const key = createPrivateKey(privateKeyPem);
  return async (ticket, nowMs) => {
    const issuedAtS = Math.floor(nowMs / 1000);
    const expiresAtS = issuedAtS + Math.floor(lifetimeMs / 1000);
    const { userId, orgId, boxId, epoch, ports, kinds } = ticket;
    const text = await new SignJWT({ org: orgId, box: boxId, epoch, ports, kinds })
      .setProtectedHeader({ alg: ALGORITHM, typ: "JWT" })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setSubject(userId)
      .setIssuedAt(issuedAtS)
      .setExpirationTime(expiresAtS)
      .sign(key);
    return { ticket: text, expiresAtMs: expiresAtS * 1000 };
  };
}

/** Throws TicketError; returns what the ticket says. */
export type TicketCheck = (ticket: string, nowMs: number) => Promise<Ticket>;

/** Any of several keys may have signed, so that a key can be replaced without a gap. */
export function ticketCheck(publicKeysPem: readonly string[]): TicketCheck {
  const keys = publicKeysPem.map((pem) => createPublicKey(pem));
  for (const key of keys) assertEd25519(key);
  return async (text, nowMs) => {
    let last: unknown = new TicketError("invalid", "there is no key to check tickets with");
    for (const key of keys) {
      try {
        const { payload } = await jwtVerify(text, key, {
          algorithms: [ALGORITHM],
          issuer: ISSUER,
          audience: AUDIENCE,
          requiredClaims: ["sub", "exp", "iat"],
          clockTolerance: CLOCK_TOLERANCE_S,
          currentDate: new Date(nowMs),
        });
        return readClaims(payload);
      } catch (error) {
        last = error;
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) break;
      }
    }
    throw toTicketError(last);
  };
}

function assertEd25519(key: KeyObject): void {
  if (key.asymmetricKeyType !== "ed25519" || key.type !== "public")
    throw new Error("a ticket key must be an ed25519 public key");
}

function toTicketError(error: unknown): TicketError {
  if (error instanceof TicketError) return error;
  if (error instanceof errors.JWTExpired)
    return new TicketError("expired", "the ticket has expired", error);
  return new TicketError("invalid", "the ticket is not valid", error);
}

/** The signature is ours; the shape is checked all the same, because an older version may have signed. */
function readClaims(claims: Record<string, unknown>): Ticket {
  const { sub, org, box, epoch, ports, kinds } = claims;
  const isText = (value: unknown): value is string => typeof value === "string" && value !== "";
  const isPort = (value: unknown) =>
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65_535;
  const isKind = (value: unknown) => value === "port" || value === "console";
  if (
    !isText(sub) ||
    !isText(org) ||
    !isText(box) ||
    !(epoch === null || Number.isInteger(epoch)) ||
    !(ports === "any" || (Array.isArray(ports) && ports.every(isPort))) ||
    !(Array.isArray(kinds) && kinds.every(isKind))
  )
    throw new TicketError("invalid", "the ticket's claims are not complete");
  return { userId: sub, orgId: org, boxId: box, epoch: epoch as number | null, ports, kinds };
}

export function ticketOpens(
  ticket: Ticket,
  door: { readonly port: number } | { readonly console: true },
): boolean {
  if ("console" in door) return ticket.kinds.includes("console");
  return (
    ticket.kinds.includes("port") && (ticket.ports === "any" || ticket.ports.includes(door.port))
  );
}
