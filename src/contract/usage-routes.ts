// The operations about usage, prices and budgets. routes.ts lists them with all others.

import { read, route } from "./route.ts";
import {
  budgetParams,
  budgetSchema,
  budgetsSchema,
  estimateQuery,
  estimateSchema,
  priceBookSchema,
  setBudgetSchema,
  setPricesSchema,
  usageEventsQuery,
  usageEventsSchema,
  usageQuery,
  usageSchema,
} from "./usage.ts";

export const USAGE_ROUTES = [
  read({
    name: "usage.get",
    path: "/usage",
    permission: "org.read",
    summary: "Show usage and what it costs",
    description:
      "Of the whole organization with the permission usage.read; else one's own, and that of teams that one manages.",
    query: usageQuery,
    response: usageSchema,
  }),
  read({
    name: "usage.events",
    path: "/usage/events",
    permission: "usage.read",
    summary: "Export usage, and what budgets reach, as CloudEvents",
    description:
      "Whole hours, and events of budgets, for a billing system: in one order and without a gap, so that a reader that keeps `nextCursor` misses nothing. The same cursor gives the same events, and more behind them when there are.",
    query: usageEventsQuery,
    response: usageEventsSchema,
  }),
  read({
    name: "prices.get",
    path: "/prices",
    permission: "org.read",
    summary: "Show the prices that hold for the organization",
    response: priceBookSchema,
  }),
  route({
    name: "prices.set",
    method: "PATCH",
    path: "/prices",
    permission: "org.create",
    summary: "Set prices",
    description:
      "For who runs the installation. They hold from the first hour on that is not over yet; what an hour before has cost stays.",
    body: setPricesSchema,
    status: 200,
    response: priceBookSchema,
  }),
  read({
    name: "prices.estimate",
    path: "/prices/estimate",
    permission: "template.read",
    summary: "Show what a box of a template costs for an hour",
    query: estimateQuery,
    response: estimateSchema,
  }),
  read({
    name: "budgets.list",
    path: "/budgets",
    permission: "org.read",
    summary: "List budgets",
    description: "All with the permission usage.read; else those of one's teams.",
    response: budgetsSchema,
  }),
  route({
    name: "budgets.set",
    method: "POST",
    path: "/budgets",
    permission: "budget.manage",
    summary: "Set the budget of the organization or of a team",
    description: "There is one for each. Raising it lifts what it has closed at once.",
    body: setBudgetSchema,
    status: 200,
    response: budgetSchema,
    idempotencyKey: true,
  }),
  route({
    name: "budgets.delete",
    method: "DELETE",
    path: "/budgets/{budget}",
    permission: "budget.manage",
    summary: "Delete a budget",
    params: budgetParams,
    status: 200,
    response: budgetSchema,
    idempotencyKey: true,
  }),
] as const;
