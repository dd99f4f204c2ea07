-- Printed by `sh tools/run.sh tools/schema.ts` from src/store/migrations. Do not edit.

create table audit_chains (
  chain text not null,
  head_seq bigint not null default 0,
  head_hash bytea not null,
  anchor_seq bigint not null default 0,
  anchor_hash bytea not null,
  anchor_at timestamp with time zone,
  anchor_signature text,
  exported_seq bigint not null default 0,
  constraint audit_chains_pkey PRIMARY KEY (chain)
);

create table audit_entries (
  id bigint not null generated always as identity,
  org_id text,
  at timestamp(3) with time zone not null default clock_timestamp(),
  verb text not null,
  outcome text not null,
  code text,
  actor_id text,
  actor_roles text[] not null default '{}'::text[],
  credential_id text,
  address text,
  user_agent text,
  resource jsonb not null default '{}'::jsonb,
  touched text[] not null default '{}'::text[],
  data jsonb not null default '{}'::jsonb,
  request_id text,
  source_id text,
  constraint audit_entries_outcome_check CHECK ((outcome = ANY (ARRAY['ok'::text, 'refused'::text, 'failed'::text]))),
  constraint audit_entries_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint audit_entries_pkey PRIMARY KEY (id)
);

create table audit_policies (
  org_id text not null,
  keep_days integer not null,
  constraint audit_policies_keep_days_check CHECK (((keep_days >= 1) AND (keep_days <= 36500))),
  constraint audit_policies_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint audit_policies_pkey PRIMARY KEY (org_id)
);

create table audit_seals (
  chain text not null,
  seq bigint not null,
  entry_id bigint not null,
  hash bytea not null,
  constraint audit_seals_chain_fkey FOREIGN KEY (chain) REFERENCES audit_chains(chain),
  constraint audit_seals_pkey PRIMARY KEY (chain, seq),
  constraint audit_seals_entry_id_key UNIQUE (entry_id)
);

create table audit_state (
  is_only boolean not null default true,
  sealed_to bigint not null default 0,
  exported_at timestamp with time zone not null default now(),
  keep_days_min integer not null default 90,
  constraint audit_state_is_only_check CHECK (is_only),
  constraint audit_state_keep_days_min_check CHECK (((keep_days_min >= 1) AND (keep_days_min <= 36500))),
  constraint audit_state_pkey PRIMARY KEY (is_only)
);

create table authorities (
  name text not null,
  material text not null,
  created_at timestamp with time zone not null default now(),
  constraint authorities_pkey PRIMARY KEY (name)
);

create table boxes (
  id text not null,
  org_id text not null,
  owner_id text not null,
  name text not null,
  kind text not null,
  template_version_id text not null,
  forked_from_id text,
  spec jsonb not null,
  cpus integer not null,
  memory_mib integer not null,
  disk_gib integer not null,
  gpus integer not null default 0,
  region text,
  labels jsonb not null default '{}'::jsonb,
  image_digest text not null,
  env jsonb not null default '{}'::jsonb,
  machine_id text not null,
  desired text not null,
  generation bigint not null default 1,
  boot_serial integer not null default 0,
  source_snapshot_id text,
  source_with_memory boolean not null default false,
  rest_snapshot_id text,
  restore_snapshot_id text,
  node_id text,
  epoch integer not null default 0,
  reserved boolean not null default false,
  placement jsonb,
  place_tried_at timestamp with time zone,
  observed_state text,
  observed_generation bigint not null default '-1'::integer,
  observed_boot_serial integer,
  observed_up boolean not null default false,
  observed_at timestamp with time zone,
  activity text,
  fault jsonb,
  node_notices jsonb not null default '[]'::jsonb,
  renewal jsonb,
  started jsonb,
  build jsonb,
  notices jsonb not null default '[]'::jsonb,
  failure jsonb,
  phase text not null,
  phase_reason text,
  phase_since timestamp with time zone not null default now(),
  created_at timestamp with time zone not null default now(),
  deleted_at timestamp with time zone,
  observed_ports jsonb,
  team_id text,
  constraint boxes_desired_check CHECK ((desired = ANY (ARRAY['running'::text, 'paused'::text, 'stopped'::text, 'deleted'::text]))),
  constraint boxes_kind_check CHECK ((kind = ANY (ARRAY['user'::text, 'builder'::text]))),
  constraint boxes_node_id_fkey FOREIGN KEY (node_id) REFERENCES nodes(id),
  constraint boxes_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint boxes_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES users(id),
  constraint boxes_rest_snapshot_id_fkey FOREIGN KEY (rest_snapshot_id) REFERENCES snapshots(id),
  constraint boxes_restore_snapshot_id_fkey FOREIGN KEY (restore_snapshot_id) REFERENCES snapshots(id),
  constraint boxes_source_snapshot_id_fkey FOREIGN KEY (source_snapshot_id) REFERENCES snapshots(id),
  constraint boxes_team_id_fkey FOREIGN KEY (team_id) REFERENCES teams(id),
  constraint boxes_template_version_id_fkey FOREIGN KEY (template_version_id) REFERENCES template_versions(id),
  constraint boxes_pkey PRIMARY KEY (id)
);

create table budget_alerts (
  budget_id text not null,
  org_id text not null,
  month date not null,
  threshold integer not null,
  amount numeric not null,
  spent numeric not null,
  created_at timestamp with time zone not null default now(),
  constraint budget_alerts_budget_id_fkey FOREIGN KEY (budget_id) REFERENCES budgets(id),
  constraint budget_alerts_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint budget_alerts_pkey PRIMARY KEY (budget_id, month, threshold, amount)
);

create table budgets (
  id text not null,
  org_id text not null,
  team_id text,
  amount numeric not null,
  thresholds integer[] not null,
  policy text not null,
  month date,
  spent numeric not null default 0,
  exhausted_month date,
  created_at timestamp with time zone not null default now(),
  deleted_at timestamp with time zone,
  judged_at timestamp with time zone,
  per_hour numeric not null default 0,
  constraint budgets_amount_check CHECK ((amount > (0)::numeric)),
  constraint budgets_policy_check CHECK ((policy = ANY (ARRAY['warn'::text, 'refuse'::text, 'pause'::text]))),
  constraint budgets_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint budgets_team_id_fkey FOREIGN KEY (team_id) REFERENCES teams(id),
  constraint budgets_pkey PRIMARY KEY (id)
);

create table egress_counters (
  org_id text not null,
  box_id text not null,
  epoch integer not null,
  counter text not null,
  bytes bigint not null,
  constraint egress_counters_box_id_fkey FOREIGN KEY (box_id) REFERENCES boxes(id),
  constraint egress_counters_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint egress_counters_pkey PRIMARY KEY (box_id, epoch, counter)
);

create table events (
  id bigint not null generated always as identity,
  org_id text,
  at timestamp with time zone not null default clock_timestamp(),
  kind text not null,
  subject_kind text not null,
  subject_id text not null,
  box_id text,
  actor text,
  message text not null,
  data jsonb not null default '{}'::jsonb,
  constraint events_pkey PRIMARY KEY (id)
);

create table gateways (
  name text not null,
  client_url text not null,
  node_url text not null,
  ssh_address text,
  feed text,
  seen_at timestamp with time zone not null default now(),
  constraint gateways_pkey PRIMARY KEY (name)
);

create table grants (
  id text not null,
  org_id text not null,
  user_id text,
  team_id text,
  role text not null,
  scope text not null,
  scope_id text not null,
  source text not null default 'direct'::text,
  created_by text,
  created_at timestamp with time zone not null default now(),
  constraint grants_check CHECK (((user_id IS NULL) <> (team_id IS NULL))),
  constraint grants_check1 CHECK (((team_id IS NULL) OR (scope = 'box'::text))),
  constraint grants_scope_check CHECK ((scope = ANY (ARRAY['org'::text, 'team'::text, 'box'::text]))),
  constraint grants_created_by_fkey FOREIGN KEY (created_by) REFERENCES users(id),
  constraint grants_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint grants_team_id_fkey FOREIGN KEY (team_id) REFERENCES teams(id),
  constraint grants_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id),
  constraint grants_pkey PRIMARY KEY (id)
);

create table idempotency_keys (
  org_id text not null,
  user_id text not null,
  key text not null,
  request_hash text not null,
  answer jsonb,
  created_at timestamp with time zone not null default now(),
  constraint idempotency_keys_pkey PRIMARY KEY (org_id, user_id, key)
);

create table identities (
  id text not null,
  issuer text not null,
  sub text not null,
  provider_id text not null,
  user_id text not null,
  email text,
  email_verified boolean not null default false,
  created_at timestamp with time zone not null default now(),
  last_login_at timestamp with time zone not null default now(),
  refused_at timestamp with time zone,
  confirmed_at timestamp with time zone not null default now(),
  constraint identities_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES providers(id),
  constraint identities_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id),
  constraint identities_pkey PRIMARY KEY (id)
);

create table invitations (
  id text not null,
  org_id text not null,
  hash text not null,
  email text,
  roles text[] not null,
  team_id text,
  created_by text not null,
  created_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone not null,
  accepted_at timestamp with time zone,
  accepted_by text,
  revoked_at timestamp with time zone,
  parent_id text,
  constraint invitations_accepted_by_fkey FOREIGN KEY (accepted_by) REFERENCES users(id),
  constraint invitations_created_by_fkey FOREIGN KEY (created_by) REFERENCES users(id),
  constraint invitations_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint invitations_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES tokens(id),
  constraint invitations_team_id_fkey FOREIGN KEY (team_id) REFERENCES teams(id),
  constraint invitations_pkey PRIMARY KEY (id),
  constraint invitations_hash_key UNIQUE (hash)
);

create table join_tokens (
  hash text not null,
  name text,
  created_by text not null,
  created_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone not null,
  used_at timestamp with time zone,
  node_id text,
  constraint join_tokens_created_by_fkey FOREIGN KEY (created_by) REFERENCES users(id),
  constraint join_tokens_node_id_fkey FOREIGN KEY (node_id) REFERENCES nodes(id),
  constraint join_tokens_pkey PRIMARY KEY (hash)
);

create table leases (
  name text not null,
  holder text not null,
  until timestamp with time zone not null,
  constraint leases_pkey PRIMARY KEY (name)
);

create table logins (
  session_id text not null,
  provider_id text not null,
  identity_id text not null,
  refresh_token text,
  id_token text,
  sid text,
  ends_at timestamp with time zone not null,
  check_at timestamp with time zone,
  checks_failed integer not null default 0,
  ended_at timestamp with time zone,
  claimed_until timestamp with time zone,
  constraint logins_identity_id_fkey FOREIGN KEY (identity_id) REFERENCES identities(id),
  constraint logins_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES providers(id),
  constraint logins_session_id_fkey FOREIGN KEY (session_id) REFERENCES web_sessions(id) ON DELETE CASCADE,
  constraint logins_pkey PRIMARY KEY (session_id)
);

create table migrations (
  name text not null,
  checksum text not null,
  applied_at timestamp with time zone not null default now(),
  constraint migrations_pkey PRIMARY KEY (name)
);

create table node_revisions (
  node_id text not null,
  revision bigint not null default 1,
  constraint node_revisions_node_id_fkey FOREIGN KEY (node_id) REFERENCES nodes(id),
  constraint node_revisions_pkey PRIMARY KEY (node_id)
);

create table nodes (
  id text not null,
  name text not null,
  region text not null,
  labels jsonb not null default '{}'::jsonb,
  status text not null,
  status_since timestamp with time zone not null default now(),
  schedulable boolean not null default true,
  lease_until timestamp with time zone,
  last_report_at timestamp with time zone,
  session text,
  report_revision bigint not null default 0,
  fingerprint jsonb,
  images jsonb not null default '[]'::jsonb,
  overcommit_cpu double precision not null default 8,
  overcommit_memory double precision not null default 1,
  overcommit_disk double precision not null default 4,
  joined_at timestamp with time zone not null default now(),
  removed_at timestamp with time zone,
  constraint nodes_status_check CHECK ((status = ANY (ARRAY['joined'::text, 'ready'::text, 'unreachable'::text, 'removed'::text]))),
  constraint nodes_pkey PRIMARY KEY (id)
);

create table operations (
  id text not null,
  org_id text not null,
  owner_id text not null,
  kind text not null,
  subject_kind text not null,
  subject_id text not null,
  generation bigint not null default 0,
  state text not null,
  error jsonb,
  created_at timestamp with time zone not null default now(),
  finished_at timestamp with time zone,
  constraint operations_state_check CHECK ((state = ANY (ARRAY['running'::text, 'succeeded'::text, 'failed'::text, 'superseded'::text]))),
  constraint operations_subject_kind_check CHECK ((subject_kind = ANY (ARRAY['box'::text, 'template_version'::text, 'snapshot'::text, 'node'::text]))),
  constraint operations_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint operations_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES users(id),
  constraint operations_pkey PRIMARY KEY (id)
);

create table orgs (
  id text not null,
  name text not null,
  created_at timestamp with time zone not null default now(),
  max_visibility text not null default 'public'::text,
  deleted_at timestamp with time zone,
  constraint orgs_max_visibility_check CHECK ((max_visibility = ANY (ARRAY['private'::text, 'org'::text, 'public'::text]))),
  constraint orgs_pkey PRIMARY KEY (id)
);

create table preview_labels (
  label text not null,
  preview_id text not null,
  ended_at timestamp with time zone,
  constraint preview_labels_preview_id_fkey FOREIGN KEY (preview_id) REFERENCES previews(id),
  constraint preview_labels_pkey PRIMARY KEY (label)
);

create table preview_links (
  id text not null,
  org_id text not null,
  owner_id text not null,
  preview_id text not null,
  serial integer not null,
  created_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone not null,
  revoked_at timestamp with time zone,
  parent_id text,
  constraint preview_links_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint preview_links_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES users(id),
  constraint preview_links_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES tokens(id),
  constraint preview_links_preview_id_fkey FOREIGN KEY (preview_id) REFERENCES previews(id),
  constraint preview_links_pkey PRIMARY KEY (id)
);

create table previews (
  id text not null,
  org_id text not null,
  owner_id text not null,
  box_id text not null,
  port integer not null,
  label text not null,
  visibility text not null,
  serial integer not null default 1,
  created_at timestamp with time zone not null default now(),
  closed_at timestamp with time zone,
  team_id text,
  constraint previews_port_check CHECK (((port >= 2) AND (port <= 65535))),
  constraint previews_visibility_check CHECK ((visibility = ANY (ARRAY['private'::text, 'org'::text, 'public'::text]))),
  constraint previews_box_id_fkey FOREIGN KEY (box_id) REFERENCES boxes(id),
  constraint previews_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint previews_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES users(id),
  constraint previews_team_id_fkey FOREIGN KEY (team_id) REFERENCES teams(id),
  constraint previews_pkey PRIMARY KEY (id),
  constraint previews_label_key UNIQUE (label)
);

create table price_books (
  id bigint not null generated always as identity,
  org_id text,
  currency text,
  prices jsonb not null,
  created_by text,
  created_at timestamp with time zone not null default usage_now(),
  constraint price_books_check CHECK (((org_id IS NULL) = (currency IS NOT NULL))),
  constraint price_books_created_by_fkey FOREIGN KEY (created_by) REFERENCES users(id),
  constraint price_books_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint price_books_pkey PRIMARY KEY (id)
);

create table provider_groups (
  provider_id text not null,
  group_name text not null,
  org_id text not null,
  scope text not null,
  scope_id text not null,
  role text not null,
  constraint provider_groups_scope_check CHECK ((scope = ANY (ARRAY['org'::text, 'team'::text]))),
  constraint provider_groups_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint provider_groups_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES providers(id) ON DELETE CASCADE,
  constraint provider_groups_pkey PRIMARY KEY (provider_id, group_name, scope, scope_id, role)
);

create table providers (
  id text not null,
  org_id text,
  name text not null,
  label text not null,
  issuer text not null,
  client_id text not null,
  client_secret text,
  scopes text[] not null,
  parameters jsonb not null default '{}'::jsonb,
  is_trusted boolean not null default false,
  admits_new_users boolean not null default true,
  email_domains text[] not null default '{}'::text[],
  groups_claim text not null default 'groups'::text,
  default_org_id text,
  default_role text,
  session_max_ms bigint not null,
  check_every_ms bigint not null,
  created_at timestamp with time zone not null default now(),
  changed_at timestamp with time zone not null default now(),
  deleted_at timestamp with time zone,
  member_max_age_ms bigint,
  constraint providers_default_org_id_fkey FOREIGN KEY (default_org_id) REFERENCES orgs(id),
  constraint providers_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint providers_pkey PRIMARY KEY (id)
);

create table quota_defaults (
  scope text not null,
  limits jsonb not null,
  updated_at timestamp with time zone not null default now(),
  constraint quota_defaults_scope_check CHECK ((scope = ANY (ARRAY['org'::text, 'team'::text, 'user'::text]))),
  constraint quota_defaults_pkey PRIMARY KEY (scope)
);

create table quota_deltas (
  id bigint not null generated always as identity,
  org_id text not null,
  team_id text,
  user_id text not null,
  boxes bigint not null default 0,
  running bigint not null default 0,
  cpus bigint not null default 0,
  memory_mib bigint not null default 0,
  gpus bigint not null default 0,
  disk_gib bigint not null default 0,
  snapshot_bytes bigint not null default 0,
  shared_ports bigint not null default 0,
  constraint quota_deltas_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint quota_deltas_pkey PRIMARY KEY (id)
);

create table quota_limits (
  org_id text not null,
  scope text not null,
  scope_id text not null,
  limits jsonb not null,
  updated_at timestamp with time zone not null default now(),
  constraint quota_limits_scope_check CHECK ((scope = ANY (ARRAY['org'::text, 'team'::text, 'user'::text]))),
  constraint quota_limits_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint quota_limits_pkey PRIMARY KEY (org_id, scope, scope_id)
);

create table quota_usage (
  org_id text not null,
  scope text not null,
  scope_id text not null,
  boxes bigint not null,
  running bigint not null,
  cpus bigint not null,
  memory_mib bigint not null,
  gpus bigint not null,
  disk_gib bigint not null,
  snapshot_bytes bigint not null,
  shared_ports bigint not null,
  constraint quota_usage_scope_check CHECK ((scope = ANY (ARRAY['org'::text, 'team'::text, 'user'::text]))),
  constraint quota_usage_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint quota_usage_pkey PRIMARY KEY (org_id, scope, scope_id)
);

create table replicas (
  id text not null,
  seen_at timestamp with time zone not null default now(),
  constraint replicas_pkey PRIMARY KEY (id)
);

create table revocations (
  credential_id text not null,
  until timestamp with time zone not null,
  created_at timestamp with time zone not null default now(),
  constraint revocations_pkey PRIMARY KEY (credential_id)
);

create table scim_groups (
  id text not null,
  org_id text not null,
  team_id text,
  display_name text not null,
  external_id text,
  created_at timestamp with time zone not null default now(),
  changed_at timestamp with time zone not null default now(),
  version bigint not null default 1,
  constraint scim_groups_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint scim_groups_team_id_fkey FOREIGN KEY (team_id) REFERENCES teams(id),
  constraint scim_groups_pkey PRIMARY KEY (id)
);

create table scim_members (
  group_id text not null,
  member_id text not null,
  org_id text not null,
  constraint scim_members_group_id_fkey FOREIGN KEY (group_id) REFERENCES scim_groups(id) ON DELETE CASCADE,
  constraint scim_members_member_id_fkey FOREIGN KEY (member_id) REFERENCES scim_users(id) ON DELETE CASCADE,
  constraint scim_members_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint scim_members_pkey PRIMARY KEY (group_id, member_id)
);

create table scim_tokens (
  id text not null,
  org_id text not null,
  hash text not null,
  name text not null,
  created_by text not null,
  created_at timestamp with time zone not null default now(),
  last_used_at timestamp with time zone,
  revoked_at timestamp with time zone,
  parent_id text,
  expires_at timestamp with time zone,
  constraint scim_tokens_created_by_fkey FOREIGN KEY (created_by) REFERENCES users(id),
  constraint scim_tokens_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint scim_tokens_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES tokens(id),
  constraint scim_tokens_pkey PRIMARY KEY (id),
  constraint scim_tokens_hash_key UNIQUE (hash)
);

create table scim_users (
  id text not null,
  org_id text not null,
  user_id text,
  user_name text not null,
  external_id text,
  email text,
  is_active boolean not null,
  attributes jsonb not null default '{}'::jsonb,
  created_at timestamp with time zone not null default now(),
  changed_at timestamp with time zone not null default now(),
  version bigint not null default 1,
  constraint scim_users_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint scim_users_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id),
  constraint scim_users_pkey PRIMARY KEY (id)
);

create table snapshot_copies (
  snapshot_id text not null,
  node_id text not null,
  constraint snapshot_copies_node_id_fkey FOREIGN KEY (node_id) REFERENCES nodes(id),
  constraint snapshot_copies_snapshot_id_fkey FOREIGN KEY (snapshot_id) REFERENCES snapshots(id),
  constraint snapshot_copies_pkey PRIMARY KEY (snapshot_id, node_id)
);

create table snapshots (
  id text not null,
  org_id text not null,
  owner_id text not null,
  box_id text not null,
  epoch integer not null,
  kind text not null,
  with_memory boolean not null,
  name text,
  kept boolean not null default false,
  state text not null,
  spec jsonb not null,
  image_digest text not null,
  compatibility text,
  parent_id text,
  allocated_bytes bigint,
  stored_bytes bigint,
  manifest_key text,
  progress double precision not null default 0,
  error text,
  replaced_by_id text,
  created_at timestamp with time zone not null default now(),
  taken_at timestamp with time zone,
  durable_at timestamp with time zone,
  deleted_at timestamp with time zone,
  team_id text,
  constraint snapshots_kind_check CHECK ((kind = ANY (ARRAY['pause'::text, 'stop'::text, 'fork'::text, 'checkpoint'::text, 'prebuild'::text]))),
  constraint snapshots_state_check CHECK ((state = ANY (ARRAY['requested'::text, 'local'::text, 'durable'::text, 'failed'::text, 'deleting'::text, 'deleted'::text]))),
  constraint snapshots_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint snapshots_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES users(id),
  constraint snapshots_replaced_by_id_fkey FOREIGN KEY (replaced_by_id) REFERENCES snapshots(id),
  constraint snapshots_team_id_fkey FOREIGN KEY (team_id) REFERENCES teams(id),
  constraint snapshots_pkey PRIMARY KEY (id)
);

create table ssh_keys (
  id text not null,
  org_id text not null,
  user_id text not null,
  name text not null,
  public_key text not null,
  fingerprint text not null,
  created_at timestamp with time zone not null default now(),
  revoked_at timestamp with time zone,
  parent_id text,
  expires_at timestamp with time zone,
  constraint ssh_keys_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint ssh_keys_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES tokens(id),
  constraint ssh_keys_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id),
  constraint ssh_keys_pkey PRIMARY KEY (id)
);

create table strays (
  box_id text not null,
  epoch integer not null,
  node_id text not null,
  generation bigint not null,
  boot_serial integer not null,
  snapshot_id text not null,
  is_lost boolean not null default false,
  created_at timestamp with time zone not null default now(),
  ended_at timestamp with time zone,
  constraint strays_box_id_fkey FOREIGN KEY (box_id) REFERENCES boxes(id),
  constraint strays_node_id_fkey FOREIGN KEY (node_id) REFERENCES nodes(id),
  constraint strays_snapshot_id_fkey FOREIGN KEY (snapshot_id) REFERENCES snapshots(id),
  constraint strays_pkey PRIMARY KEY (box_id, epoch)
);

create table teams (
  id text not null,
  org_id text not null,
  name text not null,
  created_at timestamp with time zone not null default now(),
  deleted_at timestamp with time zone,
  constraint teams_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint teams_pkey PRIMARY KEY (id)
);

create table template_versions (
  id text not null,
  org_id text not null,
  template_id text not null,
  number integer not null,
  definition jsonb not null,
  image_digest text not null,
  spec jsonb not null,
  env jsonb not null default '{}'::jsonb,
  hooks jsonb not null,
  build jsonb not null,
  state text not null,
  builder_box_id text,
  prebuild_snapshot_id text,
  build_step text,
  build_log text not null default ''::text,
  build_error text,
  created_at timestamp with time zone not null default now(),
  state_since timestamp with time zone not null default now(),
  constraint template_versions_state_check CHECK ((state = ANY (ARRAY['unbuilt'::text, 'building'::text, 'ready'::text, 'failed'::text]))),
  constraint template_versions_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint template_versions_template_id_fkey FOREIGN KEY (template_id) REFERENCES templates(id),
  constraint template_versions_pkey PRIMARY KEY (id),
  constraint template_versions_template_id_number_key UNIQUE (template_id, number)
);

create table templates (
  id text not null,
  org_id text not null,
  owner_id text not null,
  name text not null,
  last_number integer not null default 0,
  created_at timestamp with time zone not null default now(),
  deleted_at timestamp with time zone,
  constraint templates_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint templates_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES users(id),
  constraint templates_pkey PRIMARY KEY (id)
);

create table tenant_login (
  is_only boolean not null default true,
  key bytea not null,
  name text,
  password text,
  constraint tenant_login_is_only_check CHECK (is_only),
  constraint tenant_login_pkey PRIMARY KEY (is_only)
);

create table tokens (
  id text not null,
  hash text not null,
  org_id text not null,
  user_id text not null,
  name text not null,
  created_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone,
  revoked_at timestamp with time zone,
  last_used_at timestamp with time zone,
  scopes text[],
  parent_id text,
  constraint tokens_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint tokens_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES tokens(id),
  constraint tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id),
  constraint tokens_pkey PRIMARY KEY (id),
  constraint tokens_hash_key UNIQUE (hash)
);

create table usage_clock (
  is_only boolean not null default true,
  floor_at timestamp with time zone not null,
  rolled_until timestamp with time zone not null,
  rolled_org text,
  trimmed_id bigint not null default 0,
  constraint usage_clock_is_only_check CHECK (is_only),
  constraint usage_clock_pkey PRIMARY KEY (is_only)
);

create table usage_counts (
  hour timestamp with time zone not null,
  subject_id text not null,
  resource text not null,
  org_id text not null,
  team_id text,
  owner_id text not null,
  box_id text not null,
  template_id text not null,
  amount bigint not null,
  constraint usage_counts_resource_check CHECK ((resource = 'egress'::text)),
  constraint usage_counts_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint usage_counts_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES users(id),
  constraint usage_counts_team_id_fkey FOREIGN KEY (team_id) REFERENCES teams(id)
);

create table usage_intervals (
  id bigint not null generated always as identity,
  org_id text not null,
  team_id text,
  owner_id text not null,
  box_id text not null,
  template_id text not null,
  subject_id text not null,
  resource text not null,
  amount bigint not null,
  began_at timestamp with time zone not null,
  ended_at timestamp with time zone not null default 'infinity'::timestamp with time zone,
  constraint usage_intervals_amount_check CHECK ((amount > 0)),
  constraint usage_intervals_check CHECK ((ended_at >= began_at)),
  constraint usage_intervals_resource_check CHECK ((resource = ANY (ARRAY['vcpu'::text, 'memory'::text, 'gpu'::text, 'disk_running'::text, 'disk_paused'::text, 'disk_stopped'::text, 'snapshot'::text]))),
  constraint usage_intervals_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint usage_intervals_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES users(id),
  constraint usage_intervals_team_id_fkey FOREIGN KEY (team_id) REFERENCES teams(id),
  constraint usage_intervals_pkey PRIMARY KEY (id)
);

create table usage_rollups (
  id bigint not null generated always as identity,
  org_id text not null,
  team_id text,
  owner_id text not null,
  box_id text not null,
  template_id text not null,
  subject_id text not null,
  resource text not null,
  hour timestamp with time zone not null,
  amount numeric not null,
  cost numeric not null,
  currency text,
  constraint usage_rollups_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint usage_rollups_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES users(id),
  constraint usage_rollups_team_id_fkey FOREIGN KEY (team_id) REFERENCES teams(id),
  constraint usage_rollups_pkey PRIMARY KEY (id),
  constraint usage_rollups_subject_id_resource_hour_owner_id_team_id_key UNIQUE NULLS NOT DISTINCT (subject_id, resource, hour, owner_id, team_id)
);

create table usage_spend (
  org_id text not null,
  month date not null,
  team_id text not null default ''::text,
  cost numeric not null,
  constraint usage_spend_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint usage_spend_pkey PRIMARY KEY (org_id, month, team_id)
);

create table used_logins (
  id text not null,
  until timestamp with time zone not null,
  constraint used_logins_pkey PRIMARY KEY (id)
);

create table users (
  id text not null,
  name text not null,
  created_at timestamp with time zone not null default now(),
  email text,
  kind text not null default 'person'::text,
  is_operator boolean not null default false,
  disabled_at timestamp with time zone,
  home_org_id text,
  constraint users_kind_check CHECK ((kind = ANY (ARRAY['person'::text, 'service'::text]))),
  constraint users_home_org_id_fkey FOREIGN KEY (home_org_id) REFERENCES orgs(id),
  constraint users_pkey PRIMARY KEY (id)
);

create table volumes (
  id text not null,
  org_id text not null,
  owner_id text not null,
  box_id text not null,
  name text not null,
  mount_path text not null,
  size_gib integer not null,
  created_at timestamp with time zone not null default now(),
  deleted_at timestamp with time zone,
  constraint volumes_box_id_fkey FOREIGN KEY (box_id) REFERENCES boxes(id),
  constraint volumes_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint volumes_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES users(id),
  constraint volumes_pkey PRIMARY KEY (id)
);

create table web_sessions (
  id text not null,
  hash text not null,
  org_id text not null,
  user_id text not null,
  token_id text,
  created_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone not null,
  revoked_at timestamp with time zone,
  kind text not null default 'web'::text,
  constraint web_sessions_kind_check CHECK ((kind = ANY (ARRAY['web'::text, 'cli'::text]))),
  constraint web_sessions_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint web_sessions_token_id_fkey FOREIGN KEY (token_id) REFERENCES tokens(id),
  constraint web_sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id),
  constraint web_sessions_pkey PRIMARY KEY (id),
  constraint web_sessions_hash_key UNIQUE (hash)
);

CREATE INDEX audit_entries_actor ON public.audit_entries USING btree (org_id, actor_id, id);
CREATE INDEX audit_entries_org ON public.audit_entries USING btree (org_id, id);
CREATE UNIQUE INDEX audit_entries_source ON public.audit_entries USING btree (source_id) WHERE (source_id IS NOT NULL);
CREATE INDEX audit_entries_touched ON public.audit_entries USING gin (touched);
CREATE INDEX boxes_ending ON public.boxes USING btree (id) WHERE ((desired = 'deleted'::text) AND (deleted_at IS NULL));
CREATE INDEX boxes_ever ON public.boxes USING btree (org_id, id);
CREATE INDEX boxes_faulty ON public.boxes USING btree (id) WHERE (reserved AND (fault IS NOT NULL) AND (deleted_at IS NULL));
CREATE INDEX boxes_image ON public.boxes USING btree (image_digest) WHERE (deleted_at IS NULL);
CREATE INDEX boxes_made ON public.boxes USING btree (org_id, created_at) WHERE (kind = 'user'::text);
CREATE UNIQUE INDEX boxes_name ON public.boxes USING btree (org_id, name) WHERE (deleted_at IS NULL);
CREATE INDEX boxes_node ON public.boxes USING btree (node_id) WHERE reserved;
CREATE INDEX boxes_org ON public.boxes USING btree (org_id, id) WHERE (deleted_at IS NULL);
CREATE INDEX boxes_owned ON public.boxes USING btree (org_id, owner_id, id) WHERE (deleted_at IS NULL);
CREATE INDEX boxes_owner ON public.boxes USING btree (owner_id) WHERE reserved;
CREATE INDEX boxes_rest ON public.boxes USING btree (rest_snapshot_id) WHERE (deleted_at IS NULL);
CREATE INDEX boxes_resting ON public.boxes USING btree (id) WHERE (reserved AND (rest_snapshot_id IS NOT NULL) AND (deleted_at IS NULL));
CREATE INDEX boxes_restore ON public.boxes USING btree (restore_snapshot_id) WHERE (deleted_at IS NULL);
CREATE INDEX boxes_source ON public.boxes USING btree (source_snapshot_id) WHERE (deleted_at IS NULL);
CREATE INDEX boxes_team ON public.boxes USING btree (team_id, id) WHERE ((team_id IS NOT NULL) AND (deleted_at IS NULL));
CREATE INDEX boxes_unplaced ON public.boxes USING btree (place_tried_at NULLS FIRST, id) WHERE ((desired = 'running'::text) AND (NOT reserved) AND (failure IS NULL) AND (deleted_at IS NULL));
CREATE INDEX boxes_version ON public.boxes USING btree (template_version_id) WHERE (deleted_at IS NULL);
CREATE UNIQUE INDEX budgets_scope ON public.budgets USING btree (org_id, team_id) NULLS NOT DISTINCT WHERE (deleted_at IS NULL);
CREATE INDEX events_age ON public.events USING btree (at);
CREATE INDEX events_box ON public.events USING btree (box_id, id) WHERE (box_id IS NOT NULL);
CREATE INDEX events_budgets ON public.events USING btree (id) WHERE (subject_kind = 'budget'::text);
CREATE INDEX events_org ON public.events USING btree (org_id, id);
CREATE INDEX grants_org ON public.grants USING btree (org_id, id);
CREATE INDEX grants_scope ON public.grants USING btree (scope, scope_id, id);
CREATE INDEX grants_source ON public.grants USING btree (source) WHERE (source <> 'direct'::text);
CREATE UNIQUE INDEX grants_team ON public.grants USING btree (team_id, scope, scope_id, role, source) WHERE (team_id IS NOT NULL);
CREATE UNIQUE INDEX grants_user ON public.grants USING btree (user_id, scope, scope_id, role, source) WHERE (user_id IS NOT NULL);
CREATE INDEX idempotency_keys_age ON public.idempotency_keys USING btree (created_at);
CREATE INDEX identities_confirmed ON public.identities USING btree (provider_id, confirmed_at) WHERE (refused_at IS NULL);
CREATE INDEX identities_email ON public.identities USING btree (provider_id, lower(email));
CREATE UNIQUE INDEX identities_key ON public.identities USING btree (issuer, sub);
CREATE INDEX identities_sub ON public.identities USING btree (provider_id, sub);
CREATE INDEX identities_user ON public.identities USING btree (user_id, id);
CREATE INDEX invitations_org ON public.invitations USING btree (org_id, id) WHERE ((accepted_at IS NULL) AND (revoked_at IS NULL));
CREATE INDEX invitations_parent ON public.invitations USING btree (parent_id) WHERE (parent_id IS NOT NULL);
CREATE INDEX logins_check ON public.logins USING btree (check_at) WHERE (check_at IS NOT NULL);
CREATE INDEX logins_ended ON public.logins USING btree (session_id) WHERE ((ended_at IS NOT NULL) AND (refresh_token IS NOT NULL));
CREATE INDEX logins_identity ON public.logins USING btree (identity_id);
CREATE INDEX logins_provider ON public.logins USING btree (provider_id, sid);
CREATE UNIQUE INDEX nodes_name ON public.nodes USING btree (name) WHERE (status <> 'removed'::text);
CREATE INDEX operations_open ON public.operations USING btree (subject_id) WHERE (state = 'running'::text);
CREATE INDEX operations_org ON public.operations USING btree (org_id, id);
CREATE UNIQUE INDEX orgs_name ON public.orgs USING btree (name);
CREATE INDEX preview_labels_ended ON public.preview_labels USING btree (ended_at) WHERE (ended_at IS NOT NULL);
CREATE INDEX preview_labels_preview ON public.preview_labels USING btree (preview_id) WHERE (ended_at IS NULL);
CREATE INDEX preview_links_parent ON public.preview_links USING btree (parent_id) WHERE (parent_id IS NOT NULL);
CREATE INDEX preview_links_preview ON public.preview_links USING btree (preview_id, id) WHERE (revoked_at IS NULL);
CREATE INDEX previews_org ON public.previews USING btree (org_id, id) WHERE (closed_at IS NULL);
CREATE UNIQUE INDEX previews_port ON public.previews USING btree (box_id, port) WHERE (closed_at IS NULL);
CREATE INDEX price_books_org ON public.price_books USING btree (org_id, id);
CREATE INDEX provider_groups_org ON public.provider_groups USING btree (org_id, group_name);
CREATE UNIQUE INDEX providers_name ON public.providers USING btree (COALESCE(org_id, ''::text), name) WHERE (deleted_at IS NULL);
CREATE INDEX providers_org ON public.providers USING btree (org_id, id) WHERE (deleted_at IS NULL);
CREATE INDEX quota_deltas_org ON public.quota_deltas USING btree (org_id);
CREATE INDEX revocations_until ON public.revocations USING btree (until);
CREATE INDEX scim_groups_external ON public.scim_groups USING btree (org_id, external_id) WHERE (external_id IS NOT NULL);
CREATE UNIQUE INDEX scim_groups_name ON public.scim_groups USING btree (org_id, lower(display_name));
CREATE INDEX scim_groups_page ON public.scim_groups USING btree (org_id, id);
CREATE INDEX scim_members_member ON public.scim_members USING btree (member_id);
CREATE INDEX scim_tokens_ever ON public.scim_tokens USING btree (org_id);
CREATE INDEX scim_tokens_org ON public.scim_tokens USING btree (org_id, id) WHERE (revoked_at IS NULL);
CREATE INDEX scim_tokens_parent ON public.scim_tokens USING btree (parent_id) WHERE (parent_id IS NOT NULL);
CREATE INDEX scim_users_address ON public.scim_users USING btree (lower(user_name));
CREATE INDEX scim_users_email ON public.scim_users USING btree (lower(email));
CREATE INDEX scim_users_external ON public.scim_users USING btree (external_id);
CREATE UNIQUE INDEX scim_users_name ON public.scim_users USING btree (org_id, lower(user_name));
CREATE INDEX scim_users_page ON public.scim_users USING btree (org_id, id);
CREATE INDEX scim_users_user ON public.scim_users USING btree (user_id, org_id) WHERE (user_id IS NOT NULL);
CREATE INDEX snapshot_copies_node ON public.snapshot_copies USING btree (node_id);
CREATE INDEX snapshots_box ON public.snapshots USING btree (box_id);
CREATE INDEX snapshots_gone ON public.snapshots USING btree (deleted_at) WHERE (state = 'deleted'::text);
CREATE INDEX snapshots_image ON public.snapshots USING btree (image_digest) WHERE (state <> ALL (ARRAY['failed'::text, 'deleted'::text]));
CREATE INDEX snapshots_lost ON public.snapshots USING btree (id) WHERE (state = ANY (ARRAY['failed'::text, 'deleting'::text]));
CREATE INDEX snapshots_org ON public.snapshots USING btree (org_id, id) WHERE (state <> 'deleted'::text);
CREATE INDEX snapshots_parent ON public.snapshots USING btree (parent_id) WHERE (state = ANY (ARRAY['requested'::text, 'local'::text]));
CREATE UNIQUE INDEX ssh_keys_fingerprint ON public.ssh_keys USING btree (fingerprint, org_id) WHERE (revoked_at IS NULL);
CREATE INDEX ssh_keys_overdue ON public.ssh_keys USING btree (expires_at) WHERE ((revoked_at IS NULL) AND (expires_at IS NOT NULL));
CREATE INDEX ssh_keys_parent ON public.ssh_keys USING btree (parent_id) WHERE (parent_id IS NOT NULL);
CREATE INDEX ssh_keys_user ON public.ssh_keys USING btree (user_id, id) WHERE (revoked_at IS NULL);
CREATE INDEX strays_node ON public.strays USING btree (node_id) WHERE (ended_at IS NULL);
CREATE INDEX strays_snapshot ON public.strays USING btree (snapshot_id) WHERE (ended_at IS NULL);
CREATE UNIQUE INDEX teams_name ON public.teams USING btree (org_id, name) WHERE (deleted_at IS NULL);
CREATE INDEX template_versions_building ON public.template_versions USING btree (id) WHERE (state = 'building'::text);
CREATE INDEX template_versions_image ON public.template_versions USING btree (image_digest);
CREATE INDEX template_versions_prebuild ON public.template_versions USING btree (prebuild_snapshot_id) WHERE (prebuild_snapshot_id IS NOT NULL);
CREATE INDEX templates_ever ON public.templates USING btree (org_id, id);
CREATE UNIQUE INDEX templates_name ON public.templates USING btree (org_id, name) WHERE (deleted_at IS NULL);
CREATE INDEX tokens_overdue ON public.tokens USING btree (expires_at) WHERE ((revoked_at IS NULL) AND (expires_at IS NOT NULL));
CREATE INDEX tokens_parent ON public.tokens USING btree (parent_id) WHERE (parent_id IS NOT NULL);
CREATE INDEX tokens_user ON public.tokens USING btree (user_id, id) WHERE (revoked_at IS NULL);
CREATE UNIQUE INDEX usage_counts_key ON public.usage_counts USING btree (hour, subject_id, resource, owner_id, team_id) NULLS NOT DISTINCT;
CREATE INDEX usage_counts_org ON public.usage_counts USING btree (org_id, hour);
CREATE INDEX usage_intervals_age ON public.usage_intervals USING btree (ended_at);
CREATE UNIQUE INDEX usage_intervals_open ON public.usage_intervals USING btree (subject_id, resource) WHERE (ended_at = 'infinity'::timestamp with time zone);
CREATE INDEX usage_intervals_org ON public.usage_intervals USING btree (org_id, ended_at);
CREATE INDEX usage_intervals_subject ON public.usage_intervals USING btree (subject_id, ended_at);
CREATE INDEX usage_rollups_hour ON public.usage_rollups USING btree (org_id, hour);
CREATE INDEX usage_rollups_org ON public.usage_rollups USING btree (org_id, id);
CREATE INDEX used_logins_until ON public.used_logins USING btree (until);
CREATE UNIQUE INDEX users_email ON public.users USING btree (lower(email)) WHERE ((email IS NOT NULL) AND (kind = 'person'::text));
CREATE INDEX users_home ON public.users USING btree (home_org_id, id) WHERE (home_org_id IS NOT NULL);
CREATE INDEX users_name ON public.users USING btree (name);
CREATE INDEX users_operators ON public.users USING btree (created_at) WHERE is_operator;
CREATE UNIQUE INDEX users_service_name ON public.users USING btree (home_org_id, lower(name)) WHERE ((kind = 'service'::text) AND (disabled_at IS NULL));
CREATE INDEX volumes_box ON public.volumes USING btree (box_id);
CREATE INDEX volumes_org ON public.volumes USING btree (org_id, id) WHERE (deleted_at IS NULL);
CREATE INDEX web_sessions_age ON public.web_sessions USING btree (expires_at);
CREATE INDEX web_sessions_overdue ON public.web_sessions USING btree (expires_at) WHERE (revoked_at IS NULL);
CREATE INDEX web_sessions_token ON public.web_sessions USING btree (token_id) WHERE (revoked_at IS NULL);
CREATE INDEX web_sessions_user ON public.web_sessions USING btree (user_id, id) WHERE (revoked_at IS NULL);
CREATE OR REPLACE FUNCTION public.acting_org()
 RETURNS text
 LANGUAGE sql
RETURN CASE WHEN (hashtextextended(current_setting('berth.org'::text, true), (0)::bigint) = currval('bound_org'::regclass)) THEN current_setting('berth.org'::text, true) ELSE NULL::text END;
CREATE OR REPLACE FUNCTION public.bind_org(org text, proof bytea)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  path constant text := current_setting('search_path');
begin
  if not exists (select 1 from tenant_login l where proof = sha256(l.key || sha256(l.key || convert_to(org, 'UTF8')))) then
    raise exception 'no proof of the organization %', org using errcode = 'insufficient_privilege';
  end if;
  perform setval('bound_org', hashtextextended(org, 0));
  perform pg_advisory_unlock_all();
  discard temp;
  reset all;
  perform set_config('search_path', path, false), set_config('berth.org', org, false);
end $function$;
CREATE OR REPLACE FUNCTION public.box_lives(b boxes)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
RETURN (((b).deleted_at IS NULL) AND ((b).desired <> 'deleted'::text));
CREATE OR REPLACE FUNCTION public.box_runs(b boxes)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
RETURN (((b).deleted_at IS NULL) AND ((b).desired <> 'deleted'::text) AND ((b).reserved OR (((b).desired = 'running'::text) AND ((b).failure IS NULL))));
CREATE OR REPLACE FUNCTION public.budget_spent(b budgets)
 RETURNS numeric
 LANGUAGE sql
AS $function$
  select case when b.month = date_trunc('month', usage_wall() at time zone 'utc')::date
    then b.spent + b.per_hour / 3600
      * coalesce(greatest(0, extract(epoch from least(usage_wall() - b.judged_at, interval '5 minutes'))), 0)
    else 0 end
$function$;
CREATE OR REPLACE FUNCTION public.end_login()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  update logins set ended_at = new.revoked_at, check_at = null where session_id = new.id;
  return null;
end $function$;
CREATE OR REPLACE FUNCTION public.hold_events()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  perform pg_advisory_xact_lock_shared(tg_relid::integer, 0);
  return null;
end $function$;
CREATE OR REPLACE FUNCTION public.is_operator(the_user text)
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
RETURN (EXISTS (SELECT 1 FROM users u WHERE ((u.id = is_operator.the_user) AND u.is_operator)));
CREATE OR REPLACE FUNCTION public.is_suspended(person text, org text)
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
RETURN COALESCE((SELECT bool_and(((i.refused_at IS NOT NULL) AND (NOT (EXISTS (SELECT 1 FROM ((logins l JOIN web_sessions s ON ((s.id = l.session_id))) JOIN providers q ON ((q.id = l.provider_id))) WHERE ((l.identity_id = i.id) AND (s.revoked_at IS NULL) AND (COALESCE(q.org_id, is_suspended.org) = is_suspended.org))))))) AS bool_and FROM (identities i JOIN providers p ON ((p.id = i.provider_id))) WHERE ((i.user_id = is_suspended.person) AND (COALESCE(p.org_id, is_suspended.org) = is_suspended.org) AND ((p.deleted_at IS NULL) OR (i.refused_at IS NOT NULL)))), false);
CREATE OR REPLACE FUNCTION public.oldest_event()
 RETURNS bigint
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
RETURN (SELECT min(events.id) AS min FROM events);
CREATE OR REPLACE FUNCTION public.preview_shared(p previews)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
RETURN (((p).closed_at IS NULL) AND ((p).visibility <> 'private'::text));
CREATE OR REPLACE FUNCTION public.quota_admit(b boxes, scopes text[] DEFAULT ARRAY['org'::text, 'team'::text, 'user'::text])
 RETURNS void
 LANGUAGE plpgsql
 STABLE
AS $function$
declare
  holder record;
  template text;
  breach jsonb;
begin
  for holder in
    select * from quota_limits_of(b.org_id, b.team_id, b.owner_id) l where l.scope = any(scopes)
  loop
    select jsonb_build_object('resource', size.resource, 'limit', (holder.limits ->> size.resource)::bigint,
        'used', 0, 'wanted', size.amount) into breach
      from (values ('boxCpus', b.cpus), ('boxMemoryMib', b.memory_mib), ('boxDiskGib', b.disk_gib))
        as size (resource, amount)
      where size.amount > (holder.limits ->> size.resource)::bigint order by size.resource limit 1;
    if breach is null and b.kind = 'user' and jsonb_typeof(holder.limits -> 'templates') = 'array' then
      select v.template_id into template from template_versions v where v.id = b.template_version_id;
      if not holder.limits -> 'templates' ? template then
        breach := jsonb_build_object('resource', 'templates', 'limit', 0, 'used', 0, 'wanted', 0,
          'templateId', template, 'allowed', holder.limits -> 'templates');
      end if;
    end if;
    if breach is not null then
      raise exception 'no such box may be made' using errcode = 'BE002', detail = (breach
        || jsonb_build_object('orgId', b.org_id, 'scope', holder.scope, 'scopeId', holder.scope_id))::text;
    end if;
  end loop;
end $function$;
CREATE OR REPLACE FUNCTION public.quota_brought(the_box text, from_owner text)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
AS $function$
  select jsonb_build_object(
    'snapshotBytes', (select coalesce(sum(snapshot_bytes(s)), 0) from snapshots s where s.box_id = the_box
      and (from_owner is null or s.owner_id = from_owner)),
    'sharedPorts', (select count(*) from previews p where p.box_id = the_box and preview_shared(p)
      and (from_owner is null or p.owner_id = from_owner)))
$function$;
CREATE OR REPLACE FUNCTION public.quota_count_box()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  if tg_op <> 'INSERT' then perform quota_note_box(old, -1); end if;
  if tg_op <> 'DELETE' then perform quota_note_box(new, 1); end if;
  if tg_op = 'UPDATE' and (new.team_id is distinct from old.team_id or new.owner_id <> old.owner_id) then
    update snapshots set team_id = new.team_id,
      owner_id = case when owner_id = old.owner_id then new.owner_id else owner_id end where box_id = new.id;
    update previews set team_id = new.team_id,
      owner_id = case when owner_id = old.owner_id then new.owner_id else owner_id end where box_id = new.id;
  end if;
  return null;
end $function$;
CREATE OR REPLACE FUNCTION public.quota_count_preview()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  if tg_op <> 'INSERT' then perform quota_note_preview(old, -1); end if;
  if tg_op <> 'DELETE' then perform quota_note_preview(new, 1); end if;
  return null;
end $function$;
CREATE OR REPLACE FUNCTION public.quota_count_snapshot()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  if tg_op <> 'INSERT' then perform quota_note_snapshot(old, -1); end if;
  if tg_op <> 'DELETE' then perform quota_note_snapshot(new, 1); end if;
  return null;
end $function$;
CREATE OR REPLACE FUNCTION public.quota_creates(the_org text, the_scope text, the_id text)
 RETURNS bigint
 LANGUAGE sql
 STABLE
AS $function$
  select count(*) from boxes b where b.org_id = the_org and b.kind = 'user' and b.created_at > now() - interval '1 hour'
    and case the_scope when 'team' then b.team_id = the_id when 'user' then b.owner_id = the_id else true end
$function$;
CREATE OR REPLACE FUNCTION public.quota_demand(the_org text, the_team text, the_user text, need jsonb, scopes text[] DEFAULT ARRAY['org'::text, 'team'::text, 'user'::text])
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
  holder record;
  used jsonb;
  wanted record;
begin
  for holder in
    select * from quota_limits_of(the_org, the_team, the_user) l where l.scope = any(scopes)
  loop
    if not exists (select 1 from jsonb_each_text(need) n where n.value::bigint > 0 and holder.limits ? n.key) then
      continue;
    end if;
    perform pg_advisory_xact_lock(
      hashtextextended(concat_ws('/', 'berth.quota', the_org, holder.scope, holder.scope_id), 0));
    used := quota_used(the_org, holder.scope, holder.scope_id);
    if holder.limits ? 'createsPerHour' and need ? 'createsPerHour' then
      used := used || jsonb_build_object('createsPerHour', quota_creates(the_org, holder.scope, holder.scope_id));
    end if;
    for wanted in
      select n.key as resource, n.value::bigint as amount, (used ->> n.key)::bigint as used,
        (holder.limits ->> n.key)::bigint as maximum
      from jsonb_each_text(need) n where n.value::bigint > 0 and holder.limits ? n.key order by n.key
    loop
      if wanted.used + wanted.amount > wanted.maximum then
        raise exception 'over the limit of %', wanted.resource using errcode = 'BE002',
          detail = jsonb_build_object('orgId', the_org, 'scope', holder.scope, 'scopeId', holder.scope_id,
            'resource', wanted.resource, 'limit', wanted.maximum, 'used', wanted.used, 'wanted', wanted.amount)::text;
      end if;
    end loop;
  end loop;
end $function$;
CREATE OR REPLACE FUNCTION public.quota_gate_box()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  is_box constant integer := (new.kind = 'user')::integer;
  starts constant integer := (box_runs(new) and (tg_op = 'INSERT' or not box_runs(old)))::integer;
begin
  if tg_op = 'INSERT' then
    perform quota_admit(new);
    perform quota_demand(new.org_id, new.team_id, new.owner_id, jsonb_build_object(
      'boxes', is_box, 'createsPerHour', is_box, 'running', is_box * starts, 'cpus', new.cpus * starts,
      'memoryMib', new.memory_mib * starts, 'gpus', new.gpus * starts, 'diskGib', new.disk_gib));
  elsif starts = 1 then
    perform quota_demand(new.org_id, new.team_id, new.owner_id, jsonb_build_object(
      'running', is_box, 'cpus', new.cpus, 'memoryMib', new.memory_mib, 'gpus', new.gpus));
  end if;
  return new;
end $function$;
CREATE OR REPLACE FUNCTION public.quota_gate_box_given()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  is_box constant integer := (new.kind = 'user')::integer;
  runs constant integer := box_runs(new)::integer;
  taken constant jsonb := jsonb_build_object('boxes', is_box, 'running', is_box * runs, 'cpus', new.cpus * runs,
    'memoryMib', new.memory_mib * runs, 'gpus', new.gpus * runs, 'diskGib', new.disk_gib);
begin
  -- They will be the receiver's too; and whoever waits for a limit holds all rows that it will write.
  perform 1 from snapshots where box_id = new.id order by id for no key update;
  perform 1 from previews where box_id = new.id order by id for no key update;
  -- In the order of the locks.
  if new.team_id is distinct from old.team_id and new.team_id is not null then
    perform quota_admit(new, array['team']);
    perform quota_demand(new.org_id, new.team_id, null, taken || quota_brought(new.id, null), array['team']);
  end if;
  if new.owner_id <> old.owner_id then
    perform quota_admit(new, array['user']);
    perform quota_demand(new.org_id, null, new.owner_id, taken || quota_brought(new.id, old.owner_id), array['user']);
  end if;
  return new;
end $function$;
CREATE OR REPLACE FUNCTION public.quota_gate_preview()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  if tg_op = 'INSERT' then
    select b.team_id into new.team_id from boxes b where b.id = new.box_id;
  end if;
  if preview_shared(new) then
    perform quota_demand(new.org_id, new.team_id, new.owner_id, '{"sharedPorts": 1}');
  end if;
  return new;
end $function$;
CREATE OR REPLACE FUNCTION public.quota_gate_snapshot()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  select b.team_id into new.team_id from boxes b where b.id = new.box_id;
  if new.kind in ('checkpoint', 'fork') then
    perform quota_demand(new.org_id, new.team_id, new.owner_id,
      jsonb_build_object('snapshotBytes', snapshot_bytes(new)));
  end if;
  return new;
end $function$;
CREATE OR REPLACE FUNCTION public.quota_limits_of(the_org text, the_team text, the_user text)
 RETURNS TABLE(scope text, scope_id text, limits jsonb)
 LANGUAGE sql
 STABLE
AS $function$
  select h.scope, h.scope_id, coalesce(i.limits, '{}') || coalesce(d.limits, '{}') || coalesce(l.limits, '{}')
  from (values (1, 'org', the_org), (2, 'team', the_team), (3, 'user', the_user)) as h (turn, scope, scope_id)
  left join quota_limits l on l.org_id = the_org and l.scope = h.scope and l.scope_id = h.scope_id
  left join quota_limits d on d.org_id = the_org and d.scope = h.scope and d.scope_id = '*'
  left join quota_defaults i on i.scope = h.scope
  where h.scope_id is not null and (l.org_id is not null or d.org_id is not null or i.scope is not null) order by h.turn
$function$;
CREATE OR REPLACE FUNCTION public.quota_note_box(b boxes, sign integer)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
  runs constant integer := sign * box_runs(b)::integer;
  is_box constant integer := (b.kind = 'user')::integer;
begin
  if not box_lives(b) then return; end if;
  insert into quota_deltas (org_id, team_id, user_id, boxes, running, cpus, memory_mib, gpus, disk_gib)
  values (b.org_id, b.team_id, b.owner_id, sign * is_box, runs * is_box, runs * b.cpus, runs * b.memory_mib,
    runs * b.gpus, sign * b.disk_gib);
end $function$;
CREATE OR REPLACE FUNCTION public.quota_note_preview(p previews, sign integer)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  if not preview_shared(p) then return; end if;
  insert into quota_deltas (org_id, team_id, user_id, shared_ports) values (p.org_id, p.team_id, p.owner_id, sign);
end $function$;
CREATE OR REPLACE FUNCTION public.quota_note_snapshot(s snapshots, sign integer)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  if snapshot_bytes(s) = 0 then return; end if;
  insert into quota_deltas (org_id, team_id, user_id, snapshot_bytes)
  values (s.org_id, s.team_id, s.owner_id, sign * snapshot_bytes(s));
end $function$;
CREATE OR REPLACE FUNCTION public.quota_recount()
 RETURNS TABLE(org_id text, team_id text, user_id text, boxes bigint, running bigint, cpus bigint, memory_mib bigint, gpus bigint, disk_gib bigint, snapshot_bytes bigint, shared_ports bigint)
 LANGUAGE sql
 STABLE
AS $function$
  select org_id, team_id, user_id, sum(boxes)::bigint, sum(running)::bigint, sum(cpus)::bigint, sum(memory_mib)::bigint,
    sum(gpus)::bigint, sum(disk_gib)::bigint, sum(snapshot_bytes)::bigint, sum(shared_ports)::bigint
  from (
    select b.org_id, b.team_id, b.owner_id as user_id, (b.kind = 'user')::integer as boxes,
      (b.kind = 'user' and box_runs(b))::integer as running,
      case when box_runs(b) then b.cpus else 0 end as cpus,
      case when box_runs(b) then b.memory_mib else 0 end as memory_mib,
      case when box_runs(b) then b.gpus else 0 end as gpus,
      b.disk_gib, 0 as snapshot_bytes, 0 as shared_ports
    from boxes b where box_lives(b)
    union all
    select s.org_id, s.team_id, s.owner_id, 0, 0, 0, 0, 0, 0, snapshot_bytes(s), 0
    from snapshots s where s.state in ('requested', 'local', 'durable')
    union all
    select p.org_id, p.team_id, p.owner_id, 0, 0, 0, 0, 0, 0, 0, 1 from previews p where preview_shared(p)
  ) as taken group by org_id, team_id, user_id
$function$;
CREATE OR REPLACE FUNCTION public.quota_used(the_org text, the_scope text, the_id text)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
AS $function$
  select jsonb_build_object(
    'boxes', coalesce(sum(boxes), 0), 'running', coalesce(sum(running), 0), 'cpus', coalesce(sum(cpus), 0),
    'memoryMib', coalesce(sum(memory_mib), 0), 'gpus', coalesce(sum(gpus), 0), 'diskGib', coalesce(sum(disk_gib), 0),
    'snapshotBytes', coalesce(sum(snapshot_bytes), 0), 'sharedPorts', coalesce(sum(shared_ports), 0))
  from (
    select boxes, running, cpus, memory_mib, gpus, disk_gib, snapshot_bytes, shared_ports
    from quota_usage where org_id = the_org and scope = the_scope and scope_id = the_id
    union all
    select boxes, running, cpus, memory_mib, gpus, disk_gib, snapshot_bytes, shared_ports
    from quota_deltas where org_id = the_org
      and case the_scope when 'team' then team_id = the_id when 'user' then user_id = the_id else true end
  ) as taken
$function$;
CREATE OR REPLACE FUNCTION public.refuse_audit_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  raise exception 'the audit trail is append-only: % of % is refused', lower(tg_op), tg_table_name;
end $function$;
CREATE OR REPLACE FUNCTION public.refuse_audit_removal()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if tg_table_name = 'audit_seals' then
    if exists (select 1 from audit_chains c where c.chain = old.chain and c.anchor_seq >= old.seq) then
      return old;
    end if;
  elsif exists (select 1 from audit_seals s join audit_chains c on c.chain = s.chain
      where s.entry_id = old.id and c.anchor_seq >= s.seq) then
    return old;
  end if;
  raise exception 'the audit trail is append-only: delete of % is refused', tg_table_name;
end $function$;
CREATE OR REPLACE FUNCTION public.refuse_audit_rewind()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if new.head_seq < old.head_seq or new.anchor_seq < old.anchor_seq or new.anchor_seq > new.head_seq
    or (new.head_seq = old.head_seq and new.head_hash <> old.head_hash)
    or (new.anchor_seq = old.anchor_seq and new.anchor_hash <> old.anchor_hash)
    or (new.anchor_seq > 0 and new.anchor_signature is null) then
    raise exception 'the audit chain % only grows', old.chain;
  end if;
  return new;
end $function$;
CREATE OR REPLACE FUNCTION public.refuse_foreign()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  is_foreign boolean;
begin
  case tg_table_name
    when 'boxes' then
      is_foreign := exists (select 1 from template_versions v where v.id = new.template_version_id and v.org_id <> new.org_id)
        or exists (select 1 from teams t where t.id = new.team_id and t.org_id <> new.org_id)
        or exists (select 1 from snapshots s where s.org_id <> new.org_id
          and s.id in (new.source_snapshot_id, new.rest_snapshot_id, new.restore_snapshot_id));
    when 'template_versions' then
      is_foreign := exists (select 1 from snapshots s where s.id = new.prebuild_snapshot_id and s.org_id <> new.org_id)
        or exists (select 1 from boxes b where b.id = new.builder_box_id and b.org_id <> new.org_id);
    when 'snapshots' then
      is_foreign := exists (select 1 from boxes b where b.id = new.box_id and b.org_id <> new.org_id)
        or exists (select 1 from snapshots s where s.id = new.parent_id and s.org_id <> new.org_id);
    when 'preview_links' then
      is_foreign := exists (select 1 from previews p where p.id = new.preview_id and p.org_id <> new.org_id);
    when 'grants' then
      is_foreign := case new.scope
        when 'org' then new.scope_id <> new.org_id
        when 'team' then exists (select 1 from teams t where t.id = new.scope_id and t.org_id <> new.org_id)
        when 'box' then exists (select 1 from boxes b where b.id = new.scope_id and b.org_id <> new.org_id) end
        or exists (select 1 from teams t where t.id = new.team_id and t.org_id <> new.org_id);
    else
      is_foreign := exists (select 1 from boxes b where b.id = new.box_id and b.org_id <> new.org_id);
  end case;
  if is_foreign then
    raise exception 'a row of % refers to another organization''s', tg_table_name using errcode = 'insufficient_privilege';
  end if;
  return null;
end $function$;
CREATE OR REPLACE FUNCTION public.snapshot_bytes(s snapshots)
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE
RETURN CASE WHEN ((s).state = 'durable'::text) THEN COALESCE((s).stored_bytes, (s).allocated_bytes, (0)::bigint) WHEN ((s).state = 'local'::text) THEN COALESCE((s).allocated_bytes, (0)::bigint) WHEN (((s).state = 'requested'::text) AND ((s).kind = ANY (ARRAY['checkpoint'::text, 'fork'::text]))) THEN ((((((s).spec ->> 'rootDiskGib'::text))::bigint + (((s).spec ->> 'homeDiskGib'::text))::bigint) * 1073741824) + CASE WHEN (s).with_memory THEN ((((s).spec ->> 'memoryMib'::text))::bigint * 1048576) ELSE (0)::bigint END) ELSE (0)::bigint END;
CREATE OR REPLACE FUNCTION public.usage_box_changed()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  perform usage_follow(new);
  if tg_op = 'UPDATE' and new.team_id is distinct from old.team_id then
    perform usage_follow_snapshot(s) from snapshots s where s.box_id = new.id and s.state = 'durable' order by s.id;
  end if;
  return null;
end $function$;
CREATE OR REPLACE FUNCTION public.usage_budget_gate()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  this_month constant date := date_trunc('month', usage_wall() at time zone 'utc')::date;
  is_given constant boolean := tg_op = 'UPDATE' and new.desired = old.desired;
  found_budget budgets;
begin
  select b.* into found_budget from budgets b
    where b.org_id = new.org_id and (b.team_id = new.team_id or (b.team_id is null and not is_given))
      and b.deleted_at is null and b.policy <> 'warn'
      and (b.exhausted_month = this_month or budget_spent(b) >= b.amount)
    order by b.team_id nulls first limit 1;
  if found then
    raise exception 'a budget is spent' using errcode = 'BE001', detail = jsonb_build_object(
      'budgetId', found_budget.id, 'team', (select name from teams where id = found_budget.team_id),
      'amount', trim_scale(found_budget.amount)::text,
      'spent', trim_scale(round(budget_spent(found_budget), 9))::text,
      'currency', (select currency from price_books where org_id is null order by id desc limit 1),
      'month', to_char(this_month, 'YYYY-MM-DD'))::text;
  end if;
  return new;
end $function$;
CREATE OR REPLACE FUNCTION public.usage_egress_moved()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  moved constant bigint := new.bytes - case when tg_op = 'UPDATE' then old.bytes else 0 end;
begin
  if moved <= 0 then return null; end if;
  insert into usage_counts as c
      (hour, subject_id, resource, org_id, team_id, owner_id, box_id, template_id, amount)
    select date_trunc('hour', usage_now(), 'UTC'), b.id, 'egress', b.org_id, b.team_id, b.owner_id, b.id,
      v.template_id, moved
    from boxes b join template_versions v on v.id = b.template_version_id where b.id = new.box_id
    on conflict (hour, subject_id, resource, owner_id, team_id) do update set amount = c.amount + excluded.amount;
  return null;
end $function$;
CREATE OR REPLACE FUNCTION public.usage_follow(b boxes)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
  on_host constant boolean := b.reserved and b.observed_state in ('down', 'up', 'ready', 'frozen');
  runs constant boolean := on_host and b.observed_state <> 'down';
  is_over constant boolean := b.deleted_at is not null or b.desired = 'deleted';
  disk text;
  resources text[] := '{}';
  amounts bigint[] := '{}';
begin
  if not is_over and runs then
    resources := array['vcpu', 'memory', 'gpu'];
    amounts := array[b.cpus, b.memory_mib, b.gpus];
  end if;
  disk := case
    when is_over then null
    when on_host then 'disk_running'
    when b.reserved or b.rest_snapshot_id is null then null
    when b.source_with_memory then 'disk_paused'
    else 'disk_stopped' end;
  if disk is not null then
    resources := resources || disk;
    amounts := amounts || b.disk_gib::bigint;
  end if;
  perform usage_set(b.id, b.id, b.org_id, b.team_id, b.owner_id, b.template_version_id, resources, amounts);
end $function$;
CREATE OR REPLACE FUNCTION public.usage_follow_snapshot(s snapshots)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
  b boxes;
  bytes constant bigint := case when s.state = 'durable' then coalesce(s.stored_bytes, 0) else 0 end;
begin
  select * into b from boxes where id = s.box_id;
  if not found then return; end if;
  perform usage_set(s.id, s.box_id, s.org_id, b.team_id, s.owner_id, b.template_version_id,
    array['snapshot'], array[bytes]);
end $function$;
CREATE OR REPLACE FUNCTION public.usage_now()
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
AS $function$
declare
  lowest timestamptz;
begin
  perform pg_advisory_xact_lock_shared('usage_intervals'::regclass::oid::integer, 0);
  select floor_at into strict lowest from usage_clock;
  return greatest(usage_wall(), lowest);
end $function$;
CREATE OR REPLACE FUNCTION public.usage_set(the_subject text, the_box text, the_org text, the_team text, the_owner text, version text, resources text[], amounts bigint[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '$user', 'public'
AS $function$
declare
  moment timestamptz := usage_now();
begin
  select greatest(moment, max(began_at)) into moment from usage_intervals
    where subject_id = the_subject and ended_at = 'infinity';
  select greatest(moment, max(ended_at)) into moment from (
    select ended_at from usage_intervals where subject_id = the_subject and ended_at < 'infinity'
    order by ended_at desc limit 1) as newest;
  update usage_intervals i set ended_at = moment
    where i.subject_id = the_subject and i.ended_at = 'infinity'
      and not exists (select 1 from unnest(resources, amounts) as w (resource, amount)
        where w.resource = i.resource and w.amount = i.amount
          and i.team_id is not distinct from the_team and i.owner_id = the_owner);
  insert into usage_intervals
      (org_id, team_id, owner_id, box_id, template_id, subject_id, resource, amount, began_at)
    select the_org, the_team, the_owner, the_box,
      (select v.template_id from template_versions v where v.id = version), the_subject,
      w.resource, w.amount, moment
    from unnest(resources, amounts) as w (resource, amount)
    where w.amount > 0 and not exists (select 1 from usage_intervals i
      where i.subject_id = the_subject and i.resource = w.resource and i.ended_at = 'infinity')
    order by w.resource;
end $function$;
CREATE OR REPLACE FUNCTION public.usage_snapshot_changed()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  perform usage_follow_snapshot(new);
  return null;
end $function$;
CREATE OR REPLACE FUNCTION public.usage_wall()
 RETURNS timestamp with time zone
 LANGUAGE sql
AS $function$select clock_timestamp()$function$;
CREATE OR REPLACE FUNCTION public.was_trusted(the_provider text)
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
RETURN (EXISTS (SELECT 1 FROM providers p WHERE ((p.id = was_trusted.the_provider) AND p.is_trusted)));
CREATE TRIGGER audit_chains_emptied BEFORE TRUNCATE ON public.audit_chains FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_chains_grow BEFORE UPDATE ON public.audit_chains FOR EACH ROW EXECUTE FUNCTION refuse_audit_rewind();
CREATE TRIGGER audit_chains_kept BEFORE DELETE ON public.audit_chains FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_entries_emptied BEFORE TRUNCATE ON public.audit_entries FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_entries_held BEFORE INSERT ON public.audit_entries FOR EACH STATEMENT EXECUTE FUNCTION hold_events();
CREATE TRIGGER audit_entries_kept BEFORE UPDATE ON public.audit_entries FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_entries_removed BEFORE DELETE ON public.audit_entries FOR EACH ROW EXECUTE FUNCTION refuse_audit_removal();
CREATE TRIGGER audit_seals_emptied BEFORE TRUNCATE ON public.audit_seals FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_seals_kept BEFORE UPDATE ON public.audit_seals FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_seals_removed BEFORE DELETE ON public.audit_seals FOR EACH ROW EXECUTE FUNCTION refuse_audit_removal();
CREATE TRIGGER boxes_refer AFTER INSERT OR UPDATE OF org_id, template_version_id, team_id, source_snapshot_id, rest_snapshot_id, restore_snapshot_id ON public.boxes FOR EACH ROW EXECUTE FUNCTION refuse_foreign();
CREATE TRIGGER end_login AFTER UPDATE OF revoked_at ON public.web_sessions FOR EACH ROW WHEN (((old.revoked_at IS NULL) AND (new.revoked_at IS NOT NULL))) EXECUTE FUNCTION end_login();
CREATE TRIGGER events_held BEFORE INSERT ON public.events FOR EACH STATEMENT EXECUTE FUNCTION hold_events();
CREATE TRIGGER grants_refer AFTER INSERT OR UPDATE OF org_id, scope, scope_id, team_id ON public.grants FOR EACH ROW EXECUTE FUNCTION refuse_foreign();
CREATE TRIGGER preview_links_refer AFTER INSERT OR UPDATE OF org_id, preview_id ON public.preview_links FOR EACH ROW EXECUTE FUNCTION refuse_foreign();
CREATE TRIGGER previews_refer AFTER INSERT OR UPDATE OF org_id, box_id ON public.previews FOR EACH ROW EXECUTE FUNCTION refuse_foreign();
CREATE TRIGGER quota_box_counted AFTER INSERT OR DELETE ON public.boxes FOR EACH ROW EXECUTE FUNCTION quota_count_box();
CREATE TRIGGER quota_box_given BEFORE UPDATE ON public.boxes FOR EACH ROW WHEN ((box_lives(new.*) AND ((new.team_id IS DISTINCT FROM old.team_id) OR (new.owner_id <> old.owner_id)))) EXECUTE FUNCTION quota_gate_box_given();
CREATE TRIGGER quota_box_made BEFORE INSERT ON public.boxes FOR EACH ROW EXECUTE FUNCTION quota_gate_box();
CREATE TRIGGER quota_box_recounted AFTER UPDATE ON public.boxes FOR EACH ROW WHEN ((((((((((box_lives(old.*) IS DISTINCT FROM box_lives(new.*)) OR (box_runs(old.*) IS DISTINCT FROM box_runs(new.*))) OR (old.org_id IS DISTINCT FROM new.org_id)) OR (old.team_id IS DISTINCT FROM new.team_id)) OR (old.owner_id IS DISTINCT FROM new.owner_id)) OR (old.cpus IS DISTINCT FROM new.cpus)) OR (old.memory_mib IS DISTINCT FROM new.memory_mib)) OR (old.gpus IS DISTINCT FROM new.gpus)) OR (old.disk_gib IS DISTINCT FROM new.disk_gib))) EXECUTE FUNCTION quota_count_box();
CREATE TRIGGER quota_box_started BEFORE UPDATE ON public.boxes FOR EACH ROW WHEN (((new.generation > old.generation) AND box_runs(new.*) AND (NOT box_runs(old.*)))) EXECUTE FUNCTION quota_gate_box();
CREATE TRIGGER quota_preview_counted AFTER INSERT OR DELETE ON public.previews FOR EACH ROW EXECUTE FUNCTION quota_count_preview();
CREATE TRIGGER quota_preview_made BEFORE INSERT ON public.previews FOR EACH ROW EXECUTE FUNCTION quota_gate_preview();
CREATE TRIGGER quota_preview_recounted AFTER UPDATE ON public.previews FOR EACH ROW WHEN (((((preview_shared(old.*) IS DISTINCT FROM preview_shared(new.*)) OR (old.org_id IS DISTINCT FROM new.org_id)) OR (old.team_id IS DISTINCT FROM new.team_id)) OR (old.owner_id IS DISTINCT FROM new.owner_id))) EXECUTE FUNCTION quota_count_preview();
CREATE TRIGGER quota_preview_widened BEFORE UPDATE ON public.previews FOR EACH ROW WHEN ((preview_shared(new.*) AND (NOT preview_shared(old.*)))) EXECUTE FUNCTION quota_gate_preview();
CREATE TRIGGER quota_snapshot_counted AFTER INSERT OR DELETE ON public.snapshots FOR EACH ROW EXECUTE FUNCTION quota_count_snapshot();
CREATE TRIGGER quota_snapshot_made BEFORE INSERT ON public.snapshots FOR EACH ROW EXECUTE FUNCTION quota_gate_snapshot();
CREATE TRIGGER quota_snapshot_recounted AFTER UPDATE ON public.snapshots FOR EACH ROW WHEN (((((snapshot_bytes(old.*) IS DISTINCT FROM snapshot_bytes(new.*)) OR (old.org_id IS DISTINCT FROM new.org_id)) OR (old.team_id IS DISTINCT FROM new.team_id)) OR (old.owner_id IS DISTINCT FROM new.owner_id))) EXECUTE FUNCTION quota_count_snapshot();
CREATE TRIGGER snapshots_refer AFTER INSERT OR UPDATE OF org_id, box_id, parent_id ON public.snapshots FOR EACH ROW EXECUTE FUNCTION refuse_foreign();
CREATE TRIGGER template_versions_refer AFTER INSERT OR UPDATE OF org_id, prebuild_snapshot_id, builder_box_id ON public.template_versions FOR EACH ROW EXECUTE FUNCTION refuse_foreign();
CREATE TRIGGER usage_box_changed AFTER UPDATE ON public.boxes FOR EACH ROW WHEN ((((((((((((((old.desired = 'deleted'::text) IS DISTINCT FROM (new.desired = 'deleted'::text)) OR ((old.deleted_at IS NULL) IS DISTINCT FROM (new.deleted_at IS NULL))) OR (old.reserved IS DISTINCT FROM new.reserved)) OR (old.observed_state IS DISTINCT FROM new.observed_state)) OR ((old.rest_snapshot_id IS NULL) IS DISTINCT FROM (new.rest_snapshot_id IS NULL))) OR (old.source_with_memory IS DISTINCT FROM new.source_with_memory)) OR (old.cpus IS DISTINCT FROM new.cpus)) OR (old.memory_mib IS DISTINCT FROM new.memory_mib)) OR (old.gpus IS DISTINCT FROM new.gpus)) OR (old.disk_gib IS DISTINCT FROM new.disk_gib)) OR (old.team_id IS DISTINCT FROM new.team_id)) OR (old.owner_id IS DISTINCT FROM new.owner_id))) EXECUTE FUNCTION usage_box_changed();
CREATE TRIGGER usage_box_made AFTER INSERT ON public.boxes FOR EACH ROW WHEN ((new.reserved OR (new.rest_snapshot_id IS NOT NULL))) EXECUTE FUNCTION usage_box_changed();
CREATE TRIGGER usage_budget_given BEFORE UPDATE ON public.boxes FOR EACH ROW WHEN (((new.desired = 'running'::text) AND (old.desired = 'running'::text) AND (new.team_id IS DISTINCT FROM old.team_id) AND (new.team_id IS NOT NULL))) EXECUTE FUNCTION usage_budget_gate();
CREATE TRIGGER usage_budget_made BEFORE INSERT ON public.boxes FOR EACH ROW WHEN ((new.desired = 'running'::text)) EXECUTE FUNCTION usage_budget_gate();
CREATE TRIGGER usage_budget_started BEFORE UPDATE ON public.boxes FOR EACH ROW WHEN (((new.desired = 'running'::text) AND (old.desired <> 'running'::text) AND (NOT (old.reserved AND (old.rest_snapshot_id IS NOT NULL) AND (new.rest_snapshot_id IS NULL))))) EXECUTE FUNCTION usage_budget_gate();
CREATE TRIGGER usage_egress_moved AFTER INSERT OR UPDATE ON public.egress_counters FOR EACH ROW EXECUTE FUNCTION usage_egress_moved();
CREATE TRIGGER usage_snapshot_changed AFTER UPDATE ON public.snapshots FOR EACH ROW WHEN (((((old.state = 'durable'::text) IS DISTINCT FROM (new.state = 'durable'::text)) OR (old.stored_bytes IS DISTINCT FROM new.stored_bytes)) OR (old.owner_id IS DISTINCT FROM new.owner_id))) EXECUTE FUNCTION usage_snapshot_changed();
CREATE TRIGGER usage_snapshot_made AFTER INSERT ON public.snapshots FOR EACH ROW WHEN ((new.state = 'durable'::text)) EXECUTE FUNCTION usage_snapshot_changed();
CREATE TRIGGER volumes_refer AFTER INSERT OR UPDATE OF org_id, box_id ON public.volumes FOR EACH ROW EXECUTE FUNCTION refuse_foreign();
create policy own on audit_chains for all to berth_tenant
  using (chain = ( SELECT acting_org() AS acting_org));
create policy own on audit_entries for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on audit_policies for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on audit_seals for all to berth_tenant
  using (chain = ( SELECT acting_org() AS acting_org));
create policy own on boxes for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on budget_alerts for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on budgets for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on egress_counters for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on events for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on grants for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on idempotency_keys for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on identities for select to berth_tenant
  using (EXISTS ( SELECT 1
   FROM providers p
  WHERE ((p.id = identities.provider_id) AND (p.org_id = ( SELECT acting_org() AS acting_org)))));
create policy own on invitations for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on operations for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on orgs for all to berth_tenant
  using (id = ( SELECT acting_org() AS acting_org));
create policy own on preview_labels for all to berth_tenant
  using (EXISTS ( SELECT 1
   FROM previews p
  WHERE ((p.id = preview_labels.preview_id) AND (p.org_id = ( SELECT acting_org() AS acting_org)))));
create policy own on preview_links for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on previews for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on price_books for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy shared on price_books for select to berth_tenant
  using (org_id IS NULL);
create policy own on provider_groups for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy not_trusted on providers for insert to berth_tenant
  with check (NOT is_trusted);
create policy not_trusted_now on providers for update to berth_tenant
  with check ((NOT is_trusted) OR was_trusted(id));
create policy own on providers for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy shared on providers for select to berth_tenant
  using (org_id IS NULL);
create policy own on quota_deltas for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on quota_limits for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on quota_usage for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy known on revocations for select to berth_tenant
  using true;
create policy own on revocations for insert to berth_tenant
  with check ((EXISTS ( SELECT 1
   FROM tokens t
  WHERE ((t.id = revocations.credential_id) AND (t.org_id = ( SELECT acting_org() AS acting_org))))) OR (EXISTS ( SELECT 1
   FROM web_sessions s
  WHERE ((s.id = revocations.credential_id) AND (s.org_id = ( SELECT acting_org() AS acting_org))))) OR (EXISTS ( SELECT 1
   FROM ssh_keys k
  WHERE ((k.id = revocations.credential_id) AND (k.org_id = ( SELECT acting_org() AS acting_org))))) OR (EXISTS ( SELECT 1
   FROM preview_links l
  WHERE ((l.id = revocations.credential_id) AND (l.org_id = ( SELECT acting_org() AS acting_org))))));
create policy own on scim_groups for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on scim_members for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on scim_tokens for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on scim_users for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on snapshot_copies for all to berth_tenant
  using (EXISTS ( SELECT 1
   FROM snapshots s
  WHERE ((s.id = snapshot_copies.snapshot_id) AND (s.org_id = ( SELECT acting_org() AS acting_org)))));
create policy own on snapshots for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on ssh_keys for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on strays for all to berth_tenant
  using (EXISTS ( SELECT 1
   FROM boxes b
  WHERE ((b.id = strays.box_id) AND (b.org_id = ( SELECT acting_org() AS acting_org)))));
create policy own on teams for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on template_versions for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on templates for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy no_operators on tokens for insert to berth_tenant
  with check (NOT is_operator(user_id));
create policy own on tokens for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on usage_counts for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on usage_intervals for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on usage_rollups for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy own on usage_spend for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy changed on users for update to berth_tenant
  using ((home_org_id = ( SELECT acting_org() AS acting_org)) AND (kind = 'service'::text));
create policy held on users for update to berth_tenant
  using ((EXISTS ( SELECT 1
   FROM grants g
  WHERE ((g.user_id = users.id) AND (g.org_id = ( SELECT acting_org() AS acting_org))))) OR (EXISTS ( SELECT 1
   FROM scim_users s
  WHERE ((s.user_id = users.id) AND (s.org_id = ( SELECT acting_org() AS acting_org))))))
  with check false;
create policy known on users for select to berth_tenant
  using ((home_org_id = ( SELECT acting_org() AS acting_org)) OR (EXISTS ( SELECT 1
   FROM grants g
  WHERE ((g.user_id = users.id) AND (g.org_id = ( SELECT acting_org() AS acting_org))))));
create policy listed on users for select to berth_tenant
  using (EXISTS ( SELECT 1
   FROM scim_users s
  WHERE ((s.user_id = users.id) AND (s.org_id = ( SELECT acting_org() AS acting_org)))));
create policy made on users for insert to berth_tenant
  with check ((home_org_id = ( SELECT acting_org() AS acting_org)) AND (kind = 'service'::text) AND (NOT is_operator));
create policy own on volumes for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
create policy no_operators on web_sessions for insert to berth_tenant
  with check (NOT is_operator(user_id));
create policy own on web_sessions for all to berth_tenant
  using (org_id = ( SELECT acting_org() AS acting_org))
  with check (org_id = ( SELECT acting_org() AS acting_org));
grant select on audit_chains to berth_tenant;
grant insert, select on audit_entries to berth_tenant;
grant delete, insert, select, update on audit_policies to berth_tenant;
grant select on audit_seals to berth_tenant;
grant select on audit_state to berth_tenant;
grant insert, select, update on boxes to berth_tenant;
grant insert, select on budget_alerts to berth_tenant;
grant insert, select, update on budgets to berth_tenant;
grant insert, select on events to berth_tenant;
grant select on gateways to berth_tenant;
grant delete, insert, select, update on grants to berth_tenant;
grant insert, select, update on idempotency_keys to berth_tenant;
grant select on identities to berth_tenant;
grant insert, select, update on invitations to berth_tenant;
grant select on node_revisions to berth_tenant;
grant select on nodes to berth_tenant;
grant insert, select, update on operations to berth_tenant;
grant select on orgs to berth_tenant;
grant insert, select, update on preview_labels to berth_tenant;
grant insert, select, update on preview_links to berth_tenant;
grant insert, select, update on previews to berth_tenant;
grant select on price_books to berth_tenant;
grant delete, insert, select, update on provider_groups to berth_tenant;
grant insert, select on providers to berth_tenant;
grant select on quota_defaults to berth_tenant;
grant select on quota_deltas to berth_tenant;
grant insert, select, update on quota_limits to berth_tenant;
grant select on quota_usage to berth_tenant;
grant insert, select on revocations to berth_tenant;
grant delete, insert, select, update on scim_groups to berth_tenant;
grant delete, insert, select, update on scim_members to berth_tenant;
grant insert, select on scim_tokens to berth_tenant;
grant delete, insert, select, update on scim_users to berth_tenant;
grant select on snapshot_copies to berth_tenant;
grant insert, select, update on snapshots to berth_tenant;
grant insert, select on ssh_keys to berth_tenant;
grant insert, select, update on strays to berth_tenant;
grant insert, select, update on teams to berth_tenant;
grant insert, select, update on template_versions to berth_tenant;
grant insert, select, update on templates to berth_tenant;
grant insert, select on tokens to berth_tenant;
grant select on usage_clock to berth_tenant;
grant select on usage_counts to berth_tenant;
grant select on usage_intervals to berth_tenant;
grant select on usage_rollups to berth_tenant;
grant select on usage_spend to berth_tenant;
grant insert, select on users to berth_tenant;
grant insert, select, update on volumes to berth_tenant;
grant insert, select on web_sessions to berth_tenant;
