// What opens a preview in a browser. A pass is the cookie of one preview's origin; a code carries a pass from the
// dashboard to that origin, once; a link is an address with a pass in it that somebody chose to hand out.

import { type Claims, claimsCheck, claimsSigner, TicketError } from "./signed-claims.ts";

export const PREVIEW_CODE_LIFETIME_MS = 60_000;
/** How long a preview stays open when the control plane cannot be asked; a gateway renews it at half. */
export const PREVIEW_PASS_LIFETIME_MS = 60 * 60_000;

const CODE = "berth-preview-code";
const PASS = "berth-preview-pass";
const LINK = "berth-preview-link";

/** Opens one preview. */
export interface PreviewPass {
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
  /** The signed pass. */
  readonly pass: string;
}

export interface PreviewSigner {
  code(code: PreviewCode, nowMs: number): Promise<string>;
  pass(pass: PreviewPass, nowMs: number): Promise<string>;
  link(pass: PreviewPass, nowMs: number, lifetimeMs: number): Promise<string>;
}

export function previewSigner(privateKeyPem: string): PreviewSigner {
  const signCode = claimsSigner(privateKeyPem, CODE);
  const signPass = claimsSigner(privateKeyPem, PASS);
  const signLink = claimsSigner(privateKeyPem, LINK);
  return {
    code: async ({ codeId, previewId, nonceHash, pass }, nowMs) => {
      const claims = { jti: codeId, prv: previewId, nonce: nonceHash, pass };
      return (await signCode(claims, nowMs, PREVIEW_CODE_LIFETIME_MS)).text;
    },
    pass: async (pass, nowMs) =>
      (await signPass(passClaims(pass), nowMs, PREVIEW_PASS_LIFETIME_MS)).text,
    link: async (pass, nowMs, lifetimeMs) =>
      (await signLink(passClaims(pass), nowMs, lifetimeMs)).text,
  };
}

function passClaims({ previewId, serial, credentialId, userId }: PreviewPass): Claims {
  return { prv: previewId, ser: serial, cred: credentialId, usr: userId };
}

export interface CheckedPass extends PreviewPass {
  readonly kind: "pass" | "link";
  readonly expiresAtMs: number;
}

export interface PreviewCheck {
  /** Throws TicketError. */
  code(text: string, nowMs: number): Promise<PreviewCode>;
  /** A pass or a link. Throws TicketError. */
  pass(text: string, nowMs: number): Promise<CheckedPass>;
}

export function previewCheck(publicKeysPem: readonly string[]): PreviewCheck {
  const checkCode = claimsCheck(publicKeysPem, CODE);
  const checkPass = claimsCheck(publicKeysPem, PASS);
  const checkLink = claimsCheck(publicKeysPem, LINK);
  return {
    code: async (text, nowMs) => {
      const { jti, prv, nonce, pass } = (await checkCode(text, nowMs)).claims;
      if (!isText(jti) || !isText(prv) || !isText(nonce) || !isText(pass)) throw incomplete();
      return { codeId: jti, previewId: prv, nonceHash: nonce, pass };
    },
    pass: async (text, nowMs) => {
      const pass = await checkPass(text, nowMs).catch((error: unknown) => {
        if (error instanceof TicketError && error.reason === "expired") throw error;
        return null;
      });
      const { claims, expiresAtMs } = pass ?? (await checkLink(text, nowMs));
      const { prv, ser, cred, usr } = claims;
      if (!isText(prv) || !isText(cred) || !Number.isInteger(ser) || !(usr === null || isText(usr)))
        throw incomplete();
      const said = { previewId: prv, serial: ser as number, credentialId: cred, userId: usr };
      return { ...said, kind: pass ? "pass" : "link", expiresAtMs };
    },
  };
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function incomplete(): TicketError {
  return new TicketError("invalid", "its claims are not complete");
}
