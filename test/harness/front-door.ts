// The API's front door without a database: every handler is given, the rest is real.

import { type AppOptions, buildApp } from "#api/app.ts";
import type { Handlers } from "#api/route.ts";
import { ROUTES } from "#contract/routes.ts";
import type { OrgId, UserId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { Metrics } from "#lib/metrics.ts";
import type { Identified } from "#store/tokens.ts";

export const ADMIN: Subject = {
  userId: "usr_admin" as UserId,
  orgId: "org_one" as OrgId,
  isOperator: true,
  roles: ["owner"],
  teams: [],
  scopes: null,
};
export const ADMIN_TOKEN: Identified = {
  subject: ADMIN,
  credentialId: "tok_admin",
  tokenId: "tok_admin",
};
export const MEMBER: Subject = {
  ...ADMIN,
  userId: "usr_member" as UserId,
  isOperator: false,
  roles: ["member"],
};

const TOKENS: Record<string, Identified> = {
  admin: ADMIN_TOKEN,
  member: { subject: MEMBER, credentialId: "tok_member", tokenId: "tok_member" },
};
const SESSIONS: Record<string, Identified> = {
  "admin-session": { ...ADMIN_TOKEN, credentialId: "web_admin" },
};
export const DASHBOARD = "https://berth.test";

/** The cookie `__Host-berth=admin-session` is a web session of the administrator. Token `admin` is an administrator's, `member` a member's. */
export async function frontDoor(
  handlers: Partial<Record<keyof Handlers, (call: never) => unknown>>,
  options: Partial<AppOptions> = {},
) {
  const unexpected = () => {
    throw new Error("this handler was not given");
  };
  return buildApp({
    handlers: {
      ...Object.fromEntries(ROUTES.map((route) => [route.name, unexpected])),
      ...handlers,
    } as unknown as Handlers,
    authenticate: async ({ kind, secret }) =>
      (kind === "token" ? TOKENS[secret] : SESSIONS[secret]) ?? null,
    // Handlers that are given here need none.
    dbFor: () => null as never,
    dashboardOrigin: DASHBOARD,
    isUnavailable: (error) => (error as { code?: string }).code === "ECONNREFUSED",
    ready: async () => {},
    clock: systemClock,
    log: silentLog,
    metrics: new Metrics(),
    version: "test",
    closing: new AbortController().signal,
    ...options,
  });
}
