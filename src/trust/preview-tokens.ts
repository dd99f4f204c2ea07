// What opens a preview in a browser. A grant is the cookie of one preview's origin; a code carries a grant from the
// dashboard to that origin, once; a link is an address with a grant in it that somebody chose to hand out.

import { type Claims, claimsCheck, claimsSigner, TicketError } from "./signed-claims.ts";

export const PREVIEW_CODE_LIFETIME_MS = 60_000;
/** How long a preview stays open when the control plane cannot be asked; a gateway renews it at half. */
export const PREVIEW_GRANT_LIFETIME_MS = 60 * 60_000;

const CODE = "berth-preview-code";
const GRANT = "berth-preview-grant";
const LINK = "berth-preview-link";

/** Opens one preview. */
export interface PreviewGrant {
  readonly previewId: string;
  /** Of the preview when it was made: over when the preview's has grown. */
  readonly serial: number;
  /** The web session, token or link that it was got by. */
  readonly credentialId: string;
  /** Null: whoever has the link. */
  readonly userId: string | null;
}

export interface PreviewCode {
  readonly codeId: string;
  readonly previewId: string;
  /** SHA-256 (base64url) of the nonce that the browser keeps in a cookie of the preview's origin. */
  readonly nonceHash: string;
  /** The signed grant. */
  readonly grant: string;
}

export interface PreviewSigner {
  code(code: PreviewCode, nowMs: number): Promise<string>;
  grant(grant: PreviewGrant, nowMs: number): Promise<string>;
  link(grant: PreviewGrant, nowMs: number, lifetimeMs: number): Promise<string>;
}

export function previewSigner(privateKeyPem: string): PreviewSigner {
  const signCode = claimsSigner(privateKeyPem, CODE);
  const signGrant = claimsSigner(privateKeyPem, GRANT);
  const signLink = claimsSigner(privateKeyPem, LINK);
  return {
    code: async ({ codeId, previewId, nonceHash, grant }, nowMs) => {
      const claims = { jti: codeId, prv: previewId, nonce: nonceHash, grant };
      return (await signCode(claims, nowMs, PREVIEW_CODE_LIFETIME_MS)).text;
    },
    grant: async (grant, nowMs) =>
      (await signGrant(grantClaims(grant), nowMs, PREVIEW_GRANT_LIFETIME_MS)).text,
    link: async (grant, nowMs, lifetimeMs) =>
      (await signLink(grantClaims(grant), nowMs, lifetimeMs)).text,
  };
}

function grantClaims({ previewId, serial, credentialId, userId }: PreviewGrant): Claims {
  return { prv: previewId, ser: serial, cred: credentialId, usr: userId };
}

export interface CheckedGrant extends PreviewGrant {
  readonly kind: "grant" | "link";
  readonly expiresAtMs: number;
}

export interface PreviewCheck {
  /** Throws TicketError. */
  code(text: string, nowMs: number): Promise<PreviewCode>;
  /** A grant or a link. Throws TicketError. */
  grant(text: string, nowMs: number): Promise<CheckedGrant>;
}

export function previewCheck(publicKeysPem: readonly string[]): PreviewCheck {
  const checkCode = claimsCheck(publicKeysPem, CODE);
  const checkGrant = claimsCheck(publicKeysPem, GRANT);
  const checkLink = claimsCheck(publicKeysPem, LINK);
  return {
    code: async (text, nowMs) => {
      const { jti, prv, nonce, grant } = (await checkCode(text, nowMs)).claims;
      if (!isText(jti) || !isText(prv) || !isText(nonce) || !isText(grant)) throw incomplete();
      return { codeId: jti, previewId: prv, nonceHash: nonce, grant };
    },
    grant: async (text, nowMs) => {
      const grant = await checkGrant(text, nowMs).catch((error: unknown) => {
        if (error instanceof TicketError && error.reason === "expired") throw error;
        return null;
      });
      const { claims, expiresAtMs } = grant ?? (await checkLink(text, nowMs));
      const { prv, ser, cred, usr } = claims;
      if (!isText(prv) || !isText(cred) || !Number.isInteger(ser) || !(usr === null || isText(usr)))
        throw incomplete();
      const said = { previewId: prv, serial: ser as number, credentialId: cred, userId: usr };
      return { ...said, kind: grant ? "grant" : "link", expiresAtMs };
    },
  };
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function incomplete(): TicketError {
  return new TicketError("invalid", "its claims are not complete");
}
