// A control plane as gateways see it: mTLS, the requests of contract/gateway-feed.ts, answered as a test says.

import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { FeedFull, FeedLine } from "#contract/gateway-feed.ts";
import type { CertificateAuthority } from "#trust/x509.ts";
import { serverTls } from "./doors.ts";

export interface FeedServer {
  readonly url: string;
  readonly port: number;
  /** What gateways said of themselves when they opened a feed. */
  readonly hellos: unknown[];
  /** Bodies of the other requests, by name. */
  readonly asked: { readonly name: string; readonly body: unknown }[];
  readonly feeds: number;
  /** Sent first on every feed. */
  full: FeedFull;
  /** Said on every feed every 50 ms. */
  isBeating: boolean;
  answer: (name: string, body: unknown) => { status: number; body: unknown };
  /** Sends a line, or any text, to every feed. */
  say(line: FeedLine | string): void;
  close(): Promise<void>;
}

const BEAT_MS = 50;

export async function openFeedServer(
  authority: CertificateAuthority,
  full: FeedFull,
  port = 0,
): Promise<FeedServer> {
  const { caPem, certificatePem, privateKeyPem } = await serverTls(authority, "server");
  const feeds = new Set<ServerResponse>();
  const write = (line: FeedLine | string, to: Iterable<ServerResponse> = feeds) => {
    const text = typeof line === "string" ? line : `${JSON.stringify(line)}\n`;
    for (const feed of to) feed.write(text);
  };
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    const name = (request.url ?? "").replace("/node/v1/gateway/", "");
    let text = "";
    for await (const chunk of request) text += chunk;
    const body = JSON.parse(text) as unknown;
    if (name !== "feed") {
      server.asked.push({ name, body });
      const answer = server.answer(name, body);
      response.writeHead(answer.status).end(JSON.stringify(answer.body));
      return;
    }
    server.hellos.push(body);
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    write(server.full, [response]);
    feeds.add(response);
    response.on("close", () => feeds.delete(response));
  };
  const tls = { cert: certificatePem, key: privateKeyPem, ca: caPem };
  const https = createServer({ ...tls, requestCert: true, rejectUnauthorized: true });
  https.on("request", (request, response) => void take(request, response));
  await new Promise<void>((done) => https.listen(port, "127.0.0.1", done));
  const { port: listening } = https.address() as { port: number };
  const beats = setInterval(() => {
    if (server.isBeating) write({ kind: "beat" });
  }, BEAT_MS);
  const server: FeedServer = {
    url: `https://127.0.0.1:${listening}`,
    port: listening,
    hellos: [],
    asked: [],
    get feeds() {
      return feeds.size;
    },
    full,
    isBeating: true,
    answer: (name) => ({
      status: 200,
      body: name === "ended-credentials" ? { credentialIds: [] } : { phase: "resuming" },
    }),
    say: (line) => write(line),
    close: async () => {
      clearInterval(beats);
      const closed = new Promise<void>((done) => https.close(() => done()));
      https.closeAllConnections();
      await closed;
    },
  };
  return server;
}
