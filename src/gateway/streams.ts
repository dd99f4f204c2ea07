// The open streams of a gateway: opened by a ticket, counted, joined to a client, ended when the box's
// placement does.

import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { ERRORS, Problem } from "#contract/errors.ts";
import type { Door } from "#contract/gateway-protocol.ts";
import type { Clock } from "#lib/clock.ts";
import { breakOff, splice } from "#lib/splice.ts";
import { type Ticket, ticketOpens } from "#trust/tickets.ts";
import { SocketStream, StreamBroken } from "#wire/socket-stream.ts";
import type { GatewayLimits } from "./limits.ts";
import type { NodeLink } from "./node-link.ts";
import type { Announced, Routes } from "./routes.ts";

export interface StreamsOptions {
  readonly routes: Routes<NodeLink>;
  readonly clock: Clock;
  readonly limits: GatewayLimits;
}

/** A stream that the box has answered. */
export interface OpenedStream {
  join(client: WebSocket): void;
  /** The client is gone before it was joined. */
  abandon(): void;
}

interface Joined {
  readonly client: WebSocket;
  readonly placement: Announced;
  /** Ends it, and tells the client why. */
  end(problem: Problem): void;
}

/** WebSocket close codes from 4000 are ours: 4000 and the HTTP status of the problem. */
const CLOSE_BASE = 4000;
const OPEN = 1;

export class Streams {
  readonly #options: StreamsOptions;
  readonly #joined = new Set<Joined>();
  readonly #perUser = new Map<string, number>();
  readonly #closed = new AbortController();
  #count = 0;

  constructor(options: StreamsOptions) {
    this.#options = options;
    this.#pingClients();
  }

  get count(): number {
    return this.#count;
  }

  async open(ticket: Ticket, door: Door, signal: AbortSignal): Promise<OpenedStream> {
    const { limits } = this.#options;
    const { epoch, link } = this.#route(ticket, door);
    const ofUser = this.#perUser.get(ticket.userId) ?? 0;
    if (ofUser >= limits.streamsPerUser)
      throw new Problem("too_many_streams", `you have ${ofUser} open streams at this gateway`);
    if (this.#count >= limits.streams)
      throw new Problem("too_many_streams", `this gateway has ${this.#count} open streams`);
    const release = this.#reserve(ticket.userId);
    const placement = { boxId: ticket.boxId, epoch };
    try {
      const box = await link.open({ ...placement, door }, signal);
      box.once("close", release);
      return {
        join: (client) => this.#join(client, box, { placement, link }),
        abandon: () => breakOff(box),
      };
    } catch (error) {
      release();
      throw error;
    }
  }

  #route(ticket: Ticket, door: Door): { epoch: number; link: NodeLink } {
    const { boxId } = ticket;
    if (!ticketOpens(ticket, door)) {
      throw new Problem("forbidden", `this ticket does not open ${nameOf(door)}`);
    }
    const route = this.#options.routes.find(boxId);
    if (route.kind === "nowhere")
      throw new Problem("box_not_here", `no node of this gateway runs ${boxId} now`);
    if (ticket.epoch !== null && ticket.epoch < route.epoch)
      throw new Problem(
        "box_moved",
        `the ticket is for placement ${ticket.epoch} of ${boxId}; it is ${route.epoch} now`,
      );
    if (route.kind === "away")
      throw new Problem("node_away", `the node of ${boxId} is not connected to this gateway`);
    if (ticket.epoch !== null && ticket.epoch > route.epoch)
      throw new Problem(
        "node_away",
        `placement ${ticket.epoch} of ${boxId} has not been announced to this gateway yet`,
      );
    return route;
  }

  #reserve(userId: string): () => void {
    const change = (by: number) => {
      this.#count += by;
      const left = (this.#perUser.get(userId) ?? 0) + by;
      if (left > 0) this.#perUser.set(userId, left);
      else this.#perUser.delete(userId);
    };
    change(1);
    let isHeld = true;
    return () => {
      if (isHeld) change(-1);
      isHeld = false;
    };
  }

  #join(
    client: WebSocket,
    box: Duplex,
    { placement, link }: { placement: Announced; link: NodeLink },
  ): void {
    const stream = new SocketStream(client);
    const end = (problem: Problem) => stream.destroy(brokenBy(problem));
    const joined: Joined = { client, placement, end };
    this.#joined.add(joined);
    splice<Duplex>(stream, box, this.#options.clock).then((broken) => {
      this.#joined.delete(joined);
      if (broken === stream) breakOff(box);
      if (broken === box)
        end(
          link.isOpen
            ? new Problem("port_closed", "the box broke the connection")
            : new Problem("node_away", "the connection to the box's node was lost"),
        );
    });
  }

  /** Ends the streams of placements that are over. */
  endPlacements(placements: readonly Announced[]): void {
    if (placements.length === 0) return;
    const over = new Set(placements.map(({ boxId, epoch }) => `${boxId}/${epoch}`));
    for (const { placement, end } of this.#joined)
      if (over.has(`${placement.boxId}/${placement.epoch}`))
        end(new Problem("box_not_here", "the box came to rest, or runs as another placement now"));
  }

  close(): void {
    this.#closed.abort();
    for (const { end } of this.#joined) end(new Problem("node_away", "the gateway is stopping"));
  }

  /** Keeps idle streams alive in proxies. A dead client is found by TCP, not here: one that does not
   * read (its user pressed Ctrl-S) answers no ping and is alive. */
  async #pingClients(): Promise<void> {
    const { clock, limits } = this.#options;
    while (!this.#closed.signal.aborted) {
      await clock.sleep(limits.pingIntervalMs, this.#closed.signal).catch(() => {});
      for (const { client } of this.#joined)
        if (client.readyState === OPEN && client.bufferedAmount === 0) client.ping();
    }
  }
}

function nameOf(door: Door): string {
  if ("console" in door) return "the console";
  return "port" in door ? `port ${door.port}` : `session ${door.session} for ${door.mode}`;
}

function brokenBy(problem: Problem): StreamBroken {
  return new StreamBroken(
    CLOSE_BASE + ERRORS[problem.code].status,
    `${problem.code}: ${problem.message}`,
  );
}
