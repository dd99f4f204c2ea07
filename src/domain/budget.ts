// Budgets: what is due when so much of a month's amount is spent. Pure. Months are of UTC.

import { parseDecimal } from "./price.ts";

/**
 * What happens when it is spent; a warning comes at every threshold, whatever the policy.
 * - `warn`: nothing else
 * - `refuse`: nothing starts any more in that month
 * - `pause`: the same, and what runs is paused; nothing is ever deleted
 */
export const BUDGET_POLICIES = ["warn", "refuse", "pause"] as const;
export type BudgetPolicy = (typeof BUDGET_POLICIES)[number];

export interface BudgetFacts {
  readonly amount: string;
  /** Percent of the amount. */
  readonly thresholds: readonly number[];
  readonly spent: string;
  /** Thresholds that were told this month, of this amount. */
  readonly told: readonly number[];
}

export interface BudgetVerdict {
  /** Spent, of the amount, rounded down. */
  readonly percent: number;
  /** To be told now, lowest first. */
  readonly due: readonly number[];
  readonly isExhausted: boolean;
}

export function judgeBudget({ amount, thresholds, spent, told }: BudgetFacts): BudgetVerdict {
  const [limit, used] = [parseDecimal(amount), parseDecimal(spent)];
  const percent = Number((used * 100n) / limit);
  const due = [...new Set(thresholds)]
    .filter((threshold) => threshold <= percent && !told.includes(threshold))
    .sort((a, b) => a - b);
  return { percent, due, isExhausted: used >= limit };
}

/** The first instant of the next month. */
export function nextMonth(month: string): string {
  const [year = 0, number = 1] = month.split("-").map(Number);
  return new Date(Date.UTC(year, number, 1)).toISOString();
}
