// Usage, its export, prices and budgets over HTTP.

import { Problem } from "#contract/errors.ts";
import { judgeBudget, nextMonth } from "#domain/budget.ts";
import { can } from "#domain/permission.ts";
import { formatDecimal, hourlyPrice, parseDecimal, RESOURCES, UNITS } from "#domain/price.ts";
import { type BudgetView, deleteBudget, listBudgets, setBudget } from "#store/budgets.ts";
import { findOrg } from "#store/find-org.ts";
import { answerOnce } from "#store/idempotency.ts";
import {
  type PriceBook,
  readPrices,
  readTemplateSpec,
  setPrices,
  showPrices,
} from "#store/prices.ts";
import { readUsage, USAGE_ROWS_MAX } from "#store/usage.ts";
import {
  type BudgetEvent,
  listBudgetEvents,
  listRollups,
  type RollupView,
} from "#store/usage-events.ts";
import type { ApiContext } from "./context.ts";
import { encodeCursor, pairPosition } from "./cursor.ts";
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
      const [afterRollup, afterEvent] = pairPosition(scope, query.cursor);
      const { limit } = query;
      const rollups = await listRollups(db, subject, {
        isAll,
        after: afterRollup,
        limit: limit + 1,
      });
      const shown = rollups.slice(0, limit);
      const room = limit - shown.length;
      const page = { isAll, after: afterEvent, limit: room + 1 };
      const told = await listBudgetEvents(db, subject, clock, page);
      const shownTold = told.slice(0, room);
      return {
        events: [...shown.map(usageEvent), ...shownTold.map(budgetEvent)],
        nextCursor: encodeCursor(scope, [
          shown.at(-1)?.id ?? afterRollup,
          shownTold.at(-1)?.id ?? afterEvent,
        ]),
        hasMore: rollups.length > shown.length || told.length > shownTold.length,
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

const CLOUD_EVENT = { specversion: "1.0", datacontenttype: "application/json" } as const;

function usageEvent(rollup: RollupView) {
  return {
    ...CLOUD_EVENT,
    id: `usage-${rollup.id}`,
    source: `/orgs/${rollup.orgId}`,
    type: "dev.berth.usage.hour.v1" as const,
    subject: rollup.subjectId,
    time: new Date(rollup.hour.getTime() + HOUR_MS).toISOString(),
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

function budgetEvent({ id, orgId, at, kind, budgetId, message, data }: BudgetEvent) {
  const { teamId, month, amount, currency = null, spent, policy, threshold = null } = data;
  return {
    ...CLOUD_EVENT,
    id: `budget-${id}`,
    source: `/orgs/${orgId}`,
    type: `dev.berth.${kind}.v1` as const,
    subject: budgetId,
    time: at.toISOString(),
    data: {
      ...{ orgId, budgetId, teamId, month, amount, currency, spent, policy, threshold },
      message,
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
      installationPrice: book.base[resource] ?? "0",
    })),
  };
}

function prices(): Pick<UsageHandlers, Extract<keyof UsageHandlers, `prices.${string}`>> {
  return {
    "prices.get": async ({ db, subject, query }) =>
      shapePrices(await showPrices(db, subject, query.org)),
    "prices.set": async ({ db, subject, body }) =>
      shapePrices(
        await setPrices(db, subject, {
          orgId: body.org === undefined ? null : (await findOrg(db, body.org)).id,
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

function shapeBudget(budget: BudgetView) {
  const shortest = (decimal: string) => formatDecimal(parseDecimal(decimal));
  const told = budget.passed.map(({ threshold }) => threshold);
  return {
    ...{ id: budget.id, team: budget.team, amount: budget.amount, currency: budget.currency },
    ...{ thresholds: [...budget.thresholds], policy: budget.policy, month: budget.month },
    ...{ spent: shortest(budget.spent), percent: judgeBudget({ ...budget, told }).percent },
    ...{ perHour: shortest(budget.perHour), projected: shortest(budget.projected) },
    told,
    passed: budget.passed.map(({ threshold, at }) => ({
      threshold,
      at: new Date(at).toISOString(),
    })),
    ...{ isClosed: budget.isClosed, resetsAt: nextMonth(budget.month) },
  };
}

function budgets(): Pick<UsageHandlers, Extract<keyof UsageHandlers, `budgets.${string}`>> {
  return {
    "budgets.list": async ({ db, subject }) => ({
      items: (await listBudgets(db, subject)).map(shapeBudget),
    }),
    "budgets.set": ({ db, subject, body, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeBudget(await setBudget(tx, subject, { ...body, team: body.team ?? null })),
      ),
    "budgets.delete": ({ db, subject, params, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeBudget(await deleteBudget(tx, subject, params.budget)),
      ),
  };
}
