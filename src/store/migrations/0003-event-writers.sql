-- Whoever writes events holds this shared lock until its transaction has ended, and takes it before it takes an
-- event's id. So a reader that looks who holds it knows whether an id that was given may still appear
-- (src/store/events.ts). Advisory locks belong to one database: other databases of the cluster do not matter.
-- A trigger for each statement fires before any id is taken, and no writer can forget it.

create function hold_events() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(tg_relid::integer, 0);
  return null;
end $$;

create trigger events_held before insert on events
  for each statement execute function hold_events();
