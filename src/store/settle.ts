// Concludes what a box's observed facts allow: at rest, gone, failed, falling back. Every step is decided from the
// locked row alone and changes nothing the second time; a report runs it at once, and the reconciler again.

import { sql } from "kysely";
import type { BoxId, NodeId } from "#domain/ids.ts";
import type { SnapshotState } from "#domain/phase.ts";
import { bumpRevisions, concludeBoxes, nothingTold, type Told } from "./box-changes.ts";
import { addNotice } from "./box-notices.ts";
import { type BoxRow, selectBoxRows } from "./box-view.ts";
import { type Db, transact } from "./db.ts";
import { TOPICS } from "./wake.ts";

/** Faults of a node that mean: this memory will never come back, the disks may. */
const MEMORY_UNUSABLE = ["memory_unusable", "memory_incompatible"] as const;

/** Boxes about which something may be concluded; generous, because settling is idempotent. */
export async function listUnsettledBoxes(db: Db, limit: number): Promise<BoxId[]> {
  const { rows } = await sql<{ id: BoxId }>`
    with lost as (
      select id from snapshots where state in ('failed', 'deleting')
      union all
      select id from snapshots where state = 'deleted' and deleted_at > now() - interval '7 days')
    select b.id from boxes b where b.deleted_at is null and b.desired = 'deleted'
      and (not b.reserved or (b.observed_state = 'absent' and b.observed_generation >= b.generation))
    union
    select b.id from boxes b join snapshots r on r.id = b.rest_snapshot_id
    where b.deleted_at is null and b.reserved and b.rest_snapshot_id is not null
      and (r.state = 'failed' or (b.observed_state = 'absent'
        and (r.state in ('local', 'durable') or b.observed_generation >= b.generation)))
    union
    select b.id from lost join boxes b on b.source_snapshot_id = lost.id
    where b.deleted_at is null and not b.reserved and b.failure is null and b.desired <> 'deleted'
    union
    select b.id from boxes b where b.deleted_at is null and b.reserved and b.fault is not null
      and b.source_with_memory and b.fault ->> 'code' = any(${MEMORY_UNUSABLE}::text[])
    order by id limit ${limit}`.execute(db.query);
  return rows.map((row) => row.id);
}

/** Settles one box in a transaction of its own. True when something changed. */
export async function settleBox(db: Db, boxId: BoxId): Promise<boolean> {
  return transact(db, "store.box.settle", async (tx) => {
    await sql`select 1 from boxes where id = ${boxId} for no key update`.execute(tx.query);
    const [row] = await selectBoxRows(tx, sql`b.id = ${boxId}`);
    if (!row) return false;
    const told = nothingTold();
    const changed = await settleRow(tx, row, told);
    if (changed && row.reserved) await bumpRevisions(tx, [row.node_id], told);
    await concludeBoxes(tx, [boxId], told);
    return changed;
  });
}

/** For a row that the transaction has locked. The caller bumps the node's revision and concludes. */
export async function settleRow(tx: Db, row: BoxRow, told: Told): Promise<boolean> {
  if (row.deleted_at !== null) return false;
  if (row.desired === "deleted") {
    const isGone =
      !row.reserved ||
      (row.observed_state === "absent" && row.observed_generation >= row.generation);
    if (isGone) await finishDeletion(tx, row, told);
    return isGone;
  }
  if (!row.reserved) return isLost(row.source_state) && (await settleLostSource(tx, row));
  if (row.rest_snapshot_id !== null) return settleRest(tx, row, told);
  if (
    row.source_with_memory &&
    row.fault &&
    (MEMORY_UNUSABLE as readonly string[]).includes(row.fault.code)
  )
    return fallBackToDisks(tx, row, told);
  return false;
}

/** Deleting: it was marked unneeded in the instant in which this box began to need it. */
function isLost(state: SnapshotState | null): boolean {
  return state === "failed" || state === "deleting" || state === "deleted";
}

async function settleRest(tx: Db, row: BoxRow, told: Told): Promise<boolean> {
  if (row.rest_state === "failed") return giveUpRest(tx, row, told);
  if (row.observed_state !== "absent") return false;
  if (row.rest_state === "local" || row.rest_state === "durable") {
    await comeToRest(tx, row, told);
    return true;
  }
  if (row.rest_state !== "requested" || row.observed_generation < row.generation) return false;
  // The node says: nothing is left to do, and there is no such box. So the snapshot will never come.
  await tx.query
    .updateTable("snapshots")
    .set({ state: "failed", error: "the box was not there to be snapshotted" })
    .where("id", "=", row.rest_snapshot_id as NonNullable<BoxRow["rest_snapshot_id"]>)
    .execute();
  await tx.query
    .updateTable("boxes")
    .set({
      reserved: false,
      rest_snapshot_id: null,
      restore_snapshot_id: null,
      source_snapshot_id: row.restore_snapshot_id ?? row.source_snapshot_id,
      failure: row.observed_up
        ? JSON.stringify({
            code: "box_lost",
            message:
              "its node has lost it since it last ran; start goes back to the snapshot that it came from",
            retryable: true,
          })
        : null,
    })
    .where("id", "=", row.id)
    .execute();
  told.topics.add(TOPICS.schedule);
  return true;
}

/** The snapshot is complete and the host is free: from now on the snapshot is the box. */
async function comeToRest(tx: Db, row: BoxRow, told: Told): Promise<void> {
  const restId = row.rest_snapshot_id as NonNullable<BoxRow["rest_snapshot_id"]>;
  const source = row.restore_snapshot_id ?? restId;
  const withMemory =
    row.restore_snapshot_id === null
      ? row.rest_with_memory === true && row.desired !== "stopped"
      : await readWithMemory(tx, source);
  await tx.query
    .updateTable("boxes")
    .set({
      reserved: false,
      source_snapshot_id: source,
      source_with_memory: withMemory,
      rest_snapshot_id: source,
      restore_snapshot_id: null,
      placement: null,
      place_tried_at: null,
      activity: null,
      fault: null,
      node_notices: "[]",
    })
    .where("id", "=", row.id)
    .execute();
  if (row.rest_with_memory && row.desired === "stopped")
    await addNotice(tx, row.id, "memory_lost", "stopped while pausing: its memory was given up");
  await replaceRequested(tx, row, restId, told);
  told.topics.add(TOPICS.schedule);
  told.topics.add(TOPICS.settle);
}

async function readWithMemory(tx: Db, snapshotId: string): Promise<boolean> {
  const { rows } = await sql<{ with_memory: boolean }>`
    select with_memory from snapshots where id = ${snapshotId}`.execute(tx.query);
  return rows[0]?.with_memory ?? false;
}

/** Snapshots that were asked of the running box and not taken: the rest snapshot holds what they would. */
async function replaceRequested(tx: Db, row: BoxRow, restId: string, told: Told): Promise<void> {
  const { rows } = await sql<{ id: string; kind: string; name: string | null }>`
    update snapshots set state = 'failed', replaced_by_id = ${restId},
      error = 'the box came to rest first: its rest snapshot took the place of this one'
    where box_id = ${row.id} and epoch = ${row.epoch} and state = 'requested' and id <> ${restId}
    returning id, kind, name`.execute(tx.query);
  const checkpoint = rows.find((snapshot) => snapshot.kind === "checkpoint");
  if (checkpoint)
    await sql`update snapshots set kept = true, name = coalesce(name, ${checkpoint.name})
      where id = ${restId}`.execute(tx.query);
  if (rows.length === 0) return;
  await sql`update operations set state = 'succeeded', finished_at = now()
    where subject_id = any(${rows.map((r) => r.id)}::text[]) and state = 'running'`.execute(
    tx.query,
  );
  told.topics.add(TOPICS.settle);
}

/** The snapshot cannot be taken: the box goes on running, and says so. */
async function giveUpRest(tx: Db, row: BoxRow, told: Told): Promise<boolean> {
  await addNotice(
    tx,
    row.id,
    "snapshot_failed",
    `it could not be ${row.rest_kind === "stop" ? "stopped" : "paused"} and runs on: ${row.rest_error ?? "its snapshot failed"}`,
  );
  await sql`
    update operations set state = 'failed', finished_at = now(),
      error = jsonb_build_object('code', 'snapshot_failed', 'message', ${row.rest_error ?? "its snapshot failed"}::text,
        'retryable', true)
    where subject_id = ${row.id} and state = 'running'`.execute(tx.query);
  await tx.query
    .updateTable("boxes")
    .set({
      rest_snapshot_id: null,
      restore_snapshot_id: null,
      desired: "running",
      generation: row.generation + 1,
    })
    .where("id", "=", row.id)
    .execute();
  told.topics.add(TOPICS.settle);
  return true;
}

/** What it was to start from will never be there: use what took its place, or fail. */
async function settleLostSource(tx: Db, row: BoxRow): Promise<boolean> {
  const { rows } = await sql<{ error: string | null; id: string | null; with_memory: boolean }>`
    select s.error, r.id, r.with_memory from snapshots s
    left join snapshots r on r.id = s.replaced_by_id and r.state in ('local', 'durable')
    where s.id = ${row.source_snapshot_id}`.execute(tx.query);
  const source = rows[0];
  if (source?.id) {
    await sql`update boxes set source_snapshot_id = ${source.id}, source_with_memory = ${source.with_memory}
      where id = ${row.id}`.execute(tx.query);
    return true;
  }
  if (row.failure) return false;
  const failure = {
    code: "source_lost",
    message: `the snapshot that it starts from is not there: ${source?.error ?? "it was lost"}`,
    retryable: false,
  };
  await tx.query
    .updateTable("boxes")
    .set({ failure: JSON.stringify(failure) })
    .where("id", "=", row.id)
    .execute();
  return true;
}

/** Its memory cannot be restored: boot from the disks of the same snapshot, loudly, as a new epoch. */
async function fallBackToDisks(tx: Db, row: BoxRow, told: Told): Promise<boolean> {
  await addNotice(
    tx,
    row.id,
    "memory_lost",
    `its memory could not be restored (${row.fault?.message}); it boots from the disks of the same snapshot`,
  );
  await tx.query
    .updateTable("boxes")
    .set({ source_with_memory: false, reserved: false, fault: null, place_tried_at: null })
    .where("id", "=", row.id)
    .execute();
  told.topics.add(TOPICS.schedule);
  return true;
}

/** Nothing of the box is left on a node: the row becomes a tombstone and its name is free. */
export async function finishDeletion(tx: Db, row: BoxRow, told: Told): Promise<void> {
  await tx.query
    .updateTable("boxes")
    .set({
      deleted_at: sql<Date>`now()`,
      reserved: false,
      rest_snapshot_id: null,
      restore_snapshot_id: null,
    })
    .where("id", "=", row.id)
    .execute();
  await sql`update volumes set deleted_at = now() where box_id = ${row.id} and deleted_at is null`.execute(
    tx.query,
  );
  await sql`delete from grants where scope = 'box' and scope_id = ${row.id}`.execute(tx.query);
  // A snapshot that was asked for may have been taken unseen, so it is removed and not just forgotten.
  await sql`
    update snapshots s set error = 'the box was deleted first',
      state = case when s.kind = 'fork' or exists (select 1 from boxes b
        where b.source_snapshot_id = s.id and b.id <> s.box_id and b.deleted_at is null)
        then 'failed' else 'deleting' end
    where s.box_id = ${row.id} and s.state = 'requested'`.execute(tx.query);
  told.topics.add(TOPICS.settle);
}

/** Frees the boxes of a node that will not come back. Those that ran say what was lost. */
export async function releaseNodeBoxes(tx: Db, nodeId: NodeId, told: Told): Promise<BoxId[]> {
  const failure = JSON.stringify({
    code: "node_lost",
    message:
      "its node was removed while it ran; start goes back to its last durable snapshot, and what came later is lost",
    retryable: true,
  });
  const { rows } = await sql<{ id: BoxId }>`
    update boxes set reserved = false, rest_snapshot_id = null, restore_snapshot_id = null, fault = null,
      activity = null, placement = null, place_tried_at = null,
      failure = case when observed_up and desired <> 'deleted' then ${failure}::jsonb else failure end
    where node_id = ${nodeId} and reserved returning id`.execute(tx.query);
  told.topics.add(TOPICS.schedule);
  told.topics.add(TOPICS.settle);
  return rows.map((row) => row.id);
}
