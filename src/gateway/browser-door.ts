// The way in for a page. A page cannot set headers, its cookies go along by themselves, and any page may try; so: only
// the dashboard's own origin, a sub-protocol, nothing in the address, no cookie is ever read, and the ticket is the
// first message, is for that origin and this gateway, and is taken once.

import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { Problem } from "#contract/errors.ts";
import type { Clock } from "#lib/clock.ts";
import { withDeadline } from "#lib/deadline.ts";
import type { Log } from "#lib/log.ts";
import type { Ticket, TicketCheck } from "#trust/tickets.ts";
import { streamAddress, type Upgrade } from "./http-door.ts";
import type { Known } from "./known.ts";
import type { GatewayLimits } from "./limits.ts";
import type { Lobby } from "./lobby.ts";
import { toProblem } from "./refusal.ts";
import { abandon, type OpenedStream, type Streams } from "./streams.ts";
import { accessByTicket, accessOf, readDoor, refuseOthers } from "./ticket-access.ts";
import { closeWords, type JoinClient } from "./web-socket-clients.ts";

export interface BrowserDoorOptions {
  readonly checkTicket: TicketCheck;
  readonly streams: Streams;
  readonly known: Known;
  /** Ours, as tickets name it. */
  readonly url: string;
  readonly join: JoinClient;
  readonly lobby: Lobby;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: GatewayLimits;
}

export const SUB_PROTOCOL = "berth.v1";
/** The page's stream sends 64 KiB; before a ticket was shown nobody may make us hold more. */
const MAX_MESSAGE_BYTES = 64 * 1024;
const MAX_FIRST_BYTES = 8 * 1024;
const PROTOCOL_ERROR = 1002;
/** Tickets that were taken and are not forgotten before they are over, clocks considered. */
const TICKET_MEMORY_MS = 10 * 60_000;
/** Tickets say when they were issued to the second. */
const ISSUED_WITHIN_MS = 1000;

export function browserDoor(options: BrowserDoorOptions): Upgrade {
  const { known, clock, log } = options;
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    handleProtocols: () => SUB_PROTOCOL,
  });
  const takeOnce = usedTickets(clock);
  return async (request, socket, head) => {
    const origin = pageOf(request, known);
    webSockets.handleUpgrade(request, socket, head, (client) => {
      enter(client, socket, origin, { ...options, takeOnce }).catch((error: unknown) =>
        client.close(...closeWords(toProblem(error, log))),
      );
    });
  };
}

/** The origin, when it is the only one that may; throws otherwise. */
function pageOf(request: IncomingMessage, known: Known): string {
  const { origin = "", authorization } = request.headers;
  if (origin !== known.settings.dashboardOrigin)
    throw new Problem("forbidden", "pages of this origin are not let in at this door");
  const url = streamAddress(request);
  if (url.search !== "" || authorization !== undefined)
    throw new Problem("invalid_request", "a page names its box and ticket in its first message");
  const offered = request.headers["sec-websocket-protocol"]?.split(/\s*,\s*/) ?? [];
  if (!offered.includes(SUB_PROTOCOL))
    throw new Problem("invalid_request", `offer the sub-protocol ${SUB_PROTOCOL}`);
  return origin;
}

type Entering = BrowserDoorOptions & { readonly takeOnce: (ticket: Ticket) => boolean };

/** Throws what the page is then told. */
async function enter(
  client: WebSocket,
  socket: Duplex,
  origin: string,
  options: Entering,
): Promise<void> {
  const { clock, limits, lobby, join } = options;
  const gone = new AbortController();
  client.once("close", () => gone.abort());
  client.on("error", () => {}); // A close follows.
  const first = Promise.withResolvers<string>();
  let messages = 0;
  // After the first, a page has nothing to say until it is told that it is in.
  const onMessage = (bytes: Buffer, isBinary: boolean) => {
    messages += 1;
    if (messages > 1) client.close(PROTOCOL_ERROR, "a message before the stream was open");
    else if (isBinary || bytes.length > MAX_FIRST_BYTES)
      first.reject(new Problem("invalid_request", "the first message is a short text: the ticket"));
    else first.resolve(bytes.toString());
  };
  client.on("message", onMessage);
  gone.signal.addEventListener("abort", () => first.reject(gone.signal.reason));
  const text = await withDeadline(
    clock,
    limits.requestTimeoutMs,
    () => first.promise,
    () => new Problem("ticket_invalid", "no ticket came in time"),
  );
  const { remoteAddress } = socket as Socket;
  const opened = await open(text, origin, gone.signal, { ...options, remoteAddress });
  lobby.leave(socket);
  client.off("message", onMessage);
  if (client.readyState !== client.OPEN) return abandon(opened);
  client.send(JSON.stringify({ opened: true }));
  join(client, opened);
}

async function open(
  first: string,
  origin: string,
  gone: AbortSignal,
  options: Entering & { readonly remoteAddress: string | undefined },
): Promise<OpenedStream> {
  const { takeOnce, url, remoteAddress: address } = options;
  const { ticket: text, ...named } = readFirst(first);
  const { boxId, door } = readDoor(named);
  const admit = (ticket: Ticket) => {
    if (ticket.origin !== origin)
      throw new Problem("forbidden", "this ticket is not for a page of this origin");
    if (ticket.gatewayUrl === null)
      throw new Problem("forbidden", "a page's ticket names the gateway that it is for");
    refuseOthers(ticket, url);
    const access = accessOf(ticket, boxId, door, address);
    if (!takeOnce(ticket))
      throw new Problem("ticket_invalid", "this ticket was used before, or may have been");
    return access;
  };
  const access = await accessByTicket({ text: String(text), door, address, admit }, options);
  return options.streams.open(access, door, gone);
}

function readFirst(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Falls through to the refusal.
  }
  throw new Problem("invalid_request", "the first message is an object of JSON");
}

/**
 * True the first time. Remembered for longer than any such ticket lives; one that was issued before we began may have
 * been taken by a gateway that was here before.
 */
function usedTickets(clock: Clock): (ticket: Ticket) => boolean {
  const used = new Map<string, number>();
  const begunMs = clock.nowMs();
  return ({ ticketId, issuedAtMs }) => {
    if (issuedAtMs + ISSUED_WITHIN_MS <= begunMs) return false;
    const nowMs = clock.monotonicMs();
    for (const [id, atMs] of used) {
      if (nowMs - atMs < TICKET_MEMORY_MS) break;
      used.delete(id);
    }
    if (used.has(ticketId)) return false;
    used.set(ticketId, nowMs);
    return true;
  };
}
