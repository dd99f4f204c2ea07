// What the trigger that guards budgets raises (migrations/0008-usage.sql), as a refusal that its reader can act on.

import { nextMonth } from "#domain/budget.ts";
import { StoreRefusal } from "#domain/refusal.ts";

interface SpentBudget {
  readonly budgetId: string;
  /** Null: of the whole organization. */
  readonly team: string | null;
  readonly amount: string;
  readonly spent: string;
  readonly currency: string | null;
  readonly month: string;
}

export function budgetRefusal(detail: string): StoreRefusal {
  const budget = JSON.parse(detail) as SpentBudget;
  const whose = budget.team === null ? "the organization" : `the team ${budget.team}`;
  const spent = `${cents(budget.spent)} of ${cents(budget.amount)} ${budget.currency ?? ""}`.trim();
  return new StoreRefusal(
    "budget_exceeded",
    `The monthly budget of ${whose} (${budget.budgetId}) is spent: ${spent}. ` +
      `Nothing starts until ${nextMonth(budget.month)}, unless it is raised (\`berth budget set\`).`,
  );
}

function cents(decimal: string): string {
  return Number(decimal).toFixed(2);
}
