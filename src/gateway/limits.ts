// Every limit of a gateway, with its reason.

export interface GatewayLimits {
  /** Open streams in all: each may hold about 1 MiB at worst. */
  readonly streams: number;
  /** Open streams of one user, so that one cannot take them all. */
  readonly streamsPerUser: number;
  /** Sockets at the client door. */
  readonly connections: number;
  /** Of them, those that have not shown yet that they may be here; when there are more, the oldest goes. */
  readonly lobby: number;
  /** A client's request must be here by then. */
  readonly requestTimeoutMs: number;
  /** A node's TLS handshake and first announcement must be here by then. */
  readonly handshakeTimeoutMs: number;
  /** A box must answer a new stream by then. */
  readonly openTimeoutMs: number;
  /** Sockets at the node door. */
  readonly nodeConnections: number;
  /** Of them, those that no node has spoken on yet. */
  readonly nodeLobby: number;
  /** Between pings: shorter than the idle time-outs of proxies and address translators. */
  readonly pingIntervalMs: number;
  /** A node that has not answered a ping by then is away. */
  readonly pingTimeoutMs: number;
}

export const GATEWAY_LIMITS: GatewayLimits = {
  streams: 100_000,
  streamsPerUser: 1000,
  connections: 110_000,
  lobby: 8192,
  requestTimeoutMs: 10_000,
  handshakeTimeoutMs: 10_000,
  openTimeoutMs: 20_000,
  nodeConnections: 8192,
  nodeLobby: 2048,
  pingIntervalMs: 15_000,
  pingTimeoutMs: 15_000,
};
