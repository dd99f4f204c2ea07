-- Organizations that share one installation: who holds which role where (grants), teams, invitations, service accounts.
-- Lock order: orgs, grants, teams, invitations before boxes.

-- A user is of the whole installation. What it may do in an organization, its grants say.
alter table users add column email text;
alter table users add column kind text not null default 'person' check (kind in ('person', 'service'));
-- Runs the installation: nodes, organizations, providers for all.
alter table users add column is_operator boolean not null default false;
-- Nothing of a disabled user's is let in anywhere.
alter table users add column disabled_at timestamptz;
-- A service account is made and managed by this organization; null: a person.
alter table users add column home_org_id text references orgs (id);
update users set is_operator = is_admin;
alter table users drop constraint users_org_id_name_key;
create index users_home on users (home_org_id, id) where home_org_id is not null;
create unique index users_email on users (lower(email)) where email is not null and kind = 'person';

create unique index orgs_name on orgs (name);
-- An organization that is over: no credential acts in it.
alter table orgs add column deleted_at timestamptz;

create table teams (
  id text primary key,
  org_id text not null references orgs (id),
  name text not null,
  created_at timestamptz not null default now(),
  deleted_at timestamptz
);
create unique index teams_name on teams (org_id, name) where deleted_at is null;

-- THE relation: a user or a team holds a role at an organization, a team or a box.
create table grants (
  id text primary key,
  org_id text not null references orgs (id),
  user_id text references users (id),
  team_id text references teams (id),
  role text not null,
  scope text not null check (scope in ('org', 'team', 'box')),
  scope_id text not null,
  -- 'direct', or what keeps it up to date: 'provider:ID', 'scim:ID'.
  source text not null default 'direct',
  created_by text references users (id),
  created_at timestamptz not null default now(),
  check ((user_id is null) <> (team_id is null)),
  check (team_id is null or scope = 'box')
);
create unique index grants_user on grants (user_id, scope, scope_id, role, source) where user_id is not null;
create unique index grants_team on grants (team_id, scope, scope_id, role, source) where team_id is not null;
create index grants_scope on grants (scope, scope_id, id);
create index grants_org on grants (org_id, id);

insert into grants (id, org_id, user_id, role, scope, scope_id)
select 'gr_' || substr(id, 5), org_id, id, case when is_admin then 'owner' else 'member' end, 'org', org_id from users;
alter table users drop column is_admin;
alter table users drop column org_id;

create table invitations (
  id text primary key,
  org_id text not null references orgs (id),
  -- The hash of the secret in the link; it works once.
  hash text not null unique,
  -- Only a user with this address may take it; null: whoever has the link.
  email text,
  roles text[] not null,
  team_id text references teams (id),
  created_by text not null references users (id),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  accepted_at timestamptz,
  accepted_by text references users (id),
  revoked_at timestamptz
);
create index invitations_org on invitations (org_id, id) where accepted_at is null and revoked_at is null;

alter table boxes add column team_id text references teams (id);
create index boxes_team on boxes (team_id, id) where team_id is not null and deleted_at is null;
create index boxes_owned on boxes (org_id, owner_id, id) where deleted_at is null;

-- What a token may do at most; null: all that its user may.
alter table tokens add column scopes text[];

-- A session is a browser's or a CLI's login; it may come from a provider instead of a token, and its organization can be
-- switched.
alter table web_sessions alter column token_id drop not null;
alter table web_sessions add column kind text not null default 'web' check (kind in ('web', 'cli'));
create index web_sessions_user on web_sessions (user_id, id) where revoked_at is null;

-- One key of one person may be registered in each of their organizations.
drop index ssh_keys_fingerprint;
create unique index ssh_keys_fingerprint on ssh_keys (fingerprint, org_id) where revoked_at is null;
