// Where clients come in: HTTP with one upgrade, `GET /v1/stream?box=ID&port=N` (or `&console=1`) and a
// ticket. The ticket is checked once; the box must answer before the upgrade does, so that every
// refusal is a plain HTTP answer with a reason.

import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { ERRORS, Problem } from "#contract/errors.ts";
import type { Door } from "#contract/gateway-protocol.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import { type TicketCheck, TicketError } from "#trust/tickets.ts";
import type { GatewayLimits } from "./limits.ts";
import type { OpenedStream, Streams } from "./streams.ts";

export interface ClientDoorOptions {
  readonly host: string;
  readonly port: number;
  /** Asked each time, so that keys can be replaced while the gateway runs. */
  readonly checkTicket: TicketCheck;
  readonly streams: Streams;
  /** What GET /healthz shows. */
  readonly health: () => object;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: GatewayLimits;
}

export interface ClientDoor {
  readonly port: number;
  close(): Promise<void>;
}

/** The largest message that is taken; the SDK sends 64 KiB. */
const MAX_MESSAGE_BYTES = 1024 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;
/** How often Node looks for requests that are late. */
const CHECK_INTERVAL_MS = 1000;
/** Time to read a refusal. */
const LINGER_MS = 2000;
const CLOSING_MS = 50;
const TCP_KEEPALIVE_MS = 15_000;
const STREAM_PATH = "/v1/stream";

export async function openClientDoor(options: ClientDoorOptions): Promise<ClientDoor> {
  const { limits } = options;
  const sockets = new Set<Duplex>();
  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: limits.requestTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, limits.requestTimeoutMs),
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEPALIVE_MS,
    noDelay: true,
  });
  server.maxConnections = limits.connections;
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("request", (request, response) => answer(request, response, options));
  const upgrade = upgrades(options);
  server.on("upgrade", (request, socket, head) => {
    socket.on("error", () => {}); // A close follows.
    upgrade(request, socket, head).catch((error: unknown) =>
      refuse(socket, toProblem(error, options.log), options.clock),
    );
  });
  await new Promise<void>((done, fail) => {
    server.once("error", fail);
    server.listen(options.port, options.host, () => {
      server.off("error", fail);
      done();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = new Promise<void>((done) => server.close(() => done()));
      // Closing messages of streams that were ended just now still have to go out.
      await options.clock.sleep(CLOSING_MS);
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => Promise<void>;

/** Throws a Problem when the request is refused. */
function upgrades(options: ClientDoorOptions): Upgrade {
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
  });
  return async (request, socket, head) => {
    const gone = new AbortController();
    socket.once("close", () => gone.abort());
    const opened = await openFor(request, gone.signal, options);
    let isJoined = false;
    if (!socket.destroyed)
      webSockets.handleUpgrade(request, socket, head, (client) => {
        isJoined = true;
        opened.join(client);
      });
    if (!isJoined) opened.abandon();
  };
}

async function openFor(
  request: IncomingMessage,
  gone: AbortSignal,
  { checkTicket, streams, clock }: ClientDoorOptions,
): Promise<OpenedStream> {
  // A browser sends Origin by itself; no page is a client of this door.
  if (request.headers.origin !== undefined)
    throw new Problem("forbidden", "browsers are not let in at this door");
  const { boxId, door } = readRequest(request);
  const [, bearer] = /^Bearer ([\w.-]+)$/i.exec(request.headers.authorization ?? "") ?? [];
  if (!bearer) throw new Problem("ticket_invalid", "the request carries no ticket");
  const ticket = await checkTicket(bearer, clock.nowMs());
  if (ticket.boxId !== boxId)
    throw new Problem("forbidden", `this ticket is for ${ticket.boxId}, not for ${boxId}`);
  return streams.open(ticket, door, gone);
}

interface Wanted {
  readonly boxId: string;
  readonly door: Door;
}

function readRequest(request: IncomingMessage): Wanted {
  const url = URL.parse(request.url ?? "", "http://gateway");
  if (url?.pathname !== STREAM_PATH) throw new Problem("route_not_found", `see ${STREAM_PATH}`);
  if (request.method !== "GET" || !isWebSocket(request))
    throw new Problem("invalid_request", "a stream is opened by a WebSocket upgrade, version 13");
  const { box, port, console: isConsole, ...others } = Object.fromEntries(url.searchParams);
  const isOneDoor = (port === undefined) !== (isConsole === undefined);
  if (!box || !isOneDoor || Object.keys(others).length > 0)
    throw new Problem("invalid_request", "give `box`, and either `port` or `console=1`");
  if (isConsole === "1") return { boxId: box, door: { console: true } };
  if (!/^[1-9]\d{0,4}$/.test(port ?? "") || Number(port) > 65_535)
    throw new Problem("invalid_request", "`port` must be a number from 1 to 65535");
  return { boxId: box, door: { port: Number(port) } };
}

/** What ws would refuse anyway, seen before a box is asked. */
function isWebSocket({ headers }: IncomingMessage): boolean {
  return (
    headers.upgrade?.toLowerCase() === "websocket" &&
    headers["sec-websocket-version"] === "13" &&
    /^[+/0-9A-Za-z]{22}==$/.test(headers["sec-websocket-key"] ?? "")
  );
}

function toProblem(error: unknown, log: Log): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof TicketError)
    return new Problem(
      error.reason === "expired" ? "ticket_expired" : "ticket_invalid",
      error.message,
    );
  if ((error as Error).name !== "AbortError") log.error({ err: error }, "stream not opened");
  return new Problem("internal", "the stream could not be opened");
}

/** An answer that is not an upgrade, with the reason in the shape of the API. */
function refusal({ code, message }: Problem): { status: number; headers: object; body: string } {
  const { status, title, retryable, next } = ERRORS[code];
  const body = JSON.stringify({
    type: `urn:berth:error:${code}`,
    title,
    status,
    code,
    detail: `${message}. ${next}`,
    retryable,
    requestId: randomUUID(),
  });
  const headers = {
    "content-type": "application/problem+json",
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    connection: "close",
    ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
  };
  return { status, headers, body };
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { health }: ClientDoorOptions,
): void {
  request.resume();
  if (request.url === "/healthz" && request.method === "GET") {
    response.writeHead(200, { "content-type": "application/json", "cache-control": "no-store" });
    response.end(JSON.stringify(health()));
    return;
  }
  const isStream = request.url?.startsWith(STREAM_PATH);
  const { status, headers, body } = refusal(
    isStream
      ? new Problem("invalid_request", "a stream is opened by a WebSocket upgrade")
      : new Problem("route_not_found", "this is the door for streams, not the API"),
  );
  response.writeHead(status, { ...headers }).end(body);
}

function refuse(socket: Duplex, problem: Problem, clock: Clock): void {
  if (socket.destroyed) return;
  const { status, headers, body } = refusal(problem);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.resume(); // What it still sends is not read by anyone.
  socket.end(`HTTP/1.1 ${status} ${ERRORS[problem.code].title}\r\n${lines.join("")}\r\n${body}`);
  const closed = new AbortController();
  socket.once("close", () => closed.abort());
  clock.sleep(LINGER_MS, closed.signal).then(
    () => socket.destroy(),
    () => {}, // It closed by itself.
  );
}
