// Rollups for an external billing system: in one order, after a cursor. What can be seen never changes and nothing
// appears before it, so the same cursor gives the same events, and more behind them when there are.

import { sql } from "kysely";
import type { Subject } from "#domain/permission.ts";
import type { Resource } from "#domain/price.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import type { Db } from "./db.ts";
import { permit } from "./rights.ts";
import { inUnits } from "./usage-rollups.ts";

export interface RollupView {
  /** Increases; continue after it. */
  readonly id: number;
  readonly orgId: string;
  readonly teamId: string | null;
  readonly userId: string;
  readonly boxId: string;
  readonly templateId: string;
  readonly subjectId: string;
  readonly resource: Resource;
  readonly hour: Date;
  /** In the unit of the resource. */
  readonly amount: string;
  readonly cost: string;
  readonly currency: string | null;
}

/** For whoever may read the organization's usage; `isAll`: of every organization, for operators. */
export async function listRollups(
  db: Db,
  subject: Subject,
  page: { readonly isAll: boolean; readonly after: number; readonly limit: number },
): Promise<RollupView[]> {
  if (!page.isAll) permit(subject, "usage.read");
  else if (!subject.isOperator)
    throw new StoreRefusal(
      "forbidden",
      "Usage of every organization is for who runs the installation.",
    );
  const { rows: clocks } = await sql<{ trimmed_id: number }>`
    select trimmed_id from usage_clock`.execute(db.query);
  if (page.after > 0 && page.after < (clocks[0]?.trimmed_id ?? 0))
    throw new StoreRefusal(
      "invalid_cursor",
      "What follows this cursor is not kept any more: start again without one, and expect a gap.",
    );
  const { rows } = await sql<RollupView>`
    select r.id, r.org_id as "orgId", r.team_id as "teamId", r.owner_id as "userId", r.box_id as "boxId",
      r.template_id as "templateId", r.subject_id as "subjectId", r.resource, r.hour,
      ${inUnits(sql`r.resource`, sql`r.amount`)} as amount, trim_scale(r.cost)::text as cost, r.currency
    from usage_rollups r
    where r.id > ${page.after} and ${page.isAll ? sql`true` : sql`r.org_id = ${subject.orgId}`}
    order by r.id limit ${page.limit}`.execute(db.query);
  return rows;
}
