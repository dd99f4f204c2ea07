// The API's front door without a database: every handler is given, the rest is real.

import { type AppOptions, buildApp } from "#api/app.ts";
import type { Handlers } from "#api/route.ts";
import { ROUTES } from "#contract/routes.ts";
import type { OrgId, UserId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { Metrics } from "#lib/metrics.ts";

export const ADMIN: Subject = {
  userId: "usr_admin" as UserId,
  orgId: "org_one" as OrgId,
  isAdmin: true,
};
export const MEMBER: Subject = { ...ADMIN, userId: "usr_member" as UserId, isAdmin: false };

/** Token `admin` is an administrator's, `member` a member's. */
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
    authenticate: async (token) => ({ admin: ADMIN, member: MEMBER })[token] ?? null,
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
