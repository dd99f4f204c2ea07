-- Usage: what each box and snapshot takes, since when and until when. Triggers write it in the transaction of the change
-- that it tells, so no code path can forget it. Lock order: after boxes and snapshots.
--
-- Runs: its node has it reserved and says that its VMM is there (up, ready, frozen). So what waits for a node, starts or
-- failed to start costs nothing, and what its user wants deleted has cost its last.

-- A function of its own, so that tests can let it jump.
create function usage_wall() returns timestamptz language sql volatile as 'select clock_timestamp()';

create table usage_clock (
  is_only boolean primary key default true check (is_only),
  -- Usage before this can be written no more, wherever the clock of the machine jumps.
  floor_at timestamptz not null,
  -- Hours before this are rolled up.
  rolled_until timestamptz not null,
  -- Of the hour that follows: organizations up to this one are rolled up.
  rolled_org text,
  -- Rollups up to this one are not kept any more.
  trimmed_id bigint not null default 0
);
insert into usage_clock (floor_at, rolled_until)
values (date_trunc('hour', clock_timestamp(), 'UTC'), date_trunc('hour', clock_timestamp(), 'UTC'));

create table usage_intervals (
  id bigint generated always as identity primary key,
  org_id text not null references orgs (id),
  -- Of the moment when it began.
  team_id text references teams (id),
  owner_id text not null references users (id),
  box_id text not null,
  template_id text not null,
  -- The box or the snapshot.
  subject_id text not null,
  resource text not null check (resource in
    ('vcpu', 'memory', 'gpu', 'disk_running', 'disk_paused', 'disk_stopped', 'snapshot')),
  -- vCPUs, MiB of memory, GPUs, GiB of disk, bytes of snapshots.
  amount bigint not null check (amount > 0),
  began_at timestamptz not null,
  -- Infinity: it goes on.
  ended_at timestamptz not null default 'infinity',
  check (ended_at >= began_at)
);
create unique index usage_intervals_open on usage_intervals (subject_id, resource) where ended_at = 'infinity';
create index usage_intervals_subject on usage_intervals (subject_id, ended_at);
create index usage_intervals_org on usage_intervals (org_id, ended_at);
create index usage_intervals_age on usage_intervals (ended_at);

-- What is counted and does not last: bytes that left a box in an hour that is not rolled up yet.
create table usage_counts (
  hour timestamptz not null,
  subject_id text not null,
  resource text not null check (resource in ('egress')),
  org_id text not null references orgs (id),
  team_id text references teams (id),
  owner_id text not null references users (id),
  box_id text not null,
  template_id text not null,
  amount bigint not null,
  primary key (hour, subject_id, resource)
);
create index usage_counts_org on usage_counts (org_id, hour);

-- How far the counters of a box's networks were, when its node last told.
create table egress_counters (
  org_id text not null references orgs (id),
  box_id text not null references boxes (id),
  epoch integer not null,
  counter text not null,
  bytes bigint not null,
  primary key (box_id, epoch, counter)
);

-- One hour of one resource of one box or snapshot. Never changes. The ids of rollups that can be seen have no gap
-- that may still be filled: one transaction at a time gives them.
create table usage_rollups (
  id bigint generated always as identity primary key,
  org_id text not null references orgs (id),
  team_id text references teams (id),
  owner_id text not null references users (id),
  box_id text not null,
  template_id text not null,
  subject_id text not null,
  resource text not null,
  hour timestamptz not null,
  -- Of the interval's amount, times seconds; bytes for what is counted.
  amount numeric not null,
  cost numeric not null,
  currency text,
  unique nulls not distinct (subject_id, resource, hour, owner_id, team_id)
);
create index usage_rollups_org on usage_rollups (org_id, id);
create index usage_rollups_hour on usage_rollups (org_id, hour);

-- What the rollups of a month cost, for budgets. team_id: '' for what belongs to no team.
create table usage_spend (
  org_id text not null references orgs (id),
  month date not null,
  team_id text not null default '',
  cost numeric not null,
  primary key (org_id, month, team_id)
);

-- Each change is a new row; the newest holds. org_id null: of the installation; else what differs for one organization.
create table price_books (
  id bigint generated always as identity primary key,
  org_id text references orgs (id),
  currency text,
  prices jsonb not null,
  created_by text references users (id),
  created_at timestamptz not null default usage_wall(),
  check ((org_id is null) = (currency is not null))
);
create index price_books_org on price_books (org_id, id);

create table budgets (
  id text primary key,
  org_id text not null references orgs (id),
  -- Null: of the whole organization.
  team_id text references teams (id),
  -- For each month, in the currency of the price book.
  amount numeric not null check (amount > 0),
  -- Percent of the amount.
  thresholds integer[] not null,
  policy text not null check (policy in ('warn', 'refuse', 'pause')),
  -- As last judged.
  month date,
  spent numeric not null default 0,
  -- The first day of the month whose amount is spent; holds for that month only.
  exhausted_month date,
  created_at timestamptz not null default now(),
  deleted_at timestamptz
);
create unique index budgets_scope on budgets (org_id, team_id) nulls not distinct where deleted_at is null;

-- Which thresholds were told. A changed amount has thresholds of its own.
create table budget_alerts (
  budget_id text not null references budgets (id),
  org_id text not null references orgs (id),
  month date not null,
  threshold integer not null,
  amount numeric not null,
  spent numeric not null,
  created_at timestamptz not null default now(),
  primary key (budget_id, month, threshold, amount)
);

-- Whoever writes usage holds this shared lock until its transaction has ended, and only then looks at the floor. So when
-- the floor is raised and those who held the lock then have ended, nothing below it can appear (src/store/usage-rollups.ts).
create function usage_now() returns timestamptz language plpgsql volatile as $$
declare
  lowest timestamptz;
begin
  perform pg_advisory_xact_lock_shared('usage_intervals'::regclass::oid::integer, 0);
  select floor_at into strict lowest from usage_clock;
  return greatest(usage_wall(), lowest);
end $$;

-- Ends what the subject does not take any more, and begins what it takes now. Nothing of one subject begins or ends
-- before what is written of it, so intervals are never negative and never overlap.
create function usage_set(
  the_subject text, the_box text, the_org text, the_team text, the_owner text, version text,
  resources text[], amounts bigint[]
) returns void language plpgsql volatile security definer set search_path from current as $$
declare
  moment timestamptz := usage_now();
begin
  select greatest(moment, max(began_at)) into moment from usage_intervals
    where subject_id = the_subject and ended_at = 'infinity';
  select greatest(moment, max(ended_at)) into moment from (
    select ended_at from usage_intervals where subject_id = the_subject and ended_at < 'infinity'
    order by ended_at desc limit 1) as newest;
  update usage_intervals i set ended_at = moment
    where i.subject_id = the_subject and i.ended_at = 'infinity'
      and not exists (select 1 from unnest(resources, amounts) as w (resource, amount)
        where w.resource = i.resource and w.amount = i.amount
          and i.team_id is not distinct from the_team and i.owner_id = the_owner);
  insert into usage_intervals
      (org_id, team_id, owner_id, box_id, template_id, subject_id, resource, amount, began_at)
    select the_org, the_team, the_owner, the_box,
      (select v.template_id from template_versions v where v.id = version), the_subject,
      w.resource, w.amount, moment
    from unnest(resources, amounts) as w (resource, amount)
    where w.amount > 0 and not exists (select 1 from usage_intervals i
      where i.subject_id = the_subject and i.resource = w.resource and i.ended_at = 'infinity')
    order by w.resource;
end $$;

create function usage_follow(b boxes) returns void language plpgsql volatile as $$
declare
  on_host constant boolean := b.reserved and b.observed_state in ('down', 'up', 'ready', 'frozen');
  runs constant boolean := on_host and b.observed_state <> 'down';
  is_over constant boolean := b.deleted_at is not null or b.desired = 'deleted';
  disk text;
  resources text[] := '{}';
  amounts bigint[] := '{}';
begin
  if not is_over and runs then
    resources := array['vcpu', 'memory', 'gpu'];
    amounts := array[b.cpus, b.memory_mib, b.gpus];
  end if;
  disk := case
    when is_over then null
    when on_host then 'disk_running'
    when b.reserved or b.rest_snapshot_id is null then null
    when b.source_with_memory then 'disk_paused'
    else 'disk_stopped' end;
  if disk is not null then
    resources := resources || disk;
    amounts := amounts || b.disk_gib::bigint;
  end if;
  perform usage_set(b.id, b.id, b.org_id, b.team_id, b.owner_id, b.template_version_id, resources, amounts);
end $$;

create function usage_follow_snapshot(s snapshots) returns void language plpgsql volatile as $$
declare
  b boxes;
  bytes constant bigint := case when s.state = 'durable' then coalesce(s.stored_bytes, 0) else 0 end;
begin
  select * into b from boxes where id = s.box_id;
  if not found then return; end if;
  perform usage_set(s.id, s.box_id, s.org_id, b.team_id, s.owner_id, b.template_version_id,
    array['snapshot'], array[bytes]);
end $$;

create function usage_box_changed() returns trigger language plpgsql as $$
begin
  perform usage_follow(new);
  if tg_op = 'UPDATE' and new.team_id is distinct from old.team_id then
    perform usage_follow_snapshot(s) from snapshots s where s.box_id = new.id and s.state = 'durable' order by s.id;
  end if;
  return null;
end $$;

create trigger usage_box_made after insert on boxes for each row
  when (new.reserved or new.rest_snapshot_id is not null) execute function usage_box_changed();
create trigger usage_box_changed after update on boxes for each row
  when ((old.desired = 'deleted', old.deleted_at is null, old.reserved, old.observed_state, old.rest_snapshot_id is null,
      old.source_with_memory, old.cpus, old.memory_mib, old.gpus, old.disk_gib, old.team_id, old.owner_id)
    is distinct from
    (new.desired = 'deleted', new.deleted_at is null, new.reserved, new.observed_state, new.rest_snapshot_id is null,
      new.source_with_memory, new.cpus, new.memory_mib, new.gpus, new.disk_gib, new.team_id, new.owner_id))
  execute function usage_box_changed();

create function usage_snapshot_changed() returns trigger language plpgsql as $$
begin
  perform usage_follow_snapshot(new);
  return null;
end $$;

create trigger usage_snapshot_made after insert on snapshots for each row
  when (new.state = 'durable') execute function usage_snapshot_changed();
create trigger usage_snapshot_changed after update on snapshots for each row
  when ((old.state = 'durable', old.stored_bytes, old.owner_id)
    is distinct from (new.state = 'durable', new.stored_bytes, new.owner_id))
  execute function usage_snapshot_changed();

-- A counter that moved: the difference is counted, in the hour in which it was told.
create function usage_egress_moved() returns trigger language plpgsql security definer set search_path from current as $$
declare
  moved constant bigint := new.bytes - case when tg_op = 'UPDATE' then old.bytes else 0 end;
begin
  if moved <= 0 then return null; end if;
  insert into usage_counts as c
      (hour, subject_id, resource, org_id, team_id, owner_id, box_id, template_id, amount)
    select date_trunc('hour', usage_now(), 'UTC'), b.id, 'egress', b.org_id, b.team_id, b.owner_id, b.id,
      v.template_id, moved
    from boxes b join template_versions v on v.id = b.template_version_id where b.id = new.box_id
    on conflict (hour, subject_id, resource) do update set amount = c.amount + excluded.amount;
  return null;
end $$;

create trigger usage_egress_moved after insert or update on egress_counters
  for each row execute function usage_egress_moved();

-- A budget that is spent keeps anything from starting. One that is warned of only, or whose month is over, does not.
-- A box whose snapshot failed runs on: it was not started.
create function usage_budget_gate() returns trigger language plpgsql security definer set search_path from current as $$
declare
  spent budgets;
begin
  select * into spent from budgets
    where org_id = new.org_id and (team_id is null or team_id = new.team_id) and deleted_at is null
      and policy <> 'warn' and exhausted_month = date_trunc('month', usage_wall() at time zone 'utc')::date
    order by team_id nulls first limit 1;
  if found then
    raise exception 'a budget is spent' using errcode = 'BE001', detail = jsonb_build_object(
      'budgetId', spent.id, 'team', (select name from teams where id = spent.team_id),
      'amount', trim_scale(spent.amount)::text, 'spent', trim_scale(spent.spent)::text,
      'currency', (select currency from price_books where org_id is null order by id desc limit 1),
      'month', to_char(spent.exhausted_month, 'YYYY-MM-DD'))::text;
  end if;
  return new;
end $$;

create trigger usage_budget_made before insert on boxes for each row
  when (new.desired = 'running') execute function usage_budget_gate();
create trigger usage_budget_started before update on boxes for each row
  when (new.desired = 'running' and old.desired <> 'running'
    and not (old.reserved and old.rest_snapshot_id is not null and new.rest_snapshot_id is null))
  execute function usage_budget_gate();

-- What is there already is used from now on.
select usage_follow(b) from boxes b where b.deleted_at is null order by b.id;
select usage_follow_snapshot(s) from snapshots s where s.state = 'durable' order by s.id;
