-- Quotas: how much an organization, a team or a user takes of each resource, and how much it may. Triggers count, in the
-- transaction of the change, so no code path can forget to reserve or to give back, and nothing is given back twice.
--
-- Counting adds rows and waits for nobody. Only what a user asks for and what a limit speaks of waits: for an advisory
-- lock for each limit (organization, then team, then user), taken after boxes, snapshots and previews and before
-- node_revisions, and held until the end of the transaction. What Berth does by itself (a box taken over, a report, a
-- pause that failed) is counted and never refused; none of it makes a box run that did not count as running.

-- Snapshots and previews count for the team of their box.
alter table snapshots add column team_id text references teams (id);
alter table previews add column team_id text references teams (id);

create table quota_limits (
  org_id text not null references orgs (id),
  scope text not null check (scope in ('org', 'team', 'user')),
  -- Of the organization, team or user; '*': of each team or user, for what it has no limit of its own.
  scope_id text not null,
  -- By resource, as src/domain/quota.ts names them.
  limits jsonb not null,
  updated_at timestamptz not null default now(),
  primary key (org_id, scope, scope_id)
);

-- What is taken: the sum of the rows below is folded into one row for each holder.
create table quota_usage (
  org_id text not null references orgs (id),
  scope text not null check (scope in ('org', 'team', 'user')),
  scope_id text not null,
  boxes bigint not null,
  running bigint not null,
  cpus bigint not null,
  memory_mib bigint not null,
  gpus bigint not null,
  disk_gib bigint not null,
  snapshot_bytes bigint not null,
  shared_ports bigint not null,
  primary key (org_id, scope, scope_id)
);

create table quota_deltas (
  id bigint generated always as identity primary key,
  org_id text not null references orgs (id),
  team_id text,
  user_id text not null,
  boxes bigint not null default 0,
  running bigint not null default 0,
  cpus bigint not null default 0,
  memory_mib bigint not null default 0,
  gpus bigint not null default 0,
  disk_gib bigint not null default 0,
  snapshot_bytes bigint not null default 0,
  shared_ports bigint not null default 0
);
create index quota_deltas_org on quota_deltas (org_id);
-- For the create rate. Tombstones count.
create index boxes_made on boxes (org_id, created_at) where kind = 'user';

-- A deleted box counts no more at once, wherever its node is. One that was asked to rest counts as running until it does:
-- its guest could keep it from it. One that failed and is on no node does not run.
create function box_lives(b boxes) returns boolean language sql immutable
  return b.deleted_at is null and b.desired <> 'deleted';

create function box_runs(b boxes) returns boolean language sql immutable
  return b.deleted_at is null and b.desired <> 'deleted'
    and (b.reserved or (b.desired = 'running' and b.failure is null));

-- What it has on disk. A checkpoint or a fork that was asked for counts as the most that it can be until it is taken.
create function snapshot_bytes(s snapshots) returns bigint language sql immutable
  return case
    when s.state = 'durable' then coalesce(s.stored_bytes, s.allocated_bytes, 0)
    when s.state = 'local' then coalesce(s.allocated_bytes, 0)
    when s.state = 'requested' and s.kind in ('checkpoint', 'fork') then
      ((s.spec ->> 'rootDiskGib')::bigint + (s.spec ->> 'homeDiskGib')::bigint) * 1073741824
      + case when s.with_memory then (s.spec ->> 'memoryMib')::bigint * 1048576 else 0 end
    else 0 end;

create function preview_shared(p previews) returns boolean language sql immutable
  return p.closed_at is null and p.visibility <> 'private';

-- A builder takes compute and disk, and is no box of anybody's.
create function quota_recount() returns table (
  org_id text, team_id text, user_id text, boxes bigint, running bigint, cpus bigint, memory_mib bigint, gpus bigint,
  disk_gib bigint, snapshot_bytes bigint, shared_ports bigint
) language sql stable as $$
  select org_id, team_id, user_id, sum(boxes)::bigint, sum(running)::bigint, sum(cpus)::bigint, sum(memory_mib)::bigint,
    sum(gpus)::bigint, sum(disk_gib)::bigint, sum(snapshot_bytes)::bigint, sum(shared_ports)::bigint
  from (
    select b.org_id, b.team_id, b.owner_id as user_id, (b.kind = 'user')::integer as boxes,
      (b.kind = 'user' and box_runs(b))::integer as running,
      case when box_runs(b) then b.cpus else 0 end as cpus,
      case when box_runs(b) then b.memory_mib else 0 end as memory_mib,
      case when box_runs(b) then b.gpus else 0 end as gpus,
      b.disk_gib, 0 as snapshot_bytes, 0 as shared_ports
    from boxes b where box_lives(b)
    union all
    select s.org_id, s.team_id, s.owner_id, 0, 0, 0, 0, 0, 0, snapshot_bytes(s), 0
    from snapshots s where s.state in ('requested', 'local', 'durable')
    union all
    select p.org_id, p.team_id, p.owner_id, 0, 0, 0, 0, 0, 0, 0, 1 from previews p where preview_shared(p)
  ) as taken group by org_id, team_id, user_id
$$;

-- What a holder takes now, by the names of its limits.
create function quota_used(the_org text, the_scope text, the_id text) returns jsonb language sql stable as $$
  select jsonb_build_object(
    'boxes', coalesce(sum(boxes), 0), 'running', coalesce(sum(running), 0), 'cpus', coalesce(sum(cpus), 0),
    'memoryMib', coalesce(sum(memory_mib), 0), 'gpus', coalesce(sum(gpus), 0), 'diskGib', coalesce(sum(disk_gib), 0),
    'snapshotBytes', coalesce(sum(snapshot_bytes), 0), 'sharedPorts', coalesce(sum(shared_ports), 0))
  from (
    select boxes, running, cpus, memory_mib, gpus, disk_gib, snapshot_bytes, shared_ports
    from quota_usage where org_id = the_org and scope = the_scope and scope_id = the_id
    union all
    select boxes, running, cpus, memory_mib, gpus, disk_gib, snapshot_bytes, shared_ports
    from quota_deltas where org_id = the_org
      and case the_scope when 'team' then team_id = the_id when 'user' then user_id = the_id else true end
  ) as taken
$$;

-- Boxes made in the last hour, as far as somebody asks for it: it costs as many rows as there are.
create function quota_creates(the_org text, the_scope text, the_id text) returns bigint language sql stable as $$
  select count(*) from boxes b where b.org_id = the_org and b.kind = 'user' and b.created_at > now() - interval '1 hour'
    and case the_scope when 'team' then b.team_id = the_id when 'user' then b.owner_id = the_id else true end
$$;

-- The limits that hold for somebody, in the order in which they are locked.
create function quota_limits_of(the_org text, the_team text, the_user text)
returns table (scope text, scope_id text, limits jsonb) language sql stable as $$
  select h.scope, h.scope_id, coalesce(d.limits, '{}') || coalesce(l.limits, '{}')
  from (values (1, 'org', the_org), (2, 'team', the_team), (3, 'user', the_user)) as h (turn, scope, scope_id)
  left join quota_limits l on l.org_id = the_org and l.scope = h.scope and l.scope_id = h.scope_id
  left join quota_limits d on d.org_id = the_org and d.scope = h.scope and d.scope_id = '*'
  where h.scope_id is not null and (l.org_id is not null or d.org_id is not null) order by h.turn
$$;

-- Refuses what would go over a limit: BE002, with the facts as JSON. `need` is by resource; zeros need nothing.
create function quota_demand(the_org text, the_team text, the_user text, need jsonb)
returns void language plpgsql volatile as $$
declare
  holder record;
  used jsonb;
  wanted record;
begin
  for holder in select * from quota_limits_of(the_org, the_team, the_user) loop
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

-- Refuses a box that is larger than one may be, or of a template that may not be used.
create function quota_admit(b boxes) returns void language plpgsql stable as $$
declare
  holder record;
  template text;
  breach jsonb;
begin
  for holder in select * from quota_limits_of(b.org_id, b.team_id, b.owner_id) loop
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

-- Before the row is written and its event has an id, so that nobody else waits while this one waits for its turn.
create function quota_gate_box() returns trigger language plpgsql security definer set search_path from current as $$
declare
  is_box constant integer := (new.kind = 'user')::integer;
  starts constant integer := (box_runs(new) and (tg_op = 'INSERT' or not box_runs(old)))::integer;
begin
  if tg_op = 'INSERT' then
    perform quota_admit(new);
    perform quota_demand(new.org_id, new.team_id, new.owner_id, jsonb_build_object(
      'boxes', is_box, 'createsPerHour', is_box, 'running', is_box * starts, 'cpus', new.cpus * starts,
      'memoryMib', new.memory_mib * starts, 'gpus', new.gpus * starts, 'diskGib', new.disk_gib));
  elsif starts = 1 then
    perform quota_demand(new.org_id, new.team_id, new.owner_id, jsonb_build_object(
      'running', is_box, 'cpus', new.cpus, 'memoryMib', new.memory_mib, 'gpus', new.gpus));
  end if;
  return new;
end $$;

create trigger quota_box_made before insert on boxes for each row execute function quota_gate_box();
-- A change of generation is a change of what its user wants.
create trigger quota_box_started before update on boxes for each row
  when (new.generation > old.generation and box_runs(new) and not box_runs(old))
  execute function quota_gate_box();

create function quota_note_box(b boxes, sign integer) returns void language plpgsql volatile as $$
declare
  runs constant integer := sign * box_runs(b)::integer;
  is_box constant integer := (b.kind = 'user')::integer;
begin
  if not box_lives(b) then return; end if;
  insert into quota_deltas (org_id, team_id, user_id, boxes, running, cpus, memory_mib, gpus, disk_gib)
  values (b.org_id, b.team_id, b.owner_id, sign * is_box, runs * is_box, runs * b.cpus, runs * b.memory_mib,
    runs * b.gpus, sign * b.disk_gib);
end $$;

create function quota_count_box() returns trigger language plpgsql security definer set search_path from current as $$
begin
  if tg_op <> 'INSERT' then perform quota_note_box(old, -1); end if;
  if tg_op <> 'DELETE' then perform quota_note_box(new, 1); end if;
  if tg_op = 'UPDATE' and (new.team_id is distinct from old.team_id or new.owner_id <> old.owner_id) then
    update snapshots set team_id = new.team_id,
      owner_id = case when owner_id = old.owner_id then new.owner_id else owner_id end where box_id = new.id;
    update previews set team_id = new.team_id,
      owner_id = case when owner_id = old.owner_id then new.owner_id else owner_id end where box_id = new.id;
  end if;
  return null;
end $$;

create trigger quota_box_counted after insert or delete on boxes for each row execute function quota_count_box();
create trigger quota_box_recounted after update on boxes for each row
  when ((box_lives(old), box_runs(old), old.org_id, old.team_id, old.owner_id, old.cpus, old.memory_mib, old.gpus, old.disk_gib)
    is distinct from
    (box_lives(new), box_runs(new), new.org_id, new.team_id, new.owner_id, new.cpus, new.memory_mib, new.gpus, new.disk_gib))
  execute function quota_count_box();

-- Whoever asks for a snapshot holds its box locked, so its team cannot change meanwhile. A pause, a stop and whatever
-- Berth keeps by itself are never refused.
create function quota_gate_snapshot() returns trigger language plpgsql security definer set search_path from current as $$
begin
  select b.team_id into new.team_id from boxes b where b.id = new.box_id;
  if new.kind in ('checkpoint', 'fork') then
    perform quota_demand(new.org_id, new.team_id, new.owner_id,
      jsonb_build_object('snapshotBytes', snapshot_bytes(new)));
  end if;
  return new;
end $$;

create trigger quota_snapshot_made before insert on snapshots for each row execute function quota_gate_snapshot();

create function quota_note_snapshot(s snapshots, sign integer) returns void language plpgsql volatile as $$
begin
  if snapshot_bytes(s) = 0 then return; end if;
  insert into quota_deltas (org_id, team_id, user_id, snapshot_bytes)
  values (s.org_id, s.team_id, s.owner_id, sign * snapshot_bytes(s));
end $$;

create function quota_count_snapshot() returns trigger language plpgsql security definer set search_path from current as $$
begin
  if tg_op <> 'INSERT' then perform quota_note_snapshot(old, -1); end if;
  if tg_op <> 'DELETE' then perform quota_note_snapshot(new, 1); end if;
  return null;
end $$;

create trigger quota_snapshot_counted after insert or delete on snapshots
  for each row execute function quota_count_snapshot();
create trigger quota_snapshot_recounted after update on snapshots for each row
  when ((snapshot_bytes(old), old.org_id, old.team_id, old.owner_id)
    is distinct from (snapshot_bytes(new), new.org_id, new.team_id, new.owner_id))
  execute function quota_count_snapshot();

create function quota_gate_preview() returns trigger language plpgsql security definer set search_path from current as $$
begin
  if tg_op = 'INSERT' then
    select b.team_id into new.team_id from boxes b where b.id = new.box_id;
  end if;
  if preview_shared(new) then
    perform quota_demand(new.org_id, new.team_id, new.owner_id, '{"sharedPorts": 1}');
  end if;
  return new;
end $$;

create trigger quota_preview_made before insert on previews for each row execute function quota_gate_preview();
create trigger quota_preview_widened before update on previews for each row
  when (preview_shared(new) and not preview_shared(old)) execute function quota_gate_preview();

create function quota_note_preview(p previews, sign integer) returns void language plpgsql volatile as $$
begin
  if not preview_shared(p) then return; end if;
  insert into quota_deltas (org_id, team_id, user_id, shared_ports) values (p.org_id, p.team_id, p.owner_id, sign);
end $$;

create function quota_count_preview() returns trigger language plpgsql security definer set search_path from current as $$
begin
  if tg_op <> 'INSERT' then perform quota_note_preview(old, -1); end if;
  if tg_op <> 'DELETE' then perform quota_note_preview(new, 1); end if;
  return null;
end $$;

create trigger quota_preview_counted after insert or delete on previews
  for each row execute function quota_count_preview();
create trigger quota_preview_recounted after update on previews for each row
  when ((preview_shared(old), old.org_id, old.team_id, old.owner_id)
    is distinct from (preview_shared(new), new.org_id, new.team_id, new.owner_id))
  execute function quota_count_preview();

-- What is there already.
insert into quota_deltas (org_id, team_id, user_id, boxes, running, cpus, memory_mib, gpus, disk_gib, snapshot_bytes,
  shared_ports)
select * from quota_recount();
