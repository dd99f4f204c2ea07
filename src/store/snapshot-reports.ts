// What a node says of snapshots: taken, uploaded, failed, here, gone.

import { sql } from "kysely";
import type { Report } from "#contract/node-protocol.ts";
import type { BoxId, NodeId, OrgId, SnapshotId } from "#domain/ids.ts";
import type { SnapshotState } from "#domain/phase.ts";
import type { Told } from "./box-changes.ts";
import type { Db } from "./db.ts";
import { TOPICS } from "./wake.ts";

interface Change {
  id: SnapshotId;
  org_id: OrgId;
  box_id: BoxId;
  kind: string;
  before: SnapshotState;
  state: SnapshotState;
  error: string | null;
}

/** Returns the boxes (of this node, locked by the caller) whose rest snapshot changed its state. */
export async function recordSnapshots(
  tx: Db,
  nodeId: NodeId,
  report: Report,
  told: Told,
): Promise<BoxId[]> {
  const changes = report.snapshots.length > 0 ? await applyReports(tx, report) : [];
  await recordCopies(tx, nodeId, report, told);
  if (changes.length === 0) return [];
  await finishSnapshotOperations(tx, changes);
  for (const change of changes)
    told.events.push({
      orgId: change.org_id,
      kind: `snapshot.${change.state}`,
      subjectKind: "snapshot",
      subjectId: change.id,
      boxId: change.box_id,
      message: wordsOf(change),
      data: { kind: change.kind, state: change.state },
    });
  told.topics.add(TOPICS.schedule);
  told.topics.add(TOPICS.settle);
  const { rows } = await sql<{ id: BoxId }>`
    select id from boxes where node_id = ${nodeId} and reserved
      and rest_snapshot_id = any(${changes.map((change) => change.id) as string[]}::text[])
    order by id for no key update`.execute(tx.query);
  return rows.map((row) => row.id);
}

/** Moves forward only: requested, local, durable; or requested, failed. Returns those that moved. */
async function applyReports(tx: Db, report: Report): Promise<Change[]> {
  const { rows } = await sql<Change>`
    with heard as (
      select * from jsonb_to_recordset(${JSON.stringify(report.snapshots)}::jsonb) as h
        ("snapshotId" text, "boxId" text, epoch integer, compatibility text, "parentId" text,
         "createdAtMs" double precision, "allocatedBytes" double precision, "manifestKey" text,
         "storedBytes" double precision, progress double precision, error text, failed boolean)),
    old as (
      select s.id, s.state from snapshots s join heard h on h."snapshotId" = s.id
      where s.state in ('requested', 'local') and h."boxId" = s.box_id and h.epoch = s.epoch
      order by s.id for no key update of s)
    update snapshots s set
      state = case
        when h.failed and s.state = 'requested' then 'failed'
        when h.failed then s.state
        when h."manifestKey" is not null then 'durable'
        else 'local' end,
      compatibility = coalesce(h.compatibility, s.compatibility),
      parent_id = coalesce(h."parentId", s.parent_id),
      allocated_bytes = h."allocatedBytes"::bigint,
      stored_bytes = coalesce(h."storedBytes"::bigint, s.stored_bytes),
      manifest_key = coalesce(h."manifestKey", s.manifest_key),
      progress = greatest(s.progress, h.progress),
      error = h.error,
      taken_at = case when h.failed then s.taken_at
        else coalesce(s.taken_at, to_timestamp(h."createdAtMs" / 1000)) end,
      durable_at = case when h."manifestKey" is not null and not h.failed
        then coalesce(s.durable_at, now()) else s.durable_at end
    from heard h, old
    where h."snapshotId" = s.id and old.id = s.id
    returning s.id, s.org_id, s.box_id, s.kind, old.state as before, s.state, s.error`.execute(
    tx.query,
  );
  return rows.filter((row) => row.before !== row.state);
}

function wordsOf(change: Change): string {
  if (change.state === "durable") return `a ${change.kind} snapshot is in the object store`;
  if (change.state === "local") return `a ${change.kind} snapshot is complete on its node`;
  return `a ${change.kind} snapshot failed: ${change.error ?? "no reason was given"}`;
}

async function recordCopies(tx: Db, nodeId: NodeId, report: Report, told: Told): Promise<void> {
  const here = report.snapshots.filter((s) => !s.failed).map((s) => s.snapshotId);
  if (here.length > 0)
    await sql`
      insert into snapshot_copies (snapshot_id, node_id)
      select id, ${nodeId} from snapshots where id = any(${here}::text[]) and state <> 'deleted'
      order by id on conflict do nothing`.execute(tx.query);
  const isGone = report.full
    ? sql`snapshot_id <> all(${here}::text[])`
    : sql`snapshot_id = any(${report.goneSnapshots}::text[])`;
  if (!report.full && report.goneSnapshots.length === 0) return;
  const { rows } = await sql<{ snapshot_id: string }>`
    delete from snapshot_copies where node_id = ${nodeId} and ${isGone}
    returning snapshot_id`.execute(tx.query);
  if (rows.length === 0) return;
  await sql`
    update snapshots s set state = 'failed', error = 'its only copy is gone from its node'
    where s.id = any(${rows.map((row) => row.snapshot_id)}::text[]) and s.state = 'local'
      and not exists (select 1 from snapshot_copies c where c.snapshot_id = s.id)`.execute(
    tx.query,
  );
  told.topics.add(TOPICS.settle);
}

async function finishSnapshotOperations(tx: Db, changes: readonly Change[]): Promise<void> {
  for (const change of changes) {
    const error = { code: "snapshot_failed", message: change.error ?? "", retryable: true };
    await sql`
      update operations set finished_at = now(),
        state = ${change.state === "failed" ? "failed" : "succeeded"},
        error = ${change.state === "failed" ? JSON.stringify(error) : null}::jsonb
      where subject_id = ${change.id} and state = 'running' and kind <> 'snapshot.delete'`.execute(
      tx.query,
    );
  }
}
