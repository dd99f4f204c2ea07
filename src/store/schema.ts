// The tables, as the queries see them. migrations/ makes them; test/proof and schema.test.ts hold the two
// to each other.

import type { ColumnType, Generated } from "kysely";
import type { Assignment, BoxReport, Report } from "#contract/node-protocol.ts";
import type {
  BoxSpec,
  DesiredState,
  HostState,
  ListeningPort,
  Notice,
  Phase,
  SnapshotKind,
  Visibility,
} from "#domain/box.ts";
import type {
  BoxId,
  NodeId,
  OperationId,
  OrgId,
  PreviewId,
  PreviewLinkId,
  SnapshotId,
  SshKeyId,
  TeamId,
  TemplateId,
  TemplateVersionId,
  UserId,
  VolumeId,
} from "#domain/ids.ts";
import type { OperationState } from "#domain/operation.ts";
import type { SnapshotState } from "#domain/phase.ts";
import type { PlacementExplanation } from "#domain/placement.ts";

/** Read as a value, written as JSON text (pg would write an array as a Postgres array). */
type Json<T> = ColumnType<T, string, string>;
type JsonDefault<T> = ColumnType<T, string | undefined, string>;
type Time = ColumnType<Date, Date | undefined, Date>;
type TimeOrNull = ColumnType<Date | null, Date | null | undefined, Date | null>;
type OrNull<T> = ColumnType<T | null, T | null | undefined, T | null>;
type JsonOrNull<T> = ColumnType<T | null, string | null | undefined, string | null>;

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}

interface Org {
  id: OrgId;
  name: string;
  created_at: Time;
  max_visibility: Generated<Visibility>;
  deleted_at: TimeOrNull;
}

interface User {
  id: UserId;
  name: string;
  created_at: Time;
  email: OrNull<string>;
  kind: Generated<"person" | "service">;
  is_operator: Generated<boolean>;
  disabled_at: TimeOrNull;
  home_org_id: OrNull<OrgId>;
}

interface Token {
  id: string;
  hash: string;
  org_id: OrgId;
  user_id: UserId;
  name: string;
  created_at: Time;
  expires_at: TimeOrNull;
  revoked_at: TimeOrNull;
  last_used_at: TimeOrNull;
  scopes: string[] | null;
  parent_id: string | null;
}

interface WebSession {
  id: string;
  hash: string;
  org_id: OrgId;
  user_id: UserId;
  token_id: string | null;
  created_at: Time;
  expires_at: Date;
  revoked_at: TimeOrNull;
  kind: Generated<"web" | "cli">;
}

interface SshKey {
  id: SshKeyId;
  org_id: OrgId;
  user_id: UserId;
  name: string;
  public_key: string;
  fingerprint: string;
  created_at: Time;
  revoked_at: TimeOrNull;
  parent_id: string | null;
  expires_at: TimeOrNull;
}

interface Preview {
  id: PreviewId;
  org_id: OrgId;
  owner_id: UserId;
  team_id: OrNull<TeamId>;
  box_id: BoxId;
  port: number;
  label: string;
  visibility: Visibility;
  serial: Generated<number>;
  created_at: Time;
  closed_at: TimeOrNull;
}

interface PreviewLabel {
  label: string;
  preview_id: PreviewId;
  ended_at: TimeOrNull;
}

interface PreviewLink {
  id: PreviewLinkId;
  org_id: OrgId;
  owner_id: UserId;
  preview_id: PreviewId;
  serial: number;
  created_at: Time;
  expires_at: Date;
  revoked_at: TimeOrNull;
  parent_id: string | null;
}

interface Revocation {
  credential_id: string;
  until: Date;
  created_at: Time;
}

interface Gateway {
  name: string;
  client_url: string;
  node_url: string;
  ssh_address: OrNull<string>;
  feed: OrNull<string>;
  seen_at: Time;
}

interface Authority {
  name: string;
  material: string;
  created_at: Time;
}

interface Lease {
  name: string;
  holder: string;
  until: Date;
}

export type NodeStatus = "joined" | "ready" | "unreachable" | "removed";

interface NodeRow {
  id: NodeId;
  name: string;
  region: string;
  labels: JsonDefault<Record<string, string>>;
  status: NodeStatus;
  status_since: Time;
  schedulable: Generated<boolean>;
  lease_until: TimeOrNull;
  last_report_at: TimeOrNull;
  session: OrNull<string>;
  report_revision: Generated<number>;
  fingerprint: JsonOrNull<NonNullable<Report["fingerprint"]>>;
  images: JsonDefault<string[]>;
  overcommit_cpu: Generated<number>;
  overcommit_memory: Generated<number>;
  overcommit_disk: Generated<number>;
  joined_at: Time;
  removed_at: TimeOrNull;
}

interface NodeRevision {
  node_id: NodeId;
  revision: Generated<number>;
}

interface JoinToken {
  hash: string;
  name: OrNull<string>;
  created_by: UserId;
  created_at: Time;
  expires_at: Date;
  used_at: TimeOrNull;
  node_id: OrNull<NodeId>;
}

interface Template {
  id: TemplateId;
  org_id: OrgId;
  owner_id: UserId;
  name: string;
  last_number: Generated<number>;
  created_at: Time;
  deleted_at: TimeOrNull;
}

export type VersionState = "unbuilt" | "building" | "ready" | "failed";

interface TemplateVersion {
  id: TemplateVersionId;
  org_id: OrgId;
  template_id: TemplateId;
  number: number;
  definition: Json<Record<string, unknown>>;
  image_digest: string;
  spec: Json<BoxSpec>;
  env: JsonDefault<Record<string, string>>;
  hooks: Json<Assignment["hooks"]>;
  build: Json<NonNullable<Assignment["build"]>>;
  state: VersionState;
  builder_box_id: OrNull<BoxId>;
  prebuild_snapshot_id: OrNull<SnapshotId>;
  build_step: OrNull<string>;
  build_log: Generated<string>;
  build_error: OrNull<string>;
  created_at: Time;
  state_since: Time;
}

interface Snapshot {
  id: SnapshotId;
  org_id: OrgId;
  owner_id: UserId;
  team_id: OrNull<TeamId>;
  box_id: BoxId;
  epoch: number;
  kind: SnapshotKind;
  with_memory: boolean;
  name: OrNull<string>;
  kept: Generated<boolean>;
  state: SnapshotState;
  spec: Json<BoxSpec>;
  image_digest: string;
  compatibility: OrNull<string>;
  parent_id: OrNull<SnapshotId>;
  allocated_bytes: OrNull<number>;
  stored_bytes: OrNull<number>;
  manifest_key: OrNull<string>;
  progress: Generated<number>;
  error: OrNull<string>;
  replaced_by_id: OrNull<SnapshotId>;
  created_at: Time;
  taken_at: TimeOrNull;
  durable_at: TimeOrNull;
  deleted_at: TimeOrNull;
}

interface SnapshotCopy {
  snapshot_id: SnapshotId;
  node_id: NodeId;
}

interface Stray {
  box_id: BoxId;
  epoch: number;
  node_id: NodeId;
  generation: number;
  boot_serial: number;
  snapshot_id: SnapshotId;
  is_lost: Generated<boolean>;
  created_at: Time;
  ended_at: TimeOrNull;
}

interface Box {
  id: BoxId;
  org_id: OrgId;
  owner_id: UserId;
  name: string;
  kind: "user" | "builder";
  template_version_id: TemplateVersionId;
  forked_from_id: OrNull<BoxId>;
  spec: Json<BoxSpec>;
  cpus: number;
  memory_mib: number;
  disk_gib: number;
  gpus: Generated<number>;
  region: OrNull<string>;
  labels: JsonDefault<Record<string, string>>;
  image_digest: string;
  env: JsonDefault<Record<string, string>>;
  machine_id: string;
  desired: DesiredState;
  generation: Generated<number>;
  boot_serial: Generated<number>;
  source_snapshot_id: OrNull<SnapshotId>;
  source_with_memory: Generated<boolean>;
  rest_snapshot_id: OrNull<SnapshotId>;
  restore_snapshot_id: OrNull<SnapshotId>;
  node_id: OrNull<NodeId>;
  epoch: Generated<number>;
  reserved: Generated<boolean>;
  placement: JsonOrNull<PlacementExplanation>;
  place_tried_at: TimeOrNull;
  observed_state: OrNull<HostState>;
  observed_generation: Generated<number>;
  observed_boot_serial: OrNull<number>;
  observed_up: Generated<boolean>;
  observed_at: TimeOrNull;
  activity: OrNull<string>;
  fault: JsonOrNull<NonNullable<BoxReport["fault"]>>;
  node_notices: JsonDefault<Notice[]>;
  renewal: JsonOrNull<NonNullable<BoxReport["renewal"]>>;
  started: JsonOrNull<NonNullable<BoxReport["started"]>>;
  build: JsonOrNull<NonNullable<BoxReport["build"]>>;
  observed_ports: JsonOrNull<ListeningPort[]>;
  team_id: OrNull<TeamId>;
  notices: JsonDefault<Notice[]>;
  failure: JsonOrNull<Failure>;
  phase: Phase;
  phase_reason: OrNull<string>;
  phase_since: Time;
  created_at: Time;
  deleted_at: TimeOrNull;
}

interface Volume {
  id: VolumeId;
  org_id: OrgId;
  owner_id: UserId;
  box_id: BoxId;
  name: string;
  mount_path: string;
  size_gib: number;
  created_at: Time;
  deleted_at: TimeOrNull;
}

export type OperationSubject = "box" | "template_version" | "snapshot" | "node";

interface Operation {
  id: OperationId;
  org_id: OrgId;
  owner_id: UserId;
  kind: string;
  subject_kind: OperationSubject;
  subject_id: string;
  generation: Generated<number>;
  state: OperationState;
  error: JsonOrNull<Failure>;
  created_at: Time;
  finished_at: TimeOrNull;
}

interface IdempotencyKey {
  org_id: OrgId;
  user_id: UserId;
  key: string;
  request_hash: string;
  answer: JsonOrNull<unknown>;
  created_at: Time;
}

interface EventRow {
  id: Generated<number>;
  org_id: OrNull<OrgId>;
  at: Time;
  kind: string;
  subject_kind: string;
  subject_id: string;
  box_id: OrNull<BoxId>;
  actor: OrNull<string>;
  message: string;
  data: JsonDefault<Record<string, unknown>>;
}

export interface Tables {
  orgs: Org;
  users: User;
  tokens: Token;
  web_sessions: WebSession;
  ssh_keys: SshKey;
  previews: Preview;
  preview_labels: PreviewLabel;
  preview_links: PreviewLink;
  revocations: Revocation;
  gateways: Gateway;
  authorities: Authority;
  leases: Lease;
  nodes: NodeRow;
  node_revisions: NodeRevision;
  join_tokens: JoinToken;
  templates: Template;
  template_versions: TemplateVersion;
  snapshots: Snapshot;
  snapshot_copies: SnapshotCopy;
  strays: Stray;
  boxes: Box;
  volumes: Volume;
  operations: Operation;
  idempotency_keys: IdempotencyKey;
  events: EventRow;
}
