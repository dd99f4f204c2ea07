// Assignments: everything that one node must make true, built from the tables whenever it asks.

import { type RawBuilder, sql } from "kysely";
import type { Assignment, Assignments, KeptSnapshot } from "#contract/node-protocol.ts";
import type { BoxSpec, DesiredState, SnapshotKind } from "#domain/box.ts";
import type { BoxId, NodeId } from "#domain/ids.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import type { Db } from "./db.ts";
import type { Subscription } from "./listen.ts";
import { readStrayAssignments } from "./strays.ts";

export interface AssignmentContext {
  /** OpenSSH public key line of the user CA. */
  readonly sshUserCa: string;
  readonly gateways: readonly string[];
}

export async function readRevision(db: Db, nodeId: NodeId): Promise<number> {
  const { rows } = await sql<{ revision: number }>`
    select r.revision from node_revisions r join nodes n on n.id = r.node_id
    where r.node_id = ${nodeId} and n.status <> 'removed'`.execute(db.query);
  if (!rows[0]) throw new StoreRefusal("node_unknown", `There is no node '${nodeId}'.`);
  return rows[0].revision;
}

/** True when the revision is above `since`; false after `waitMs` without. */
export async function waitRevision(
  db: Db,
  wakes: Subscription,
  nodeId: NodeId,
  options: {
    readonly since: number;
    readonly waitMs: number;
    readonly nowMs: () => number;
    readonly signal?: AbortSignal;
  },
): Promise<boolean> {
  const deadlineMs = options.nowMs() + options.waitMs;
  for (;;) {
    if ((await readRevision(db, nodeId)) > options.since) return true;
    const leftMs = deadlineMs - options.nowMs();
    if (leftMs <= 0 || options.signal?.aborted) return false;
    await wakes.next(Math.min(leftMs, RECHECK_MS), options.signal);
  }
}

/** A lost wake costs at most this. */
const RECHECK_MS = 5_000;

/** The revision is read first: what it misses is at worst sent again under the next one. */
export async function readAssignments(
  db: Db,
  nodeId: NodeId,
  context: AssignmentContext,
): Promise<Assignments> {
  const revision = await readRevision(db, nodeId);
  return {
    revision,
    boxes: [
      ...(await readBoxAssignments(db, nodeId, context)),
      ...(await readStrayAssignments(db, nodeId)),
    ],
    snapshots: await readKeptSnapshots(db, nodeId),
    gateways: context.gateways.map((url) => ({ url })),
    images: await readNeededImages(db),
  };
}

interface AssignmentRow {
  id: BoxId;
  name: string;
  epoch: number;
  generation: number;
  desired: DesiredState;
  boot_serial: number;
  spec: BoxSpec;
  image_digest: string;
  template_version_id: string;
  machine_id: string;
  env: Record<string, string>;
  kind: string;
  forked_from_id: string | null;
  source_snapshot_id: string | null;
  source_with_memory: boolean;
  version_env: Record<string, string>;
  hooks: Assignment["hooks"];
  build: NonNullable<Assignment["build"]>;
  ran_here: boolean;
  rest_id: string | null;
  rest_kind: SnapshotKind | null;
  rest_with_memory: boolean | null;
  owner_keys: string[];
  wanted: { snapshotId: string; kind: SnapshotKind; withMemory: boolean }[];
}

async function readBoxAssignments(
  db: Db,
  nodeId: NodeId,
  context: AssignmentContext,
): Promise<Assignment[]> {
  const { rows } = await sql<AssignmentRow>`
    select b.id, b.name, b.epoch, b.generation, b.desired, b.boot_serial, b.spec, b.image_digest,
      b.template_version_id, b.machine_id, b.env, b.kind, b.forked_from_id, b.source_snapshot_id,
      b.source_with_memory, b.started is not null as ran_here, v.env as version_env, v.hooks, v.build,
      coalesce((select jsonb_agg(k.public_key order by k.id) from ssh_keys k
        where k.user_id = b.owner_id and k.revoked_at is null), '[]') as owner_keys,
      r.id as rest_id, r.kind as rest_kind, r.with_memory as rest_with_memory,
      coalesce((select jsonb_agg(jsonb_build_object('snapshotId', w.id, 'kind', w.kind,
          'withMemory', w.with_memory) order by w.created_at, w.id)
        from snapshots w where w.box_id = b.id and w.epoch = b.epoch and w.state = 'requested'
          and w.kind in ('fork', 'checkpoint', 'prebuild')), '[]') as wanted
    from boxes b
    join template_versions v on v.id = b.template_version_id
    left join snapshots r on r.id = b.rest_snapshot_id
    where b.node_id = ${nodeId} and b.reserved order by b.id`.execute(db.query);
  return rows.map((row) => toAssignment(row, context));
}

function toAssignment(row: AssignmentRow, context: AssignmentContext): Assignment {
  return {
    boxId: row.id,
    epoch: row.epoch,
    generation: row.generation,
    desired: desiredOfNode(row),
    bootSerial: row.boot_serial,
    spec: row.spec,
    imageDigest: row.image_digest,
    templateVersionId: row.template_version_id,
    source:
      row.source_snapshot_id === null
        ? { kind: "image", imageDigest: row.image_digest }
        : {
            kind: "snapshot",
            snapshotId: row.source_snapshot_id,
            withMemory: row.source_with_memory,
          },
    identity: {
      boxId: row.id,
      hostName: row.name,
      machineId: row.machine_id,
      sshUserCa: context.sshUserCa,
      sshPrincipals: [row.id],
      env: { ...row.version_env, ...row.env },
    },
    restSnapshot:
      row.rest_id === null || row.rest_kind === null
        ? null
        : {
            snapshotId: row.rest_id,
            kind: row.rest_kind,
            withMemory: row.rest_with_memory ?? false,
          },
    wantedSnapshots: row.wanted,
    ranHere: row.ran_here,
    // Set-up runs where the box began from the bare image: in a builder, or without a prebuild.
    build:
      row.source_snapshot_id === null && (row.kind === "builder" || row.build.steps.length > 0)
        ? row.build
        : null,
    hooks: {
      onResume: row.hooks.onResume,
      onFork: row.forked_from_id === null ? null : row.hooks.onFork,
    },
    sshAuthorizedKeys: row.owner_keys,
  };
}

/**
 * A box that is coming to rest does so even when it is wanted running again meanwhile: its snapshot may be committed
 * already, and only the control plane can start it from there without losing what it holds.
 */
function desiredOfNode(row: AssignmentRow): DesiredState {
  if (row.desired === "deleted" || row.rest_kind === null) return row.desired;
  return row.rest_kind === "stop" ? "stopped" : "paused";
}

/** What is on the node and stays; what its boxes are asked for; what its boxes start from and must be fetched. */
async function readKeptSnapshots(db: Db, nodeId: NodeId): Promise<KeptSnapshot[]> {
  const { rows } = await sql<KeptSnapshot>`
    with here as (select snapshot_id from snapshot_copies where node_id = ${nodeId}),
    running as (select id, epoch, source_snapshot_id from boxes where node_id = ${nodeId} and reserved
      union all select box_id, epoch, null from strays where node_id = ${nodeId} and ended_at is null)
    select s.id as "snapshotId", s.manifest_key as "manifestKey", s.org_id as scope,
      s.state in ('requested', 'local') and (s.kind <> 'fork' or s.kept or exists (
        select 1 from boxes w where w.source_snapshot_id = s.id and not w.reserved
          and w.deleted_at is null)) as upload,
      s.state = 'durable' and s.id not in (select snapshot_id from here) as fetch
    from (
      select snapshot_id as id from here
      union select source_snapshot_id from running
      union select r.id from running b join snapshots r on r.box_id = b.id and r.epoch = b.epoch
        where r.state = 'requested') k
    join snapshots s on s.id = k.id
    where s.state in ('local', 'durable') or (s.state = 'requested' and exists (
      select 1 from running b where b.id = s.box_id and b.epoch = s.epoch))
    order by s.id`.execute(db.query);
  return rows;
}

async function readNeededImages(db: Db): Promise<string[]> {
  const { rows } = await sql<{ digest: string }>`
    select digest from ${digestsIn("boxes", sql`i.deleted_at is null`)}
    union select digest from ${digestsIn("snapshots", sql`i.state not in ('failed', 'deleted')`)}
    union select digest from ${digestsIn("template_versions", sql`true`)} cross join lateral (
      select 1 from template_versions v join templates t on t.id = v.template_id
      where v.image_digest = digest and t.deleted_at is null limit 1) as needed
    order by 1`.execute(db.query);
  return rows.map((row) => row.digest);
}

/** Each once. There are few of them, and an index knows the next one after another. */
function digestsIn(table: string, condition: RawBuilder<unknown>): RawBuilder<unknown> {
  const next = (after: RawBuilder<unknown>) => sql`
    (select i.image_digest from ${sql.table(table)} i where ${condition} and ${after} order by 1 limit 1)`;
  return sql`(
    with recursive found (digest) as (
      select ${next(sql`true`)}
      union all
      select ${next(sql`i.image_digest > found.digest`)} from found where found.digest is not null)
    select digest from found where digest is not null) as ${sql.ref(`of_${table}`)}`;
}
