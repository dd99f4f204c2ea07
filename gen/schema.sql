-- Printed by `sh tools/run.sh tools/schema.ts` from src/store/migrations. Do not edit.

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
  constraint boxes_desired_check CHECK ((desired = ANY (ARRAY['running'::text, 'paused'::text, 'stopped'::text, 'deleted'::text]))),
  constraint boxes_kind_check CHECK ((kind = ANY (ARRAY['user'::text, 'builder'::text]))),
  constraint boxes_node_id_fkey FOREIGN KEY (node_id) REFERENCES nodes(id),
  constraint boxes_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint boxes_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES users(id),
  constraint boxes_rest_snapshot_id_fkey FOREIGN KEY (rest_snapshot_id) REFERENCES snapshots(id),
  constraint boxes_restore_snapshot_id_fkey FOREIGN KEY (restore_snapshot_id) REFERENCES snapshots(id),
  constraint boxes_source_snapshot_id_fkey FOREIGN KEY (source_snapshot_id) REFERENCES snapshots(id),
  constraint boxes_template_version_id_fkey FOREIGN KEY (template_version_id) REFERENCES template_versions(id),
  constraint boxes_pkey PRIMARY KEY (id)
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

create table idempotency_keys (
  org_id text not null,
  user_id text not null,
  key text not null,
  request_hash text not null,
  answer jsonb,
  created_at timestamp with time zone not null default now(),
  constraint idempotency_keys_pkey PRIMARY KEY (org_id, user_id, key)
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
  constraint preview_links_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint preview_links_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES users(id),
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
  constraint previews_port_check CHECK (((port >= 2) AND (port <= 65535))),
  constraint previews_visibility_check CHECK ((visibility = ANY (ARRAY['private'::text, 'org'::text, 'public'::text]))),
  constraint previews_box_id_fkey FOREIGN KEY (box_id) REFERENCES boxes(id),
  constraint previews_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint previews_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES users(id),
  constraint previews_pkey PRIMARY KEY (id),
  constraint previews_label_key UNIQUE (label)
);

create table revocations (
  credential_id text not null,
  until timestamp with time zone not null,
  created_at timestamp with time zone not null default now(),
  constraint revocations_pkey PRIMARY KEY (credential_id)
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
  constraint snapshots_kind_check CHECK ((kind = ANY (ARRAY['pause'::text, 'stop'::text, 'fork'::text, 'checkpoint'::text, 'prebuild'::text]))),
  constraint snapshots_state_check CHECK ((state = ANY (ARRAY['requested'::text, 'local'::text, 'durable'::text, 'failed'::text, 'deleting'::text, 'deleted'::text]))),
  constraint snapshots_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint snapshots_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES users(id),
  constraint snapshots_replaced_by_id_fkey FOREIGN KEY (replaced_by_id) REFERENCES snapshots(id),
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
  constraint ssh_keys_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
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
  constraint tokens_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id),
  constraint tokens_pkey PRIMARY KEY (id),
  constraint tokens_hash_key UNIQUE (hash)
);

create table users (
  id text not null,
  org_id text not null,
  name text not null,
  is_admin boolean not null default false,
  created_at timestamp with time zone not null default now(),
  constraint users_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint users_pkey PRIMARY KEY (id),
  constraint users_org_id_name_key UNIQUE (org_id, name)
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
  token_id text not null,
  created_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone not null,
  revoked_at timestamp with time zone,
  constraint web_sessions_org_id_fkey FOREIGN KEY (org_id) REFERENCES orgs(id),
  constraint web_sessions_token_id_fkey FOREIGN KEY (token_id) REFERENCES tokens(id),
  constraint web_sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id),
  constraint web_sessions_pkey PRIMARY KEY (id),
  constraint web_sessions_hash_key UNIQUE (hash)
);

CREATE UNIQUE INDEX boxes_name ON public.boxes USING btree (org_id, name) WHERE (deleted_at IS NULL);
CREATE INDEX boxes_node ON public.boxes USING btree (node_id) WHERE reserved;
CREATE INDEX boxes_org ON public.boxes USING btree (org_id, id) WHERE (deleted_at IS NULL);
CREATE INDEX boxes_owner ON public.boxes USING btree (owner_id) WHERE reserved;
CREATE INDEX boxes_rest ON public.boxes USING btree (rest_snapshot_id) WHERE (deleted_at IS NULL);
CREATE INDEX boxes_restore ON public.boxes USING btree (restore_snapshot_id) WHERE (deleted_at IS NULL);
CREATE INDEX boxes_source ON public.boxes USING btree (source_snapshot_id) WHERE (deleted_at IS NULL);
CREATE INDEX boxes_unplaced ON public.boxes USING btree (place_tried_at NULLS FIRST, id) WHERE ((desired = 'running'::text) AND (NOT reserved) AND (failure IS NULL) AND (deleted_at IS NULL));
CREATE INDEX boxes_version ON public.boxes USING btree (template_version_id) WHERE (deleted_at IS NULL);
CREATE INDEX events_age ON public.events USING btree (at);
CREATE INDEX events_box ON public.events USING btree (box_id, id) WHERE (box_id IS NOT NULL);
CREATE INDEX events_org ON public.events USING btree (org_id, id);
CREATE INDEX idempotency_keys_age ON public.idempotency_keys USING btree (created_at);
CREATE UNIQUE INDEX nodes_name ON public.nodes USING btree (name) WHERE (status <> 'removed'::text);
CREATE INDEX operations_open ON public.operations USING btree (subject_id) WHERE (state = 'running'::text);
CREATE INDEX operations_org ON public.operations USING btree (org_id, id);
CREATE INDEX preview_labels_ended ON public.preview_labels USING btree (ended_at) WHERE (ended_at IS NOT NULL);
CREATE INDEX preview_labels_preview ON public.preview_labels USING btree (preview_id) WHERE (ended_at IS NULL);
CREATE INDEX preview_links_preview ON public.preview_links USING btree (preview_id, id) WHERE (revoked_at IS NULL);
CREATE INDEX previews_org ON public.previews USING btree (org_id, id) WHERE (closed_at IS NULL);
CREATE UNIQUE INDEX previews_port ON public.previews USING btree (box_id, port) WHERE (closed_at IS NULL);
CREATE INDEX revocations_until ON public.revocations USING btree (until);
CREATE INDEX snapshot_copies_node ON public.snapshot_copies USING btree (node_id);
CREATE INDEX snapshots_box ON public.snapshots USING btree (box_id);
CREATE INDEX snapshots_org ON public.snapshots USING btree (org_id, id) WHERE (state <> 'deleted'::text);
CREATE INDEX snapshots_parent ON public.snapshots USING btree (parent_id) WHERE (state = ANY (ARRAY['requested'::text, 'local'::text]));
CREATE UNIQUE INDEX ssh_keys_fingerprint ON public.ssh_keys USING btree (fingerprint) WHERE (revoked_at IS NULL);
CREATE INDEX ssh_keys_user ON public.ssh_keys USING btree (user_id, id) WHERE (revoked_at IS NULL);
CREATE INDEX strays_node ON public.strays USING btree (node_id) WHERE (ended_at IS NULL);
CREATE INDEX strays_snapshot ON public.strays USING btree (snapshot_id) WHERE (ended_at IS NULL);
CREATE INDEX template_versions_building ON public.template_versions USING btree (id) WHERE (state = 'building'::text);
CREATE UNIQUE INDEX templates_name ON public.templates USING btree (org_id, name) WHERE (deleted_at IS NULL);
CREATE INDEX tokens_user ON public.tokens USING btree (user_id, id) WHERE (revoked_at IS NULL);
CREATE INDEX volumes_box ON public.volumes USING btree (box_id);
CREATE INDEX volumes_org ON public.volumes USING btree (org_id, id) WHERE (deleted_at IS NULL);
CREATE INDEX web_sessions_age ON public.web_sessions USING btree (expires_at);
CREATE INDEX web_sessions_token ON public.web_sessions USING btree (token_id) WHERE (revoked_at IS NULL);
CREATE OR REPLACE FUNCTION public.hold_events()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  perform pg_advisory_xact_lock_shared(tg_relid::integer, 0);
  return null;
end $function$
;
CREATE TRIGGER events_held BEFORE INSERT ON public.events FOR EACH STATEMENT EXECUTE FUNCTION hold_events();
