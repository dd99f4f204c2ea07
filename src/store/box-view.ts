// A box as everyone above the store sees it: the row, what it refers to, and the phase computed from both.

import { type RawBuilder, sql } from "kysely";
import type { Assignment, BoxReport } from "#contract/node-protocol.ts";
import type {
  BoxSpec,
  DesiredState,
  HostState,
  ListeningPort,
  Notice,
  SnapshotKind,
} from "#domain/box.ts";
import type {
  BoxId,
  NodeId,
  OrgId,
  SnapshotId,
  TeamId,
  TemplateId,
  TemplateVersionId,
  UserId,
} from "#domain/ids.ts";
import { type BoxFacts, type PhaseView, phaseOf, type SnapshotState } from "#domain/phase.ts";
import type { PlacementExplanation } from "#domain/placement.ts";
import type { Db } from "./db.ts";
import type { Failure, NodeStatus } from "./schema.ts";

export interface BoxPort extends ListeningPort {
  /** Null: it is not previewed. */
  readonly label: string | null;
}

export interface BoxView extends PhaseView {
  readonly id: BoxId;
  readonly orgId: OrgId;
  readonly ownerId: UserId;
  readonly teamId: TeamId | null;
  readonly name: string;
  readonly kind: "user" | "builder";
  readonly template: {
    readonly id: TemplateId;
    readonly name: string;
    readonly version: number;
    readonly versionId: TemplateVersionId;
  };
  readonly spec: BoxSpec;
  readonly imageDigest: string;
  readonly env: Readonly<Record<string, string>>;
  readonly since: Date;
  readonly desired: DesiredState;
  readonly generation: number;
  readonly observedGeneration: number;
  readonly bootSerial: number;
  readonly epoch: number;
  /** A node has it assigned. */
  readonly reserved: boolean;
  readonly node: { readonly id: NodeId; readonly name: string; readonly status: NodeStatus } | null;
  readonly source: { readonly snapshotId: SnapshotId; readonly withMemory: boolean } | null;
  readonly forkedFrom: { readonly id: BoxId; readonly name: string | null } | null;
  readonly rest: {
    readonly id: SnapshotId;
    readonly kind: SnapshotKind;
    readonly state: SnapshotState;
    readonly withMemory: boolean;
    readonly progress: number;
    readonly error: string | null;
  } | null;
  readonly observedState: HostState | null;
  readonly activity: string | null;
  readonly fault: BoxReport["fault"];
  readonly failure: Failure | null;
  readonly notices: readonly Notice[];
  readonly renewal: BoxReport["renewal"];
  readonly started: BoxReport["started"];
  readonly build: BoxReport["build"];
  /** What listens in it, and where that is previewed. */
  readonly ports: readonly BoxPort[];
  readonly placement: PlacementExplanation | null;
  /** When its newest state was taken that survives the loss of the node. */
  readonly lastSafeAt: Date | null;
  readonly createdAt: Date;
  readonly deletedAt: Date | null;
}

/** One row of the query below; snake case as the database has it. */
export interface BoxRow {
  id: BoxId;
  org_id: OrgId;
  owner_id: UserId;
  team_id: TeamId | null;
  name: string;
  kind: "user" | "builder";
  template_id: TemplateId;
  template_name: string;
  template_version_id: TemplateVersionId;
  version_number: number;
  version_build: NonNullable<Assignment["build"]>;
  spec: BoxSpec;
  image_digest: string;
  env: Readonly<Record<string, string>>;
  desired: DesiredState;
  generation: number;
  boot_serial: number;
  epoch: number;
  reserved: boolean;
  node_id: NodeId | null;
  node_name: string | null;
  node_status: NodeStatus | null;
  source_snapshot_id: SnapshotId | null;
  source_with_memory: boolean;
  source_state: SnapshotState | null;
  source_box_id: BoxId | null;
  restore_snapshot_id: SnapshotId | null;
  rest_snapshot_id: SnapshotId | null;
  rest_kind: SnapshotKind | null;
  rest_state: SnapshotState | null;
  rest_epoch: number | null;
  rest_with_memory: boolean | null;
  rest_progress: number | null;
  rest_error: string | null;
  forked_from_id: BoxId | null;
  forked_from_name: string | null;
  observed_state: HostState | null;
  observed_generation: number;
  observed_boot_serial: number | null;
  observed_up: boolean;
  activity: string | null;
  fault: BoxReport["fault"];
  node_notices: Notice[];
  notices: Notice[];
  renewal: BoxReport["renewal"];
  started: BoxReport["started"];
  build: BoxReport["build"];
  observed_ports: readonly ListeningPort[] | null;
  previews: readonly { readonly port: number; readonly label: string }[];
  failure: Failure | null;
  placement: PlacementExplanation | null;
  phase: PhaseView["phase"];
  phase_reason: string | null;
  phase_since: Date;
  last_safe_at: Date | null;
  created_at: Date;
  deleted_at: Date | null;
}

const BOX_COLUMNS = sql`
  b.id, b.org_id, b.owner_id, b.team_id, b.name, b.kind, b.template_version_id, b.spec, b.image_digest, b.env,
  t.id as template_id, t.name as template_name, v.number as version_number, v.build as version_build,
  b.desired, b.generation, b.boot_serial, b.epoch, b.reserved, b.restore_snapshot_id,
  b.node_id, n.name as node_name, n.status as node_status,
  b.source_snapshot_id, b.source_with_memory, s.state as source_state, s.box_id as source_box_id,
  b.rest_snapshot_id, r.kind as rest_kind, r.state as rest_state, r.epoch as rest_epoch,
  r.with_memory as rest_with_memory, r.progress as rest_progress, r.error as rest_error,
  b.forked_from_id, p.name as forked_from_name,
  b.observed_state, b.observed_generation, b.observed_boot_serial, b.observed_up, b.activity, b.fault,
  b.node_notices, b.notices, b.renewal, b.started, b.build, b.observed_ports,
  coalesce((select jsonb_agg(jsonb_build_object('port', w.port, 'label', w.label)) from previews w
    where w.box_id = b.id and w.closed_at is null), '[]') as previews,
  b.failure, b.placement,
  b.phase, b.phase_reason, b.phase_since, b.created_at, b.deleted_at,
  (select max(d.taken_at) from snapshots d where d.box_id = b.id and d.state = 'durable') as last_safe_at`;

const BOX_TABLES = sql`
  boxes b
  join template_versions v on v.id = b.template_version_id
  join templates t on t.id = v.template_id
  left join nodes n on n.id = b.node_id
  left join snapshots s on s.id = b.source_snapshot_id
  left join snapshots r on r.id = b.rest_snapshot_id
  left join boxes p on p.id = b.forked_from_id`;

/** Rows that fulfil a condition on `b` (and order, limit, lock as given at its end). */
export async function selectBoxRows(db: Db, condition: RawBuilder<unknown>): Promise<BoxRow[]> {
  const { rows } = await sql<BoxRow>`
    select ${BOX_COLUMNS} from ${BOX_TABLES} where ${condition}`.execute(db.query);
  return rows;
}

function factsOf(row: BoxRow): BoxFacts {
  const isBuilt = row.kind === "builder" || row.source_snapshot_id !== null;
  return {
    desired: row.desired,
    epoch: row.epoch,
    isDeleted: row.deleted_at !== null,
    reserved: row.reserved,
    bootSerial: row.boot_serial,
    failure: row.failure,
    source:
      row.source_state === null
        ? null
        : {
            state: row.source_state,
            withMemory: row.source_with_memory,
            isOwn: row.source_box_id === row.id,
          },
    rest:
      row.rest_state === null
        ? null
        : { kind: row.rest_kind === "stop" ? "stop" : "pause", state: row.rest_state },
    node:
      row.node_name === null ? null : { name: row.node_name, status: row.node_status ?? "removed" },
    observed:
      row.observed_state === null
        ? null
        : {
            state: row.observed_state,
            bootSerial: row.observed_boot_serial ?? 0,
            activity: row.activity,
            fault: row.fault,
            build: row.build && { done: row.build.done, step: row.build.step },
          },
    needsBuild: !isBuilt && row.version_build.steps.length > 0,
    placementSummary: row.placement?.summary ?? null,
  };
}

function portsOf({ observed_ports, previews, reserved }: BoxRow): BoxPort[] {
  return (reserved ? (observed_ports ?? []) : []).map((one) => ({
    ...one,
    label: previews.find(({ port }) => port === one.port)?.label ?? null,
  }));
}

export function viewOf(row: BoxRow): BoxView {
  return {
    ...phaseOf(factsOf(row)),
    id: row.id,
    orgId: row.org_id,
    ownerId: row.owner_id,
    teamId: row.team_id,
    name: row.name,
    kind: row.kind,
    template: {
      id: row.template_id,
      name: row.template_name,
      version: row.version_number,
      versionId: row.template_version_id,
    },
    spec: row.spec,
    imageDigest: row.image_digest,
    env: row.env,
    since: row.phase_since,
    desired: row.desired,
    generation: row.generation,
    observedGeneration: row.observed_generation,
    bootSerial: row.boot_serial,
    epoch: row.epoch,
    reserved: row.reserved,
    node: row.node_id && {
      id: row.node_id,
      name: row.node_name ?? row.node_id,
      status: row.node_status ?? "removed",
    },
    source: row.source_snapshot_id && {
      snapshotId: row.source_snapshot_id,
      withMemory: row.source_with_memory,
    },
    forkedFrom: row.forked_from_id && { id: row.forked_from_id, name: row.forked_from_name },
    rest: row.rest_snapshot_id && {
      id: row.rest_snapshot_id,
      kind: row.rest_kind ?? "pause",
      state: row.rest_state ?? "requested",
      withMemory: row.rest_with_memory ?? false,
      progress: row.rest_progress ?? 0,
      error: row.rest_error,
    },
    observedState: row.observed_state,
    activity: row.activity,
    fault: row.fault,
    failure: row.failure,
    notices: [...row.notices, ...row.node_notices],
    renewal: row.renewal,
    started: row.started,
    build: row.build,
    ports: portsOf(row),
    placement: row.placement,
    lastSafeAt: row.last_safe_at,
    createdAt: row.created_at,
    deletedAt: row.deleted_at,
  };
}
