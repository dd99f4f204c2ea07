// Where nodes dial in: TLS with a client certificate of role node, by our authority. Then the roles
// swap (node-link.ts) and the node's boxes become reachable through `routes`.

import type { Socket } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import { LINK_PROTOCOL } from "#contract/gateway-protocol.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import { identityOf } from "#trust/x509.ts";
import type { GatewayLimits } from "./limits.ts";
import { listen } from "./listen.ts";
import { Lobby } from "./lobby.ts";
import { NodeLink } from "./node-link.ts";
import type { Announced, Routes } from "./routes.ts";

export interface TlsFiles {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  /** The only authority whose certificates are accepted. */
  readonly caPem: string;
}

export interface NodeDoorOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsFiles;
  readonly routes: Routes<NodeLink>;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: GatewayLimits;
  /** Their streams must end: the box moved, or is at rest. */
  readonly onEnded: (placements: readonly Announced[]) => void;
}

export interface NodeDoor {
  readonly port: number;
  readonly links: number;
  /** For those that connect from now on: the gateway's certificate was renewed. */
  useTls(tls: TlsFiles): void;
  close(): Promise<void>;
}

const TCP_KEEPALIVE_MS = 15_000;

export async function openNodeDoor(options: NodeDoorOptions): Promise<NodeDoor> {
  const { tls, limits, log, routes } = options;
  const links = new Set<NodeLink>();
  const server = createServer({
    ...contextOf(tls),
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: [LINK_PROTOCOL],
    handshakeTimeout: limits.handshakeTimeoutMs,
  });
  server.maxConnections = limits.nodeConnections;
  server.on("tlsClientError", (error, socket) => {
    log.warn({ peer: socket.remoteAddress, reason: error.message }, "node refused");
    socket.destroy();
  });
  // Before their handshake, sockets are known only as what they are on the wire.
  const lobby = new Lobby(limits.nodeLobby);
  const raw = new Map<string, Socket>();
  server.on("connection", (socket: Socket) => {
    const peer = peerOf(socket);
    raw.set(peer, socket);
    socket.on("close", () => raw.delete(peer));
    lobby.enter(socket);
  });
  server.on("secureConnection", (socket) => {
    socket.on("error", () => {}); // A close follows.
    const nodeId = nodeOf(socket);
    if (!nodeId || socket.alpnProtocol !== LINK_PROTOCOL) {
      log.warn({ peer: socket.remoteAddress }, "node refused: its certificate is not a node's");
      socket.destroy();
      return;
    }
    const known = raw.get(peerOf(socket));
    if (known) lobby.leave(known);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
    const link: NodeLink = new NodeLink(socket, {
      nodeId,
      clock: options.clock,
      limits,
      onAnnouncement: ({ boxes }) => options.onEnded(routes.announce(link, boxes)),
    });
    links.add(link);
    log.info({ nodeId, peer: socket.remoteAddress }, "node connected");
    link.run().then((reason) => {
      links.delete(link);
      routes.drop(link);
      log.info({ nodeId, reason }, "node disconnected");
    });
  });
  const port = await listen(server, options);
  return {
    port,
    get links() {
      return links.size;
    },
    useTls: (renewed) => server.setSecureContext(contextOf(renewed)),
    close: async () => {
      const closed = new Promise<void>((done) => server.close(() => done()));
      for (const link of links) link.close();
      await closed;
    },
  };
}

function contextOf({ certificatePem: cert, privateKeyPem: key, caPem: ca }: TlsFiles) {
  return { cert, key, ca, minVersion: "TLSv1.3" } as const;
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function nodeOf(socket: TLSSocket): string | null {
  if (!socket.authorized) return null;
  const identity = identityOf(socket.getPeerCertificate());
  return identity?.role === "node" ? identity.name : null;
}
