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
