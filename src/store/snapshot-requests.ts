// Snapshots as intent: the row that asks a node to take one. The node's report makes it true.

import type { SnapshotKind } from "#domain/box.ts";
import type { SnapshotId } from "#domain/ids.ts";
import type { BoxRow } from "./box-view.ts";
import type { Db } from "./db.ts";
import { newId } from "./new-id.ts";

export interface SnapshotRequest {
  readonly kind: SnapshotKind;
  readonly withMemory: boolean;
  readonly kept?: boolean;
  readonly name?: string | null;
}

/** Asks for a snapshot of the box as it runs now, in this epoch. */
export async function requestSnapshot(
  tx: Db,
  box: Pick<BoxRow, "id" | "org_id" | "owner_id" | "epoch" | "spec" | "image_digest">,
  request: SnapshotRequest,
): Promise<SnapshotId> {
  const id = newId<SnapshotId>("snapshot");
  await tx.query
    .insertInto("snapshots")
    .values({
      id,
      org_id: box.org_id,
      owner_id: box.owner_id,
      box_id: box.id,
      epoch: box.epoch,
      kind: request.kind,
      with_memory: request.withMemory,
      name: request.name ?? null,
      kept: request.kept ?? false,
      state: "requested",
      spec: JSON.stringify(box.spec),
      image_digest: box.image_digest,
    })
    .execute();
  return id;
}
