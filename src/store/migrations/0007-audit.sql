-- The audit trail. An entry is written in the transaction of the act that it tells of, and nothing of it ever changes.
-- A loop puts entries into chains afterwards, one for each organization and one for the installation: each seal hashes
-- its entry together with the seal before (src/domain/audit.ts), so requests never wait for each other.

create table audit_entries (
  -- In this order entries are sealed.
  id bigint generated always as identity primary key,
  -- Whose chain it is in; null: the installation's.
  org_id text references orgs (id),
  at timestamptz (3) not null default clock_timestamp(),
  -- What was done: an operation of the API, or a way into a box.
  verb text not null,
  outcome text not null check (outcome in ('ok', 'refused', 'failed')),
  -- Of the error; null: it went well.
  code text,
  -- A user; null: Berth itself, or nobody who was recognized.
  actor_id text,
  -- What the actor was at that moment.
  actor_roles text[] not null default '{}',
  credential_id text,
  address text,
  user_agent text,
  -- The parameters of the request, as they came.
  resource jsonb not null default '{}',
  -- Ids of what was made, changed or entered.
  touched text[] not null default '{}',
  data jsonb not null default '{}',
  request_id text,
  -- Given by a gateway that may tell the same twice.
  source_id text
);
create index audit_entries_org on audit_entries (org_id, id);
create index audit_entries_actor on audit_entries (org_id, actor_id, id);
create index audit_entries_touched on audit_entries using gin (touched);
create unique index audit_entries_source on audit_entries (source_id) where source_id is not null;

-- Whoever reads the last id given knows by this lock whether a lower one may still appear (see 0003-event-writers.sql).
create trigger audit_entries_held before insert on audit_entries
  for each statement execute function hold_events();

create table audit_chains (
  -- An organization's id, or 'installation'.
  chain text primary key,
  head_seq bigint not null default 0,
  head_hash bytea not null,
  -- Up to here retention has removed the chain; the rest verifies from this hash on, which is signed.
  anchor_seq bigint not null default 0,
  anchor_hash bytea not null,
  anchor_at timestamptz,
  anchor_signature text,
  -- The newest head that lies in the object store.
  exported_seq bigint not null default 0
);

create table audit_seals (
  chain text not null references audit_chains (chain),
  seq bigint not null,
  entry_id bigint not null unique,
  hash bytea not null,
  primary key (chain, seq)
);

-- One row: the state of the loops.
create table audit_state (
  is_only boolean primary key default true check (is_only),
  -- Every entry up to this id is sealed.
  sealed_to bigint not null default 0,
  -- When the heads of all chains were last seen safe in the object store.
  exported_at timestamptz not null default now(),
  -- No organization may keep its trail for less.
  keep_days_min integer not null default 90 check (keep_days_min between 1 and 36500)
);
insert into audit_state default values;

-- For how long an organization keeps its trail; without a row: for ever.
create table audit_policies (
  org_id text primary key references orgs (id),
  keep_days integer not null check (keep_days between 1 and 36500)
);

create function refuse_audit_change() returns trigger language plpgsql as $$
begin
  raise exception 'the audit trail is append-only: % of % is refused', lower(tg_op), tg_table_name;
end $$;

-- Retention moves the anchor first, which needs a signature; behind it entries may go.
create function refuse_audit_removal() returns trigger language plpgsql as $$
begin
  if tg_table_name = 'audit_seals' then
    if exists (select 1 from audit_chains c where c.chain = old.chain and c.anchor_seq >= old.seq) then
      return old;
    end if;
  elsif exists (select 1 from audit_seals s join audit_chains c on c.chain = s.chain
      where s.entry_id = old.id and c.anchor_seq >= s.seq) then
    return old;
  end if;
  raise exception 'the audit trail is append-only: delete of % is refused', tg_table_name;
end $$;

create function refuse_audit_rewind() returns trigger language plpgsql as $$
begin
  if new.head_seq < old.head_seq or new.anchor_seq < old.anchor_seq or new.anchor_seq > new.head_seq
    or (new.head_seq = old.head_seq and new.head_hash <> old.head_hash)
    or (new.anchor_seq = old.anchor_seq and new.anchor_hash <> old.anchor_hash)
    or (new.anchor_seq > 0 and new.anchor_signature is null) then
    raise exception 'the audit chain % only grows', old.chain;
  end if;
  return new;
end $$;

create trigger audit_entries_kept before update on audit_entries
  for each row execute function refuse_audit_change();
create trigger audit_entries_removed before delete on audit_entries
  for each row execute function refuse_audit_removal();
create trigger audit_entries_emptied before truncate on audit_entries
  for each statement execute function refuse_audit_change();
create trigger audit_seals_kept before update on audit_seals
  for each row execute function refuse_audit_change();
create trigger audit_seals_removed before delete on audit_seals
  for each row execute function refuse_audit_removal();
create trigger audit_seals_emptied before truncate on audit_seals
  for each statement execute function refuse_audit_change();
create trigger audit_chains_grow before update on audit_chains
  for each row execute function refuse_audit_rewind();
create trigger audit_chains_kept before delete on audit_chains
  for each row execute function refuse_audit_change();
create trigger audit_chains_emptied before truncate on audit_chains
  for each statement execute function refuse_audit_change();
