// Whether a node may speak for a box: only while the box is placed there, in that epoch.

import { sql } from "kysely";
import type { BoxId, NodeId } from "#domain/ids.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import type { Db } from "./db.ts";

export async function getAssignedBox(
  db: Db,
  nodeId: NodeId,
  box: { readonly boxId: string; readonly epoch: number },
): Promise<{ id: BoxId; name: string }> {
  const { rows } = await sql<{ id: BoxId; name: string }>`
    select id, name from boxes where id = ${box.boxId} and node_id = ${nodeId} and reserved
      and epoch = ${box.epoch}`.execute(db.query);
  if (!rows[0])
    throw new StoreRefusal(
      "not_found",
      `No box '${box.boxId}' is assigned to this node in epoch ${box.epoch}.`,
    );
  return rows[0];
}
