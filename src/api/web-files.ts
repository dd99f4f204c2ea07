// The web app's files, served from the API's own origin, with the headers that keep other pages out of it: no script but
// its own, no frame around it, no window that holds on to it.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import fastifyStatic from "@fastify/static";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

export interface WebFiles {
  /** Where the built app is. */
  readonly directory: string;
  /** Gateways that its terminals connect to: http://… */
  readonly gatewayUrls: () => Promise<readonly string[]>;
}

const INDEX = "index.html";
const POLICY = "content-security-policy";
/** Their names change with their content. */
const ASSETS = /\/assets\/[^/]+$/;
const YEAR_S = 365 * 86_400;

/** Answers for everything that is no route; the app finds its own pages below `/`. */
export async function serveWeb(app: FastifyInstance, files: WebFiles): Promise<void> {
  const hide = { schema: { hide: true } };
  for (const path of ["/", `/${INDEX}`])
    app.get(path, hide, async (_request, reply) => sendPage(reply, files));
  await app.register(fastifyStatic, {
    root: files.directory,
    index: false,
    dotfiles: "ignore",
    cacheControl: false,
    // The build leaves them beside each other: app.js, app.js.br, app.js.gz.
    preCompressed: true,
    schemaHide: true,
    setHeaders: (reply, path) => {
      // By whatever address a file is found, it runs under a policy.
      if (!reply.hasHeader(POLICY)) reply.header(POLICY, policyOf([]));
      const isAsset = ASSETS.test(path);
      reply.header("cache-control", isAsset ? `max-age=${YEAR_S}, immutable` : "no-cache");
      for (const [name, value] of Object.entries(PAGE_HEADERS)) reply.header(name, value);
    },
  });
}

/** A page is asked for that only the app knows. */
export function isPageVisit({ method, url, headers }: FastifyRequest): boolean {
  const isOfApi = /^\/(?:v1|node|metrics|healthz|readyz)(?:[/?]|$)/.test(url);
  return method === "GET" && !isOfApi && (headers.accept ?? "").includes("text/html");
}

export async function sendPage(reply: FastifyReply, files: WebFiles): Promise<FastifyReply> {
  // As text: a stream would hang a dozen listeners on the answer, and Node warns of leaks at eleven.
  const page = await readFile(join(files.directory, INDEX), "utf8").catch(() => null);
  if (page === null)
    return sendText(reply, 503, "The web app is not built here: run `npm run build:web`.");
  return reply
    .headers({ ...PAGE_HEADERS, [POLICY]: policyOf(await files.gatewayUrls()) })
    .header("cache-control", "no-cache")
    .type("text/html; charset=utf-8")
    .send(page);
}

/** A plain page for people, of our own words. */
export function sendText(reply: FastifyReply, status: number, text: string): FastifyReply {
  return reply
    .status(status)
    .headers({ ...PAGE_HEADERS, [POLICY]: `${NOTHING}; sandbox` })
    .type("text/plain; charset=utf-8")
    .send(`${text}\n`);
}

const NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
};

/** Styles may stand inline: the components set them on elements. Scripts may not, in any way. */
export function policyOf(gatewayUrls: readonly string[]): string {
  const gateways = gatewayUrls.flatMap((text) => {
    if (!URL.canParse(text)) return [];
    const { origin } = new URL(text);
    return [origin, origin.replace(/^http/, "ws")];
  });
  return [
    "default-src 'self'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    `connect-src ${["'self'", ...new Set(gateways)].join(" ")}`,
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; ");
}
