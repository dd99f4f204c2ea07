// Usage, its export, prices and budgets over HTTP.

import { Problem } from "#contract/errors.ts";
import { judgeBudget, nextMonth } from "#domain/budget.ts";
import { can } from "#domain/permission.ts";
import { formatDecimal, hourlyPrice, parseDecimal, RESOURCES, UNITS } from "#domain/price.ts";
import { type BudgetView, deleteBudget, listBudgets, setBudget } from "#store/budgets.ts";
import { answerOnce } from "#store/idempotency.ts";
import { type PriceBook, readPrices, readTemplateSpec, setPrices } from "#store/prices.ts";
import { readUsage, USAGE_ROWS_MAX } from "#store/usage.ts";
import { listRollups, type RollupView } from "#store/usage-events.ts";
import type { ApiContext } from "./context.ts";
import { encodeCursor, numberPosition } from "./cursor.ts";
import type { Handlers } from "./route.ts";

const HOUR_MS = 3_600_000;
const LONGEST_HOURS = 24 * 400;

type UsageHandlers = Pick<
  Handlers,
  Extract<keyof Handlers, `usage.${string}` | `prices.${string}` | `budgets.${string}`>
>;

export function usageHandlers(context: ApiContext): UsageHandlers {
  return { ...usage(context), ...prices(), ...budgets() };
}

function usage({ clock }: ApiContext): Pick<UsageHandlers, "usage.get" | "usage.events"> {
  return {
    "usage.get": async ({ db, subject, query }) => {
      const { from, to } = periodOf(query, clock.nowMs());
      const found = await readUsage(db, subject, { ...query, from, to });
      if (found.length > USAGE_ROWS_MAX)
        throw refusedQuery(
          "step",
          `makes more than ${USAGE_ROWS_MAX} rows: ask for less time, longer steps, or one box, user or team`,
        );
      const total = found.reduce((sum, { cost }) => sum + parseDecimal(cost), 0n);
      return {
        from: from.toISOString(),
        to: to.toISOString(),
        currency: (await readPrices(db, subject.orgId)).currency,
        isWhole: can(subject, "usage.read"),
        total: formatDecimal(total),
        rows: found.map((row) => ({
          ...row,
          at: row.at?.toISOString() ?? null,
          unit: UNITS[row.resource].unit,
        })),
      };
    },
    "usage.events": async ({ db, subject, query }) => {
      const isAll = query.all === "true";
      const scope = ["usage", isAll ? "all" : subject.orgId];
      const after = numberPosition(scope, query.cursor) ?? 0;
      const rows = await listRollups(db, subject, { isAll, after, limit: query.limit + 1 });
      const shown = rows.slice(0, query.limit);
      return {
        events: shown.map(cloudEvent),
        nextCursor: encodeCursor(scope, shown.at(-1)?.id ?? after),
        hasMore: rows.length > shown.length,
      };
    },
  };
}

function periodOf(
  query: { readonly from?: string | undefined; readonly to?: string | undefined },
  nowMs: number,
): { from: Date; to: Date } {
  const now = new Date(nowMs);
  const month = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1);
  const from = query.from ? Math.floor(Date.parse(query.from) / HOUR_MS) * HOUR_MS : month;
  const to = Math.ceil((query.to ? Date.parse(query.to) : nowMs) / HOUR_MS) * HOUR_MS;
  if (to < from || to - from > LONGEST_HOURS * HOUR_MS)
    throw refusedQuery(
      "to",
      `must be after \`from\`, and at most ${LONGEST_HOURS / 24} days after it`,
    );
  return { from: new Date(from), to: new Date(to) };
}

function refusedQuery(field: string, message: string): Problem {
  const path = `query.${field}`;
  return new Problem("invalid_request", `${path}: ${message}`, { fields: [{ path, message }] });
}

function cloudEvent(rollup: RollupView) {
  return {
    specversion: "1.0" as const,
    id: `usage-${rollup.id}`,
    source: `/orgs/${rollup.orgId}`,
    type: "dev.berth.usage.hour.v1" as const,
    subject: rollup.subjectId,
    time: new Date(rollup.hour.getTime() + HOUR_MS).toISOString(),
    datacontenttype: "application/json" as const,
    data: {
      hour: rollup.hour.toISOString(),
      ...{ orgId: rollup.orgId, teamId: rollup.teamId, userId: rollup.userId },
      ...{ boxId: rollup.boxId, templateId: rollup.templateId, resource: rollup.resource },
      unit: UNITS[rollup.resource].unit,
      amount: rollup.amount,
      cost: rollup.cost,
      currency: rollup.currency,
    },
  };
}

function shapePrices(book: PriceBook) {
  return {
    currency: book.currency,
    prices: RESOURCES.map((resource) => ({
      resource,
      title: UNITS[resource].title,
      unit: UNITS[resource].unit,
      price: book.prices[resource] ?? "0",
      isOwn: book.own[resource] !== undefined,
    })),
  };
}

function prices(): Pick<UsageHandlers, Extract<keyof UsageHandlers, `prices.${string}`>> {
  return {
    "prices.get": async ({ db, subject }) => shapePrices(await readPrices(db, subject.orgId)),
    "prices.set": async ({ db, subject, body }) =>
      shapePrices(
        await setPrices(db, subject, {
          orgId: body.org ?? null,
          currency: body.currency,
          prices: body.prices,
        }),
      ),
    "prices.estimate": async ({ db, subject, query }) => {
      const spec = await readTemplateSpec(db, subject, query.template, query.version ?? null);
      const { currency, prices: held } = await readPrices(db, subject.orgId);
      const { lines, ...price } = hourlyPrice(spec, held);
      return { currency, ...price, lines: [...lines] };
    },
  };
}

function shapeBudget(budget: BudgetView, currency: string | null) {
  return {
    ...{ id: budget.id, team: budget.team, amount: budget.amount, currency },
    ...{ thresholds: [...budget.thresholds], policy: budget.policy, month: budget.month },
    ...{ spent: formatDecimal(parseDecimal(budget.spent)), percent: judgeBudget(budget).percent },
    ...{ told: [...budget.told], isClosed: budget.isClosed, resetsAt: nextMonth(budget.month) },
  };
}

function budgets(): Pick<UsageHandlers, Extract<keyof UsageHandlers, `budgets.${string}`>> {
  return {
    "budgets.list": async ({ db, subject }) => {
      const { currency } = await readPrices(db, subject.orgId);
      const found = await listBudgets(db, subject);
      return { items: found.map((budget) => shapeBudget(budget, currency)) };
    },
    "budgets.set": ({ db, subject, body, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) => {
        const { currency } = await readPrices(tx, subject.orgId);
        return shapeBudget(
          await setBudget(tx, subject, { ...body, team: body.team ?? null }),
          currency,
        );
      }),
    "budgets.delete": ({ db, subject, params, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) => {
        const { currency } = await readPrices(tx, subject.orgId);
        return shapeBudget(await deleteBudget(tx, subject, params.budget), currency);
      }),
  };
}
