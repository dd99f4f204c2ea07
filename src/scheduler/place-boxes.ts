// Gives boxes that want to run to nodes: reads what is wanted and what is free, lets domain/placement.ts choose,
// and writes the choices in one commit.
//
// Reads: boxes without a node, nodes, what is reserved. Writes: boxes (node, epoch, reserved), node revisions, events.
// Woken by: schedule. Every: 5 s. Safe twice because a transaction holds the placement lock and checks again.

import type { NodeId } from "#domain/ids.ts";
import {
  choosePlacement,
  type PlacementChoice,
  type PlacementExplanation,
  type PlacementNode,
  type Resources,
} from "#domain/placement.ts";
import type { Clock } from "#lib/clock.ts";
import { bumpRevisions, concludeBoxes, nothingTold, type Told } from "#store/box-changes.ts";
import { type Db, transact } from "#store/db.ts";
import {
  giveUpMemory,
  listPlacementNodes,
  listUnplaced,
  lockPlacement,
  type Placement,
  readDatabaseTime,
  type UnplacedBox,
  writePlacements,
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
    const placements: Placement[] = [];
    for (const box of boxes) {
      const choice = await choose(tx, box, nodes);
      const nodeId = choice.nodeId as NodeId | null;
      placements.push({ box, nodeId, explanation: explain(choice, clock) });
      if (nodeId)
        nodes = nodes.map((node) => (node.id === nodeId ? withBox(node, box.needs) : node));
    }
    const placed = await writePlacements(tx, placements);
    for (const [index, box] of boxes.entries())
      if (placed.has(box.id)) tellPlaced(box, placements[index], told);
    await bumpRevisions(
      tx,
      placements.map(({ nodeId }) => nodeId),
      told,
    );
    await concludeBoxes(
      tx,
      boxes.map((box) => box.id),
      told,
    );
    return { seen: boxes.length, placed: placed.size };
  });
}

export function explain(choice: PlacementChoice, clock: Clock): PlacementExplanation {
  const candidates = choice.candidates.slice(0, CANDIDATES_KEPT);
  return { summary: choice.summary, atMs: clock.nowMs(), candidates };
}

/** Memory that no node can restore is given up, loudly, and the box goes where its disks can. */
async function choose(
  tx: Db,
  box: UnplacedBox,
  nodes: readonly PlacementNode[],
): Promise<PlacementChoice> {
  const choice = choosePlacement(box, nodes);
  if (!choice.isMemoryLost || !box.source) return choice;
  await giveUpMemory(tx, box.id, memoryLostWords(box, nodes));
  return choosePlacement({ ...box, source: { ...box.source, withMemory: false } }, nodes);
}

function memoryLostWords(box: UnplacedBox, nodes: readonly PlacementNode[]): string {
  const kinds = [...new Set(nodes.map((node) => node.compatibility))].join(", ");
  return `no node can restore memory of ${box.source?.compatibility} (there are: ${kinds}); it boots from the disks of the same snapshot`;
}

function tellPlaced(box: UnplacedBox, placement: Placement | undefined, told: Told): void {
  told.events.push({
    orgId: box.orgId,
    kind: "box.placed",
    subjectKind: "box",
    subjectId: box.id,
    boxId: box.id,
    message: `${box.name} goes to ${placement?.explanation.summary}`,
    data: { nodeId: placement?.nodeId },
  });
}

export function withBox(node: PlacementNode, needs: Resources): PlacementNode {
  const { used } = node;
  return {
    ...node,
    boxes: node.boxes + 1,
    used: {
      cpus: used.cpus + needs.cpus,
      memoryMib: used.memoryMib + needs.memoryMib,
      diskGib: used.diskGib + needs.diskGib,
      gpus: used.gpus + needs.gpus,
    },
  };
}
