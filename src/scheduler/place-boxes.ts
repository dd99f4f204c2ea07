// Gives boxes that want to run to nodes: reads what is wanted and what is free, lets domain/placement.ts choose,
// and writes the choices in one commit.
//
// Reads: boxes without a node, nodes, what is reserved. Writes: boxes (node, epoch, reserved), node revisions, events.
// Woken by: schedule. Every: 5 s. Safe twice because a transaction holds the placement lock and checks again.

import type { BoxId, NodeId } from "#domain/ids.ts";
import { choosePlacement, type PlacementChoice, type PlacementNode } from "#domain/placement.ts";
import type { Clock } from "#lib/clock.ts";
import { bumpRevisions, concludeBoxes, nothingTold, type Told } from "#store/box-changes.ts";
import { type Db, transact } from "#store/db.ts";
import {
  giveUpMemory,
  listPlacementNodes,
  listUnplaced,
  lockPlacement,
  noteUnplaced,
  placeBox,
  readDatabaseTime,
  type UnplacedBox,
} from "#store/placements.ts";

const BATCH = 100;
/** Enough to see why; a box on a thousand nodes does not need a thousand reasons. */
const CANDIDATES_KEPT = 16;

/** Tries every box that waits once. Returns how many were placed. */
export async function placeBoxes(db: Db, clock: Clock): Promise<number> {
  const notTriedSince = await readDatabaseTime(db);
  let placed = 0;
  for (;;) {
    const batch = await placeBatch(db, clock, notTriedSince);
    placed += batch.placed;
    if (batch.seen < BATCH) return placed;
  }
}

async function placeBatch(
  db: Db,
  clock: Clock,
  notTriedSince: Date,
): Promise<{ seen: number; placed: number }> {
  return transact(db, "scheduler.place", async (tx) => {
    await lockPlacement(tx);
    const boxes = await listUnplaced(tx, { limit: BATCH, notTriedSince });
    if (boxes.length === 0) return { seen: 0, placed: 0 };
    let nodes = await listPlacementNodes(tx);
    const told = nothingTold();
    const chosen = new Set<NodeId>();
    let placed = 0;
    for (const box of boxes) {
      const nodeId = await placeOne(tx, clock, box, nodes, told);
      if (nodeId === null) continue;
      placed += 1;
      chosen.add(nodeId as NodeId);
      nodes = nodes.map((node) => (node.id === nodeId ? withBox(node, box) : node));
    }
    await bumpRevisions(tx, chosen, told);
    await concludeBoxes(
      tx,
      boxes.map((box) => box.id),
      told,
    );
    return { seen: boxes.length, placed };
  });
}

async function placeOne(
  tx: Db,
  clock: Clock,
  box: UnplacedBox,
  nodes: readonly PlacementNode[],
  told: Told,
): Promise<string | null> {
  let choice = choosePlacement(box, nodes);
  if (choice.isMemoryLost && box.source) {
    await giveUpMemory(tx, box.id, memoryLostWords(box, nodes));
    choice = choosePlacement({ ...box, source: { ...box.source, withMemory: false } }, nodes);
  }
  const explanation = {
    summary: choice.summary,
    atMs: clock.nowMs(),
    candidates: choice.candidates.slice(0, CANDIDATES_KEPT),
  };
  if (choice.nodeId === null) {
    await noteUnplaced(tx, box.id, explanation);
    return null;
  }
  if (!(await placeBox(tx, box, choice.nodeId as NodeId, explanation))) return null;
  tellPlaced(box.id, box, choice, told);
  return choice.nodeId;
}

function memoryLostWords(box: UnplacedBox, nodes: readonly PlacementNode[]): string {
  const kinds = [...new Set(nodes.map((node) => node.compatibility))].join(", ");
  return `no node can restore memory of ${box.source?.compatibility} (there are: ${kinds}); it boots from the disks of the same snapshot`;
}

function tellPlaced(id: BoxId, box: UnplacedBox, choice: PlacementChoice, told: Told): void {
  told.events.push({
    orgId: box.orgId,
    kind: "box.placed",
    subjectKind: "box",
    subjectId: id,
    boxId: id,
    message: `${box.name} goes to ${choice.summary}`,
    data: { nodeId: choice.nodeId },
  });
}

function withBox(node: PlacementNode, box: UnplacedBox): PlacementNode {
  const { used } = node;
  return {
    ...node,
    boxes: node.boxes + 1,
    used: {
      cpus: used.cpus + box.needs.cpus,
      memoryMib: used.memoryMib + box.needs.memoryMib,
      diskGib: used.diskGib + box.needs.diskGib,
      gpus: used.gpus + box.needs.gpus,
    },
  };
}
