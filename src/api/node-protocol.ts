// What nodes and gateways may say and ask (contract/node-protocol.ts, contract/gateway-join.ts).

import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { Problem } from "#contract/errors.ts";
import { joinGatewaySchema } from "#contract/gateway-join.ts";
import {
  type BoxReport,
  hostCertificateRequestSchema,
  type Joined,
  joinSchema,
  type Report,
  renewSchema,
  reportSchema,
} from "#contract/node-protocol.ts";
import type { NodeId } from "#domain/ids.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import type { Metrics } from "#lib/metrics.ts";
import { getAssignedBox } from "#store/assigned-box.ts";
import { readAssignments, waitRevision } from "#store/assignments.ts";
import { insertAuditEntries } from "#store/audit.ts";
import { type Database, type Db, transact } from "#store/db.ts";
import { joinGateway, listGateways } from "#store/gateways.ts";
import type { Wakes } from "#store/listen.ts";
import { joinNode, refuseRemovedNode } from "#store/nodes.ts";
import { recordReport } from "#store/reports.ts";
import { TOPICS } from "#store/wake.ts";
import { type SshAuthority, SshKeyError, signHostCertificate } from "#trust/ssh-certificates.ts";
import { hashToken } from "#trust/token-hash.ts";
import { type CertificateAuthority, CsrError, hostsOf } from "#trust/x509.ts";
import { certificateOf, peerOf } from "./node-server.ts";
import { storable } from "./storable.ts";

export interface NodeApiContext {
  readonly db: Database;
  readonly wakes: Wakes;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly authority: CertificateAuthority;
  readonly sshUserAuthority: SshAuthority;
  readonly sshHostAuthority: SshAuthority;
  /** Keys that gateways check tickets with. */
  readonly ticketPublicKeysPem: readonly string[];
  /** Gateways that nodes keep a connection to, as long as none has made itself known. */
  readonly gatewayNodeUrls: readonly string[];
  readonly objectStore: Joined["objectStore"];
  /** A node that reports nothing for this long counts as unreachable. */
  readonly leaseMs: number;
  readonly closing: AbortSignal;
}

const DAY_MS = 86_400_000;
/** Nodes and gateways renew theirs when two thirds are over. One that was away for longer joins again. */
const CERTIFICATE_MS = 30 * DAY_MS;
/** Made anew at each start, and after 30 days of a box that goes on (src/node/guest-care.ts). */
const HOST_CERTIFICATE_MS = 90 * DAY_MS;
const BACKDATE_MS = 5 * 60_000;
const MAX_WAIT_MS = 60_000;

const assignmentsQuery = z.object({
  since: z.coerce.number().int().min(0).default(0),
  waitMs: z.coerce.number().int().min(0).max(MAX_WAIT_MS).default(0),
});

export function registerNodeRoutes(app: FastifyInstance, context: NodeApiContext): void {
  registerJoins(app, context);
  registerRenewals(app, context);
  const { db, wakes, clock } = context;
  const starts = countStarts(context.metrics);

  app.post("/node/v1/report", { schema: { body: reportSchema } }, async (request) => {
    const nodeId = peerOf(request, "node") as NodeId;
    // Logs and messages come out of guests, which may write anything.
    const report = storable(request.body) as Report;
    const answer = await recordReport(db, nodeId, report, { leaseMs: context.leaseMs });
    for (const box of report.boxes) starts(box);
    return answer;
  });

  app.get(
    "/node/v1/assignments",
    { schema: { querystring: assignmentsQuery } },
    async (request, reply) => {
      const nodeId = peerOf(request, "node") as NodeId;
      const { since, waitMs } = request.query as z.output<typeof assignmentsQuery>;
      const gone = new AbortController();
      reply.raw.once("close", () => gone.abort());
      const subscription = wakes.subscribe([TOPICS.node(nodeId)]);
      try {
        const isNewer = await waitRevision(db, subscription, nodeId, {
          since,
          waitMs,
          nowMs: () => clock.monotonicMs(),
          signal: AbortSignal.any([gone.signal, context.closing]),
        });
        if (!isNewer) return reply.status(204).send();
        return await readAssignments(db, nodeId, {
          sshUserCa: context.sshUserAuthority.publicKeyLine,
          gateways: await nodeUrlsOf(context),
        });
      } finally {
        subscription.close();
      }
    },
  );

  app.post(
    "/node/v1/host-certificate",
    { schema: { body: hostCertificateRequestSchema } },
    async (request) => {
      const nodeId = peerOf(request, "node") as NodeId;
      const wanted = request.body as z.output<typeof hostCertificateRequestSchema>;
      const box = await getAssignedBox(db, nodeId, wanted);
      const nowMs = clock.nowMs();
      return refuseBadKey("publicKey", () => ({
        certificate: signHostCertificate(context.sshHostAuthority, {
          publicKeyLine: wanted.publicKey,
          keyId: `${box.id} epoch ${wanted.epoch}`,
          principals: [`${box.name}.berth`, `${box.id}.berth`],
          notBeforeMs: nowMs - BACKDATE_MS,
          notAfterMs: nowMs + HOST_CERTIFICATE_MS,
        }),
      }));
    },
  );
}

/** The token is spent in the transaction that signs: a request that cannot be signed spends none. */
function registerJoins(app: FastifyInstance, context: NodeApiContext): void {
  const { db, clock, authority } = context;
  const validity = () => ({ nowMs: clock.nowMs(), lifetimeMs: CERTIFICATE_MS });

  app.post("/node/v1/join", { schema: { body: joinSchema } }, async (request) => {
    const body = storable(request.body) as z.output<typeof joinSchema>;
    return transact(db, "api.node.join", async (tx): Promise<Joined> => {
      const nodeId = await joinNode(tx, {
        tokenHash: hashToken(body.token),
        name: body.name,
        region: body.region,
        labels: body.labels,
      });
      await writeJoin(tx, request, "nodes.join", { node: body.name }, [nodeId]);
      return {
        nodeId,
        certificatePem: await refuseBadKey("csrPem", () =>
          authority.signNodeCsr(body.csrPem, { nodeId, ...validity() }),
        ),
        caPem: authority.certificatePem,
        objectStore: context.objectStore,
      };
    });
  });

  app.post("/node/v1/join-gateway", { schema: { body: joinGatewaySchema } }, async (request) => {
    const body = storable(request.body) as z.output<typeof joinGatewaySchema>;
    return transact(db, "api.gateway.join", async (tx) => {
      await joinGateway(tx, { tokenHash: hashToken(body.token), name: body.name });
      await writeJoin(tx, request, "gateways.join", { gateway: body.name }, []);
      return {
        certificatePem: await refuseBadKey("csrPem", () =>
          authority.signGatewayCsr(body.csrPem, {
            name: body.name,
            hosts: body.hosts,
            ...validity(),
          }),
        ),
        caPem: authority.certificatePem,
      };
    });
  });
}

/** Whoever joins is nobody yet: what they showed is a token that is spent now. */
function writeJoin(
  tx: Db,
  { ip: address, id: requestId }: FastifyRequest,
  verb: string,
  resource: Readonly<Record<string, string>>,
  touched: readonly string[],
): Promise<void> {
  return insertAuditEntries(tx, [
    { orgId: null, verb, outcome: "ok", address, requestId, resource, touched },
  ]);
}

/** A certificate that is still good gets the next one: of the same role, name and hosts, and for a new key. */
function registerRenewals(app: FastifyInstance, context: NodeApiContext): void {
  const { db, clock, authority } = context;
  const validity = () => ({ nowMs: clock.nowMs(), lifetimeMs: CERTIFICATE_MS });
  const caPem = authority.certificatePem;

  app.post("/node/v1/renew", { schema: { body: renewSchema } }, async (request) => {
    const nodeId = peerOf(request, "node") as NodeId;
    const { csrPem } = request.body as z.output<typeof renewSchema>;
    await refuseRemovedNode(db, nodeId);
    const certificatePem = await refuseBadKey("csrPem", () =>
      authority.signNodeCsr(csrPem, { nodeId, ...validity() }),
    );
    return { certificatePem, caPem };
  });

  app.post("/node/v1/renew-gateway", { schema: { body: renewSchema } }, async (request) => {
    const name = peerOf(request, "gateway");
    const { csrPem } = request.body as z.output<typeof renewSchema>;
    const hosts = hostsOf(certificateOf(request) ?? {});
    const certificatePem = await refuseBadKey("csrPem", () =>
      authority.signGatewayCsr(csrPem, { name, hosts, ...validity() }),
    );
    return { certificatePem, caPem };
  });
}

/** Also those that are away: a node finds them again by itself, and a lost node loses every stream. */
async function nodeUrlsOf({ db, gatewayNodeUrls }: NodeApiContext): Promise<readonly string[]> {
  const known = await listGateways(db);
  return known.length > 0 ? [...new Set(known.map((one) => one.nodeUrl))] : gatewayNodeUrls;
}

export async function refuseBadKey<T>(field: string, sign: () => T | Promise<T>): Promise<T> {
  try {
    return await sign();
  } catch (error) {
    if (!(error instanceof CsrError || error instanceof SshKeyError)) throw error;
    throw new Problem("invalid_request", `body.${field}: ${error.message}`, {
      cause: error,
      fields: [{ path: `body.${field}`, message: error.message }],
    });
  }
}

/** Remembers this many boxes, so that each start is counted once by this process. */
const MAX_COUNTED = 100_000;

function countStarts(metrics: Metrics): (box: BoxReport) => void {
  const seconds = metrics.histogram(
    "berth_box_start_seconds",
    "Time of a box's start on its node, by how it came up and by phase.",
  );
  const counted = new Map<string, number>();
  return ({ boxId, epoch, state, started }) => {
    if (!started || state !== "ready" || (counted.get(boxId) ?? 0) >= epoch) return;
    if (counted.size >= MAX_COUNTED) counted.clear();
    counted.set(boxId, epoch);
    if (started.how === "adopted") return;
    for (const phase of PHASES) {
      const ms = started.phases[phase];
      if (ms !== undefined) seconds.observe(ms / 1000, { how: started.how, phase });
    }
  };
}

/** Those that drivers name; others would make series without bound. */
const PHASES = ["prepare", "fetch", "launch", "restore", "boot", "renew", "total"] as const;
