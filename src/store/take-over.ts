// Taking over: boxes of a node that has been unreachable for too long, and the writes that let one run elsewhere.
// Used by the scheduler under the placement lock; what is decided is in domain/lost-box.ts.

import { sql } from "kysely";
import type { BoxSpec } from "#domain/box.ts";
import type { BoxId, NodeId, OrgId, SnapshotId, UserId } from "#domain/ids.ts";
import type { KeptState } from "#domain/lost-box.ts";
import type { Told } from "./box-changes.ts";
import { addNotice } from "./box-notices.ts";
import type { Db } from "./db.ts";
import { requestSnapshot } from "./snapshot-requests.ts";
import { insertStray } from "./strays.ts";
import { TOPICS } from "./wake.ts";

export interface KeptSnapshotState extends KeptState {
  readonly snapshotId: SnapshotId;
  readonly compatibility: string | null;
  readonly copies: readonly NodeId[];
  readonly takenAt: string | null;
}

export interface LostBox {
  readonly id: BoxId;
  readonly orgId: OrgId;
  readonly ownerId: UserId;
  readonly name: string;
  readonly epoch: number;
  readonly generation: number;
  readonly bootSerial: number;
  readonly spec: BoxSpec;
  readonly gpus: number;
  readonly region: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly imageDigest: string;
  readonly nodeId: NodeId;
  readonly nodeName: string;
  readonly strayNodeIds: readonly NodeId[];
  readonly cameUp: boolean;
  readonly isComingToRest: boolean;
  readonly source: KeptSnapshotState | null;
  readonly lastDurable: KeptSnapshotState | null;
}

/** A row of `snapshots s` as a KeptSnapshotState. */
const STATE = sql`jsonb_build_object('snapshotId', s.id, 'isDurable', s.state = 'durable',
  'compatibility', s.compatibility, 'takenAt', s.taken_at,
  'copies', (select coalesce(jsonb_agg(c.node_id), '[]') from snapshot_copies c where c.snapshot_id = s.id))`;

/** Boxes that are to run and whose node does not answer, with their nodes locked against its coming back. */
export async function listLostBoxes(
  tx: Db,
  page: { readonly lostAfterMs: number; readonly after: string; readonly limit: number },
): Promise<LostBox[]> {
  const { rows } = await sql<LostBox>`
    select b.id, b.org_id as "orgId", b.owner_id as "ownerId", b.name, b.epoch, b.generation,
      b.boot_serial as "bootSerial", b.spec, b.gpus, b.region, b.labels, b.image_digest as "imageDigest",
      b.node_id as "nodeId", n.name as "nodeName", b.observed_up as "cameUp",
      b.rest_snapshot_id is not null as "isComingToRest",
      array(select t.node_id from strays t where t.box_id = b.id and t.ended_at is null) as "strayNodeIds",
      (select ${STATE} || jsonb_build_object('withMemory', b.source_with_memory)
        from snapshots s where s.id = b.source_snapshot_id) as source,
      (select ${STATE} || jsonb_build_object('withMemory', s.with_memory)
        from snapshots s where s.box_id = b.id and s.state = 'durable'
        order by s.taken_at desc nulls last, s.id desc limit 1) as "lastDurable"
    from boxes b join nodes n on n.id = b.node_id
    where b.reserved and b.desired = 'running' and b.kind = 'user' and b.failure is null
      and b.deleted_at is null and b.id > ${page.after}
      and n.status = 'unreachable'
      and n.status_since < now() - ${page.lostAfterMs} * interval '1 millisecond'
    order by b.id limit ${page.limit} for no key update of n, b skip locked`.execute(tx.query);
  return rows;
}

/**
 * Frees the box from its lost node and lets it begin from `from`. The caller places it in the same transaction:
 * a box is never taken from a node that may come back without having another one.
 */
export async function takeOver(
  tx: Db,
  box: LostBox,
  from: KeptSnapshotState | null,
  loses: boolean,
  told: Told,
): Promise<void> {
  await failRequested(tx, box);
  await sql`
    update boxes set reserved = false, fault = null, place_tried_at = null,
      source_snapshot_id = ${from?.snapshotId ?? null}, source_with_memory = ${from?.withMemory ?? false}
    where id = ${box.id} and epoch = ${box.epoch}`.execute(tx.query);
  const message = loses ? lossWords(box, from) : `${box.name} never came up on ${box.nodeName}`;
  if (loses) {
    await addNotice(tx, box.id, "restored_from", message);
    await keepStray(tx, box);
  }
  told.events.push({
    orgId: box.orgId,
    kind: "box.taken_over",
    subjectKind: "box",
    subjectId: box.id,
    boxId: box.id,
    message,
    data: { lostNodeId: box.nodeId, lostEpoch: box.epoch, snapshotId: from?.snapshotId ?? null },
  });
  told.topics.add(TOPICS.settle);
}

function lossWords(box: LostBox, from: KeptSnapshotState | null): string {
  const when = from?.takenAt ? ` of ${new Date(from.takenAt).toISOString()}` : "";
  const how = from?.withMemory ? "restored from" : "booted from the disks of";
  return (
    `its node ${box.nodeName} was lost: it was ${how} its snapshot ${from?.snapshotId}${when}. ` +
    "What came later is lost, unless the node comes back: then its disks are kept as a checkpoint"
  );
}

async function keepStray(tx: Db, box: LostBox): Promise<void> {
  const owned = { id: box.id, org_id: box.orgId, owner_id: box.ownerId, epoch: box.epoch };
  const snapshotId = await requestSnapshot(
    tx,
    { ...owned, spec: box.spec, image_digest: box.imageDigest },
    { kind: "stop", withMemory: false, kept: true, name: `left on ${box.nodeName}` },
  );
  await insertStray(tx, {
    ...{ boxId: box.id, epoch: box.epoch, nodeId: box.nodeId, bootSerial: box.bootSerial },
    // Above what the node may have said of its own assignment.
    ...{ generation: box.generation + 1, snapshotId },
  });
}

/** Forks and checkpoints that were asked of the lost instance will not come. */
async function failRequested(tx: Db, box: LostBox): Promise<void> {
  const error = "its node was lost before it was taken";
  const { rows } = await sql<{ id: string }>`
    update snapshots set state = 'failed', error = ${error}
    where box_id = ${box.id} and epoch = ${box.epoch} and state = 'requested' returning id`.execute(
    tx.query,
  );
  if (rows.length === 0) return;
  await sql`
    update operations set state = 'failed', finished_at = now(),
      error = jsonb_build_object('code', 'snapshot_failed', 'message', ${error}::text, 'retryable', true)
    where subject_id = any(${rows.map((row) => row.id)}::text[]) and state = 'running'`.execute(
    tx.query,
  );
}
