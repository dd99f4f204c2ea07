// Clients that carry a stream in a WebSocket: joined to their box, kept alive, told why it ended.

import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { ERRORS, type Problem } from "#contract/errors.ts";
import type { Clock } from "#lib/clock.ts";
import { breakOff, splice } from "#lib/splice.ts";
import { SocketStream, StreamBroken } from "#wire/socket-stream.ts";
import type { GatewayLimits } from "./limits.ts";
import type { OpenedStream } from "./streams.ts";

export type JoinClient = (client: WebSocket, opened: OpenedStream) => void;

/** WebSocket close codes from 4000 are ours: 4000 and the HTTP status of the problem. */
const CLOSE_BASE = 4000;
const OPEN = 1;

export class WebSocketClients {
  readonly #clients = new Set<WebSocket>();
  readonly #clock: Clock;
  readonly #closed = new AbortController();

  constructor(clock: Clock, { pingIntervalMs }: GatewayLimits) {
    this.#clock = clock;
    this.#ping(pingIntervalMs);
  }

  join(client: WebSocket, { box, whyBroken }: OpenedStream): void {
    this.#clients.add(client);
    const stream = new SocketStream(client);
    splice<Duplex>(stream, box, this.#clock).then((broken) => {
      this.#clients.delete(client);
      if (broken === stream) breakOff(box);
      if (broken === box) stream.destroy(new StreamBroken(...closeWords(whyBroken())));
    });
  }

  close(): void {
    this.#closed.abort();
  }

  /** Keeps idle streams alive in proxies. A dead client is found by TCP, not here: one that does not
   * read (its user pressed Ctrl-S) answers no ping and is alive. */
  async #ping(intervalMs: number): Promise<void> {
    while (!this.#closed.signal.aborted) {
      await this.#clock.sleep(intervalMs, this.#closed.signal).catch(() => {});
      for (const client of this.#clients)
        if (client.readyState === OPEN && client.bufferedAmount === 0) client.ping();
    }
  }
}

/** Code and reason of a closing message. */
export function closeWords({ code, message }: Problem): [number, string] {
  return [CLOSE_BASE + ERRORS[code].status, `${code}: ${message}`];
}
