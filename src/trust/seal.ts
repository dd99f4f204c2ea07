// Secrets that must be read again (a provider's refresh tokens) and so cannot be hashes: sealed with a key that is kept
// apart from them, each for one purpose. What was sealed for one purpose opens for no other.

import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

export interface Sealer {
  seal(purpose: string, text: string): string;
  /** Null when it was not sealed by this key for this purpose. */
  open(purpose: string, sealed: string): string | null;
}

const VERSION = "v1.";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** A new key, as text. */
export function makeSealKey(): string {
  return randomBytes(KEY_BYTES).toString("base64url");
}

export function sealer(keyText: string): Sealer {
  const key = Buffer.from(keyText, "base64url");
  if (key.length !== KEY_BYTES) throw new Error("a sealing key is 32 bytes in base64url");
  return {
    seal: (purpose, text) => {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(purpose));
      const sealed = Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final()]);
      return `${VERSION}${Buffer.concat([sealed, cipher.getAuthTag()]).toString("base64url")}`;
    },
    open: (purpose, sealed) => {
      if (!sealed.startsWith(VERSION)) return null;
      const bytes = Buffer.from(sealed.slice(VERSION.length), "base64url");
      if (bytes.length < NONCE_BYTES + TAG_BYTES) return null;
      const tag = bytes.subarray(-TAG_BYTES);
      const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(purpose)).setAuthTag(tag);
      try {
        const text = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
        return Buffer.concat([text, decipher.final()]).toString("utf8");
      } catch {
        return null;
      }
    },
  };
}
