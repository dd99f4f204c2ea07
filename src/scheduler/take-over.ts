// Takes boxes over from nodes that have been unreachable for too long: each runs again on another node, as a new
// epoch, from the last that is durable of it. A box that no other node can take stays with its own.
//
// Reads: boxes on unreachable nodes, nodes, what is reserved. Writes: boxes, snapshots, strays, node revisions, events.
// Every: 5 s. Safe twice because a transaction holds the placement lock and the rows of box and node.

import type { NodeId } from "#domain/ids.ts";
import { judgeLostBox } from "#domain/lost-box.ts";
import {
  choosePlacement,
  type PlacementChoice,
  type PlacementNode,
  type PlacementRequest,
} from "#domain/placement.ts";
import type { Clock } from "#lib/clock.ts";
import { bumpRevisions, concludeBoxes, nothingTold } from "#store/box-changes.ts";
import { type Db, transact } from "#store/db.ts";
import { listPlacementNodes, lockPlacement, writePlacements } from "#store/placements.ts";
import { type KeptSnapshotState, type LostBox, listLostBoxes, takeOver } from "#store/take-over.ts";
import { explain, withBox } from "./place-boxes.ts";

const BATCH = 100;

/** Returns how many boxes were taken over. `lostAfterMs` 0: none ever is. */
export async function takeOverBoxes(db: Db, clock: Clock, lostAfterMs: number): Promise<number> {
  if (lostAfterMs === 0) return 0;
  let taken = 0;
  for (let after = ""; ; ) {
    const batch = await takeOverBatch(db, clock, { lostAfterMs, after, limit: BATCH });
    taken += batch.taken;
    if (batch.last === null) return taken;
    after = batch.last;
  }
}

async function takeOverBatch(
  db: Db,
  clock: Clock,
  page: Parameters<typeof listLostBoxes>[1],
): Promise<{ last: string | null; taken: number }> {
  return transact(db, "scheduler.take_over", async (tx) => {
    await lockPlacement(tx);
    const boxes = await listLostBoxes(tx, page);
    if (boxes.length === 0) return { last: null, taken: 0 };
    let nodes = await listPlacementNodes(tx);
    const told = nothingTold();
    const taken: LostBox[] = [];
    for (const box of boxes) {
      const verdict = judgeLostBox(box);
      if (verdict.do === "wait") continue;
      const { choice, from } = choose(box, verdict.from as KeptSnapshotState | null, nodes);
      if (choice.nodeId === null) continue;
      const nodeId = choice.nodeId as NodeId;
      await takeOver(tx, box, from, verdict.loses, told);
      await writePlacements(tx, [{ box, nodeId, explanation: explain(choice, clock) }]);
      nodes = nodes.map((node) => (node.id === nodeId ? withBox(node, needsOf(box)) : node));
      await bumpRevisions(tx, [box.nodeId, nodeId], told);
      taken.push(box);
    }
    await concludeBoxes(
      tx,
      taken.map((box) => box.id),
      told,
    );
    return { last: boxes.at(-1)?.id ?? null, taken: taken.length };
  });
}

/** Where memory that nobody can restore is all that stands in the way, the disks have to do. */
function choose(
  box: LostBox,
  from: KeptSnapshotState | null,
  nodes: readonly PlacementNode[],
): { choice: PlacementChoice; from: KeptSnapshotState | null } {
  const choice = choosePlacement(requestOf(box, from), nodes);
  if (choice.nodeId !== null || !from?.withMemory) return { choice, from };
  const disks = { ...from, withMemory: false };
  return { choice: choosePlacement(requestOf(box, disks), nodes), from: disks };
}

function requestOf(box: LostBox, from: KeptSnapshotState | null): PlacementRequest {
  return {
    needs: needsOf(box),
    region: box.region,
    labels: box.labels,
    imageDigest: box.imageDigest,
    lastNodeId: null,
    strayNodeIds: new Set(box.strayNodeIds),
    source: from && {
      ...{ withMemory: from.withMemory, compatibility: from.compatibility },
      ...{ isDurable: from.isDurable, copies: new Set(from.copies) },
    },
  };
}

function needsOf({ spec, gpus }: LostBox): PlacementRequest["needs"] {
  const diskGib = spec.rootDiskGib + spec.homeDiskGib;
  return { cpus: spec.cpus, memoryMib: spec.memoryMib, diskGib, gpus };
}
