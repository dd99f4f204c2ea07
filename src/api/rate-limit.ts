// How often one may ask. Each user has a budget of requests for a minute, and another one for taking rights back, so
// that a script gone wild never keeps its user from revoking its token. Whoever is no user (yet) has the budget of an
// address. Failed logins are limited by address. Health is not limited, and nodes and gateways have a listener of their
// own, without limits. Each replica counts for itself, and gives its share of what all of them together may.

import { createHash } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { RateLimiterMemory, type RateLimiterRes } from "rate-limiter-flexible";
import { Problem } from "#contract/errors.ts";
import type { Route } from "#contract/route.ts";
import { ROUTES } from "#contract/routes.ts";
import type { Permission } from "#domain/permission.ts";
import type { Clock } from "#lib/clock.ts";
import type { Metrics } from "#lib/metrics.ts";

export interface RateLimits {
  /** Of one user, or of an address that is no user's yet, and as many again for taking rights back; 0: no limit. */
  readonly requestsPerMinute: number;
  /** From one address; 0: no limit. */
  readonly failedLoginsPerMinute: number;
  /** How many share them now; default: this one has all. */
  readonly replicas?: () => number;
}

export type Lane = "requests" | "revocations";

const WINDOW_S = 60;
/** A credential that was good this recently is let in from an address that others guess from. */
const KNOWN_GOOD_MS = 10 * 60_000;
const MAX_KNOWN_GOOD = 10_000;

/** What lets somebody in, or shares: a DELETE takes it back. Logging out is one too. */
const LOGOUT = "webSessions.delete";
const REVOCABLE: ReadonlySet<Permission> = new Set<Permission>([
  ...(["key.manage", "token.manage", "service.manage"] as const),
  ...(["preview.share", "box.share", "member.manage", "team.manage"] as const),
]);

export function laneOf(route: Pick<Route, "name" | "method" | "permission">): Lane {
  const takesBack = route.method === "DELETE" && REVOCABLE.has(route.permission);
  return takesBack || route.name === LOGOUT ? "revocations" : "requests";
}

const LANES: ReadonlyMap<string, Lane> = new Map(
  ROUTES.map((route) => [route.name, laneOf(route)]),
);

/** Before the routes are registered: their own hooks, which authenticate, run after these and before preParsing. */
export function limitRequests(
  app: FastifyInstance,
  limits: RateLimits,
  { clock, metrics }: { readonly clock: Clock; readonly metrics: Metrics },
): void {
  const refused = metrics.counter("berth_rate_limited_total", "Requests refused for their rate.");
  const refuse = (lane: string, detail: string, { msBeforeNext }: RateLimiterRes): never => {
    refused.add({ lane });
    throw new Problem("rate_limited", detail, { retryAfterS: Math.ceil(msBeforeNext / 1000) });
  };
  const shareOf = (all: number) => () =>
    Math.max(1, Math.floor(all / Math.max(1, limits.replicas?.() ?? 1)));
  if (limits.requestsPerMinute > 0) limitUsers(app, shareOf(limits.requestsPerMinute), refuse);
  if (limits.failedLoginsPerMinute > 0)
    limitFailures(app, shareOf(limits.failedLoginsPerMinute), clock, refuse);
}

/** What this replica gives now. */
type Share = () => number;

type Refuse = (lane: string, detail: string, state: RateLimiterRes) => never;

function limitUsers(app: FastifyInstance, share: Share, refuse: Refuse): void {
  const limiters = {
    requests: new RateLimiterMemory({ points: share(), duration: WINDOW_S }),
    revocations: new RateLimiterMemory({ points: share(), duration: WINDOW_S }),
  } as const;
  app.addHook("preParsing", async (request, reply) => {
    const operation = operationOf(request);
    if (operation === undefined) return;
    const lane = LANES.get(operation) ?? "requests";
    const payer = payerOf(request);
    const points = share();
    const limiter = limiters[lane];
    limiter.points = points;
    const { state, isOver } = await take(limiter, payer);
    tell(reply, lane, points, state);
    if (isOver)
      refuse(lane, `You have sent more than ${points} ${lane} in a minute to this replica.`, state);
  });
}

/** Who logs in or joins, and what a directory sends, is nobody's: such requests must not share one budget. */
export function payerOf({ credential, ip }: FastifyRequest): string {
  return credential?.subject.userId || networkOf(ip);
}

async function take(
  limiter: RateLimiterMemory,
  key: string,
): Promise<{ state: RateLimiterRes; isOver: boolean }> {
  try {
    return { state: await limiter.consume(key), isOver: false };
  } catch (state) {
    if (state instanceof Error) throw state;
    return { state: state as RateLimiterRes, isOver: true };
  }
}

/** draft-ietf-httpapi-ratelimit-headers: the policy, and what is left of it for how many seconds. */
function tell(reply: FastifyReply, lane: Lane, points: number, state: RateLimiterRes): void {
  const resetS = Math.ceil(state.msBeforeNext / 1000);
  reply.header("ratelimit-policy", `"${lane}";q=${points};w=${WINDOW_S}`);
  reply.header("ratelimit", `"${lane}";r=${state.remainingPoints};t=${resetS}`);
}

/** What was refused as unauthenticated counts. Over the limit, only credentials that were good before are looked at. */
function limitFailures(app: FastifyInstance, share: Share, clock: Clock, refuse: Refuse): void {
  const limiter = new RateLimiterMemory({ points: share(), duration: WINDOW_S });
  const knownGood = new Map<string, number>();
  app.addHook("onRequest", async (request) => {
    if (!operationOf(request)) return;
    const state = await limiter.get(networkOf(request.ip));
    if (!state || state.consumedPoints < share()) return;
    if ((knownGood.get(fingerprintOf(request)) ?? 0) > clock.monotonicMs()) return;
    refuse("failed_logins", `Too many failed logins from ${request.ip}.`, state);
  });
  app.addHook("preParsing", async (request) => {
    if (!request.credential) return;
    const fingerprint = fingerprintOf(request);
    knownGood.delete(fingerprint);
    knownGood.set(fingerprint, clock.monotonicMs() + KNOWN_GOOD_MS);
    const [oldest] = knownGood.keys();
    if (knownGood.size > MAX_KNOWN_GOOD && oldest) knownGood.delete(oldest);
  });
  app.addHook("onSend", async (request, reply) => {
    if (reply.statusCode === 401 && operationOf(request))
      await take(limiter, networkOf(request.ip));
  });
}

/** Whoever has an IPv6 address has 2^64 of them: the network counts. */
export function networkOf(address: string): string {
  if (!address.includes(":") || address.includes(".")) return address;
  const [head = "", tail] = address.toLowerCase().split("::");
  const before = head.split(":").filter(Boolean);
  const after = (tail ?? "").split(":").filter(Boolean);
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const groups = [...before, ...Array.from({ length: Math.max(0, zeros) }, () => "0"), ...after];
  return `${groups.slice(0, 4).join(":")}::/64`;
}

function fingerprintOf({ headers }: FastifyRequest): string {
  const secret = headers.authorization ?? headers.cookie ?? "";
  return createHash("sha256").update(secret).digest("base64");
}

/** Operations, logins, and what directories send; pages and probes have none. */
function operationOf(request: FastifyRequest): string | undefined {
  return (request.routeOptions.schema as { operationId?: string } | undefined)?.operationId;
}
