-- The first schema. Times are the database's own clock. Lock order, to stay free of deadlocks:
-- nodes, boxes (by id), snapshots, template_versions, operations, node_revisions.

create table orgs (
  id text primary key,
  name text not null,
  created_at timestamptz not null default now()
);

create table users (
  id text primary key,
  org_id text not null references orgs (id),
  name text not null,
  is_admin boolean not null default false,
  created_at timestamptz not null default now(),
  unique (org_id, name)
);

create table tokens (
  id text primary key,
  hash text not null unique,
  org_id text not null references orgs (id),
  user_id text not null references users (id),
  name text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz
);

create table authorities (
  name text primary key,
  material text not null,
  created_at timestamptz not null default now()
);

create table leases (
  name text primary key,
  holder text not null,
  until timestamptz not null
);

create table nodes (
  id text primary key,
  name text not null,
  region text not null,
  labels jsonb not null default '{}',
  status text not null check (status in ('joined', 'ready', 'unreachable', 'removed')),
  status_since timestamptz not null default now(),
  schedulable boolean not null default true,
  lease_until timestamptz,
  last_report_at timestamptz,
  session text,
  report_revision bigint not null default 0,
  fingerprint jsonb,
  images jsonb not null default '[]',
  overcommit_cpu double precision not null default 8,
  overcommit_memory double precision not null default 1,
  overcommit_disk double precision not null default 4,
  joined_at timestamptz not null default now(),
  removed_at timestamptz
);
create unique index nodes_name on nodes (name) where status <> 'removed';

-- Apart from nodes, so that intent and reports do not wait for each other.
create table node_revisions (
  node_id text primary key references nodes (id),
  revision bigint not null default 1
);

create table join_tokens (
  hash text primary key,
  name text,
  created_by text not null references users (id),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  used_at timestamptz,
  node_id text references nodes (id)
);

create table templates (
  id text primary key,
  org_id text not null references orgs (id),
  owner_id text not null references users (id),
  name text not null,
  last_number integer not null default 0,
  created_at timestamptz not null default now(),
  deleted_at timestamptz
);
create unique index templates_name on templates (org_id, name) where deleted_at is null;

create table template_versions (
  id text primary key,
  org_id text not null references orgs (id),
  template_id text not null references templates (id),
  number integer not null,
  definition jsonb not null,
  image_digest text not null,
  spec jsonb not null,
  env jsonb not null default '{}',
  hooks jsonb not null,
  build jsonb not null,
  state text not null check (state in ('unbuilt', 'building', 'ready', 'failed')),
  builder_box_id text,
  prebuild_snapshot_id text,
  build_step text,
  build_log text not null default '',
  build_error text,
  created_at timestamptz not null default now(),
  state_since timestamptz not null default now(),
  unique (template_id, number)
);
create index template_versions_building on template_versions (id) where state = 'building';

create table snapshots (
  id text primary key,
  org_id text not null references orgs (id),
  owner_id text not null references users (id),
  box_id text not null,
  epoch integer not null,
  kind text not null check (kind in ('pause', 'stop', 'fork', 'checkpoint', 'prebuild')),
  with_memory boolean not null,
  name text,
  kept boolean not null default false,
  state text not null
    check (state in ('requested', 'local', 'durable', 'failed', 'deleting', 'deleted')),
  spec jsonb not null,
  image_digest text not null,
  compatibility text,
  parent_id text,
  allocated_bytes bigint,
  stored_bytes bigint,
  manifest_key text,
  progress double precision not null default 0,
  error text,
  -- The snapshot that holds what this one was asked to hold, when its box came to rest first.
  replaced_by_id text references snapshots (id),
  created_at timestamptz not null default now(),
  taken_at timestamptz,
  durable_at timestamptz,
  deleted_at timestamptz
);
create index snapshots_box on snapshots (box_id);
create index snapshots_org on snapshots (org_id, id) where state <> 'deleted';
create index snapshots_parent on snapshots (parent_id) where state in ('requested', 'local');

-- On which nodes the bytes are.
create table snapshot_copies (
  snapshot_id text not null references snapshots (id),
  node_id text not null references nodes (id),
  primary key (snapshot_id, node_id)
);
create index snapshot_copies_node on snapshot_copies (node_id);

create table boxes (
  id text primary key,
  org_id text not null references orgs (id),
  owner_id text not null references users (id),
  name text not null,
  kind text not null check (kind in ('user', 'builder')),
  template_version_id text not null references template_versions (id),
  forked_from_id text,
  spec jsonb not null,
  cpus integer not null,
  memory_mib integer not null,
  disk_gib integer not null,
  gpus integer not null default 0,
  region text,
  labels jsonb not null default '{}',
  image_digest text not null,
  env jsonb not null default '{}',
  machine_id text not null,
  -- intent
  desired text not null check (desired in ('running', 'paused', 'stopped', 'deleted')),
  generation bigint not null default 1,
  boot_serial integer not null default 0,
  source_snapshot_id text references snapshots (id),
  source_with_memory boolean not null default false,
  rest_snapshot_id text references snapshots (id),
  restore_snapshot_id text references snapshots (id),
  -- placement
  node_id text references nodes (id),
  epoch integer not null default 0,
  reserved boolean not null default false,
  placement jsonb,
  place_tried_at timestamptz,
  -- what its node says; null until it speaks of this epoch
  observed_state text,
  observed_generation bigint not null default -1,
  observed_boot_serial integer,
  observed_up boolean not null default false,
  observed_at timestamptz,
  activity text,
  fault jsonb,
  node_notices jsonb not null default '[]',
  renewal jsonb,
  started jsonb,
  build jsonb,
  -- what the control plane concludes
  notices jsonb not null default '[]',
  failure jsonb,
  phase text not null,
  phase_reason text,
  phase_since timestamptz not null default now(),
  created_at timestamptz not null default now(),
  deleted_at timestamptz
);
create unique index boxes_name on boxes (org_id, name) where deleted_at is null;
create index boxes_org on boxes (org_id, id) where deleted_at is null;
create index boxes_node on boxes (node_id) where reserved;
create index boxes_unplaced on boxes (place_tried_at nulls first, id)
  where desired = 'running' and not reserved and failure is null and deleted_at is null;
create index boxes_source on boxes (source_snapshot_id) where deleted_at is null;
create index boxes_rest on boxes (rest_snapshot_id) where deleted_at is null;
create index boxes_restore on boxes (restore_snapshot_id) where deleted_at is null;
create index boxes_version on boxes (template_version_id) where deleted_at is null;

-- The durable home of a box. It lives and dies with its box until volumes can be attached elsewhere.
create table volumes (
  id text primary key,
  org_id text not null references orgs (id),
  owner_id text not null references users (id),
  box_id text not null references boxes (id),
  name text not null,
  mount_path text not null,
  size_gib integer not null,
  created_at timestamptz not null default now(),
  deleted_at timestamptz
);
create index volumes_box on volumes (box_id);
create index volumes_org on volumes (org_id, id) where deleted_at is null;

create table operations (
  id text primary key,
  org_id text not null references orgs (id),
  owner_id text not null references users (id),
  kind text not null,
  subject_kind text not null check (subject_kind in ('box', 'template_version', 'snapshot', 'node')),
  subject_id text not null,
  generation bigint not null default 0,
  state text not null check (state in ('running', 'succeeded', 'failed', 'superseded')),
  error jsonb,
  created_at timestamptz not null default now(),
  finished_at timestamptz
);
create index operations_open on operations (subject_id) where state = 'running';
create index operations_org on operations (org_id, id);

create table idempotency_keys (
  org_id text not null,
  user_id text not null,
  key text not null,
  request_hash text not null,
  answer jsonb,
  created_at timestamptz not null default now(),
  primary key (org_id, user_id, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);

-- org_id null: of the installation (nodes), for administrators.
create table events (
  id bigint generated always as identity primary key,
  org_id text,
  at timestamptz not null default clock_timestamp(),
  kind text not null,
  subject_kind text not null,
  subject_id text not null,
  box_id text,
  actor text,
  message text not null,
  data jsonb not null default '{}'
);
create index events_org on events (org_id, id);
create index events_box on events (box_id, id) where box_id is not null;
create index events_age on events (at);
