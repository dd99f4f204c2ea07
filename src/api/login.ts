// Logging in by a provider: the browser's way there and back, the CLI's device flow, and the provider's own notices of
// log-out. None of it needs a credential; what a login ends in is one.

import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { Problem } from "#contract/errors.ts";
import {
  devicePollSchema,
  deviceStartSchema,
  loginQuerySchema,
  providersQuerySchema,
} from "#contract/login.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { logOutByProvider } from "#identity/check-logins.ts";
import type { IdentityContext } from "#identity/context.ts";
import {
  attemptKey,
  finishWebLogin,
  pollDeviceLogin,
  startDeviceLogin,
  startWebLogin,
} from "#identity/login.ts";
import type { Wanted } from "#store/identities.ts";
import type { Caller } from "#store/logins.ts";
import { listLoginProviders } from "#store/providers.ts";
import { hashToken, looksLikeToken } from "#trust/token-hash.ts";
import { readCookie, type SessionCookie, sessionCookie, setCookie } from "./credentials.ts";
import { senderOf } from "./origin.ts";
import { sendProblemPage } from "./problem-page.ts";
import { PAGE_HEADERS } from "./web-files.ts";

const PREFIX = "/v1/login";
const HEADERS = { "cache-control": "no-store", "x-content-type-options": "nosniff" };

export function registerLogin(app: FastifyInstance, identity: IdentityContext): void {
  registerBrowser(app, identity);
  registerDevice(app, identity);
  registerNotices(app, identity);
}

/** Named as operations are, so that what fails is counted against its address. */
function named(operationId: string) {
  return { schema: { hide: true, operationId } };
}

function registerBrowser(app: FastifyInstance, identity: IdentityContext): void {
  const { db, clock, dashboardOrigin } = identity;
  const session = sessionCookie(dashboardOrigin);
  app.get(`${PREFIX}/providers`, named("login.providers"), async (request, reply) => {
    const { org } = parse(providersQuerySchema, request.query, "query");
    reply.headers(HEADERS);
    const items = await listLoginProviders(db, org ?? null);
    return { items: items.map(({ id, name, label, orgId }) => ({ id, name, label, orgId })) };
  });
  app.get<{ Params: { provider: string } }>(
    `${PREFIX}/:provider`,
    named("login.start"),
    (request, reply) =>
      page(reply, async () => {
        const query = parse(loginQuerySchema, request.query, "query");
        // Another site could make somebody a member of its organization, who only came by.
        if (query.invitation !== undefined) refuseOtherSite(request, identity);
        const next = safeNext(query.next ?? "/", dashboardOrigin);
        const { provider } = request.params;
        const login = await startWebLogin(identity, provider, wantedOf(query), next);
        const cookie = attemptCookie(session, login.key);
        reply.header("set-cookie", setCookie(cookie, login.sealed, login.lifetimeMs / 1000));
        return login.url;
      }),
  );
  app.get<{ Params: { provider: string }; Querystring: { state?: unknown } }>(
    `${PREFIX}/callback/:provider`,
    named("login.callback"),
    (request, reply) =>
      page(reply, async () => {
        const { state } = request.query;
        const key = attemptKey(typeof state === "string" ? state : "");
        const cookie = attemptCookie(session, /^[\w-]+$/.test(key) ? key : "none");
        const sealed = readCookie(request.headers.cookie, cookie);
        const search = request.url.slice(request.url.indexOf("?"));
        reply.header("set-cookie", setCookie(cookie, "", 0));
        const done = await finishWebLogin(identity, request.params.provider, {
          search,
          sealed,
          caller: callerFrom(request),
        });
        const leftS = Math.max(1, Math.floor((done.expiresAt.getTime() - clock.nowMs()) / 1000));
        reply.header("set-cookie", setCookie(session, done.secret, leftS));
        return done.next;
      }),
  );
}

function registerDevice(app: FastifyInstance, identity: IdentityContext): void {
  app.post(`${PREFIX}/device`, named("login.device"), async (request, reply) => {
    refuseOtherSite(request, identity);
    const body = parse(deviceStartSchema, request.body ?? {}, "body");
    reply.headers(HEADERS).status(201);
    const provider = body.provider ?? (await onlyProvider(identity, body.org ?? null));
    return startDeviceLogin(identity, provider, wantedOf(body));
  });
  app.post(`${PREFIX}/device/poll`, named("login.devicePoll"), async (request, reply) => {
    refuseOtherSite(request, identity);
    const { handle } = parse(devicePollSchema, request.body ?? {}, "body");
    reply.headers(HEADERS);
    const answer = await pollDeviceLogin(identity, handle, callerFrom(request));
    if (typeof answer === "string") return { status: answer };
    return {
      status: "done",
      token: answer.secret,
      expiresAt: answer.expiresAt.toISOString(),
      user: { id: answer.userId, name: answer.name },
      org: { id: answer.orgId, name: answer.orgName },
    };
  });
}

/** OpenID Connect Back-Channel Logout: sent by the provider itself, as a form. */
function registerNotices(app: FastifyInstance, identity: IdentityContext): void {
  app.register(async (scope) => {
    scope.addContentTypeParser(
      "application/x-www-form-urlencoded",
      { parseAs: "string", bodyLimit: 64 * 1024 },
      (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(String(body)))),
    );
    scope.post<{ Params: { provider: string } }>(
      `${PREFIX}/logout/:provider`,
      named("login.logoutNotice"),
      async (request, reply) => {
        const { logout_token: token } = parse(noticeSchema, request.body ?? {}, "body");
        await logOutByProvider(identity, request.params.provider, token);
        return reply.headers(HEADERS).status(200).send();
      },
    );
  });
}

export function callerFrom(request: FastifyRequest): Caller {
  const userAgent = request.headers["user-agent"] ?? null;
  return { requestId: request.id, address: request.ip, userAgent };
}

const noticeSchema = z.object({ logout_token: z.string().max(16_384) });

/** Somebody at a browser is shown a page, whatever happens. */
async function page(reply: FastifyReply, work: () => Promise<string>): Promise<FastifyReply> {
  reply.headers({ ...PAGE_HEADERS, "cache-control": "no-store" });
  try {
    return reply.redirect(await work(), 302);
  } catch (error) {
    if (!(error instanceof Problem || error instanceof StoreRefusal)) throw error;
    return sendProblemPage(reply, error);
  }
}

/** One cookie for each attempt, so that two tabs do not disturb each other. */
function attemptCookie({ name, isSecure }: SessionCookie, key: string): SessionCookie {
  return { name: `${name}-login-${key}`, isSecure };
}

/** It is kept in a cookie, and browsers keep none that is longer than 4 KiB. */
const MAX_NEXT = 1500;

/** Only ever to this origin; parsed as the browser will. */
function safeNext(next: string, dashboardOrigin: string): string {
  const url = URL.canParse(next, dashboardOrigin) ? new URL(next, dashboardOrigin) : null;
  if (url && url.origin === dashboardOrigin && next.startsWith("/")) {
    const path = `${url.pathname}${url.search}${url.hash}`.replace(/^\/{2,}/, "/");
    if (path.length <= MAX_NEXT) return path;
  }
  throw new Problem("invalid_request", "query.next: must be a path of this dashboard.", {
    fields: [{ path: "query.next", message: "must be a path of this dashboard" }],
  });
}

function wantedOf(from: { readonly org?: string; readonly invitation?: string }): Wanted {
  const { org, invitation } = from;
  if (invitation !== undefined && !looksLikeToken(invitation))
    throw new Problem("invitation_invalid", "This is no invitation.");
  return { org: org ?? null, invitation: invitation ? hashToken(invitation) : null };
}

/** When there is one, nobody needs to name it. */
async function onlyProvider({ db }: IdentityContext, org: string | null): Promise<string> {
  const providers = await listLoginProviders(db, org);
  const own = org === null ? providers : providers.filter(({ orgId }) => orgId !== null);
  const among = own.length > 0 ? own : providers;
  if (among.length === 1 && among[0]) return among[0].id;
  const names = among.map(({ name }) => name).join(", ");
  throw new Problem(
    "not_found",
    among.length === 0
      ? "There is no identity provider here: log in with a token."
      : `Say which identity provider: ${names}.`,
  );
}

function refuseOtherSite(request: FastifyRequest, { dashboardOrigin }: IdentityContext): void {
  if (senderOf(request.headers, dashboardOrigin) === "other")
    throw new Problem("cross_site", "Logging in works from the dashboard and the CLI only.");
}

function parse<T extends z.ZodType>(schema: T, value: unknown, where: string): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const fields = result.error.issues.map((issue) => ({
    path: [where, ...issue.path].join("."),
    message: issue.message,
  }));
  throw new Problem(
    "invalid_request",
    `${fields.map((field) => `${field.path}: ${field.message}`).join("; ")}.`,
    { fields },
  );
}
