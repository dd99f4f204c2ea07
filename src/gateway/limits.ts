// Every limit of a gateway, with its reason.

export interface GatewayLimits {
  /** Open streams in all: each may hold about 1 MiB at worst. */
  readonly streams: number;
  /** Open streams of one user, so that one cannot take them all. */
  readonly streamsPerUser: number;
  /** Sockets at the client door, with those that have not said what they want. */
  readonly connections: number;
  /** A client's request must be here by then. */
  readonly requestTimeoutMs: number;
  /** A node's TLS handshake and first announcement must be here by then. */
  readonly handshakeTimeoutMs: number;
  /** A box must answer a new stream by then. */
  readonly openTimeoutMs: number;
  /** Sockets at the node door. */
  readonly nodeConnections: number;
  /** Between pings: shorter than the idle time-outs of proxies and address translators. */
  readonly pingIntervalMs: number;
  /** A node that has not answered a ping by then is away. */
  readonly pingTimeoutMs: number;
}

export const GATEWAY_LIMITS: GatewayLimits = {
  streams: 10_000,
  streamsPerUser: 1000,
  connections: 20_000,
  requestTimeoutMs: 10_000,
  handshakeTimeoutMs: 10_000,
  openTimeoutMs: 20_000,
  nodeConnections: 4096,
  pingIntervalMs: 15_000,
  pingTimeoutMs: 15_000,
};
