// Builds the handler of one operation from its contract: authenticate, permit, parse, call, shape. A route
// without a permission cannot be built, here or in the types.

import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { Problem, problemSchema } from "#contract/errors.ts";
import type { BodyOf, ParamsOf, QueryOf, ResponseOf, Route } from "#contract/route.ts";
import { ROUTES, type RouteName, type RouteNamed } from "#contract/routes.ts";
import { mayEver, NOBODY, type Subject } from "#domain/permission.ts";
import type { Db } from "#store/db.ts";
import type { Mutation } from "#store/idempotency.ts";
import type { RequestFacts } from "#store/request.ts";
import type { Identified } from "#store/tokens.ts";
import { type CredentialRules, identify, identifyToken } from "./credentials.ts";
import { mutationOf } from "./mutation.ts";
import { senderOf } from "./origin.ts";
import { type SseMessage, sendStream, sendTexts } from "./sse.ts";
import type { Trail } from "./trail.ts";

/** What a handler is given: checked, permitted, and whose it is. */
export interface Call<R extends Route> {
  /** The database, used for this request. */
  readonly db: Db;
  readonly subject: Subject;
  /** The token or web session that the request came with. */
  readonly credential: Identified;
  readonly params: ParamsOf<R>;
  readonly query: QueryOf<R>;
  readonly body: BodyOf<R>;
  /** Generation that If-Match asks for; null when the caller does not care. */
  readonly ifMatch: number | null;
  /** Idempotency-Key with the hash of the request; null without a key. */
  readonly mutation: Mutation | null;
  readonly lastEventId: string | null;
  /** Adds a Set-Cookie to the answer. */
  readonly setCookie: (cookie: string) => void;
  /** Aborts when the client goes away or the server closes. */
  readonly signal: AbortSignal;
}

export type Handler<R extends Route> = (
  call: Call<R>,
) => R extends { stream: true }
  ? AsyncIterable<SseMessage>
  : R extends { lines: true }
    ? AsyncIterable<string>
    : Promise<ResponseOf<R>>;

export type Handlers = { readonly [Name in RouteName]: Handler<RouteNamed<Name>> };
type AnyHandler = (call: Call<Route>) => Promise<unknown> | AsyncIterable<unknown>;

export interface RouteContext extends CredentialRules {
  readonly dbFor: (request: RequestFacts) => Db;
  /** What requests leave in the audit trail; only documents and tests of the door do without. */
  readonly trail?: Trail;
  readonly closing: AbortSignal;
  readonly stream: Parameters<typeof sendStream>[2];
}

export const PREFIX = "/v1";

export function registerRoutes(
  app: FastifyInstance,
  handlers: Handlers,
  context: RouteContext,
): void {
  for (const route of ROUTES) register(app, route, handlers[route.name] as AnyHandler, context);
}

function register(
  app: FastifyInstance,
  route: Route,
  handler: AnyHandler,
  context: RouteContext,
): void {
  if (!route.permission) throw new Error(`${route.name} names no permission: add one in routes.ts`);
  if (!handler) throw new Error(`${route.name} has no handler: add one in src/api`);
  app.route({
    method: route.method,
    url: PREFIX + route.path.replaceAll(/\{(\w+)\}/g, ":$1"),
    schema: fastifySchema(route),
    onRequest: async (request, reply) => {
      reply.headers(ANSWER_HEADERS);
      if (route.login || route.anonymous) refuseOtherSite(request, context);
      if (route.login) return;
      if (route.anonymous) {
        request.credential = { subject: NOBODY, credentialId: "", tokenId: null };
        return;
      }
      const needsProof = route.method !== "GET" || route.stream === true;
      admit(request, route, await identify(request, context, needsProof));
    },
    preValidation: async (request) => refuseStrayBody(route, request),
    preHandler: async (request) => {
      if (!route.login) return;
      const { token } = request.body as { token: string };
      admit(request, route, await identifyToken(token, context.authenticate));
    },
    handler: async (request, reply) => answer(route, handler, context, request, reply),
  });
}

/** What is one person's is kept by nobody on the way, and is taken for no page or script. */
const ANSWER_HEADERS = { "cache-control": "no-store", "x-content-type-options": "nosniff" };

function admit(request: FastifyRequest, route: Route, credential: Identified): void {
  // Also of those who may not: the audit trail tells who tried.
  request.credential = credential;
  if (!mayEver(credential.subject, route.permission))
    throw new Problem("forbidden", `This needs the permission ${route.permission}.`);
}

/** Nobody's page logs a person in as somebody else. */
function refuseOtherSite(request: FastifyRequest, { dashboardOrigin }: CredentialRules): void {
  if (senderOf(request.headers, dashboardOrigin) === "other")
    throw new Problem("cross_site", "Logging in works from the dashboard only.");
}

async function answer(
  route: Route,
  handler: AnyHandler,
  context: RouteContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort());
  const credential = request.credential as Identified;
  const facts = factsOf(route, request, credential, context);
  request.facts = facts;
  const db = context.dbFor(facts);
  const call: Call<Route> = {
    db,
    subject: credential.subject,
    credential,
    params: request.params as Call<Route>["params"],
    query: request.query as Call<Route>["query"],
    body: request.body as Call<Route>["body"],
    ifMatch: route.ifMatch ? parseIfMatch(request.headers["if-match"]) : null,
    mutation: route.idempotencyKey ? mutationOf(route, request) : null,
    lastEventId: lastOf(request.headers["last-event-id"]),
    setCookie: (cookie) => void reply.header("set-cookie", cookie),
    signal: AbortSignal.any([gone.signal, context.closing]),
  };
  const result = handler(call);
  if (route.stream) return sendStream(reply, result as AsyncIterable<SseMessage>, context.stream);
  if (route.lines) return sendTexts(reply, ended(result), LINES, context.stream);
  const body = await result;
  await context.trail?.settle(db, facts);
  const generation = generationOf(body);
  if (generation !== null) reply.header("etag", `"${generation}"`);
  return reply.status(route.status).send(body);
}

const LINES = { contentType: "application/x-ndjson", heartbeat: () => "" };

async function* ended(lines: unknown): AsyncGenerator<string, void> {
  for await (const line of lines as AsyncIterable<string>) yield `${line}\n`;
}

function factsOf(
  route: Route,
  request: FastifyRequest,
  credential: Identified,
  { trail }: RouteContext,
): RequestFacts {
  return {
    requestId: request.id,
    route: route.name,
    isMutation: route.method !== "GET",
    subject: credential.subject,
    credentialId: credential.credentialId,
    address: request.ip,
    userAgent: lastOf(request.headers["user-agent"]),
    resource: { ...(request.params as Record<string, string>) },
    trail: trail?.begin(route),
  };
}

function refuseStrayBody(route: Route, request: FastifyRequest): void {
  if (route.body) {
    // A body that is all defaults may be left out.
    request.body ??= {};
    return;
  }
  const { body } = request;
  const isEmpty = body == null || (typeof body === "object" && Object.keys(body).length === 0);
  if (!isEmpty)
    throw new Problem("invalid_request", "body: this operation takes none.", {
      fields: [{ path: "body", message: "this operation takes none" }],
    });
}

function parseIfMatch(header: string | undefined): number | null {
  if (header === undefined || header.trim() === "*") return null;
  const generation = /^\s*(?:W\/)?"(\d{1,15})"\s*$/.exec(header)?.[1];
  if (generation === undefined)
    throw new Problem("invalid_request", 'header.if-match: must be one ETag, as in "3".', {
      fields: [{ path: "header.if-match", message: 'must be one ETag, as in "3"' }],
    });
  return Number(generation);
}

function lastOf(header: string | string[] | undefined): string | null {
  return (Array.isArray(header) ? header.at(-1) : header) ?? null;
}

function generationOf(body: unknown): number | null {
  const shaped = body as { generation?: unknown; box?: { generation?: unknown } } | null;
  const generation = shaped?.box?.generation ?? shaped?.generation;
  return typeof generation === "number" ? generation : null;
}

function fastifySchema(route: Route): object {
  const headers: Record<string, z.ZodType> = {};
  if (route.idempotencyKey)
    headers["idempotency-key"] = z
      .string()
      .min(1)
      .max(200)
      .regex(/^[\x21-\x7e]+$/, "must be printable ASCII without spaces")
      .optional()
      .describe("Makes a repeat safe: the same key and body get the same answer.");
  if (route.ifMatch)
    headers["if-match"] = z
      .string()
      .max(100)
      .optional()
      .describe("Refuse unless the box still has this ETag.");
  const content = route.stream
    ? "text/event-stream"
    : route.lines
      ? LINES.contentType
      : "application/json";
  return {
    operationId: route.name,
    tags: [route.name.split(".")[0]],
    summary: route.summary,
    ...(route.description ? { description: route.description } : {}),
    ...(route.params ? { params: route.params } : {}),
    ...(route.query ? { querystring: route.query } : {}),
    ...(route.body ? { body: route.body } : {}),
    ...(Object.keys(headers).length > 0 ? { headers: z.looseObject(headers) } : {}),
    response: {
      [route.status]: {
        description: route.summary,
        content: { [content]: { schema: route.response } },
      },
      default: {
        description: "A problem.",
        content: { "application/problem+json": { schema: problemSchema } },
      },
    },
  };
}
