// Concludes what reports made true of boxes: at rest, gone, failed. A report settles its boxes at once; this loop
// finds what is left: boxes deleted or forked without a node, and whatever a crash left between.
//
// Reads: boxes and their snapshots. Writes: boxes, volumes, snapshots, strays, operations, events, node revisions.
// Woken by: settle. Every: 5 s. Safe twice because each step is decided from the locked row.

import type { Db } from "#store/db.ts";
import { listUnsettledBoxes, settleBox } from "#store/settle.ts";
import { endStrays } from "#store/strays.ts";
import type { PassOutcome } from "./run.ts";

const BATCH = 200;

export async function settleBoxes(db: Db): Promise<PassOutcome> {
  const ids = await listUnsettledBoxes(db, BATCH);
  let settled = 0;
  for (const id of ids) if (await settleBox(db, id)) settled += 1;
  const ended = await endStrays(db, BATCH);
  return settled + ended > 0 ? "again" : "done";
}
