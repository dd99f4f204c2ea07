// The door for streams: `GET /v1/stream?box=ID&port=N` (or `&console=1`, or `&session=ID&mode=read|write`) upgraded to
// a WebSocket, with a ticket. The ticket is checked once, and the box must answer before the upgrade does, so that
// every refusal is a plain HTTP answer with a reason. Pages come in by another way: browser-door.ts.

import type { IncomingMessage, ServerResponse } from "node:http";
import { WebSocketServer } from "ws";
import { Problem } from "#contract/errors.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import type { Ticket, TicketCheck } from "#trust/tickets.ts";
import { browserDoor } from "./browser-door.ts";
import { type HttpDoor, STREAM_PATH, streamAddress, type Upgrade } from "./http-door.ts";
import type { Known } from "./known.ts";
import type { GatewayLimits } from "./limits.ts";
import type { Lobby } from "./lobby.ts";
import { answerProblem, refuseUpgrade, toProblem } from "./refusal.ts";
import { abandon, type OpenedStream, type Streams } from "./streams.ts";
import {
  accessByTicket,
  accessOf,
  currentTicketCheck,
  readDoor,
  refuseOthers,
} from "./ticket-access.ts";
import type { JoinClient } from "./web-socket-clients.ts";

export interface StreamDoorOptions {
  readonly streams: Streams;
  readonly known: Known;
  /** Ours, as tickets name it. */
  readonly url: string;
  readonly join: JoinClient;
  /** Sockets are in it until a ticket was accepted. */
  readonly lobby: Lobby;
  /** What GET /healthz shows. */
  readonly health: () => object;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: GatewayLimits;
}

/** The largest message that is taken; the SDK sends 64 KiB. */
const MAX_MESSAGE_BYTES = 1024 * 1024;

export function streamDoor(options: StreamDoorOptions): HttpDoor {
  const { clock, log } = options;
  const checkTicket = currentTicketCheck(options.known);
  const enter = tickets({ ...options, checkTicket });
  const enterFromPage = browserDoor({ ...options, checkTicket });
  return {
    request: (request, response) => answer(request, response, options),
    upgrade: (request, socket, head) => {
      socket.on("error", ignore);
      // A browser sends Origin by itself, and nobody else does.
      const isPage = request.headers.origin !== undefined;
      (isPage ? enterFromPage : enter)(request, socket, head).catch((error: unknown) =>
        refuseUpgrade(socket, toProblem(error, log), clock),
      );
    },
  };
}

/** A close follows. */
function ignore(): void {}

function tickets(options: StreamDoorOptions & { readonly checkTicket: TicketCheck }): Upgrade {
  const { join, lobby } = options;
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
  });
  return async (request, socket, head) => {
    const gone = new AbortController();
    const onClose = () => gone.abort();
    socket.once("close", onClose);
    const opened = await openFor(request, gone.signal, options);
    socket.off("close", onClose);
    lobby.leave(socket);
    let isJoined = false;
    if (!socket.destroyed)
      webSockets.handleUpgrade(request, socket, head, (client) => {
        isJoined = true;
        join(client, opened);
      });
    if (!isJoined) abandon(opened);
  };
}

async function openFor(
  request: IncomingMessage,
  gone: AbortSignal,
  options: StreamDoorOptions & { readonly checkTicket: TicketCheck },
): Promise<OpenedStream> {
  const { searchParams } = streamAddress(request);
  const { boxId, door } = readDoor(Object.fromEntries(searchParams));
  const [, bearer] = /^Bearer ([\w.-]+)$/i.exec(request.headers.authorization ?? "") ?? [];
  if (!bearer) throw new Problem("ticket_invalid", "the request carries no ticket");
  const address = request.socket.remoteAddress;
  const admit = (ticket: Ticket) => {
    if (ticket.origin !== null)
      throw new Problem("forbidden", "this ticket is a page's, and not for this way in");
    refuseOthers(ticket, options.url);
    return accessOf(ticket, boxId, door, address);
  };
  const access = await accessByTicket({ text: bearer, door, address, admit }, options);
  return options.streams.open(access, door, gone);
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { health }: StreamDoorOptions,
): void {
  request.resume();
  if (request.url === "/healthz" && request.method === "GET") {
    response.writeHead(200, { "content-type": "application/json", "cache-control": "no-store" });
    response.end(JSON.stringify(health()));
    return;
  }
  const isStream = request.url?.startsWith(STREAM_PATH);
  answerProblem(
    response,
    isStream
      ? new Problem("invalid_request", "a stream is opened by a WebSocket upgrade")
      : new Problem("route_not_found", "this is the door for streams, not the API"),
  );
}
