// Placements: which boxes want a node, what the nodes have left, and the one statement that gives a box to a node.
// All in one transaction under one lock, so that two schedulers can never promise the same memory.

import { sql } from "kysely";
import type { BoxId, NodeId, OrgId } from "#domain/ids.ts";
import type {
  PlacementExplanation,
  PlacementNode,
  PlacementRequest,
  Resources,
} from "#domain/placement.ts";
import { addNotice } from "./box-notices.ts";
import type { Db } from "./db.ts";

/** Held until the transaction ends. */
export async function lockPlacement(tx: Db): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('berth.place'))`.execute(tx.query);
}

export interface UnplacedBox extends PlacementRequest {
  readonly id: BoxId;
  readonly orgId: OrgId;
  readonly name: string;
  readonly generation: number;
}

/** Boxes that want to run, have no node, and were not tried since `notTriedSince`; longest untried first. */
export async function listUnplaced(
  tx: Db,
  options: { readonly limit: number; readonly notTriedSince: Date },
): Promise<UnplacedBox[]> {
  const { rows } = await sql<{
    id: BoxId;
    org_id: OrgId;
    name: string;
    generation: number;
    cpus: number;
    memory_mib: number;
    disk_gib: number;
    gpus: number;
    region: string | null;
    labels: Record<string, string>;
    image_digest: string;
    node_id: NodeId | null;
    source_with_memory: boolean;
    source_state: string | null;
    compatibility: string | null;
    copies: string[];
    strays: string[];
  }>`
    select b.id, b.org_id, b.name, b.generation, b.cpus, b.memory_mib, b.disk_gib, b.gpus, b.region, b.labels,
      b.image_digest, b.node_id, b.source_with_memory, s.state as source_state, s.compatibility,
      array(select c.node_id from snapshot_copies c where c.snapshot_id = s.id) as copies,
      array(select t.node_id from strays t where t.box_id = b.id and t.ended_at is null) as strays
    from boxes b left join snapshots s on s.id = b.source_snapshot_id
    where b.desired = 'running' and not b.reserved and b.failure is null and b.deleted_at is null
      and (b.place_tried_at is null or b.place_tried_at < ${options.notTriedSince})
      and (s.id is null or s.state in ('local', 'durable'))
    order by b.place_tried_at nulls first, b.id limit ${options.limit}
    for no key update of b skip locked`.execute(tx.query);
  return rows.map((row) => ({
    id: row.id,
    orgId: row.org_id,
    name: row.name,
    generation: row.generation,
    needs: { cpus: row.cpus, memoryMib: row.memory_mib, diskGib: row.disk_gib, gpus: row.gpus },
    region: row.region,
    labels: row.labels,
    imageDigest: row.image_digest,
    lastNodeId: row.node_id,
    strayNodeIds: new Set(row.strays),
    source:
      row.source_state === null
        ? null
        : {
            withMemory: row.source_with_memory,
            compatibility: row.compatibility,
            isDurable: row.source_state === "durable",
            copies: new Set(row.copies),
          },
  }));
}

/** Every node there is, with what its boxes have reserved. */
export async function listPlacementNodes(tx: Db): Promise<PlacementNode[]> {
  const { rows } = await sql<{
    id: NodeId;
    name: string;
    region: string;
    labels: Record<string, string>;
    schedulable: boolean;
    is_ready: boolean;
    fingerprint:
      | (Resources & { compatibility: string; freeDiskGib?: number | null | undefined })
      | null;
    images: string[];
    overcommit_cpu: number;
    overcommit_memory: number;
    overcommit_disk: number;
    boxes: number;
    cpus: number;
    memory_mib: number;
    disk_gib: number;
    gpus: number;
  }>`
    select n.id, n.name, n.region, n.labels, n.schedulable, n.fingerprint, n.images,
      coalesce(n.status = 'ready' and n.lease_until > now(), false) as is_ready,
      n.overcommit_cpu, n.overcommit_memory, n.overcommit_disk,
      coalesce(u.boxes, 0) as boxes, coalesce(u.cpus, 0) as cpus, coalesce(u.memory_mib, 0) as memory_mib,
      coalesce(u.disk_gib, 0) as disk_gib, coalesce(u.gpus, 0) as gpus
    from nodes n left join (
      select node_id, count(*) as boxes, sum(cpus) as cpus, sum(memory_mib) as memory_mib,
        sum(disk_gib) as disk_gib, sum(gpus) as gpus
      from boxes where reserved group by node_id) u on u.node_id = n.id
    where n.status <> 'removed' order by n.id`.execute(tx.query);
  const none: Resources = { cpus: 0, memoryMib: 0, diskGib: 0, gpus: 0 };
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    region: row.region,
    labels: row.labels,
    schedulable: row.schedulable,
    isReady: row.is_ready && row.fingerprint !== null,
    capacity: row.fingerprint ?? none,
    overcommit: {
      cpu: row.overcommit_cpu,
      memory: row.overcommit_memory,
      disk: row.overcommit_disk,
    },
    used: {
      cpus: row.cpus,
      memoryMib: row.memory_mib,
      diskGib: row.disk_gib,
      gpus: row.gpus,
    },
    freeDiskGib: row.fingerprint?.freeDiskGib ?? null,
    boxes: row.boxes,
    compatibility: row.fingerprint?.compatibility ?? null,
    images: new Set(row.images),
  }));
}

export interface Placement {
  readonly box: Pick<UnplacedBox, "id" | "generation">;
  /** Null: nowhere, and it is remembered why and when it was tried. */
  readonly nodeId: NodeId | null;
  readonly explanation: PlacementExplanation;
}

/**
 * Writes what was chosen for the boxes that `listUnplaced` locked. A new epoch begins: what was observed of the one
 * before says nothing about it. Returns the boxes that were given to a node.
 */
export async function writePlacements(
  tx: Db,
  placements: readonly Placement[],
): Promise<ReadonlySet<BoxId>> {
  const rows = placements.map(({ box, nodeId, explanation }) => ({
    id: box.id,
    generation: box.generation,
    node_id: nodeId,
    placement: explanation,
  }));
  const chosen = sql`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
    as c (id text, generation bigint, node_id text, placement jsonb)`;
  await sql`
    update boxes b set placement = c.placement, place_tried_at = clock_timestamp()
    from ${chosen} where b.id = c.id and c.node_id is null and not b.reserved`.execute(tx.query);
  const placed = await sql<{ id: BoxId }>`
    update boxes b set node_id = c.node_id, epoch = b.epoch + 1, reserved = true,
      rest_snapshot_id = null, placement = c.placement, place_tried_at = null,
      observed_state = null, observed_ports = null, observed_generation = -1, observed_boot_serial = null, observed_up = false,
      observed_at = null, activity = null, fault = null, node_notices = '[]', renewal = null,
      started = null, build = null
    from ${chosen} where b.id = c.id and b.generation = c.generation and c.node_id is not null
      and not b.reserved and b.desired = 'running' and b.failure is null and b.deleted_at is null
    returning b.id`.execute(tx.query);
  return new Set(placed.rows.map((row) => row.id));
}

/** No node can restore its memory: it will boot from the disks of the same snapshot, and says so. */
export async function giveUpMemory(tx: Db, boxId: BoxId, why: string): Promise<void> {
  await sql`update boxes set source_with_memory = false where id = ${boxId} and not reserved`.execute(
    tx.query,
  );
  await addNotice(tx, boxId, "memory_lost", why);
}

/** The database's clock, for `notTriedSince`. */
export async function readDatabaseTime(db: Db): Promise<Date> {
  const { rows } = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(db.query);
  return rows[0]?.now as Date;
}
