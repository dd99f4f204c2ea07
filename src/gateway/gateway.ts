// A gateway: nodes dial the node door, clients come in at the others, and bytes move between. It has no database:
// routes come from the nodes that have the boxes, rights come with the client, and what else it must know (keys,
// previews, revocations) it is told ahead.

import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import { openClientDoor } from "./client-door.ts";
import type { NoteEntry } from "./entries.ts";
import type { Known } from "./known.ts";
import { GATEWAY_LIMITS, type GatewayLimits } from "./limits.ts";
import { Lobby } from "./lobby.ts";
import { openNodeDoor, type TlsFiles } from "./node-door.ts";
import type { NodeLink } from "./node-link.ts";
import { mayServe } from "./placement.ts";
import type { PreviewDoor } from "./preview-door.ts";
import { Routes } from "./routes.ts";
import { streamDoor } from "./stream-door.ts";
import { Streams } from "./streams.ts";
import { type AskWake, type WakeAndWait, wakes } from "./wake.ts";
import { WebSocketClients } from "./web-socket-clients.ts";

export interface ListenAddress {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

/** What every door is built on. */
export interface DoorBase {
  readonly streams: Streams;
  readonly known: Known;
  readonly wakeAndWait: WakeAndWait;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: GatewayLimits;
}

/** A door with a listener of its own. */
export interface OwnDoor {
  readonly port: number;
  close(): Promise<void>;
}

export interface GatewayOptions {
  readonly nodeDoor: ListenAddress & { readonly tls: TlsFiles };
  /** `url`: where clients reach it, as tickets and the feed's request name it. */
  readonly clientDoor: ListenAddress & { readonly url: string };
  /** Kept up to date by whoever gives it (feed.ts). */
  readonly known: Known;
  /** Asks the control plane to run a box. */
  readonly askWake: AskWake;
  /** Is told of everybody who comes into a box. */
  readonly noteEntry?: NoteEntry;
  /** Serves what comes to the client listener for a preview. */
  readonly preview?: (base: DoorBase) => PreviewDoor;
  readonly ssh?: (base: DoorBase) => Promise<OwnDoor>;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Partial<GatewayLimits>;
}

export interface Gateway {
  readonly nodePort: number;
  readonly clientPort: number;
  readonly sshPort: number | null;
  status(): { readonly nodes: number; readonly boxes: number; readonly streams: number };
  /** Of the node door, for those that connect from now on. */
  useTls(tls: TlsFiles): void;
  /** Ends every stream, with a reason. Boxes do not notice. */
  close(): Promise<void>;
}

export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const { clock, log, known } = options;
  const limits = { ...GATEWAY_LIMITS, ...options.limits };
  const routes = new Routes<NodeLink>({
    mayServe: (placement, { nodeId }) => mayServe(known, placement, nodeId),
  });
  const streams = new Streams({ routes, known, clock, limits, noteEntry: options.noteEntry });
  const clients = new WebSocketClients(clock, limits);
  const wakeAndWait = wakes({ ask: options.askWake, known, routes, clock });
  const base: DoorBase = { streams, known, wakeAndWait, clock, log, limits };
  const opened: OwnDoor[] = [];
  const previews = options.preview?.(base) ?? null;
  const close = async () => {
    previews?.close();
    streams.close();
    clients.close();
    for (const door of opened.reverse()) await door.close();
  };
  const open = async <T extends OwnDoor>(opening: Promise<T>): Promise<T> => {
    const door = await opening;
    opened.push(door);
    return door;
  };
  try {
    const nodeDoor = await open(
      openNodeDoor({
        ...options.nodeDoor,
        ...{ routes, clock, log, limits },
        onEnded: (placements) => streams.endPlacements(placements),
      }),
    );
    const status = () => ({ nodes: nodeDoor.links, boxes: routes.boxes, streams: streams.count });
    const lobby = new Lobby(limits.lobby);
    const join = clients.join.bind(clients);
    const clientDoor = await open(
      openClientDoor({
        ...options.clientDoor,
        streamDoor: streamDoor({
          ...base,
          url: options.clientDoor.url,
          join,
          lobby,
          health: status,
        }),
        ...{ previews, lobby, clock, limits },
      }),
    );
    const sshDoor = options.ssh ? await open(options.ssh(base)) : null;
    return {
      nodePort: nodeDoor.port,
      clientPort: clientDoor.port,
      sshPort: sshDoor?.port ?? null,
      status,
      useTls: nodeDoor.useTls,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
