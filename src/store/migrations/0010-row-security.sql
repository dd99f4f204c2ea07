-- The second wall between organizations. Requests run as the role berth_tenant with berth.org set to the organization
-- that they act in (src/store/tenant.ts). That role sees and writes rows of that organization only, and of what is the
-- installation's just what every organization must read. Without berth.org it sees nothing.
--
-- A new table of an organization needs its own policy and grants: src/store/row-security.test.ts says so.

-- Roles belong to the whole cluster: another database of it may have made this one, or be making it now.
do $$
declare
  may_become text := case when current_setting('server_version_num')::integer >= 160000 then 'SET' else 'MEMBER' end;
begin
  if not exists (select 1 from pg_roles where rolname = 'berth_tenant') then
    begin
      create role berth_tenant nologin noinherit nobypassrls;
    exception
      when duplicate_object or unique_violation then null;
      when insufficient_privilege then
        raise exception 'the role berth_tenant is missing, and % may not create roles', current_user using hint =
          format('Run as a superuser: create role berth_tenant nologin; grant berth_tenant to %I;', current_user);
    end;
  end if;
  if exists (select 1 from pg_roles where rolname = 'berth_tenant' and (rolsuper or rolbypassrls)) then
    raise exception 'the role berth_tenant is a superuser or bypasses row security: it must not';
  end if;
  if not pg_has_role(current_user, 'berth_tenant', may_become) then
    begin
      execute format('grant berth_tenant to %I', current_user);
    exception when insufficient_privilege then
      raise exception '% may not become berth_tenant', current_user using hint =
        format('Run as a superuser: grant berth_tenant to %I;', current_user);
    end;
  end if;
  execute format('grant usage on schema %I to berth_tenant', current_schema());
end $$;

-- Null outside a request: then no row is anybody's.
create function acting_org() returns text language sql stable parallel safe
  return nullif(current_setting('berth.org', true), '');

-- What an organization has: every table with a column org_id.
do $$
declare
  one regclass;
begin
  for one in
    select c.oid::regclass from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'org_id' and not a.attisdropped
    where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' order by c.relname
  loop
    execute format('alter table %s enable row level security', one);
    execute format('create policy own on %s to berth_tenant using (org_id = acting_org())
      with check (org_id = acting_org())', one);
  end loop;
end $$;

-- What belongs to something that an organization has.
alter table snapshot_copies enable row level security;
create policy own on snapshot_copies to berth_tenant using (exists (
  select 1 from snapshots s where s.id = snapshot_id and s.org_id = acting_org()));
alter table preview_labels enable row level security;
create policy own on preview_labels to berth_tenant using (exists (
  select 1 from previews p where p.id = preview_id and p.org_id = acting_org()));
alter table strays enable row level security;
create policy own on strays to berth_tenant using (exists (
  select 1 from boxes b where b.id = box_id and b.org_id = acting_org()));
alter table audit_chains enable row level security;
create policy own on audit_chains to berth_tenant using (chain = acting_org());
alter table audit_seals enable row level security;
create policy own on audit_seals to berth_tenant using (chain = acting_org());

alter table orgs enable row level security;
create policy own on orgs to berth_tenant using (id = acting_org());

-- People are seen where they have a role; only an organization's service accounts are its own to write.
alter table users enable row level security;
create policy known on users for select to berth_tenant using (home_org_id = acting_org() or exists (
  select 1 from grants g where g.user_id = users.id and g.org_id = acting_org()));
create policy made on users for insert to berth_tenant with check (
  home_org_id = acting_org() and kind = 'service' and not is_operator);
create policy changed on users for update to berth_tenant using (home_org_id = acting_org() and kind = 'service');

-- Only what is the organization's can be revoked by it.
alter table revocations enable row level security;
create policy known on revocations for select to berth_tenant using (true);
create policy own on revocations for insert to berth_tenant with check (
  exists (select 1 from tokens t where t.id = credential_id and t.org_id = acting_org())
  or exists (select 1 from web_sessions s where s.id = credential_id and s.org_id = acting_org())
  or exists (select 1 from ssh_keys k where k.id = credential_id and k.org_id = acting_org())
  or exists (select 1 from preview_links l where l.id = credential_id and l.org_id = acting_org()));

-- What the installation gives to all.
create policy shared on price_books for select to berth_tenant using (org_id is null);
create policy shared on providers for select to berth_tenant using (org_id is null);

grant select, insert, update on
  tokens, web_sessions, ssh_keys, templates, template_versions, snapshots, boxes, volumes, operations, idempotency_keys,
  previews, preview_labels, preview_links, teams, invitations, quota_limits, budgets, scim_tokens, providers, strays
to berth_tenant;
grant select, insert, update, delete on grants, audit_policies, provider_groups to berth_tenant;
grant select, insert on events, audit_entries, budget_alerts, revocations, users to berth_tenant;
grant update (disabled_at) on users to berth_tenant;
grant update (name, max_visibility) on orgs to berth_tenant;
grant update (revision) on node_revisions to berth_tenant;
grant select on
  orgs, nodes, node_revisions, gateways, snapshot_copies, audit_chains, audit_seals, audit_state, quota_usage,
  quota_deltas, usage_clock, usage_intervals, usage_counts, usage_rollups, usage_spend, price_books
to berth_tenant;
-- How far the events are; not what they are.
grant select on sequence events_id_seq to berth_tenant;

-- Whether a cursor has missed events: they are removed by age, of all organizations alike.
create function oldest_event() returns bigint language sql stable security definer set search_path from current
  return (select min(id) from events);

-- What members see of snapshots and events asks for their boxes, deleted ones too.
create index boxes_ever on boxes (org_id, id);
-- Boxes name their templates, deleted ones too.
create index templates_ever on templates (org_id, id);
