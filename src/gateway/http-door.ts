// What the doors at the client listener have in common.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { Problem } from "#contract/errors.ts";

/** Serves requests and upgrades at the client listener. */
export interface HttpDoor {
  request(request: IncomingMessage, response: ServerResponse): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** Throws a Problem when the request is refused. */
export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => Promise<void>;

export const STREAM_PATH = "/v1/stream";

/** Throws when the request is not the upgrade of a stream. */
export function streamAddress(request: IncomingMessage): URL {
  const url = URL.parse(request.url ?? "", "http://gateway");
  if (url?.pathname !== STREAM_PATH) throw new Problem("route_not_found", `see ${STREAM_PATH}`);
  if (request.method !== "GET" || !isWebSocket(request))
    throw new Problem("invalid_request", "a stream is opened by a WebSocket upgrade, version 13");
  return url;
}

/** What ws would refuse anyway, seen before a box is asked. */
function isWebSocket({ headers }: IncomingMessage): boolean {
  return (
    headers.upgrade?.toLowerCase() === "websocket" &&
    headers["sec-websocket-version"] === "13" &&
    /^[+/0-9A-Za-z]{22}==$/.test(headers["sec-websocket-key"] ?? "")
  );
}
