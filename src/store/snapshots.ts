// Snapshots and checkpoints, read and deleted. A checkpoint is any snapshot that its user keeps.

import { type RawBuilder, sql } from "kysely";
import type { SnapshotKind } from "#domain/box.ts";
import type { BoxId, NodeId, OrgId, SnapshotId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import type { SnapshotState } from "#domain/phase.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { bumpRevisions, nothingTold } from "./box-changes.ts";
import { type Db, transact } from "./db.ts";
import { insertEvents } from "./events.ts";
import { insertOperation, type OperationView } from "./operations.ts";
import { type GuardedBox, mayOnBox, permitOnBox } from "./rights.ts";
import { TOPICS } from "./wake.ts";

export interface SnapshotView {
  readonly id: SnapshotId;
  readonly orgId: OrgId;
  /** A kept pause, stop or fork snapshot is shown as the checkpoint that it is. */
  readonly kind: SnapshotKind;
  readonly name: string | null;
  readonly state: SnapshotState;
  readonly withMemory: boolean;
  readonly kept: boolean;
  readonly progress: number;
  readonly box: { readonly id: BoxId; readonly name: string };
  readonly epoch: number;
  readonly compatibility: string | null;
  readonly parentId: SnapshotId | null;
  readonly allocatedBytes: number | null;
  readonly storedBytes: number | null;
  readonly manifestKey: string | null;
  readonly error: string | null;
  /** Where the bytes are on disk. */
  readonly nodeIds: readonly NodeId[];
  readonly createdAt: Date;
  readonly takenAt: Date | null;
  readonly durableAt: Date | null;
}

export interface AcceptedSnapshot {
  readonly snapshot: SnapshotView;
  readonly operation: OperationView;
}

const SHOWN_KIND = sql`case when s.kept and s.kind <> 'prebuild' then 'checkpoint' else s.kind end`;

async function selectSnapshots(
  db: Db,
  subject: Subject,
  condition: RawBuilder<unknown>,
): Promise<SnapshotView[]> {
  const { rows } = await sql<SnapshotView & { boxId: BoxId; boxName: string }>`
    select s.id, s.org_id as "orgId", ${SHOWN_KIND} as kind, s.name, s.state, s.with_memory as "withMemory",
      s.kept, case when s.state = 'durable' then 1 else s.progress end as progress,
      s.box_id as "boxId", b.name as "boxName", s.epoch, s.compatibility, s.parent_id as "parentId",
      s.allocated_bytes as "allocatedBytes", s.stored_bytes as "storedBytes",
      s.manifest_key as "manifestKey", s.error,
      array(select c.node_id from snapshot_copies c where c.snapshot_id = s.id order by 1) as "nodeIds",
      s.created_at as "createdAt", s.taken_at as "takenAt", s.durable_at as "durableAt"
    from snapshots s join boxes b on b.id = s.box_id
    where ${mayOnBox(subject, "snapshot.read")} and ${condition}`.execute(db.query);
  return rows.map(({ boxId, boxName, ...row }) => ({ ...row, box: { id: boxId, name: boxName } }));
}

export interface ListSnapshotsFilter {
  readonly after: string | null;
  readonly limit: number;
  /** Id or name of the box. */
  readonly box?: string | undefined;
  readonly kind?: SnapshotKind | undefined;
}

export async function listSnapshots(
  db: Db,
  subject: Subject,
  filter: ListSnapshotsFilter,
): Promise<SnapshotView[]> {
  const box = filter.box ?? null;
  const kind = filter.kind ?? null;
  return selectSnapshots(
    db,
    subject,
    sql`s.state <> 'deleted' and s.id > ${filter.after ?? ""}
      and (${box}::text is null or b.id = ${box} or (b.name = ${box} and b.deleted_at is null))
      and (${kind}::text is null or ${SHOWN_KIND} = ${kind})
      order by s.id limit ${filter.limit}`,
  );
}

export async function getSnapshot(db: Db, subject: Subject, id: string): Promise<SnapshotView> {
  const [snapshot] = await selectSnapshots(db, subject, sql`s.id = ${id}`);
  if (!snapshot) throw new StoreRefusal("not_found", `There is no snapshot '${id}'.`);
  return snapshot;
}

/** A user's deletion: refused while something needs it. */
export async function deleteSnapshot(
  db: Db,
  subject: Subject,
  id: string,
): Promise<AcceptedSnapshot> {
  return transact(db, "store.snapshot.delete", async (tx) => {
    const before = await getSnapshot(tx, subject, id);
    await permitOnSnapshot(tx, subject, before);
    await sql`select 1 from snapshots where id = ${id} for update`.execute(tx.query);
    const users = await listSnapshotUsers(tx, before.id);
    if (users.length > 0)
      throw new StoreRefusal("in_use", `The snapshot ${id} is needed by ${users.join(", ")}.`);
    const told = nothingTold();
    const isOver = before.state === "deleted";
    if (!isOver) await markDeleting(tx, [before.id], told);
    const operation = await insertOperation(tx, subject, {
      kind: "snapshot.delete",
      subjectKind: "snapshot",
      subjectId: before.id,
      state: isOver ? "succeeded" : "running",
    });
    await insertEvents(tx, told.events, [...told.topics]);
    return { snapshot: await getSnapshot(tx, subject, id), operation };
  });
}

async function permitOnSnapshot(tx: Db, subject: Subject, snapshot: SnapshotView): Promise<void> {
  const { rows } = await sql<GuardedBox>`
    select id, name, org_id, owner_id, team_id from boxes where id = ${snapshot.box.id}`.execute(
    tx.query,
  );
  if (rows[0]) await permitOnBox(tx, subject, "snapshot.delete", rows[0]);
}

/** In words, what still needs a snapshot. */
async function listSnapshotUsers(tx: Db, id: SnapshotId): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select 'the box ' || name as name from boxes where deleted_at is null
      and (source_snapshot_id = ${id} or rest_snapshot_id = ${id} or restore_snapshot_id = ${id})
    union all
    select 'the template ' || t.name from template_versions v join templates t on t.id = v.template_id
      where v.prebuild_snapshot_id = ${id} and t.deleted_at is null`.execute(tx.query);
  return rows.map((row) => row.name);
}

/** From here on no node keeps it; the reconciler removes it from the object store when all have let go. */
async function markDeleting(
  tx: Db,
  ids: readonly SnapshotId[],
  told: ReturnType<typeof nothingTold>,
): Promise<void> {
  if (ids.length === 0) return;
  const { rows } = await sql<{ node_id: NodeId | null }>`
    with marked as (
      update snapshots set state = 'deleting', kept = false where id = any(${[...ids]}::text[])
        and state not in ('deleting', 'deleted') returning id, box_id, state)
    select c.node_id from marked m left join snapshot_copies c on c.snapshot_id = m.id`.execute(
    tx.query,
  );
  told.topics.add(TOPICS.settle);
  await bumpRevisions(
    tx,
    rows.map((row) => row.node_id),
    told,
  );
}

/**
 * Snapshots that nobody keeps and nothing needs: no box starts from them or rests in them, no template builds
 * on them, and no snapshot that is still being uploaded is described by its difference to them.
 */
export async function markUnneeded(db: Db, limit: number): Promise<number> {
  return transact(db, "store.snapshot.unneeded", async (tx) => {
    const { rows } = await sql<{ id: SnapshotId }>`
      select s.id from snapshots s
      where (s.state in ('local', 'durable') or (s.state = 'requested' and s.kind = 'fork'))
        and (not s.kept or s.kind = 'prebuild')
        and not exists (select 1 from boxes b where b.deleted_at is null and b.source_snapshot_id = s.id)
        and not exists (select 1 from boxes b where b.deleted_at is null and b.rest_snapshot_id = s.id)
        and not exists (select 1 from boxes b where b.deleted_at is null and b.restore_snapshot_id = s.id)
        and not exists (select 1 from template_versions v join templates t on t.id = v.template_id
          where t.deleted_at is null
            and (v.prebuild_snapshot_id = s.id or (v.builder_box_id = s.box_id and v.state = 'building')))
        and not exists (select 1 from snapshots c where c.parent_id = s.id and c.state in ('requested', 'local'))
      order by s.id limit ${limit} for update of s skip locked`.execute(tx.query);
    const told = nothingTold();
    await markDeleting(
      tx,
      rows.map((row) => row.id),
      told,
    );
    await insertEvents(tx, told.events, [...told.topics]);
    return rows.length;
  });
}

/** Deleted snapshots that no node has any more: their objects can go. */
export async function listRemovableSnapshots(
  db: Db,
  limit: number,
): Promise<{ id: SnapshotId; manifestKey: string | null }[]> {
  const { rows } = await sql<{ id: SnapshotId; manifestKey: string | null }>`
    select s.id, s.manifest_key as "manifestKey" from snapshots s
    where s.state = 'deleting'
      and not exists (select 1 from snapshot_copies c join nodes n on n.id = c.node_id
        where c.snapshot_id = s.id and n.status <> 'removed')
    order by s.id limit ${limit}`.execute(db.query);
  return rows;
}

/** Its objects are gone. */
export async function finishSnapshotRemoval(db: Db, id: SnapshotId): Promise<void> {
  await transact(db, "store.snapshot.removed", async (tx) => {
    const { rows } = await sql<{ org_id: OrgId; box_id: BoxId }>`
      update snapshots set state = 'deleted', deleted_at = now()
      where id = ${id} and state = 'deleting' returning org_id, box_id`.execute(tx.query);
    const row = rows[0];
    if (!row) return;
    await sql`delete from snapshot_copies where snapshot_id = ${id}`.execute(tx.query);
    await sql`update operations set state = 'succeeded', finished_at = now()
      where subject_id = ${id} and state = 'running'`.execute(tx.query);
    await insertEvents(tx, [
      {
        orgId: row.org_id,
        kind: "snapshot.deleted",
        subjectKind: "snapshot",
        subjectId: id,
        boxId: row.box_id,
        message: `snapshot ${id} was deleted`,
      },
    ]);
  });
}

/** Manifests that must stay in the object store: for its garbage collection. */
export async function listLiveManifests(db: Db): Promise<string[]> {
  const { rows } = await sql<{ key: string }>`
    select manifest_key as key from snapshots
    where manifest_key is not null and state in ('local', 'durable') order by 1`.execute(db.query);
  return rows.map((row) => row.key);
}
