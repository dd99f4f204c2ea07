-- Doors: who comes in with what, which ports have an address, and which gateways there are. Lock order, after that of
-- 0001: orgs before boxes; previews after boxes; ssh_keys, tokens, web_sessions, preview_links, revocations after those;
-- node_revisions last.

alter table tokens add column last_used_at timestamptz;
create index tokens_user on tokens (user_id, id) where revoked_at is null;

-- How a browser is logged in. The cookie's hash; it ends with the token that it was got by.
create table web_sessions (
  id text primary key,
  hash text not null unique,
  org_id text not null references orgs (id),
  user_id text not null references users (id),
  token_id text not null references tokens (id),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz
);
create index web_sessions_token on web_sessions (token_id) where revoked_at is null;
create index web_sessions_age on web_sessions (expires_at);

create table ssh_keys (
  id text primary key,
  org_id text not null references orgs (id),
  user_id text not null references users (id),
  name text not null,
  public_key text not null,
  fingerprint text not null,
  created_at timestamptz not null default now(),
  revoked_at timestamptz
);
create unique index ssh_keys_fingerprint on ssh_keys (fingerprint) where revoked_at is null;
create index ssh_keys_user on ssh_keys (user_id, id) where revoked_at is null;

alter table orgs add column max_visibility text not null default 'public'
  check (max_visibility in ('private', 'org', 'public'));

-- What listens in the box, as its node last said; null while it does not run.
alter table boxes add column observed_ports jsonb;
create index boxes_owner on boxes (owner_id) where reserved;

create table previews (
  id text primary key,
  org_id text not null references orgs (id),
  owner_id text not null references users (id),
  box_id text not null references boxes (id),
  port integer not null check (port between 2 and 65535),
  label text not null unique,
  visibility text not null check (visibility in ('private', 'org', 'public')),
  serial integer not null default 1,
  created_at timestamptz not null default now(),
  closed_at timestamptz
);
create unique index previews_port on previews (box_id, port) where closed_at is null;
create index previews_org on previews (org_id, id) where closed_at is null;

-- Every label that ever was, so that none comes back.
create table preview_labels (
  label text primary key,
  preview_id text not null references previews (id),
  ended_at timestamptz
);
create index preview_labels_preview on preview_labels (preview_id) where ended_at is null;
create index preview_labels_ended on preview_labels (ended_at) where ended_at is not null;

create table preview_links (
  id text primary key,
  org_id text not null references orgs (id),
  owner_id text not null references users (id),
  preview_id text not null references previews (id),
  serial integer not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz
);
create index preview_links_preview on preview_links (preview_id, id) where revoked_at is null;

-- What opened streams and holds no more: gateways end what it has open.
create table revocations (
  credential_id text primary key,
  until timestamptz not null,
  created_at timestamptz not null default now()
);
create index revocations_until on revocations (until);

create table gateways (
  name text primary key,
  client_url text not null,
  node_url text not null,
  ssh_address text,
  -- Names the feed that it has open now; null: none.
  feed text,
  seen_at timestamptz not null default now()
);
