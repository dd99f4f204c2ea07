// Streams into a box: through a gateway, with a ticket.
//
//   const { ticket, gatewayUrl, boxId } = await berth.access.ticket("web", { ports: [8080] });
//   const stream = await openStream({ gatewayUrl, ticket, boxId, door: { port: 8080 } });

import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import { SocketStream } from "#wire/socket-stream.ts";
import { errorOfResponse, unreachable } from "./api-error.ts";

export { StreamBroken } from "#wire/socket-stream.ts";

/** A TCP port inside the box, the last bytes of its console, or one exec session. */
export type StreamDoor =
  | { readonly port: number }
  | { readonly console: true }
  | { readonly session: string; readonly mode: "read" | "write" };

export interface StreamOptions {
  /** As `access.ticket` answers it. */
  readonly gatewayUrl: string;
  readonly ticket: string;
  readonly boxId: string;
  readonly door: StreamDoor;
  readonly signal?: AbortSignal;
  /** A connection that brings nothing for so long, not even the gateway's pings (every 15 s), is lost. */
  readonly silenceMs?: number;
}

const CONNECT_TIMEOUT_MS = 30_000;
const SILENCE_MS = 60_000;
const LOOKS = 4;
const MAX_MESSAGE_BYTES = 1024 * 1024;
const MAX_PROBLEM_BYTES = 64 * 1024;
const STREAM_PATH = "/v1/stream";

/**
 * Opens a stream: `end()` ends our direction only. Throws ApiError when it is refused; a stream that breaks
 * later is destroyed with StreamBroken, which says why.
 */
export function openStream(options: StreamOptions): Promise<Duplex> {
  const url = streamUrl(options);
  const { signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const socket = new WebSocket(url, {
      headers: { authorization: `Bearer ${options.ticket}` },
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
      handshakeTimeout: CONNECT_TIMEOUT_MS,
    });
    const abort = () => {
      reject(signal?.reason);
      socket.terminate();
    };
    signal?.addEventListener("abort", abort, { once: true });
    const settle = () => signal?.removeEventListener("abort", abort);
    const stream = new SocketStream(socket);
    stream.on("error", () => {}); // Before the stream is handed out, the socket's error says more.
    socket.on("open", () => {
      settle();
      stream.removeAllListeners("error");
      endWhenSilent(socket, options.silenceMs ?? SILENCE_MS);
      resolve(stream);
    });
    socket.on("error", (error) => {
      settle();
      reject(unreachable(url.href, error));
    });
    socket.on("unexpected-response", (request, response) => {
      settle();
      readAll(response).then((body) => {
        const headers = { "x-request-id": String(response.headers["x-request-id"] ?? "") };
        const status = Math.max(200, response.statusCode ?? 502);
        return errorOfResponse(new Response(body, { status, headers }), url.href).then(reject);
      }, reject);
      response.on("close", () => request.destroy());
    });
  });
}

/** A network that went away says nothing, and whoever only reads would never hear of it. */
function endWhenSilent(socket: WebSocket, silenceMs: number): void {
  let silentLooks = 0;
  const hear = () => {
    silentLooks = 0;
  };
  const timer = setInterval(() => {
    // While we do not read, it is we who hear nothing.
    silentLooks = socket.isPaused ? 0 : silentLooks + 1;
    if (silentLooks > LOOKS) socket.terminate();
  }, silenceMs / LOOKS);
  timer.unref();
  socket.on("ping", hear).on("message", hear);
  socket.on("close", () => clearInterval(timer));
}

function streamUrl({ gatewayUrl, boxId, door }: StreamOptions): URL {
  const url = new URL(gatewayUrl);
  url.protocol = url.protocol.replace("http", "ws");
  if (!url.pathname.endsWith(STREAM_PATH)) url.pathname = url.pathname.replace(/\/*$/, STREAM_PATH);
  url.searchParams.set("box", boxId);
  if ("console" in door) url.searchParams.set("console", "1");
  else if ("port" in door) url.searchParams.set("port", String(door.port));
  else {
    url.searchParams.set("session", door.session);
    url.searchParams.set("mode", door.mode);
  }
  return url;
}

async function readAll(response: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of response) {
    text += new TextDecoder().decode(chunk);
    if (text.length > MAX_PROBLEM_BYTES) break;
  }
  return text;
}
