// What a request shows to be let in: a token in a header, or the cookie of a web session. A cookie counts only when a
// page of the dashboard sent the request; a page of somebody else could have made the browser send it.

import type { FastifyRequest } from "fastify";
import { Problem } from "#contract/errors.ts";
import type { Identified } from "#store/tokens.ts";
import { senderOf } from "./origin.ts";

export interface Credential {
  readonly kind: "token" | "session";
  readonly secret: string;
}

export type Authenticate = (credential: Credential) => Promise<Identified | null>;

export interface SessionCookie {
  /** `__Host-berth` where browsers take it: no other host, and no plain page, can set or read it. */
  readonly name: string;
  readonly isSecure: boolean;
}

/** On plain HTTP browsers take secure cookies from this machine only. Elsewhere it is sent as openly as all else. */
export function sessionCookie(dashboardOrigin: string): SessionCookie {
  const isSecure = /^https:|^http:\/\/(?:localhost|127(?:\.\d+){3}|\[::1\])(?::|$)/.test(
    dashboardOrigin,
  );
  return { name: isSecure ? "__Host-berth" : "berth-session", isSecure };
}

export function setCookie({ name, isSecure }: SessionCookie, value: string, maxAgeS: number) {
  const secure = isSecure ? "; Secure" : "";
  return `${name}=${value}; Path=/; Max-Age=${maxAgeS}; HttpOnly; SameSite=Lax${secure}`;
}

/** The value; null when there is none, or more than one: somebody has tossed another one in. */
export function readCookie(header: string | undefined, { name }: SessionCookie): string | null {
  const values = (header ?? "").split(/; */).flatMap((pair) => {
    const [key, ...rest] = pair.split("=");
    return key?.trim() === name ? [rest.join("=").trim()] : [];
  });
  return values.length === 1 && values[0] ? values[0] : null;
}

export interface CredentialRules {
  readonly authenticate: Authenticate;
  readonly dashboardOrigin: string;
}

/** `needsProof`: the request does something, or what it answers flows on: the sender must be known for certain. */
export async function identify(
  request: FastifyRequest,
  { authenticate, dashboardOrigin }: CredentialRules,
  needsProof: boolean,
): Promise<Identified> {
  const { authorization } = request.headers;
  if (authorization === undefined) {
    const secret = readCookie(request.headers.cookie, sessionCookie(dashboardOrigin));
    if (!secret)
      throw new Problem("unauthenticated", "The request has no bearer token and no session.");
    const sender = senderOf(request.headers, dashboardOrigin);
    if (sender === "other" || (needsProof && sender !== "same"))
      throw new Problem("cross_site", "The session's cookie counts only in the dashboard.");
    const known = await authenticate({ kind: "session", secret });
    if (known) return known;
    throw new Problem("unauthenticated", "The session is over.");
  }
  const token = /^Bearer +([^\s]{1,200})$/i.exec(authorization)?.[1];
  if (!token) throw new Problem("unauthenticated", "The request has no bearer token.");
  return identifyToken(token, authenticate);
}

export async function identifyToken(
  token: string,
  authenticate: Authenticate,
): Promise<Identified> {
  const known = await authenticate({ kind: "token", secret: token });
  if (known) return known;
  throw new Problem("unauthenticated", "The token is unknown, expired or revoked.");
}
