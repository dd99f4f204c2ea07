-- Credentials: what each was made with, so that all that a thief makes with a token ends with it; people whose provider
-- does not know them any more; service accounts of one name.

-- The token that it was made with, or that the web session was got by which it was made in. Null: a login, or nobody.
alter table tokens add column parent_id text references tokens (id);
create index tokens_parent on tokens (parent_id) where parent_id is not null;
alter table ssh_keys add column parent_id text references tokens (id);
create index ssh_keys_parent on ssh_keys (parent_id) where parent_id is not null;

-- Since when the provider does not let them in any more; null again with its next yes.
alter table identities add column refused_at timestamptz;

-- Every provider that could let a person into the organization has refused them, and no session is left that one stands
-- behind: their tokens and keys wait until they log in again. Requests may ask it, which do not see identities.
create function is_suspended(person text, org text) returns boolean
language sql stable security definer set search_path from current
return coalesce((
  select bool_and(i.refused_at is not null and not exists (
    select 1 from logins l join web_sessions s on s.id = l.session_id
    where l.identity_id = i.id and s.revoked_at is null))
  from identities i join providers p on p.id = i.provider_id
  where i.user_id = person and coalesce(p.org_id, org) = org
    and (p.deleted_at is null or i.refused_at is not null)), false);
grant execute on function is_suspended(text, text) to berth_tenant;

-- A name is one service account's. Of those that a race has made alike, the first keeps it.
update users u set name = left(u.name, 33) || '-' || right(u.id, 6)
where u.kind = 'service' and u.disabled_at is null and exists (
  select 1 from users o where o.home_org_id = u.home_org_id and o.kind = 'service' and o.disabled_at is null
    and lower(o.name) = lower(u.name) and o.id < u.id);
create unique index users_service_name on users (home_org_id, lower(name)) where kind = 'service' and disabled_at is null;

-- Who has set an organization's directory up, those too who have not any more.
create index scim_tokens_ever on scim_tokens (org_id);
