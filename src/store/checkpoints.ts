// Checkpoints: a snapshot that the user keeps, and the way back to one. Going back keeps what it replaces.

import { sql } from "kysely";
import type { SnapshotId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { bumpRevisions, concludeBoxes, nothingTold } from "./box-changes.ts";
import { type IntentOptions, refuseDeleted, refuseOtherGeneration } from "./box-intent.ts";
import { type BoxRow, viewOf } from "./box-view.ts";
import { type AcceptedBox, lockBoxRow } from "./boxes.ts";
import { type Db, transact } from "./db.ts";
import { getOperation, insertOperation } from "./operations.ts";
import { requestSnapshot } from "./snapshot-requests.ts";
import { type AcceptedSnapshot, getSnapshot } from "./snapshots.ts";
import { TOPICS } from "./wake.ts";

export async function createCheckpoint(
  db: Db,
  subject: Subject,
  reference: string,
  name: string | null,
): Promise<AcceptedSnapshot> {
  return transact(db, "store.checkpoint.create", async (tx) => {
    const row = await lockBoxRow(tx, subject, reference, "box.control");
    refuseDeleted(row);
    const told = nothingTold();
    const existing = row.rest_snapshot_id;
    const id = existing ?? (await requestCheckpoint(tx, row, name));
    if (existing)
      await sql`update snapshots set kept = true, name = coalesce(${name}, name) where id = ${existing}`.execute(
        tx.query,
      );
    const snapshot = await getSnapshot(tx, subject, id);
    const operation = await insertOperation(tx, subject, {
      kind: "checkpoint.create",
      subjectKind: "snapshot",
      subjectId: id,
      state: snapshot.state === "requested" ? "running" : "succeeded",
    });
    told.events.push({
      orgId: row.org_id,
      kind: "checkpoint.create",
      subjectKind: "snapshot",
      subjectId: id,
      boxId: row.id,
      actor: subject.userId,
      message: `${row.name}: a checkpoint${name ? ` '${name}'` : ""} was asked`,
    });
    if (row.reserved) await bumpRevisions(tx, [row.node_id], told);
    await concludeBoxes(tx, [row.id], told, subject.userId);
    return { snapshot, operation };
  });
}

async function requestCheckpoint(tx: Db, row: BoxRow, name: string | null): Promise<SnapshotId> {
  const isLive = row.reserved && row.observed_state === "ready";
  if (!isLive || row.failure)
    throw new StoreRefusal(
      "not_ready",
      `${row.name} is ${viewOf(row).phase}: checkpoint it when it is running, paused or stopped.`,
    );
  return requestSnapshot(tx, row, { kind: "checkpoint", withMemory: true, kept: true, name });
}

/** Puts the box back to a checkpoint of its own. A live box comes to rest first, in a checkpoint. */
export async function restoreCheckpoint(
  db: Db,
  subject: Subject,
  reference: string,
  snapshotId: string,
  options: IntentOptions = { ifGeneration: null },
): Promise<AcceptedBox> {
  return transact(db, "store.box.restore", async (tx) => {
    const row = await lockBoxRow(tx, subject, reference, "box.control");
    refuseOtherGeneration(row, options.ifGeneration);
    refuseDeleted(row);
    const checkpoint = await getSnapshot(tx, subject, snapshotId);
    refuseRestore(row, checkpoint);
    const told = nothingTold();
    const generation = row.generation + 1;
    await writeRestore(tx, row, checkpoint, generation);
    told.events.push({
      orgId: row.org_id,
      kind: "box.restore",
      subjectKind: "box",
      subjectId: row.id,
      boxId: row.id,
      actor: subject.userId,
      message: `${row.name}: going back to ${checkpoint.name ?? checkpoint.id} was asked`,
      data: { snapshotId: checkpoint.id, generation },
    });
    told.topics.add(TOPICS.schedule);
    const { id } = await insertOperation(tx, subject, {
      kind: "box.restore",
      subjectKind: "box",
      subjectId: row.id,
      generation,
    });
    if (row.reserved) await bumpRevisions(tx, [row.node_id], told);
    const [box] = await concludeBoxes(tx, [row.id], told, subject.userId);
    return { box: box ?? viewOf(row), operation: await getOperation(tx, subject, id) };
  });
}

function refuseRestore(
  row: BoxRow,
  checkpoint: { id: SnapshotId; box: { id: string }; state: string },
): void {
  if (checkpoint.box.id !== row.id)
    throw new StoreRefusal("not_found", `${row.name} has no checkpoint '${checkpoint.id}'.`);
  if (checkpoint.state === "requested")
    throw new StoreRefusal("not_ready", `The checkpoint ${checkpoint.id} is still being taken.`);
  if (checkpoint.state !== "local" && checkpoint.state !== "durable")
    throw new StoreRefusal("not_now", `The checkpoint ${checkpoint.id} is ${checkpoint.state}.`);
  if (row.kind === "builder") throw new StoreRefusal("not_now", `${row.name} builds a template.`);
  if (row.reserved && row.rest_snapshot_id === null && row.observed_state !== "ready")
    throw new StoreRefusal(
      "not_ready",
      `${row.name} is ${viewOf(row).phase}: restore when it is running, paused or stopped.`,
    );
}

async function writeRestore(
  tx: Db,
  row: BoxRow,
  checkpoint: { id: SnapshotId; withMemory: boolean },
  generation: number,
): Promise<void> {
  if (row.reserved) {
    const rest =
      row.rest_snapshot_id ??
      (await requestSnapshot(tx, row, { kind: "pause", withMemory: true, kept: true }));
    await keep(tx, rest, checkpoint.id);
    await tx.query
      .updateTable("boxes")
      .set({
        generation,
        desired: "running",
        rest_snapshot_id: rest,
        restore_snapshot_id: checkpoint.id,
      })
      .where("id", "=", row.id)
      .execute();
    return;
  }
  if (row.rest_snapshot_id !== null) await keep(tx, row.rest_snapshot_id, checkpoint.id);
  await tx.query
    .updateTable("boxes")
    .set({
      generation,
      desired: "running",
      rest_snapshot_id: checkpoint.id,
      source_snapshot_id: checkpoint.id,
      source_with_memory: checkpoint.withMemory,
      failure: null,
      placement: null,
      place_tried_at: null,
    })
    .where("id", "=", row.id)
    .execute();
}

async function keep(tx: Db, snapshotId: SnapshotId, checkpointId: SnapshotId): Promise<void> {
  await sql`update snapshots set kept = true, name = coalesce(name, ${`before going back to ${checkpointId}`})
    where id = ${snapshotId}`.execute(tx.query);
}
