// Bytes that left boxes, as nodes count them. A counter belongs to one network of one epoch and only grows, so however
// often a node tells it, each byte is counted once: the trigger of 0008-usage.sql takes the difference.

import { sql } from "kysely";
import type { Report } from "#contract/node-protocol.ts";
import type { NodeId } from "#domain/ids.ts";
import type { Db } from "./db.ts";

/** Of boxes whose last placement is on the node, in that epoch: also of those that have come to rest meanwhile. */
export async function recordEgress(
  tx: Db,
  nodeId: NodeId,
  boxes: readonly Pick<Report["boxes"][number], "boxId" | "epoch" | "egress">[],
): Promise<void> {
  const heard = boxes.flatMap(({ boxId, epoch, egress }) =>
    egress ? [{ boxId, epoch, ...egress }] : [],
  );
  if (heard.length === 0) return;
  await sql`
    with heard as (
      select b.org_id, h.* from jsonb_to_recordset(${JSON.stringify(heard)}::jsonb)
        as h ("boxId" text, epoch integer, counter text, bytes bigint)
      join boxes b on b.id = h."boxId" and b.epoch = h.epoch and b.node_id = ${nodeId} order by h."boxId"),
    over as (
      delete from egress_counters c using heard h where c.box_id = h."boxId" and c.epoch < h.epoch)
    insert into egress_counters as c (org_id, box_id, epoch, counter, bytes)
    select org_id, "boxId", epoch, counter, bytes from heard
    on conflict (box_id, epoch, counter) do update set bytes = excluded.bytes where excluded.bytes > c.bytes`.execute(
    tx.query,
  );
}
