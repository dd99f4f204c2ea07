-- Credentials that end in time: what a token makes ends with it, whatever it is; people of whom no provider has spoken for
-- long; and who answers for whom where two providers name the same people.

-- The token that it was made with, as tokens and SSH keys have it.
alter table scim_tokens add column parent_id text references tokens (id);
create index scim_tokens_parent on scim_tokens (parent_id) where parent_id is not null;
alter table invitations add column parent_id text references tokens (id);
create index invitations_parent on invitations (parent_id) where parent_id is not null;
alter table preview_links add column parent_id text references tokens (id);
create index preview_links_parent on preview_links (parent_id) where parent_id is not null;

-- No longer than the token that it was made with; null: until somebody ends it. What was made before goes on as was said then.
alter table ssh_keys add column expires_at timestamptz;
alter table scim_tokens add column expires_at timestamptz;
create index tokens_overdue on tokens (expires_at) where revoked_at is null and expires_at is not null;
create index ssh_keys_overdue on ssh_keys (expires_at) where revoked_at is null and expires_at is not null;

-- So long a member's tokens and keys work without a word of the provider about them; null: until it refuses them.
alter table providers add column member_max_age_ms bigint;
grant update (member_max_age_ms) on providers to berth_tenant;
alter table identities add column confirmed_at timestamptz;
update identities set confirmed_at = last_login_at;
alter table identities alter column confirmed_at set not null;
alter table identities alter column confirmed_at set default now();
create index identities_confirmed on identities (provider_id, confirmed_at) where refused_at is null;

-- As before, but a session keeps somebody in only where its provider lets in: another organization's may know the same
-- people, by the same issuer, and has no say here.
create or replace function is_suspended(person text, org text) returns boolean
language sql stable security definer set search_path from current
return coalesce((
  select bool_and(i.refused_at is not null and not exists (
    select 1 from logins l join web_sessions s on s.id = l.session_id join providers q on q.id = l.provider_id
    where l.identity_id = i.id and s.revoked_at is null and coalesce(q.org_id, org) = org))
  from identities i join providers p on p.id = i.provider_id
  where i.user_id = person and coalesce(p.org_id, org) = org
    and (p.deleted_at is null or i.refused_at is not null)), false);
