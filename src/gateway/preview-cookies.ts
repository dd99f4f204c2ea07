// Cookies of Berth on a preview's origin, and the app's beside them. Pure.

import { createHash, randomBytes } from "node:crypto";

/** Every cookie of Berth begins with it; browsers take `__Host-` from the exact host and over TLS (or localhost) only. */
const OURS = "__host-berth";
export const PASS_COOKIE = "__Host-berth-preview";
export const NONCE_COOKIE = "__Host-berth-preview-nonce";

const ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax";
const NONCE_MAX_AGE_S = 600;
/** Tabs of one preview that may be logging in at once. */
const MAX_RETURNS = 4;
const MAX_PATH = 1024;

export interface SplitCookies {
  /** What the app gets; null: no cookie is left. */
  readonly forApp: string | null;
  /** The values of ours; a name that came twice is not there. */
  readonly ours: ReadonlyMap<string, string>;
}

const NONE: ReadonlyMap<string, string> = new Map();

export function splitCookies(header: string): SplitCookies {
  if (!header.toLowerCase().includes(OURS)) return { forApp: header, ours: NONE };
  const ours = new Map<string, string>();
  const twice = new Set<string>();
  const forApp: string[] = [];
  for (const part of header.split(";")) {
    const pair = part.trim();
    const equals = pair.indexOf("=");
    const name = pair.slice(0, Math.max(equals, 0)).trim();
    // A cookie without a name may carry a value that looks like one with a name.
    if (!pair.toLowerCase().includes(OURS)) forApp.push(pair);
    else if (ours.has(name)) twice.add(name);
    else ours.set(name, pair.slice(equals + 1).trim());
  }
  for (const name of twice) ours.delete(name);
  const left = forApp.filter(Boolean);
  return { forApp: left.length > 0 ? left.join("; ") : null, ours };
}

/** What the browser is given of an app's Set-Cookie; null: nothing. */
export function appCookie(
  value: string,
  { isHostOnly, isOursKept }: { isHostOnly: boolean; isOursKept: boolean },
): string | null {
  const [pair = "", ...attributes] = value.split(";");
  const name = pair.slice(0, Math.max(pair.indexOf("="), 0)).trim();
  if (!isOursKept && (name === "" || name.toLowerCase().startsWith(OURS))) return null;
  if (!isHostOnly) return value;
  const kept = attributes.filter((one) => !/^\s*domain\s*(=|$)/i.test(one));
  return [pair, ...kept].join(";");
}

export function passCookie(pass: string, maxAgeS: number): string {
  return `${PASS_COOKIE}=${pass}; Max-Age=${maxAgeS}; ${ATTRIBUTES}`;
}

/** A tab that is on its way to the dashboard and back. */
export interface Return {
  readonly nonce: string;
  readonly path: string;
}

export function newReturn(path: string): Return {
  const nonce = randomBytes(16).toString("base64url");
  return { nonce, path: path.length <= MAX_PATH ? path : "/" };
}

export function nonceHash(nonce: string): string {
  return createHash("sha256").update(nonce).digest("base64url");
}

export function readReturns(value: string | undefined): Return[] {
  if (!value) return [];
  const returns: Return[] = [];
  for (const one of value.split("~").slice(-MAX_RETURNS)) {
    const [, nonce = "", path = ""] = /^([\w-]{22})\.([\w-]*)$/.exec(one) ?? [];
    if (nonce) returns.push({ nonce, path: Buffer.from(path, "base64url").toString("latin1") });
  }
  return returns;
}

export function returnsCookie(returns: readonly Return[]): string {
  const kept = returns.slice(-MAX_RETURNS);
  const value = kept.map(
    ({ nonce, path }) => `${nonce}.${Buffer.from(path, "latin1").toString("base64url")}`,
  );
  const maxAgeS = kept.length > 0 ? NONCE_MAX_AGE_S : 0;
  return `${NONCE_COOKIE}=${value.join("~")}; Max-Age=${maxAgeS}; ${ATTRIBUTES}`;
}

/** A path that leads nowhere but to the same origin. */
export function isRelativePath(path: string): boolean {
  return /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(path);
}
