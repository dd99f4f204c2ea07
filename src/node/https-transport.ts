// The agent's line to the control plane: HTTPS with the node's own certificate, to a server that the
// installation's authority vouches for.

import { buildConnector, Agent as HttpAgent, request } from "undici";
import {
  type Assignments,
  assignmentsSchema,
  hostCertificateSchema,
  type Report,
} from "#contract/node-protocol.ts";
import { NodeApiError, type NodeTransport } from "#node/transport.ts";

export interface TlsMaterial {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly caPem: string;
}

const CONNECT_MS = 10_000;
const ANSWER_MS = 60_000;

export interface HttpsTransport extends NodeTransport {
  close(): Promise<void>;
}

/** `tls` is read at each new connection: it may be renewed in place. */
export function createHttpsTransport(nodeApiUrl: string, tls: TlsMaterial): HttpsTransport {
  const dispatcher = new HttpAgent({
    connect: (options, callback) => {
      const { caPem: ca, certificatePem: cert, privateKeyPem: key } = tls;
      const connect = buildConnector({
        ...{ ca, cert, key },
        minVersion: "TLSv1.3",
        timeout: CONNECT_MS,
      });
      connect(options, callback);
    },
    headersTimeout: ANSWER_MS,
    bodyTimeout: ANSWER_MS,
  });

  const call = async (method: "GET" | "POST", path: string, signal: AbortSignal, body?: unknown) =>
    request(`${nodeApiUrl}/node/v1${path}`, {
      dispatcher,
      method,
      signal,
      ...(body === undefined
        ? {}
        : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    });

  return {
    async report(report: Report, signal) {
      const { statusCode, body } = await call("POST", "/report", signal, report);
      if (statusCode === 200) {
        await body.dump();
        return "acked";
      }
      const refusal = await refusalOf(statusCode, body);
      if (refusal.code === "resync_needed") return "resync";
      throw refusal;
    },
    async assignments(since, waitMs, signal): Promise<Assignments | null> {
      const path = `/assignments?since=${since}&waitMs=${waitMs}`;
      const { statusCode, body } = await call("GET", path, signal);
      if (statusCode === 200) return assignmentsSchema.parse(await body.json());
      if (statusCode !== 204) throw await refusalOf(statusCode, body);
      await body.dump();
      return null;
    },
    async signHostKey(wanted, signal) {
      const { statusCode, body } = await call("POST", "/host-certificate", signal, wanted);
      if (statusCode !== 200) throw await refusalOf(statusCode, body);
      return hostCertificateSchema.parse(await body.json()).certificate;
    },
    close: () => dispatcher.destroy(),
  };
}

async function refusalOf(status: number, body: { text(): Promise<string> }): Promise<NodeApiError> {
  const text = await body.text();
  try {
    const problem = JSON.parse(text) as { code?: string; detail?: string };
    return new NodeApiError(status, problem.code ?? "unknown", problem.detail ?? text);
  } catch {
    return new NodeApiError(status, "unknown", text.slice(0, 500));
  }
}
