// A gateway: nodes dial the node door, clients come in at the client door, and bytes move between. It
// has no database and asks nobody: routes come from the nodes that have the boxes, rights come with the client.

import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import { ticketCheck } from "#trust/tickets.ts";
import { openClientDoor } from "./client-door.ts";
import { GATEWAY_LIMITS, type GatewayLimits } from "./limits.ts";
import { openNodeDoor, type TlsFiles } from "./node-door.ts";
import type { NodeLink } from "./node-link.ts";
import { Routes } from "./routes.ts";
import { Streams } from "./streams.ts";

export interface ListenAddress {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export interface GatewayOptions {
  readonly nodeDoor: ListenAddress & { readonly tls: TlsFiles };
  readonly clientDoor: ListenAddress;
  /** Public keys (PEM) of the control plane that tickets may be signed with. */
  readonly ticketKeys: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Partial<GatewayLimits>;
}

export interface Gateway {
  readonly nodePort: number;
  readonly clientPort: number;
  status(): { readonly nodes: number; readonly boxes: number; readonly streams: number };
  setTicketKeys(publicKeysPem: readonly string[]): void;
  /** Ends every stream, with a reason. Boxes do not notice. */
  close(): Promise<void>;
}

export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const { clock, log } = options;
  const limits = { ...GATEWAY_LIMITS, ...options.limits };
  const routes = new Routes<NodeLink>();
  const streams = new Streams({ routes, clock, limits });
  let check = ticketCheck(options.ticketKeys);
  const nodeDoor = await openNodeDoor({
    ...options.nodeDoor,
    routes,
    clock,
    log,
    limits,
    onEnded: (placements) => streams.endPlacements(placements),
  });
  const status = () => ({ nodes: nodeDoor.links, boxes: routes.boxes, streams: streams.count });
  const clientDoor = await openClientDoor({
    ...options.clientDoor,
    checkTicket: (ticket, nowMs) => check(ticket, nowMs),
    streams,
    health: status,
    clock,
    log,
    limits,
  }).catch(async (error: unknown) => {
    streams.close();
    await nodeDoor.close();
    throw error;
  });
  return {
    nodePort: nodeDoor.port,
    clientPort: clientDoor.port,
    status,
    setTicketKeys: (publicKeysPem) => {
      check = ticketCheck(publicKeysPem);
    },
    close: async () => {
      streams.close();
      await clientDoor.close();
      await nodeDoor.close();
    },
  };
}
