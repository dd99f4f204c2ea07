-- What lost nodes still have of boxes that were taken over (src/store/strays.ts). Lock order: after snapshots.

create table strays (
  box_id text not null references boxes (id),
  epoch integer not null,
  node_id text not null references nodes (id),
  generation bigint not null,
  boot_serial integer not null,
  -- What it is to be kept as.
  snapshot_id text not null references snapshots (id),
  -- The node has nothing of it.
  is_lost boolean not null default false,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  primary key (box_id, epoch)
);
create index strays_node on strays (node_id) where ended_at is null;
create index strays_snapshot on strays (snapshot_id) where ended_at is null;
