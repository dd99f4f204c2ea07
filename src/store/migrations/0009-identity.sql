-- Identity: OpenID providers, who is known by them, the sessions that they stand behind, and SCIM directories.
-- Lock order: users, grants, web_sessions before logins.

create table providers (
  id text primary key,
  -- Null: of the installation.
  org_id text references orgs (id),
  name text not null,
  label text not null,
  issuer text not null,
  client_id text not null,
  -- Sealed; null: a public client.
  client_secret text,
  scopes text[] not null,
  -- Added to every authorization request.
  parameters jsonb not null default '{}',
  -- An operator answers for it: it may be at a private address, and the e-mail addresses that it has verified are people's.
  is_trusted boolean not null default false,
  -- Whether somebody whom nobody has invited or provisioned becomes a user by logging in.
  admits_new_users boolean not null default true,
  email_domains text[] not null default '{}',
  groups_claim text not null default 'groups',
  -- Where a new user belongs, and as what, when no group says so; of the organization itself when it has one.
  default_org_id text references orgs (id),
  default_role text,
  session_max_ms bigint not null,
  -- How often the provider is asked whether the session may go on.
  check_every_ms bigint not null,
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now(),
  deleted_at timestamptz
);
create unique index providers_name on providers (coalesce(org_id, ''), name) where deleted_at is null;
create index providers_org on providers (org_id, id) where deleted_at is null;

-- A group at a provider is a role here.
create table provider_groups (
  provider_id text not null references providers (id) on delete cascade,
  group_name text not null,
  org_id text not null references orgs (id),
  scope text not null check (scope in ('org', 'team')),
  scope_id text not null,
  role text not null,
  primary key (provider_id, group_name, scope, scope_id, role)
);
create index provider_groups_org on provider_groups (org_id, group_name);

-- A person as an issuer names them. The address is what the issuer says; nobody is found by it.
create table identities (
  id text primary key,
  issuer text not null,
  sub text not null,
  provider_id text not null references providers (id),
  user_id text not null references users (id),
  email text,
  email_verified boolean not null default false,
  created_at timestamptz not null default now(),
  last_login_at timestamptz not null default now()
);
create unique index identities_key on identities (issuer, sub);
create index identities_user on identities (user_id, id);
create index identities_sub on identities (provider_id, sub);
create index identities_email on identities (provider_id, lower(email));
create index grants_source on grants (source) where source <> 'direct';

-- Logins that were answered: none is answered twice.
create table used_logins (
  id text primary key,
  until timestamptz not null
);
create index used_logins_until on used_logins (until);

-- What stands behind a session that a provider let in.
create table logins (
  session_id text primary key references web_sessions (id) on delete cascade,
  provider_id text not null references providers (id),
  identity_id text not null references identities (id),
  -- Sealed. Null: the provider gave none, or has it back.
  refresh_token text,
  -- Sealed; names the login to the provider at log-out.
  id_token text,
  -- The provider's own name of its session.
  sid text,
  -- The provider's limit for the whole session.
  ends_at timestamptz not null,
  -- When the provider is to be asked again; null: it cannot be asked.
  check_at timestamptz,
  checks_failed integer not null default 0,
  -- The session is over, whoever ended it.
  ended_at timestamptz,
  -- One at a time asks, and for no longer: a refresh token works once.
  claimed_until timestamptz
);
create index logins_check on logins (check_at) where check_at is not null;
create index logins_ended on logins (session_id) where ended_at is not null and refresh_token is not null;
create index logins_provider on logins (provider_id, sid);
create index logins_identity on logins (identity_id);

create index web_sessions_overdue on web_sessions (expires_at) where revoked_at is null;

-- Sessions are ended in many ways, also by who may not see logins.
create function end_login() returns trigger language plpgsql security definer set search_path from current as $$
begin
  update logins set ended_at = new.revoked_at, check_at = null where session_id = new.id;
  return null;
end $$;
create trigger end_login after update of revoked_at on web_sessions for each row
  when (old.revoked_at is null and new.revoked_at is not null) execute function end_login();

-- What a directory shows to be let in; it says who is in one organization.
create table scim_tokens (
  id text primary key,
  org_id text not null references orgs (id),
  hash text not null unique,
  name text not null,
  created_by text not null references users (id),
  created_at timestamptz not null default now(),
  last_used_at timestamptz,
  revoked_at timestamptz
);
create index scim_tokens_org on scim_tokens (org_id, id) where revoked_at is null;

-- A person as the directory has them. Nobody of ours yet until they first log in, or are known by a verified address.
create table scim_users (
  id text primary key,
  org_id text not null references orgs (id),
  user_id text references users (id),
  user_name text not null,
  external_id text,
  email text,
  is_active boolean not null,
  -- As the directory sent it, to say it back.
  attributes jsonb not null default '{}',
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now(),
  version bigint not null default 1
);
create unique index scim_users_name on scim_users (org_id, lower(user_name));
-- Not by organization: a login by a provider of the installation looks in all of them.
create index scim_users_external on scim_users (external_id);
create index scim_users_email on scim_users (lower(email));
create index scim_users_address on scim_users (lower(user_name));
create index scim_users_user on scim_users (user_id, org_id) where user_id is not null;
create index scim_users_page on scim_users (org_id, id);

create table scim_groups (
  id text primary key,
  org_id text not null references orgs (id),
  -- The team that it is; null while a mapping makes it a role instead.
  team_id text references teams (id),
  display_name text not null,
  external_id text,
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now(),
  version bigint not null default 1
);
create unique index scim_groups_name on scim_groups (org_id, lower(display_name));
create index scim_groups_external on scim_groups (org_id, external_id) where external_id is not null;
create index scim_groups_page on scim_groups (org_id, id);

create table scim_members (
  group_id text not null references scim_groups (id) on delete cascade,
  member_id text not null references scim_users (id) on delete cascade,
  org_id text not null references orgs (id),
  primary key (group_id, member_id)
);
create index scim_members_member on scim_members (member_id);
