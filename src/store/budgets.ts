// Budgets: what an organization, or a team of it, may spend in a month. A loop judges them: it tells each threshold once,
// and when the amount is spent, a trigger refuses what would start (0013-limits-and-prices.sql) and the loop pauses what
// runs, by the budget's policy. The trigger knows what was spent since the loop has looked. A month that is over, or an
// amount that is raised, lifts it at once.

import { type RawBuilder, sql } from "kysely";
import { type BudgetPolicy, type BudgetVerdict, judgeBudget } from "#domain/budget.ts";
import type { BoxId, BudgetId, OrgId, TeamId, UserId } from "#domain/ids.ts";
import { can, type Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { setDesired } from "./box-intent.ts";
import { addNotice } from "./box-notices.ts";
import { type Db, transact } from "./db.ts";
import { insertEvents, type NewEvent } from "./events.ts";
import { newId } from "./new-id.ts";
import { holdCurrency, readPrices } from "./prices.ts";
import { permit } from "./rights.ts";
import { resolveTeam } from "./teams.ts";
import { spentOf } from "./usage.ts";

export interface BudgetView {
  readonly id: BudgetId;
  readonly orgId: OrgId;
  /** Null: of the whole organization. */
  readonly team: { readonly id: TeamId; readonly name: string } | null;
  readonly amount: string;
  readonly currency: string | null;
  readonly thresholds: readonly number[];
  readonly policy: BudgetPolicy;
  /** First day of this month. */
  readonly month: string;
  readonly spent: string;
  /** What an hour of what is taken now costs. */
  readonly perHour: string;
  /** What the month will have cost if that goes on. */
  readonly projected: string;
  /** When that was so. */
  readonly at: Date;
  /** Thresholds that were told this month, and when. */
  readonly passed: readonly { readonly threshold: number; readonly at: string }[];
  /** What would start is refused now. */
  readonly isClosed: boolean;
}

export interface BudgetInput {
  /** Id or name; null: of the whole organization. */
  readonly team: string | null;
  readonly amount: string;
  readonly thresholds: readonly number[];
  readonly policy: BudgetPolicy;
}

async function selectBudgets(db: Db, condition: RawBuilder<unknown>): Promise<BudgetView[]> {
  const { rows } = await sql<BudgetView>`
    select b.id, b.org_id as "orgId", trim_scale(b.amount)::text as amount, b.thresholds, b.policy,
      case when b.team_id is not null then jsonb_build_object('id', b.team_id, 'name', t.name) end as team,
      (select currency from price_books where org_id is null order by id desc limit 1) as currency,
      m.month, m.spent, m.per_hour as "perHour", m.projected, usage_wall() as at,
      coalesce((select jsonb_agg(jsonb_build_object('threshold', a.threshold, 'at', a.created_at) order by a.threshold)
        from budget_alerts a where a.budget_id = b.id and a.month = m.month::date and a.amount = b.amount),
        '[]') as passed,
      b.policy <> 'warn' and b.exhausted_month is not distinct from m.month::date as "isClosed"
    from budgets b left join teams t on t.id = b.team_id
    cross join lateral ${spentOf(sql`b.org_id`, sql`b.team_id`)} m
    where b.deleted_at is null and t.deleted_at is null and ${condition}`.execute(db.query);
  return rows;
}

/** All for whoever may read the organization's usage; for others those of their teams. */
export async function listBudgets(db: Db, subject: Subject): Promise<BudgetView[]> {
  const teams = subject.teams.map(({ teamId }) => teamId);
  const isShown = can(subject, "usage.read") ? sql`true` : sql`b.team_id = any(${teams}::text[])`;
  return selectBudgets(
    db,
    sql`b.org_id = ${subject.orgId} and ${isShown} order by b.team_id is not null, b.id`,
  );
}

/** The budget of the organization or of a team, as it is to be from now on. */
export async function setBudget(db: Db, subject: Subject, input: BudgetInput): Promise<BudgetView> {
  permit(subject, "budget.manage");
  return transact(db, "store.budget.set", async (tx) => {
    await holdCurrency(tx);
    if ((await readPrices(tx, subject.orgId)).currency === null)
      throw new StoreRefusal(
        "not_now",
        "There are no prices yet, so nothing costs anything: who runs the installation sets them with `berth price set`.",
      );
    const teamId = await resolveTeam(tx, subject, input.team);
    const thresholds = [...new Set(input.thresholds)].sort((a, b) => a - b);
    const { rows } = await sql<{ id: BudgetId }>`
      insert into budgets (id, org_id, team_id, amount, thresholds, policy)
      values (${newId("budget")}, ${subject.orgId}, ${teamId}, ${input.amount}::numeric,
        ${thresholds}::integer[], ${input.policy})
      on conflict (org_id, team_id) where deleted_at is null do update
        set amount = excluded.amount, thresholds = excluded.thresholds, policy = excluded.policy
      returning id`.execute(tx.query);
    const [budget] = await selectBudgets(tx, sql`b.id = ${rows[0]?.id}`);
    const view = budget as BudgetView;
    await insertEvents(tx, [
      {
        ...eventOf(view, "set", `the ${wordsOf(view)} is ${view.amount} a month (${view.policy})`),
        actor: subject.userId,
      },
    ]);
    return writeVerdict(tx, view);
  });
}

export async function deleteBudget(db: Db, subject: Subject, id: string): Promise<BudgetView> {
  return transact(db, "store.budget.delete", async (tx) => {
    const budget = (await listBudgets(tx, subject)).find((one) => one.id === id);
    if (!budget) throw new StoreRefusal("not_found", `There is no budget '${id}'.`);
    permit(subject, "budget.manage");
    await sql`update budgets set deleted_at = now() where id = ${id} and deleted_at is null`.execute(
      tx.query,
    );
    await insertEvents(tx, [
      {
        ...eventOf(budget, "deleted", `the ${wordsOf(budget)} was deleted`),
        actor: subject.userId,
      },
    ]);
    return { ...budget, isClosed: false };
  });
}

/** Budgets after an id of which something is due, with whether there may be more behind them. */
export async function judgeBudgets(
  db: Db,
  page: { readonly after: string; readonly limit: number },
): Promise<{ readonly next: string | null; readonly closed: readonly BudgetView[] }> {
  const budgets = await selectBudgets(
    db,
    sql`b.id > ${page.after} order by b.id limit ${page.limit}`,
  );
  const closed: BudgetView[] = [];
  for (const budget of budgets) {
    const judged = isDue(budget) ? await judgeBudgetOnce(db, budget.id) : budget;
    if (judged?.isClosed && judged.policy === "pause") closed.push(judged);
  }
  await writeSpent(db, budgets);
  return { next: budgets.length < page.limit ? null : (budgets.at(-1)?.id ?? null), closed };
}

/** What the trigger goes by until the next look. One from the future was written before the clock jumped back. */
async function writeSpent(db: Db, budgets: readonly BudgetView[]): Promise<void> {
  const rows = budgets
    .filter(({ policy }) => policy !== "warn")
    .map(({ id, month, spent, perHour, at }) => ({ id, month, spent, per_hour: perHour, at }));
  if (rows.length === 0) return;
  await sql`
    update budgets b set month = n.month, spent = n.spent, per_hour = n.per_hour, judged_at = n.at
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as n
      (id text, month date, spent numeric, per_hour numeric, at timestamptz)
    where b.id = any(${rows.map(({ id }) => id)}::text[]) and b.id = n.id and (b.judged_at is null or b.judged_at < n.at or b.judged_at > usage_wall())`.execute(
    db.query,
  );
}

function judge(budget: BudgetView): BudgetVerdict {
  return judgeBudget({ ...budget, told: budget.passed.map(({ threshold }) => threshold) });
}

function isDue(budget: BudgetView): boolean {
  const { due, isExhausted } = judge(budget);
  return due.length > 0 || (budget.policy !== "warn" && isExhausted !== budget.isClosed);
}

async function judgeBudgetOnce(db: Db, id: BudgetId): Promise<BudgetView | null> {
  return transact(db, "store.budget.judge", async (tx) => {
    await sql`select 1 from budgets where id = ${id} for no key update`.execute(tx.query);
    const [budget] = await selectBudgets(tx, sql`b.id = ${id}`);
    return budget ? writeVerdict(tx, budget) : null;
  });
}

/** For a budget that the transaction has locked. */
async function writeVerdict(tx: Db, budget: BudgetView): Promise<BudgetView> {
  const { due, isExhausted } = judge(budget);
  await writeSpent(tx, [budget]);
  await sql`
    update budgets set exhausted_month = ${isExhausted ? budget.month : null}::date where id = ${budget.id}`.execute(
    tx.query,
  );
  const { rows } = await sql<{ threshold: number; at: Date }>`
    insert into budget_alerts (budget_id, org_id, month, threshold, amount, spent)
    select ${budget.id}, ${budget.orgId}, ${budget.month}::date, threshold, ${budget.amount}::numeric,
      ${budget.spent}::numeric from unnest(${[...due]}::integer[]) as threshold
    on conflict do nothing returning threshold, created_at as at`.execute(tx.query);
  const isClosed = isExhausted && budget.policy !== "warn";
  const events = rows.map(({ threshold }) =>
    eventOf(
      budget,
      "threshold",
      `${threshold} % of the ${wordsOf(budget)} is spent: ${budget.spent} of ${budget.amount}`,
      { threshold },
    ),
  );
  if (isClosed && !budget.isClosed)
    events.push(eventOf(budget, "spent", `the ${wordsOf(budget)} is spent: nothing starts`));
  if (!isClosed && budget.isClosed)
    events.push(eventOf(budget, "lifted", `the ${wordsOf(budget)} lets boxes start again`));
  await insertEvents(tx, events);
  const passed = rows.map(({ threshold, at }) => ({ threshold, at: at.toISOString() }));
  return { ...budget, passed: [...budget.passed, ...passed], isClosed };
}

function wordsOf({ team }: BudgetView): string {
  return team === null ? "budget of the organization" : `budget of the team ${team.name}`;
}

function eventOf(
  budget: BudgetView,
  what: "set" | "deleted" | "threshold" | "spent" | "lifted",
  message: string,
  data: Record<string, unknown> = {},
): NewEvent {
  const { amount, currency, spent, month, policy } = budget;
  return {
    orgId: budget.orgId,
    kind: `budget.${what}`,
    subjectKind: "budget",
    subjectId: budget.id,
    message,
    data: { teamId: budget.team?.id ?? null, amount, currency, spent, month, policy, ...data },
  };
}

/**
 * Pauses a page of the boxes that a spent budget pays for; answers after which one the next begins, null: there is none.
 * Those that cannot be paused now keep no other from it, and are left for the next time.
 */
export async function pauseForBudget(
  db: Db,
  budget: BudgetView,
  page: { readonly after: string; readonly limit: number },
): Promise<string | null> {
  const teamId = budget.team?.id ?? null;
  const { rows } = await sql<{ id: BoxId; owner_id: UserId }>`
    select id, owner_id from boxes where org_id = ${budget.orgId} and deleted_at is null and kind = 'user'
      and desired = 'running' and (${teamId}::text is null or team_id = ${teamId}) and id > ${page.after}
    order by id limit ${page.limit}`.execute(db.query);
  for (const box of rows) {
    // In the name of its owner, who is told why.
    const subject: Subject = {
      ...{ userId: box.owner_id, orgId: budget.orgId, isOperator: false },
      ...{ roles: ["owner"], teams: [], scopes: null },
    };
    try {
      await transact(db, "store.budget.pause", async (tx) => {
        // It may have been raised meanwhile.
        const { rows: spent } = await sql`
          select 1 from budgets where id = ${budget.id} and deleted_at is null and policy = 'pause'
            and exhausted_month = ${budget.month}::date for share`.execute(tx.query);
        if (spent.length === 0) return;
        await setDesired(tx, subject, box.id, "pause");
        await addNotice(
          tx,
          box.id,
          "budget_spent",
          `it was paused because the ${wordsOf(budget)} is spent; it can start when the budget is raised, or next month`,
        );
      });
    } catch (error) {
      if (!(error instanceof StoreRefusal)) throw error;
    }
  }
  return rows.length < page.limit ? null : (rows.at(-1)?.id ?? null);
}
