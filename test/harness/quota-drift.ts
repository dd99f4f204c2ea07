// What triggers have counted, against what there is: nothing may ever differ.

import { sql } from "kysely";
import type { Db } from "#store/db.ts";

const AMOUNTS = sql`sum(boxes) as boxes, sum(running) as running, sum(cpus) as cpus, sum(memory_mib) as memory_mib,
  sum(gpus) as gpus, sum(disk_gib) as disk_gib, sum(snapshot_bytes) as snapshot_bytes, sum(shared_ports) as shared_ports`;

/** Holders whose sums are not those of a recount, each as JSON. Both are read at one instant. */
export async function quotaDrift(db: Db): Promise<string[]> {
  const { rows } = await sql<{ text: string }>`
    with parts as (
      select 'org' as scope, org_id as scope_id, * from quota_deltas
      union all select 'team', team_id, * from quota_deltas where team_id is not null
      union all select 'user', user_id, * from quota_deltas),
    counted as (
      select org_id, scope, scope_id, ${AMOUNTS} from (
        select org_id, scope, scope_id, boxes, running, cpus, memory_mib, gpus, disk_gib, snapshot_bytes, shared_ports
        from quota_usage
        union all
        select org_id, scope, scope_id, boxes, running, cpus, memory_mib, gpus, disk_gib, snapshot_bytes, shared_ports
        from parts) c group by 1, 2, 3),
    real as materialized (select * from quota_recount()),
    recounted as (
      select org_id, 'org' as scope, org_id as scope_id, ${AMOUNTS} from real group by 1, 3
      union all select org_id, 'team', team_id, ${AMOUNTS} from real where team_id is not null group by 1, 3
      union all select org_id, 'user', user_id, ${AMOUNTS} from real group by 1, 3)
    select jsonb_build_object('counted', to_jsonb(c), 'recounted', to_jsonb(r))::text as text
    from counted c full join recounted r using (org_id, scope, scope_id)
    where (coalesce(c.boxes, 0), coalesce(c.running, 0), coalesce(c.cpus, 0), coalesce(c.memory_mib, 0),
        coalesce(c.gpus, 0), coalesce(c.disk_gib, 0), coalesce(c.snapshot_bytes, 0), coalesce(c.shared_ports, 0))
      <> (coalesce(r.boxes, 0), coalesce(r.running, 0), coalesce(r.cpus, 0), coalesce(r.memory_mib, 0),
        coalesce(r.gpus, 0), coalesce(r.disk_gib, 0), coalesce(r.snapshot_bytes, 0), coalesce(r.shared_ports, 0))`.execute(
    db.query,
  );
  return rows.map(({ text }) => text);
}
