// Strays: what a lost node still has of a box that was taken over. It never runs for users again: the node, when it
// comes back, shuts it down and keeps its disks as a checkpoint of the box, and only then removes it. A stray
// that cannot be kept stays on its node until its owner deletes that checkpoint or the box.

import { sql } from "kysely";
import type { Assignment, Report } from "#contract/node-protocol.ts";
import type { BoxSpec } from "#domain/box.ts";
import type { BoxId, NodeId, OrgId, SnapshotId, TemplateVersionId } from "#domain/ids.ts";
import type { SnapshotState } from "#domain/phase.ts";
import { bumpRevisions, nothingTold } from "./box-changes.ts";
import { type Db, transact } from "./db.ts";
import { insertEvents } from "./events.ts";

export interface NewStray {
  readonly boxId: BoxId;
  readonly epoch: number;
  readonly nodeId: NodeId;
  readonly generation: number;
  readonly bootSerial: number;
  readonly snapshotId: SnapshotId;
}

export async function insertStray(tx: Db, stray: NewStray): Promise<void> {
  await sql`
    insert into strays (box_id, epoch, node_id, generation, boot_serial, snapshot_id)
    values (${stray.boxId}, ${stray.epoch}, ${stray.nodeId}, ${stray.generation}, ${stray.bootSerial},
      ${stray.snapshotId})`.execute(tx.query);
}

/** Each as an assignment to stop, in the epoch that was lost. Nothing in it lets a node start one. */
export async function readStrayAssignments(db: Db, nodeId: NodeId): Promise<Assignment[]> {
  const { rows } = await sql<{
    box_id: BoxId;
    epoch: number;
    generation: number;
    boot_serial: number;
    snapshot_id: SnapshotId;
    name: string;
    spec: BoxSpec;
    image_digest: string;
    machine_id: string;
    template_version_id: TemplateVersionId;
  }>`
    select t.box_id, t.epoch, t.generation, t.boot_serial, t.snapshot_id, b.name, b.spec, b.image_digest,
      b.machine_id, b.template_version_id
    from strays t join boxes b on b.id = t.box_id
    where t.node_id = ${nodeId} and t.ended_at is null order by t.box_id, t.epoch`.execute(
    db.query,
  );
  return rows.map((row) => ({
    boxId: row.box_id,
    epoch: row.epoch,
    generation: row.generation,
    desired: "stopped",
    bootSerial: row.boot_serial,
    spec: row.spec,
    imageDigest: row.image_digest,
    templateVersionId: row.template_version_id,
    source: { kind: "image", imageDigest: row.image_digest },
    identity: {
      ...{ boxId: row.box_id, hostName: row.name, machineId: row.machine_id },
      ...{ sshUserCa: "", sshPrincipals: [], env: {} },
    },
    restSnapshot: { snapshotId: row.snapshot_id, kind: "stop", withMemory: false },
    wantedSnapshots: [],
    ranHere: true,
    build: null,
    hooks: { onResume: null, onFork: null },
  }));
}

/** After the snapshots of the report: a node that has done all, and has neither box nor snapshot, has lost it. */
export async function observeStrays(tx: Db, nodeId: NodeId, report: Report): Promise<void> {
  const absent = report.boxes
    .filter(({ state, fault }) => state === "absent" && fault === null)
    .map(({ boxId, epoch, observedGeneration }) => ({ boxId, epoch, observedGeneration }));
  if (absent.length === 0) return;
  await sql`
    with lost as (
      update strays t set is_lost = true
      from snapshots s, jsonb_to_recordset(${JSON.stringify(absent)}::jsonb) as h
        ("boxId" text, epoch integer, "observedGeneration" bigint)
      where t.node_id = ${nodeId} and t.ended_at is null and h."boxId" = t.box_id and h.epoch = t.epoch
        and h."observedGeneration" >= t.generation and s.id = t.snapshot_id and s.state in ('requested', 'failed')
      returning t.snapshot_id)
    update snapshots set state = 'failed', error = 'nothing was left of it on its node'
    where id in (select snapshot_id from lost)`.execute(tx.query);
}

/** Lets nodes remove the strays that are kept, that nobody wants any more, or whose node is gone. */
export async function endStrays(db: Db, limit: number): Promise<number> {
  return transact(db, "store.stray.end", async (tx) => {
    const { rows } = await sql<EndedStray>`
      update strays t set ended_at = now()
      from snapshots s, boxes b, nodes n
      where s.id = t.snapshot_id and b.id = t.box_id and n.id = t.node_id and (t.box_id, t.epoch) in (
        select e.box_id, e.epoch from strays e join snapshots k on k.id = e.snapshot_id
          join nodes m on m.id = e.node_id
        where e.ended_at is null and (k.state in ('local', 'durable', 'deleting', 'deleted')
          or m.status = 'removed' or e.is_lost)
        order by e.box_id, e.epoch limit ${limit} for update of e skip locked)
      returning b.org_id as "orgId", t.box_id as "boxId", b.name as "boxName", t.node_id as "nodeId",
        n.name as "nodeName", t.snapshot_id as "snapshotId", s.state`.execute(tx.query);
    const told = nothingTold();
    for (const row of rows)
      told.events.push({
        orgId: row.orgId,
        kind: "box.stray_ended",
        subjectKind: "box",
        subjectId: row.boxId,
        boxId: row.boxId,
        message: wordsOf(row),
        data: { nodeId: row.nodeId, snapshotId: row.snapshotId },
      });
    await bumpRevisions(
      tx,
      rows.map((row) => row.nodeId),
      told,
    );
    await insertEvents(tx, told.events, [...told.topics]);
    return rows.length;
  });
}

interface EndedStray {
  orgId: OrgId;
  boxId: BoxId;
  boxName: string;
  nodeId: NodeId;
  nodeName: string;
  snapshotId: SnapshotId;
  state: SnapshotState;
}

function wordsOf({ boxName, nodeName, snapshotId, state }: EndedStray): string {
  const what = `what node ${nodeName} still had of ${boxName}`;
  if (state === "local" || state === "durable") return `${what} is kept as ${snapshotId}`;
  if (state === "failed") return `${what} is lost`;
  return `${what} is not wanted any more and is removed`;
}
