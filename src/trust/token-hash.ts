// API and join tokens: random, with a prefix that secret scanners find, and only hashes at rest. They
// carry 256 random bits, so one round of SHA-256 is enough.

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

const PREFIX = "berth_";
const PATTERN = /^berth_[A-Za-z0-9_-]{43}$/;

/** A new token, to show once. Store `hashToken` of it. */
export function makeToken(): string {
  return `${PREFIX}${randomBytes(32).toString("base64url")}`;
}

export function looksLikeToken(text: string): boolean {
  return PATTERN.test(text);
}

/** SHA-256, in hexadecimal. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** Compares in constant time. */
export function tokenMatches(token: string, hash: string): boolean {
  const given = Buffer.from(hashToken(token), "hex");
  const stored = Buffer.from(hash, "hex");
  return stored.length === given.length && timingSafeEqual(given, stored);
}
