// Nodes as operators see them, and the installation as a whole.

import type { Node } from "#contract/nodes.ts";
import { type AuditLag, isLate, readAuditLag } from "#store/audit-heads.ts";
import { countBoxes } from "#store/boxes.ts";
import { drainNode } from "#store/drain.ts";
import { listGateways } from "#store/gateways.ts";
import {
  createJoinToken,
  getNode,
  listNodes,
  type NodeView,
  removeNode,
  updateNode,
} from "#store/nodes.ts";
import { hashToken, makeToken } from "#trust/token-hash.ts";
import { gatewayUrlsOf } from "./access.ts";
import type { ApiContext } from "./context.ts";
import { pageFrom, textPosition } from "./cursor.ts";
import type { Handlers } from "./route.ts";
import { whoIs } from "./who.ts";

const MINUTE_MS = 60_000;
/** The overview reads them in one page; over this many it says so by its numbers being lower. */
const MAX_NODES = 10_000;

function shapeNode(node: NodeView): Node {
  const { fingerprint } = node;
  return {
    id: node.id,
    name: node.name,
    region: node.region,
    labels: { ...node.labels },
    reachable: node.status === "ready",
    schedulable: node.schedulable,
    lastReportAt: node.lastReportAt?.toISOString() ?? null,
    driver: fingerprint?.driver ?? null,
    accelerator: fingerprint?.accelerator ?? null,
    acceleratorReason: fingerprint?.acceleratorReason ?? null,
    capacity: fingerprint && {
      cpus: fingerprint.cpus,
      memoryMib: fingerprint.memoryMib,
      diskGib: fingerprint.diskGib,
      gpus: fingerprint.gpus,
    },
    freeDiskGib: fingerprint?.freeDiskGib ?? null,
    overcommit: { ...node.overcommit },
    used: { ...node.used },
    createdAt: node.joinedAt.toISOString(),
  };
}

export function nodeHandlers(
  context: ApiContext,
): Pick<Handlers, Extract<keyof Handlers, `nodes.${string}` | `system.${string}`>> {
  return {
    "nodes.list": async ({ db, query }) => {
      const scope = ["nodes"];
      const after = textPosition(scope, query.cursor);
      const rows = await listNodes(db, { after, limit: query.limit + 1 });
      return pageFrom(rows, query.limit, scope, (one) => one.id, shapeNode);
    },
    "nodes.get": async ({ db, params }) => shapeNode(await getNode(db, params.node)),
    "nodes.update": async ({ db, subject, params, body }) =>
      shapeNode(await updateNode(db, subject, params.node, body)),
    "nodes.delete": async ({ db, subject, params }) =>
      shapeNode(await removeNode(db, subject, params.node)),
    "nodes.drain": async ({ db, subject, params }) => {
      const drain = await drainNode(db, subject, params.node);
      return { ...drain, waitsFor: [...drain.waitsFor] };
    },
    "nodes.createJoinToken": async ({ db, subject, body }) => {
      const token = makeToken();
      const { expiresAt } = await createJoinToken(db, subject, {
        hash: hashToken(token),
        name: body.name ?? null,
        ttlMs: body.ttlMinutes * MINUTE_MS,
      });
      return { token, expiresAt: expiresAt.toISOString() };
    },
    "system.get": async ({ db, subject }) => {
      const nodes = await listNodes(db, { after: null, limit: MAX_NODES });
      const gatewayUrls = await gatewayUrlsOf(context);
      return {
        version: context.version,
        time: new Date(context.clock.nowMs()).toISOString(),
        user: await whoIs(db, subject),
        gatewayUrl: gatewayUrls[0] ?? context.gatewayUrl,
        gatewayUrls,
        sshAddress: (await listGateways(db)).find((one) => one.sshAddress)?.sshAddress ?? null,
        dashboardUrl: context.dashboardOrigin,
        previewOrigin: context.previewOrigin,
        nodes: {
          total: nodes.length,
          reachable: nodes.filter((node) => node.status === "ready").length,
        },
        boxes: await countBoxes(db, subject),
        notices: [
          ...noticesOf(nodes),
          ...previewNotices(context),
          ...(subject.isOperator ? auditNotices(await readAuditLag(context.db)) : []),
          ...(subject.isOperator ? await wallNotices(context) : []),
        ],
      };
    },
  };
}

/** Loud: somebody may be hiding something, or soon could. */
function auditNotices(lag: AuditLag): string[] {
  if (!isLate(lag)) return [];
  const minutes = Math.floor(Math.max(lag.exportMs, lag.sealMs) / 60_000);
  return [
    `ALARM: the audit trail has not been sealed and exported for ${minutes} min: look at the server's log and at the object store.`,
  ];
}

async function wallNotices({ db }: ApiContext): Promise<string[]> {
  if (!(await db.tenants.isShared())) return [];
  return [
    "ALARM: requests share the login of the database's owner, so SQL that somebody slips in could leave its organization: set BERTH_TENANT_DATABASE_URL (docs/organizations.md).",
  ];
}

function previewNotices({ previewOrigin, gatewayUrl }: ApiContext): string[] {
  if (previewOrigin !== null) return [];
  return [
    `Previews are in reduced mode (BERTH_PREVIEW_ORIGIN is none): they share the origin ${gatewayUrl}, so their pages run sandboxed, without cookies or storage. Give them a domain of their own.`,
  ];
}

/** What an operator should know although nothing is broken. */
const NAMED = 5;

function silenceOf(names: readonly string[]): string {
  if (names.length === 1) return `Node ${names[0]} does not answer.`;
  const rest = names.length - NAMED;
  const more = rest > 0 ? ` and ${rest} more` : "";
  return `${names.length} nodes do not answer: ${names.slice(0, NAMED).join(", ")}${more}.`;
}

function noticesOf(nodes: readonly NodeView[]): string[] {
  if (nodes.length === 0) return ["There is no node yet, so no box can run."];
  const silent = nodes.filter(({ status, fingerprint }) => status !== "ready" && fingerprint);
  const emulated = Map.groupBy(
    nodes.filter(({ fingerprint }) => fingerprint?.accelerator === "tcg"),
    ({ fingerprint }) => fingerprint?.acceleratorReason ?? "",
  );
  return [
    ...(silent.length > 0 ? [silenceOf(silent.map(({ name }) => name))] : []),
    ...[...emulated].map(
      ([reason, those]) =>
        `${those.map(({ name }) => name).join(", ")}: CPUs are emulated, so boxes are slow, and emulation is not a security boundary. ${reason}`,
    ),
  ];
}
