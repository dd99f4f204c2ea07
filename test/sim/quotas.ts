// What must hold of quotas whatever dies: what is reserved is what a recount finds, and nobody is over a limit that was
// there before they asked.

import { sql } from "kysely";
import type { Subject } from "#domain/permission.ts";
import type { Db } from "#store/db.ts";
import { getOrgQuota, setLimits } from "#store/quotas.ts";
import { quotaDrift } from "#test/harness/quota-drift.ts";
import { isMishap } from "./world.ts";

/** Null: any number. The server that sets it may die; it is set in the end. */
export async function limitRunning(db: Db, admin: Subject, running: number | null): Promise<void> {
  for (;;)
    try {
      await setLimits(db, admin, { scope: "org", reference: admin.orgId }, { running });
      return;
    } catch (error) {
      if (!isMishap(error)) throw error;
    }
}

export async function quotaProblems(db: Db, admin: Subject): Promise<string[]> {
  const drift = (await quotaDrift(db)).map((text) => `quotas differ from a recount: ${text}`);
  const { usage, limits } = await getOrgQuota(db, admin, admin.orgId);
  const isOver = usage.running > (limits.running ?? Number.POSITIVE_INFINITY);
  return isOver ? [...drift, `${usage.running} boxes run, at a limit of ${limits.running}`] : drift;
}

/** Reservations that are left when nothing is. */
export async function leftReservations(db: Db): Promise<string[]> {
  const { rows } = await sql<{ text: string }>`
    select org_id || ': ' || (quota_used(org_id, 'org', org_id) - 'snapshotBytes')::text as text
    from (select distinct id as org_id from orgs) o
    where exists (select 1 from jsonb_each_text(quota_used(org_id, 'org', org_id) - 'snapshotBytes')
      where value::bigint <> 0)`.execute(db.query);
  return rows.map(({ text }) => text);
}
