// Where clients come in: one HTTP listener. Every connection comes to the previews first (preview-door.ts), which
// keep what names one; every other is for the door for streams (stream-door.ts).

import { createServer } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "#lib/clock.ts";
import type { HttpDoor } from "./http-door.ts";
import type { GatewayLimits } from "./limits.ts";
import { listen } from "./listen.ts";
import type { Lobby } from "./lobby.ts";
import type { PreviewDoor } from "./preview-door.ts";

export interface ClientDoorOptions {
  readonly host: string;
  readonly port: number;
  readonly streamDoor: HttpDoor;
  /** Null: there are none. */
  readonly previews: PreviewDoor | null;
  /** Sockets between requests. */
  readonly lobby: Lobby;
  readonly clock: Clock;
  readonly limits: GatewayLimits;
}

export interface ClientDoor {
  readonly port: number;
  close(): Promise<void>;
}

const MAX_HEADER_BYTES = 16 * 1024;
/** How often Node looks for requests that are late. */
const CHECK_INTERVAL_MS = 1000;
const CLOSING_MS = 50;
const TCP_KEEPALIVE_MS = 15_000;

export async function openClientDoor(options: ClientDoorOptions): Promise<ClientDoor> {
  const { limits, lobby, streamDoor, previews } = options;
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
    // Another upgrade (h2c) may be ignored, and is.
    shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === "websocket",
  });
  server.maxConnections = limits.connections;
  // A proxy in front may bring requests of other hosts on the same connection: only one of ours comes on each.
  if (previews) server.maxRequestsPerSocket = 1;
  const serve = server.listeners("connection") as ((socket: Socket) => void)[];
  server.removeAllListeners("connection");
  const onOther = (socket: Socket) => {
    for (const listener of serve) listener.call(server, socket);
  };
  const forget = function (this: Socket) {
    sockets.delete(this);
  };
  server.on("connection", (socket) => {
    sockets.add(socket);
    lobby.enter(socket);
    socket.on("close", forget);
    if (previews) previews.accept(socket, { lobby, onOther });
    else onOther(socket);
  });
  server.on("request", (request, response) => {
    const { socket } = request;
    lobby.leave(socket);
    response.on("close", () => lobby.enter(socket));
    streamDoor.request(request, response);
  });
  server.on("upgrade", (request, socket, head) => streamDoor.upgrade(request, socket, head));
  const port = await listen(server, options);
  return {
    port,
    close: async () => {
      const closed = new Promise<void>((done) => server.close(() => done()));
      // Closing messages of streams that were ended just now still have to go out.
      await options.clock.sleep(CLOSING_MS);
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
