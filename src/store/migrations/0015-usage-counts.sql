-- What a box sends is counted for whoever has it when it is told: one that changes hands within an hour has a row for each.

alter table usage_counts drop constraint usage_counts_pkey;
create unique index usage_counts_key on usage_counts (hour, subject_id, resource, owner_id, team_id) nulls not distinct;

create or replace function usage_egress_moved() returns trigger
language plpgsql security definer set search_path from current as $$
declare
  moved constant bigint := new.bytes - case when tg_op = 'UPDATE' then old.bytes else 0 end;
begin
  if moved <= 0 then return null; end if;
  insert into usage_counts as c
      (hour, subject_id, resource, org_id, team_id, owner_id, box_id, template_id, amount)
    select date_trunc('hour', usage_now(), 'UTC'), b.id, 'egress', b.org_id, b.team_id, b.owner_id, b.id,
      v.template_id, moved
    from boxes b join template_versions v on v.id = b.template_version_id where b.id = new.box_id
    on conflict (hour, subject_id, resource, owner_id, team_id) do update set amount = c.amount + excluded.amount;
  return null;
end $$;

-- A price that is set while an hour is rolled up is written after that hour: never for some organizations of it only.
alter table price_books alter column created_at set default usage_now();
