// Rollups, and what budgets have reached, for an external billing system: each in one order, after a cursor. What can be
// seen never changes and nothing appears before it, so the same cursor gives the same events, and more when there are.

import { sql } from "kysely";
import type { BudgetPolicy } from "#domain/budget.ts";
import type { Subject } from "#domain/permission.ts";
import type { Resource } from "#domain/price.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import type { Clock } from "#lib/clock.ts";
import type { Db } from "./db.ts";
import { readFrontier } from "./events.ts";
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
  permitExport(subject, page.isAll);
  const { rows } = await sql<RollupView>`
    select r.id, r.org_id as "orgId", r.team_id as "teamId", r.owner_id as "userId", r.box_id as "boxId",
      r.template_id as "templateId", r.subject_id as "subjectId", r.resource, r.hour,
      ${inUnits(sql`r.resource`, sql`r.amount`)} as amount, trim_scale(r.cost)::text as cost, r.currency
    from usage_rollups r
    where r.id > ${page.after} and ${page.isAll ? sql`true` : sql`r.org_id = ${subject.orgId}`}
    order by r.id limit ${page.limit}`.execute(db.query);
  // After the rows: some may just have gone.
  const { rows: clocks } = await sql<{ trimmed_id: number }>`
    select trimmed_id from usage_clock`.execute(db.query);
  if (page.after > 0 && page.after < (clocks[0]?.trimmed_id ?? 0))
    throw new StoreRefusal(
      "invalid_cursor",
      "What follows this cursor is not kept any more: start again without one, and expect a gap.",
    );
  return rows;
}

export interface BudgetEvent {
  /** Increases; continue after it. */
  readonly id: number;
  readonly orgId: string;
  readonly at: Date;
  readonly kind:
    | "budget.set"
    | "budget.deleted"
    | "budget.threshold"
    | "budget.spent"
    | "budget.lifted";
  readonly budgetId: string;
  readonly message: string;
  /** As budgets.ts writes it. */
  readonly data: {
    readonly teamId: string | null;
    readonly month: string;
    readonly amount: string;
    readonly currency?: string | null;
    readonly spent: string;
    readonly policy: BudgetPolicy;
    readonly threshold?: number;
  };
}

/** As long as events are kept. */
export async function listBudgetEvents(
  db: Db,
  subject: Subject,
  clock: Clock,
  page: { readonly isAll: boolean; readonly after: number; readonly limit: number },
): Promise<BudgetEvent[]> {
  permitExport(subject, page.isAll);
  const frontier = await readFrontier(db, clock, page.after);
  if (frontier === null || frontier <= page.after) return [];
  const { rows } = await sql<BudgetEvent>`
    select e.id, e.org_id as "orgId", e.at, e.kind, e.subject_id as "budgetId", e.message, e.data
    from events e
    where e.subject_kind = 'budget' and e.id > ${page.after} and e.id <= ${frontier}
      and ${page.isAll ? sql`true` : sql`e.org_id = ${subject.orgId}`}
    order by e.id limit ${page.limit}`.execute(db.query);
  return rows;
}

function permitExport(subject: Subject, isAll: boolean): void {
  if (!isAll) permit(subject, "usage.read");
  else if (!subject.isOperator)
    throw new StoreRefusal(
      "forbidden",
      "Usage of every organization is for who runs the installation.",
    );
}
