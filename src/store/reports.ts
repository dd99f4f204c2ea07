// Reports: what a node says is there becomes the observed state. Compare-and-set on the epoch; nothing moves back;
// what did not change writes nothing and tells nothing.

import { sql } from "kysely";
import type { BoxReport, Report } from "#contract/node-protocol.ts";
import type { BoxId, NodeId } from "#domain/ids.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { bumpRevisions, concludeBoxes, nothingTold, type Told } from "./box-changes.ts";
import { type BoxRow, selectBoxRows } from "./box-view.ts";
import { type Db, transact } from "./db.ts";
import { recordEgress } from "./egress.ts";
import { nodeEvent } from "./nodes.ts";
import type { NodeStatus } from "./schema.ts";
import { settleRow } from "./settle.ts";
import { recordSnapshots } from "./snapshot-reports.ts";
import { observeStrays } from "./strays.ts";
import { TOPICS } from "./wake.ts";

export interface ReportOptions {
  /** How long the node counts as reachable from now on. */
  readonly leaseMs: number;
}

export async function recordReport(
  db: Db,
  nodeId: NodeId,
  report: Report,
  options: ReportOptions,
): Promise<{ ackRevision: number }> {
  return transact(db, "store.report", async (tx) => {
    const told = nothingTold();
    const node = await lockNode(tx, nodeId);
    const isRepeat = node.session === report.session && report.revision <= node.report_revision;
    if (!report.full && node.session !== report.session)
      throw new StoreRefusal("resync_needed", "This is not the session that reported last.");
    await recordNode(tx, node, report, isRepeat, options, told);
    if (isRepeat) {
      await concludeBoxes(tx, node.status === "ready" ? [] : await reservedBoxes(tx, nodeId), told);
      return { ackRevision: node.report_revision };
    }
    const rows = await lockReportedBoxes(tx, node, report);
    const changed = new Set<BoxId>();
    for (const row of rows) {
      const heard = report.boxes.find((b) => b.boxId === row.id && b.epoch === row.epoch);
      if (heard ? await observe(tx, row, heard, told) : await observeGone(tx, row, report))
        changed.add(row.id);
    }
    // A rest snapshot may have been completed although its box reports nothing new.
    for (const id of await recordSnapshots(tx, nodeId, report, told)) changed.add(id);
    await observeStrays(tx, nodeId, report);
    await recordEgress(tx, nodeId, report.boxes);
    await settleChanged(tx, nodeId, [...changed], told);
    const concluded = node.status === "ready" ? [...changed] : rows.map((row) => row.id);
    await concludeBoxes(tx, [...new Set([...concluded, ...changed])], told);
    return { ackRevision: report.revision };
  });
}

interface LockedNode {
  id: NodeId;
  name: string;
  status: NodeStatus;
  session: string | null;
  report_revision: number;
}

async function lockNode(tx: Db, nodeId: NodeId): Promise<LockedNode> {
  const { rows } = await sql<LockedNode>`
    select id, name, status, session, report_revision from nodes
    where id = ${nodeId} for no key update`.execute(tx.query);
  if (!rows[0] || rows[0].status === "removed")
    throw new StoreRefusal("node_unknown", `There is no node '${nodeId}'.`);
  return rows[0];
}

async function recordNode(
  tx: Db,
  node: LockedNode,
  report: Report,
  isRepeat: boolean,
  options: ReportOptions,
  told: Told,
): Promise<void> {
  const fingerprint = isRepeat || !report.fingerprint ? null : JSON.stringify(report.fingerprint);
  const images = isRepeat || !report.images ? null : JSON.stringify(report.images);
  await sql`
    update nodes set last_report_at = now(), lease_until = now() + ${options.leaseMs} * interval '1 millisecond',
      status = 'ready', status_since = case when status = 'ready' then status_since else now() end,
      session = ${report.session},
      report_revision = ${isRepeat ? node.report_revision : report.revision},
      fingerprint = coalesce(${fingerprint}::jsonb, fingerprint),
      images = coalesce(${images}::jsonb, images)
    where id = ${node.id}`.execute(tx.query);
  if (node.status !== "ready") {
    told.events.push(nodeEvent(node.id, "node.ready", `node ${node.name} reports`));
    told.topics.add(TOPICS.schedule);
  } else if (fingerprint !== null) told.topics.add(TOPICS.schedule);
}

async function reservedBoxes(tx: Db, nodeId: NodeId): Promise<BoxId[]> {
  const { rows } = await sql<{ id: BoxId }>`
    select id from boxes where node_id = ${nodeId} and reserved order by id for no key update`.execute(
    tx.query,
  );
  return rows.map((row) => row.id);
}

/** A full report speaks of every box of the node, also by leaving it out. */
async function lockReportedBoxes(tx: Db, node: LockedNode, report: Report): Promise<BoxRow[]> {
  const isAbout =
    report.full || node.status !== "ready"
      ? sql`true`
      : sql`id = any(${[...report.boxes.map((b) => b.boxId), ...report.goneBoxes]}::text[])`;
  const { rows } = await sql<{ id: BoxId }>`
    select id from boxes where node_id = ${node.id} and reserved and ${isAbout}
    order by id for no key update`.execute(tx.query);
  if (rows.length === 0) return [];
  const ids = rows.map((row) => row.id) as string[];
  return selectBoxRows(tx, sql`b.id = any(${ids}::text[]) order by b.id`);
}

async function observe(tx: Db, row: BoxRow, heard: BoxReport, told: Told): Promise<boolean> {
  const next = {
    observed_state: heard.state,
    observed_generation: Math.max(row.observed_generation, heard.observedGeneration),
    observed_boot_serial: heard.bootSerial,
    observed_up: row.observed_up || heard.state !== "absent",
    activity: heard.activity,
    fault: heard.fault,
    node_notices: heard.notices,
    // Facts of the epoch: once known they stay.
    renewal: heard.renewal ?? row.renewal,
    started: heard.started ?? row.started,
    build: heard.build ?? row.build,
    // Null while it was not asked: what was known holds until then.
    observed_ports: heard.state === "ready" ? (heard.ports ?? row.observed_ports) : null,
  };
  const before = JSON.stringify(comparable(row));
  if (before === JSON.stringify(comparable(next))) return false;
  await sql`
    update boxes set observed_at = now(), observed_state = ${next.observed_state},
      observed_generation = ${next.observed_generation}, observed_boot_serial = ${next.observed_boot_serial},
      observed_up = ${next.observed_up}, activity = ${next.activity},
      fault = ${jsonOrNull(next.fault)}::jsonb, node_notices = ${JSON.stringify(next.node_notices)}::jsonb,
      renewal = ${jsonOrNull(next.renewal)}::jsonb, started = ${jsonOrNull(next.started)}::jsonb,
      build = ${jsonOrNull(next.build)}::jsonb, observed_ports = ${jsonOrNull(next.observed_ports)}::jsonb
    where id = ${row.id} and epoch = ${row.epoch}`.execute(tx.query);
  tellPorts(row, next.observed_ports, told);
  if (heard.build && row.kind === "builder") await recordBuild(tx, row, heard.build);
  return true;
}

/** For whoever shows them live. At rest nothing listens, and the phase tells that. */
function tellPorts(row: BoxRow, ports: BoxRow["observed_ports"], told: Told): void {
  if (!ports || JSON.stringify(sorted(ports)) === JSON.stringify(sorted(row.observed_ports)))
    return;
  const listed = ports.map(({ port }) => port);
  told.events.push({
    orgId: row.org_id,
    kind: "box.ports",
    subjectKind: "box",
    subjectId: row.id,
    boxId: row.id,
    message:
      listed.length > 0
        ? `${row.name} listens on ${listed.join(", ")}`
        : `nothing listens in ${row.name}`,
    data: { ports: listed },
  });
}

/** The same fields in the same order, from a row or from a report; jsonb does not keep the order of keys. */
function comparable(facts: {
  observed_state: unknown;
  observed_generation: number;
  observed_boot_serial: number | null;
  observed_up: boolean;
  activity: string | null;
  fault: unknown;
  node_notices: unknown;
  renewal: unknown;
  started: unknown;
  build: unknown;
  observed_ports: unknown;
}): unknown {
  return [
    facts.observed_state,
    facts.observed_generation,
    facts.observed_boot_serial,
    facts.observed_up,
    facts.activity,
    ...[facts.fault, facts.node_notices, facts.renewal, facts.started, facts.build].map(sorted),
    sorted(facts.observed_ports),
  ];
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, part]) => [key, sorted(part)]);
}

function jsonOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value);
}

async function recordBuild(
  tx: Db,
  row: BoxRow,
  build: NonNullable<BoxReport["build"]>,
): Promise<void> {
  await sql`
    update template_versions set build_step = ${build.step}, build_log = ${build.log}
    where builder_box_id = ${row.id} and state = 'building' and prebuild_snapshot_id is null`.execute(
    tx.query,
  );
}

/** The node had it and has it no more. What it never spoke of, it may not have begun with yet. */
async function observeGone(tx: Db, row: BoxRow, report: Report): Promise<boolean> {
  const isGone = report.goneBoxes.includes(row.id) || (report.full && row.observed_state !== null);
  if (!isGone) return false;
  const generation = row.desired === "deleted" ? row.generation : row.observed_generation;
  if (row.observed_state === "absent" && row.observed_generation === generation) return false;
  await sql`
    update boxes set observed_at = now(), observed_state = 'absent', activity = null,
      observed_generation = greatest(observed_generation, ${generation})
    where id = ${row.id} and epoch = ${row.epoch}`.execute(tx.query);
  return true;
}

async function settleChanged(
  tx: Db,
  nodeId: NodeId,
  ids: readonly BoxId[],
  told: Told,
): Promise<void> {
  if (ids.length === 0) return;
  const rows = await selectBoxRows(
    tx,
    sql`b.id = any(${[...ids]}::text[]) and b.node_id = ${nodeId} order by b.id`,
  );
  let settled = false;
  for (const row of rows) {
    if (row.kind === "builder") told.topics.add(TOPICS.settle);
    settled = (await settleRow(tx, row, told)) || settled;
  }
  if (settled) await bumpRevisions(tx, [nodeId], told);
}
