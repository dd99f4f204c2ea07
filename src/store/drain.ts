// Brings the boxes of a node to rest, whosever they are, before its host is stopped or repaired. Asked again until
// nothing is left: each call writes what is wanted, and what came meanwhile is asked by the next.

import { sql } from "kysely";
import type { BoxId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { bumpRevisions, concludeBoxes, nothingTold } from "./box-changes.ts";
import { writeIntent } from "./box-intent.ts";
import { selectBoxRows } from "./box-view.ts";
import { type Db, transact } from "./db.ts";
import { getNode, nodeEvent } from "./nodes.ts";

/** One transaction holds no more boxes than this. */
const BATCH = 100;
const SHOWN = 10;

export interface Drain {
  /** What this call asked of boxes. */
  readonly paused: number;
  readonly endedBuilds: number;
  /** Boxes that are still on the node; a failed one has nothing that runs. */
  readonly live: number;
  /** Boxes at rest that the object store does not have yet. */
  readonly unsaved: number;
  /** Some of both. */
  readonly waitsFor: readonly {
    readonly box: BoxId;
    readonly phase: string;
    readonly reason: string | null;
  }[];
}

/** Boxes come to rest with their memory; builds of templates end, and can be started anew. */
export async function drainNode(db: Db, subject: Subject, reference: string): Promise<Drain> {
  return transact(db, "store.node.drain", async (tx) => {
    const node = await getNode(tx, reference);
    const { rows: wanted } = await sql<{ id: BoxId }>`
      select id from boxes where node_id = ${node.id} and reserved and phase <> 'failed'
        and desired <> 'deleted' and (desired = 'running' or kind = 'builder')
      order by id limit ${BATCH} for no key update`.execute(tx.query);
    const ids = wanted.map((row) => row.id);
    const rows =
      ids.length > 0 ? await selectBoxRows(tx, sql`b.id = any(${ids as string[]}::text[])`) : [];
    const told = nothingTold();
    const by = { actor: subject.userId, because: `node ${node.name} is drained` };
    for (const row of rows) {
      const rest = row.rest_kind === "stop" ? "stop" : "pause";
      await writeIntent(tx, row, row.kind === "builder" ? "delete" : rest, told, by);
    }
    const endedBuilds = rows.filter((row) => row.kind === "builder").length;
    const paused = rows.length - endedBuilds;
    if (rows.length > 0) {
      const message = `node ${node.name} is drained: ${paused} boxes are paused, ${endedBuilds} builds end`;
      told.events.push(nodeEvent(node.id, "node.drained", message, subject.userId));
      await bumpRevisions(tx, [node.id], told);
      await concludeBoxes(tx, ids, told, subject.userId);
    }
    return { paused, endedBuilds, ...(await readRest(tx, node.id)) };
  });
}

async function readRest(
  tx: Db,
  nodeId: string,
): Promise<Pick<Drain, "live" | "unsaved" | "waitsFor">> {
  const { rows } = await sql<{
    box: BoxId;
    phase: string;
    reason: string | null;
    live: number;
    total: number;
  }>`
    with left_over as (
      select id, phase, phase_reason, true as live from boxes
      where node_id = ${nodeId} and reserved and phase <> 'failed'
      union all
      select b.id, 'uploading', null, false
      from snapshot_copies c
      join snapshots s on s.id = c.snapshot_id and s.state = 'local'
      join boxes b on b.source_snapshot_id = s.id and not b.reserved and b.deleted_at is null
      where c.node_id = ${nodeId})
    select id as box, phase, phase_reason as reason,
      count(*) filter (where live) over () as live, count(*) over () as total
    from left_over order by live desc, id limit ${SHOWN}`.execute(tx.query);
  const live = rows[0]?.live ?? 0;
  return {
    live,
    unsaved: (rows[0]?.total ?? 0) - live,
    waitsFor: rows.map(({ box, phase, reason }) => ({ box, phase, reason })),
  };
}
