-- The second wall stands against whatever SQL a request's connection is made to run. It logs in as a role of its own
-- (src/store/tenant-login.ts), and is bound to an organization by a proof that only the control plane can make: berth.org
-- can be set by anybody, but a name that is not the bound one's is nobody's.

-- `key`: what proofs are made with. `name`: the login's; null: there is none, and requests share ours.
create table tenant_login (
  is_only boolean primary key default true check (is_only),
  key bytea not null,
  name text,
  password text
);
insert into tenant_login (key) values (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

-- What a session has set a sequence to last is kept by its backend alone, and only who may write the sequence sets it.
create unlogged sequence bound_org minvalue -9223372036854775808;
grant select on sequence bound_org to berth_tenant;

-- Also forgets whatever the organization before has left in the session.
create function bind_org(org text, proof bytea) returns void
language plpgsql volatile security definer set search_path from current as $$
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
end $$;
grant execute on function bind_org(text, bytea) to berth_tenant;
grant execute on function oldest_event() to berth_tenant;

-- Volatile, because it reads a sequence: policies ask it once for each statement, as (select acting_org()). The body is
-- parsed here, so no name in it can come to mean something else.
create or replace function acting_org() returns text language sql volatile parallel unsafe
return case when hashtextextended(current_setting('berth.org', true), 0) = currval('bound_org')
  then current_setting('berth.org', true) end;

do $$
declare
  one record;
begin
  for one in
    select format('%I.%I', schemaname, tablename) as of, policyname as name,
      ' using (' || replace(qual, 'acting_org()', '(select acting_org())') || ')' as uses,
      ' with check (' || replace(with_check, 'acting_org()', '(select acting_org())') || ')' as checks
    from pg_policies where schemaname = current_schema() and concat(qual, with_check) like '%acting_org()%'
  loop
    execute format('alter policy %I on %s', one.name, one.of) || concat(one.uses, one.checks);
  end loop;
  execute format('revoke create on schema %I from public', current_schema());
end $$;

-- Whoever may call these says whose usage it is: they are the triggers' alone.
alter function usage_set(text, text, text, text, text, text, text[], bigint[]) security invoker;
alter function usage_box_changed() security definer;
alter function usage_snapshot_changed() security definer;

-- A directory speaks for its organization. It sees whose its entries are, by what the organization's own providers say, and
-- holds on to them while their roles change.
grant select, insert, update, delete on scim_users, scim_groups, scim_members to berth_tenant;
alter table identities enable row level security;
create policy own on identities for select to berth_tenant using (exists (
  select 1 from providers p where p.id = provider_id and p.org_id = (select acting_org())));
grant select on identities to berth_tenant;
create policy listed on users for select to berth_tenant using (exists (
  select 1 from scim_users s where s.user_id = users.id and s.org_id = (select acting_org())));
create policy held on users for update to berth_tenant using (
  exists (select 1 from grants g where g.user_id = users.id and g.org_id = (select acting_org()))
  or exists (select 1 from scim_users s where s.user_id = users.id and s.org_id = (select acting_org())))
with check (false);

-- What a row refers to is its own organization's: a box that started from another's snapshot would show what is in it.
create function refuse_foreign() returns trigger language plpgsql security definer set search_path from current as $$
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
end $$;
create trigger boxes_refer after insert or update of
  org_id, template_version_id, team_id, source_snapshot_id, rest_snapshot_id, restore_snapshot_id
  on boxes for each row execute function refuse_foreign();
create trigger template_versions_refer after insert or update of org_id, prebuild_snapshot_id, builder_box_id
  on template_versions for each row execute function refuse_foreign();
create trigger snapshots_refer after insert or update of org_id, box_id, parent_id
  on snapshots for each row execute function refuse_foreign();
create trigger preview_links_refer after insert or update of org_id, preview_id
  on preview_links for each row execute function refuse_foreign();
create trigger grants_refer after insert or update of org_id, scope, scope_id, team_id
  on grants for each row execute function refuse_foreign();
create trigger previews_refer after insert or update of org_id, box_id
  on previews for each row execute function refuse_foreign();
create trigger volumes_refer after insert or update of org_id, box_id
  on volumes for each row execute function refuse_foreign();

-- Nobody becomes an operator from inside an organization: not by a credential of one's, not by a provider that is believed
-- what addresses its people have.
create function is_operator(the_user text) returns boolean language sql stable security definer set search_path from current
return exists (select 1 from users u where u.id = the_user and u.is_operator);
create function was_trusted(the_provider text) returns boolean language sql stable security definer set search_path from current
return exists (select 1 from providers p where p.id = the_provider and p.is_trusted);
grant execute on function is_operator(text), was_trusted(text) to berth_tenant;
create policy no_operators on tokens as restrictive for insert to berth_tenant with check (not is_operator(user_id));
create policy no_operators on web_sessions as restrictive for insert to berth_tenant with check (not is_operator(user_id));
create policy not_trusted on providers as restrictive for insert to berth_tenant with check (not is_trusted);
create policy not_trusted_now on providers as restrictive for update to berth_tenant
  with check (not is_trusted or was_trusted(id));
revoke update on tokens, web_sessions, ssh_keys, scim_tokens, providers from berth_tenant;
grant update (revoked_at) on tokens, web_sessions, ssh_keys, scim_tokens to berth_tenant;
-- All but whose it is, and whose people they are.
grant update (name, label, client_id, client_secret, scopes, parameters, is_trusted, admits_new_users, email_domains,
  groups_claim, default_org_id, default_role, session_max_ms, check_every_ms, changed_at, deleted_at) on providers to berth_tenant;
