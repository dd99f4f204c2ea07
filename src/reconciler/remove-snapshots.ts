// Removes snapshots that nothing needs: nodes let go of them first, then the object store forgets them, then the
// row says deleted.
//
// Reads: snapshots, what refers to them, where copies are. Writes: snapshots, node revisions, operations, events.
// Woken by: settle. Every: 15 s. Safe twice because removing what is gone succeeds.

import type { SnapshotId } from "#domain/ids.ts";
import type { Db } from "#store/db.ts";
import { finishSnapshotRemoval, listRemovableSnapshots, markUnneeded } from "#store/snapshots.ts";
import type { PassOutcome } from "./run.ts";

/** Removes a snapshot's manifest from the object store; the chunks go with its garbage collection. */
export type ForgetSnapshot = (id: SnapshotId, manifestKey: string | null) => Promise<void>;

const BATCH = 100;

export async function removeSnapshots(db: Db, forget: ForgetSnapshot): Promise<PassOutcome> {
  const marked = await markUnneeded(db, BATCH);
  const removable = await listRemovableSnapshots(db, BATCH);
  for (const { id, manifestKey } of removable) {
    await forget(id, manifestKey);
    await db.failpoints.hit("reconciler.snapshot.forgotten");
    await finishSnapshotRemoval(db, id);
  }
  return marked + removable.length >= BATCH ? "again" : "done";
}
