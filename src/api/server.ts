// The API as a server: puts the handlers together, listens, and closes without leaving anybody hanging.

import type { ServerResponse } from "node:http";
import type { FastifyInstance } from "fastify";
import type { Clock } from "#lib/clock.ts";
import { isUnavailable } from "#store/db.ts";
import type { Wakes } from "#store/listen.ts";
import { readDatabaseTime } from "#store/placements.ts";
import { forRequest } from "#store/tenant.ts";
import { identifySession, identifyToken } from "#store/tokens.ts";
import { hashToken, looksLikeToken } from "#trust/token-hash.ts";
import { accessHandlers, allGatewayUrls } from "./access.ts";
import { buildApp } from "./app.ts";
import { auditHandlers } from "./audit.ts";
import { boxHandlers } from "./boxes.ts";
import type { ApiContext } from "./context.ts";
import type { Authenticate } from "./credentials.ts";
import { EventHub } from "./event-hub.ts";
import { eventHandlers } from "./events.ts";
import { type GatewayFeedOptions, registerGatewayRoutes } from "./gateway-feed.ts";
import { keyHandlers, tokenHandlers, webSessionHandlers } from "./keys.ts";
import { registerLogin } from "./login.ts";
import { invitationHandlers, memberHandlers, teamHandlers } from "./members.ts";
import { type NodeApiContext, registerNodeRoutes } from "./node-protocol.ts";
import { buildNodeServer, type ServerTls } from "./node-server.ts";
import { nodeHandlers } from "./nodes.ts";
import { orgHandlers } from "./orgs.ts";
import { registerPreviewAuthorize } from "./preview-authorize.ts";
import { previewHandlers } from "./previews.ts";
import { cachedPrices } from "./price-cache.ts";
import { providerHandlers, scimTokenHandlers } from "./providers.ts";
import { quotaHandlers } from "./quotas.ts";
import type { RateLimits } from "./rate-limit.ts";
import { registerScim } from "./scim.ts";
import { shareHandlers } from "./shares.ts";
import { snapshotHandlers, volumeHandlers } from "./snapshots.ts";
import { templateHandlers } from "./templates.ts";
import { cachedIdentities } from "./token-cache.ts";
import { Trail } from "./trail.ts";
import { usageHandlers } from "./usage.ts";

export interface ListenAddress {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export interface ApiServer {
  /** The application, for tests that inject. */
  readonly app: FastifyInstance;
  /** Resolves to the URL that it listens on. */
  listen(address: ListenAddress): Promise<string>;
  /** Ends streams and waits, then the listener. */
  close(): Promise<void>;
}

export interface ApiOptions extends Omit<ApiContext, "hub" | "pricesOf"> {
  readonly wakes: Wakes;
  /** Where the built web app is; null: only the API is served. */
  readonly webDirectory?: string | null;
  /** Names that it is asked for by, besides the dashboard's, localhost and addresses. */
  readonly hosts?: readonly string[];
  readonly rateLimits?: RateLimits | null;
  readonly trustedProxies?: readonly string[];
  readonly heartbeatMs?: number;
  readonly stallMs?: number;
}

/** The user API: plain HTTP, for 127.0.0.1 or a proxy that ends TLS. */
export async function createApi(options: ApiOptions): Promise<ApiServer> {
  const closing = new AbortController();
  const { db, wakes, clock, log, metrics, version } = options;
  const hub = new EventHub({ db, wakes, clock, log });
  const tokenOf = cachedIdentities(clock, (hash) => identifyToken(db, hash));
  const sessionOf = cachedIdentities(clock, (hash) => identifySession(db, hash, "web"));
  const cliSessionOf = cachedIdentities(clock, (hash) => identifySession(db, hash, "cli"));
  const context = { ...options, hub, pricesOf: cachedPrices(options) };
  const authenticate: Authenticate = async ({ kind, secret }) => {
    if (!looksLikeToken(secret)) return null;
    const hash = hashToken(secret);
    if (kind === "session") return sessionOf(hash);
    return (await tokenOf(hash)) ?? (await cliSessionOf(hash));
  };
  const trail = new Trail(options);
  const app = await buildApp({
    trail,
    handlers: {
      ...boxHandlers(context),
      ...snapshotHandlers(context),
      ...volumeHandlers(),
      ...templateHandlers(context),
      ...nodeHandlers(context),
      ...eventHandlers(context),
      ...accessHandlers(context),
      ...keyHandlers(),
      ...tokenHandlers(),
      ...webSessionHandlers(context),
      ...providerHandlers(context.identity),
      ...scimTokenHandlers(context.identity),
      ...previewHandlers(context),
      ...usageHandlers(context),
      ...auditHandlers(context),
      ...orgHandlers(context),
      ...memberHandlers(),
      ...invitationHandlers(context),
      ...teamHandlers(),
      ...shareHandlers(),
      ...quotaHandlers(),
    },
    authenticate,
    dbFor: (request) => forRequest(db, request),
    addRoutes: (scope) => {
      registerPreviewAuthorize(scope, context, authenticate, trail);
      registerLogin(scope, context.identity);
      registerScim(scope, context.identity);
    },
    web: options.webDirectory
      ? { directory: options.webDirectory, gatewayUrls: () => allGatewayUrls(context) }
      : null,
    dashboardOrigin: options.dashboardOrigin,
    hosts: options.hosts,
    rateLimits: options.rateLimits,
    trustedProxies: options.trustedProxies,
    isUnavailable,
    ready: async () => void (await readDatabaseTime(db)),
    clock,
    log,
    metrics,
    version,
    closing: closing.signal,
    heartbeatMs: options.heartbeatMs,
    stallMs: options.stallMs,
  });
  const server = serverOf(app, closing, clock);
  return {
    ...server,
    close: async () => {
      await server.close();
      await trail.idle();
      await hub.close();
    },
  };
}

export interface NodeApiOptions extends Omit<NodeApiContext, "closing">, GatewayFeedOptions {
  readonly tls: ServerTls;
}

/** The API for nodes and gateways: HTTPS with client certificates, on a listener of its own. */
export async function createNodeApi(options: NodeApiOptions): Promise<ApiServer> {
  const closing = new AbortController();
  const app = buildNodeServer(options.tls, options.log);
  const context = { ...options, closing: closing.signal };
  registerNodeRoutes(app, context);
  const feeds = registerGatewayRoutes(app, context);
  const server = serverOf(app, closing, options.clock);
  return {
    ...server,
    close: async () => {
      await server.close();
      await feeds.close();
    },
  };
}

/** Long polls see the closing and answer; what is still open after this is cut. */
const DRAIN_MS = 500;
const DRAIN_STEP_MS = 10;

function serverOf(app: FastifyInstance, closing: AbortController, clock: Clock): ApiServer {
  let open = 0;
  app.server.on("request", (_request: unknown, response: ServerResponse) => {
    open += 1;
    response.once("close", () => {
      open -= 1;
    });
  });
  return {
    app,
    listen: async ({ host, port }) => app.listen({ host, port }),
    close: async () => {
      closing.abort();
      for (let waitedMs = 0; open > 0 && waitedMs < DRAIN_MS; waitedMs += DRAIN_STEP_MS)
        await clock.sleep(DRAIN_STEP_MS);
      await app.close();
    },
  };
}
