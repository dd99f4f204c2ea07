// The Fastify application without a socket: hooks, errors, routes and the OpenAPI document. server.ts
// listens with it, tests inject into it, and tools/gen.ts reads its document.

import swagger from "@fastify/swagger";
import fastify, { type FastifyInstance } from "fastify";
import {
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
} from "fastify-type-provider-zod";
import { ERRORS, Problem } from "#contract/errors.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import type { Metrics } from "#lib/metrics.ts";
import type { Identified } from "#store/tokens.ts";
import { compressAnswers } from "./compress.ts";
import type { CredentialRules } from "./credentials.ts";
import type { RequestSchemas } from "./fields.ts";
import { documentOf } from "./openapi.ts";
import { isKnownHost } from "./origin.ts";
import { problemBody, problemHeaders, toProblem } from "./problem.ts";
import { limitRequests, type RateLimits } from "./rate-limit.ts";
import { makeRequestId } from "./request-id.ts";
import { type Handlers, type RouteContext, registerRoutes } from "./route.ts";
import { isPageVisit, sendPage, serveWeb, type WebFiles } from "./web-files.ts";

declare module "fastify" {
  interface FastifyRequest {
    credential?: Identified;
    startedMs?: number;
  }
}

const BODY_LIMIT_BYTES = 1024 * 1024;
const HEARTBEAT_MS = 15_000;
const STALL_MS = 30_000;
/** The header and body of a request must be here by then: a slow sender holds no socket for ever. */
const REQUEST_TIMEOUT_MS = 30_000;

export interface AppOptions extends CredentialRules {
  readonly dbFor: RouteContext["dbFor"];
  readonly trail?: RouteContext["trail"];
  readonly handlers: Handlers;
  /** True for an error that says that the database cannot be reached now. */
  readonly isUnavailable: (error: unknown) => boolean;
  /** Resolves when the database answers. */
  readonly ready: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly version: string;
  /** The web app; null: only the API is served. */
  readonly web?: WebFiles | null;
  /** Routes that are no operation of the contract. */
  readonly addRoutes?: (app: FastifyInstance) => void;
  /** Names that requests may ask for, besides the dashboard's, localhost and addresses. */
  readonly hosts?: readonly string[];
  /** How often one may ask; null: as often as one likes. */
  readonly rateLimits?: RateLimits | null;
  /** Whose X-Forwarded-For is believed. */
  readonly trustedProxies?: readonly string[];
  /** Aborted at close: ends streams and waits. */
  readonly closing: AbortSignal;
  readonly heartbeatMs?: number;
  readonly stallMs?: number;
}

export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { hostname } = new URL(options.dashboardOrigin);
  const knownHosts = new Set([hostname, ...(options.hosts ?? [])]);
  const app = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    trustProxy: options.trustedProxies?.length ? [...options.trustedProxies] : false,
    genReqId: makeRequestId,
    frameworkErrors: (error, request, reply) => {
      sendProblem(error, request.id, reply, options);
    },
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  acceptJson(app);
  countRequests(app, options);
  refuseNul(app);
  compressAnswers(app);
  if (options.rateLimits) limitRequests(app, options.rateLimits, options);
  app.addHook("onRequest", async (request) => {
    const { host } = request.headers;
    // Probes of an operator's machinery come by whatever name they like, and learn nothing.
    if (isKnownHost(host, knownHosts) || PROBES.has(request.url)) return;
    throw new Problem("unknown_host", `This server is not '${String(host).slice(0, 200)}'.`);
  });
  app.setNotFoundHandler((request, reply) => {
    if (options.web && isPageVisit(request)) return sendPage(reply, options.web);
    const { pathname } = new URL(request.url, "http://any");
    const problem = new Problem(
      "route_not_found",
      `There is no ${request.method} ${pathname.slice(0, 200)}.`,
    );
    sendProblem(problem, request.id, reply, options);
  });
  app.setErrorHandler((error, request, reply) => {
    const schemas = request.routeOptions.schema as RequestSchemas;
    const problem = sendProblem(error, request.id, reply, options, schemas);
    options.trail?.refused(request, problem);
  });
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Berth",
        version: "1",
        description: "Self-hosted cloud dev machines: real VMs that pause, resume and fork.",
        license: { name: "Apache-2.0" },
      },
      components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
      security: [{ token: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  const context: RouteContext = {
    dbFor: options.dbFor,
    trail: options.trail,
    authenticate: options.authenticate,
    dashboardOrigin: options.dashboardOrigin,
    closing: options.closing,
    stream: {
      clock: options.clock,
      log: options.log,
      heartbeatMs: options.heartbeatMs ?? HEARTBEAT_MS,
      stallMs: options.stallMs ?? STALL_MS,
    },
  };
  // In a plugin, so that @fastify/swagger is there to see each route.
  await app.register(async (scope) => registerRoutes(scope, options.handlers, context));
  await app.register(async (scope) => registerOperatorRoutes(scope, options));
  options.addRoutes?.(app);
  if (options.web) await serveWeb(app, options.web);
  return app;
}

const PROBES: ReadonlySet<string> = new Set(["/healthz", "/readyz"]);

/** What needs no token, because it says nothing of anybody's data. */
async function registerOperatorRoutes(app: FastifyInstance, options: AppOptions): Promise<void> {
  const hide = { schema: { hide: true } };
  app.get("/healthz", hide, async () => ({ status: "ok", version: options.version }));
  app.get("/readyz", hide, async () => {
    await options.ready();
    return { status: "ok" };
  });
  app.get("/metrics", hide, async (_request, reply) =>
    reply.type("text/plain; version=0.0.4; charset=utf-8").send(options.metrics.print()),
  );
  app.get("/v1/openapi.json", hide, async () => documentOf(app));
}

function acceptJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser("error", "error");
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) => {
    // Clients send the header with every request; a mutation without a body is no mistake.
    if (body.length === 0) done(null, undefined);
    else parse(request, body as string, done);
  });
}

/** No text in Postgres holds one, so nothing is named by it: for whatever has no schema that says so. */
function refuseNul(app: FastifyInstance): void {
  app.addHook("preHandler", async ({ url }) => {
    if (!url.includes("%00")) return;
    throw new Problem("invalid_request", "url: has a NUL character.", {
      fields: [{ path: "url", message: "has a NUL character" }],
    });
  });
}

function countRequests(app: FastifyInstance, options: AppOptions): void {
  const { clock, metrics } = options;
  const seconds = metrics.histogram(
    "berth_request_seconds",
    "Time to answer a request, by operation.",
  );
  const count = metrics.counter(
    "berth_requests_total",
    "Requests answered, by operation and status.",
  );
  let open = 0;
  metrics.gauge(
    "berth_requests_open",
    "Requests being answered, streams and waits too.",
    () => open,
  );
  app.addHook("onRequest", async (request, reply) => {
    open += 1;
    reply.raw.once("close", () => {
      open -= 1;
    });
    request.startedMs = clock.monotonicMs();
    reply.header("x-request-id", request.id);
  });
  app.addHook("onResponse", async (request, reply) => {
    const operation = (request.routeOptions.schema as { operationId?: string } | undefined)
      ?.operationId;
    const labels = { operation: operation ?? "other" };
    count.add({ ...labels, status: String(reply.raw.statusCode) });
    // The length of a stream is no latency.
    if (operation !== "events.watch" && operation !== "boxes.wait")
      seconds.observe((clock.monotonicMs() - (request.startedMs ?? 0)) / 1000, labels);
  });
}

interface ProblemReply {
  status(code: number): ProblemReply;
  headers(values: Record<string, string>): ProblemReply;
  // Fastify's own type asks for the schema's type; a problem goes out as finished text.
  serializer(write: (payload: unknown) => string): ProblemReply;
  send(payload: unknown): unknown;
}

function sendProblem(
  error: unknown,
  requestId: string,
  reply: unknown,
  options: AppOptions,
  schemas: RequestSchemas = {},
): Problem {
  const problem = toProblem(error, options.isUnavailable, schemas);
  const { status } = ERRORS[problem.code];
  if (status >= 500)
    options.log[problem.code === "internal" ? "error" : "warn"](
      { requestId, err: problem.cause ?? problem },
      `answered ${problem.code}`,
    );
  (reply as ProblemReply)
    .status(status)
    .headers({ ...problemHeaders(problem), "x-request-id": requestId })
    .serializer((payload) => JSON.stringify(payload))
    .send(problemBody(problem, requestId));
  return problem;
}
