-- Limits for all organizations at once, and for boxes that change hands; budgets that know what was spent since they were
-- last judged; how many replicas share the rate of a user.

-- For each organization, team or user of the installation, where neither it nor its organization has a limit of its own.
create table quota_defaults (
  scope text primary key check (scope in ('org', 'team', 'user')),
  limits jsonb not null,
  updated_at timestamptz not null default now()
);
grant select on quota_defaults to berth_tenant;

create or replace function quota_limits_of(the_org text, the_team text, the_user text)
returns table (scope text, scope_id text, limits jsonb) language sql stable as $$
  select h.scope, h.scope_id, coalesce(i.limits, '{}') || coalesce(d.limits, '{}') || coalesce(l.limits, '{}')
  from (values (1, 'org', the_org), (2, 'team', the_team), (3, 'user', the_user)) as h (turn, scope, scope_id)
  left join quota_limits l on l.org_id = the_org and l.scope = h.scope and l.scope_id = h.scope_id
  left join quota_limits d on d.org_id = the_org and d.scope = h.scope and d.scope_id = '*'
  left join quota_defaults i on i.scope = h.scope
  where h.scope_id is not null and (l.org_id is not null or d.org_id is not null or i.scope is not null) order by h.turn
$$;

-- As before, and for some holders only where those are named.
drop function quota_demand(text, text, text, jsonb);
create function quota_demand(
  the_org text, the_team text, the_user text, need jsonb, scopes text[] default array['org', 'team', 'user']
) returns void language plpgsql volatile as $$
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
end $$;

drop function quota_admit(boxes);
create function quota_admit(b boxes, scopes text[] default array['org', 'team', 'user'])
returns void language plpgsql stable as $$
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
end $$;

-- Whoever gets a box gets all that it takes, and must have room for it: a team every snapshot and port of it, a new owner
-- those that were the old one's.
create function quota_gate_box_given() returns trigger language plpgsql security definer set search_path from current as $$
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
end $$;

create function quota_brought(the_box text, from_owner text) returns jsonb language sql stable as $$
  select jsonb_build_object(
    'snapshotBytes', (select coalesce(sum(snapshot_bytes(s)), 0) from snapshots s where s.box_id = the_box
      and (from_owner is null or s.owner_id = from_owner)),
    'sharedPorts', (select count(*) from previews p where p.box_id = the_box and preview_shared(p)
      and (from_owner is null or p.owner_id = from_owner)))
$$;

create trigger quota_box_given before update on boxes for each row
  when (box_lives(new) and (new.team_id is distinct from old.team_id or new.owner_id <> old.owner_id))
  execute function quota_gate_box_given();

-- When it was last judged, and what an hour of what ran then costs: what was spent since is known without adding it up.
alter table budgets add column judged_at timestamptz;
alter table budgets add column per_hour numeric not null default 0;

-- In this month, by now: what ran when it was judged is taken to go on, for as long as a judge can be late.
create function budget_spent(b budgets) returns numeric language sql volatile as $$
  select case when b.month = date_trunc('month', usage_wall() at time zone 'utc')::date
    then b.spent + b.per_hour / 3600
      * coalesce(greatest(0, extract(epoch from least(usage_wall() - b.judged_at, interval '5 minutes'))), 0)
    else 0 end
$$;

-- As before, of what is spent by now. A team that is given a running box pays for it from then on.
create or replace function usage_budget_gate() returns trigger
language plpgsql security definer set search_path from current as $$
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
end $$;

create trigger usage_budget_given before update on boxes for each row
  when (new.desired = 'running' and old.desired = 'running' and new.team_id is distinct from old.team_id
    and new.team_id is not null)
  execute function usage_budget_gate();

-- Budgets' events are exported.
create index events_budgets on events (id) where subject_kind = 'budget';

-- Replicas that serve the API: what a user may ask in a minute is for all of them together.
create table replicas (
  id text primary key,
  seen_at timestamptz not null default now()
);
