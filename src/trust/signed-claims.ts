// JWTs (EdDSA) of the control plane: it signs with one key, whoever has the public keys checks and asks nobody. Each
// purpose has an audience of its own, so that a token for one is never taken for another.

import { createPrivateKey, createPublicKey } from "node:crypto";
import { errors, jwtVerify, SignJWT } from "jose";

const ALGORITHM = "EdDSA";
const ISSUER = "berth";
/** Clocks of a gateway and a control plane may differ by this much. */
const CLOCK_TOLERANCE_S = 30;

export class TicketError extends Error {
  override readonly name = "TicketError";
  readonly reason: "expired" | "invalid";
  /** Of what has expired: its signature is ours. */
  readonly claims: Claims | null;
  constructor(reason: "expired" | "invalid", message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
    this.claims = cause instanceof errors.JWTExpired ? cause.payload : null;
  }
}

export type Claims = Readonly<Record<string, unknown>>;

export interface Signed {
  readonly text: string;
  readonly expiresAtMs: number;
}

export type ClaimsSigner = (claims: Claims, nowMs: number, lifetimeMs: number) => Promise<Signed>;

/** Loads the private key (PEM) once. */
export function claimsSigner(privateKeyPem: string, audience: string): ClaimsSigner {
  const key = createPrivateKey(privateKeyPem);
  return async (claims, nowMs, lifetimeMs) => {
    const issuedAtS = Math.floor(nowMs / 1000);
    const expiresAtS = issuedAtS + Math.floor(lifetimeMs / 1000);
    const text = await new SignJWT({ ...claims })
      .setProtectedHeader({ alg: ALGORITHM, typ: "JWT" })
      .setIssuer(ISSUER)
      .setAudience(audience)
      .setIssuedAt(issuedAtS)
      .setExpirationTime(expiresAtS)
      .sign(key);
    return { text, expiresAtMs: expiresAtS * 1000 };
  };
}

export interface CheckedClaims {
  readonly claims: Claims;
  readonly expiresAtMs: number;
}

/** Throws TicketError. */
export type ClaimsCheck = (text: string, nowMs: number) => Promise<CheckedClaims>;

/** Any of several keys may have signed, so that a key can be replaced without a gap. */
export function claimsCheck(publicKeysPem: readonly string[], audience: string): ClaimsCheck {
  const keys = publicKeysPem.map((pem) => createPublicKey(pem));
  for (const { asymmetricKeyType, type } of keys)
    if (asymmetricKeyType !== "ed25519" || type !== "public")
      throw new Error("a ticket key must be an ed25519 public key");
  return async (text, nowMs) => {
    let last: unknown = new TicketError("invalid", "there is no key to check tickets with");
    for (const key of keys) {
      try {
        const { payload } = await jwtVerify(text, key, {
          algorithms: [ALGORITHM],
          issuer: ISSUER,
          audience,
          requiredClaims: ["exp", "iat"],
          clockTolerance: CLOCK_TOLERANCE_S,
          currentDate: new Date(nowMs),
        });
        return { claims: payload, expiresAtMs: (payload.exp as number) * 1000 };
      } catch (error) {
        last = error;
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) break;
      }
    }
    throw toTicketError(last);
  };
}

function toTicketError(error: unknown): TicketError {
  if (error instanceof TicketError) return error;
  if (error instanceof errors.JWTExpired)
    return new TicketError("expired", "it has expired", error);
  return new TicketError("invalid", "it is not valid", error);
}
