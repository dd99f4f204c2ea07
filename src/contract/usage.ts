// Usage, what it costs, and budgets. Money and amounts are decimal strings, so that no sum is rounded on its way.

import { z } from "zod";
import { BUDGET_POLICIES } from "#domain/budget.ts";
import { DECIMAL_PATTERN, RESOURCES, UNITS } from "#domain/price.ts";
import { idSchema, pageQuery, refSchema, timeSchema, versionNumber } from "./fields.ts";

const decimalSchema = z.string().describe("A decimal, as in 12.5.");
const givenDecimalSchema = z
  .string()
  .regex(DECIMAL_PATTERN, "must be a decimal with at most 9 digits after the point");
const currencySchema = z.string().regex(/^[A-Z]{3}$/, "must be three capital letters, as in EUR");
const resourceSchema = z
  .enum(RESOURCES)
  .describe(RESOURCES.map((one) => `${one}: ${UNITS[one].title} (${UNITS[one].unit})`).join("; "));

export const usageQuery = z.strictObject({
  from: timeSchema.optional().describe("From the hour that this is in; default: of this month."),
  to: timeSchema.optional().describe("To the end of the hour before this; default: now."),
  by: z
    .enum(["total", "box", "user", "team", "template"])
    .default("total")
    .describe("A row for each."),
  step: z.enum(["none", "hour", "day"]).default("none").describe("A row for each, of UTC."),
  box: refSchema("box").optional(),
  user: z.string().max(100).optional().describe("Id or name of a user."),
  team: refSchema("team").optional(),
  template: refSchema("template").optional(),
});

export const usageRowSchema = z
  .object({
    at: timeSchema.nullable().describe("When the hour or day began; null: of the whole time."),
    id: z.string().nullable().describe("Of the box, user, team or template; null: of none."),
    name: z.string().nullable(),
    resource: resourceSchema,
    unit: z.string(),
    amount: decimalSchema.describe("In that unit."),
    cost: decimalSchema,
  })
  .meta({ id: "UsageRow" });

export const usageSchema = z
  .object({
    from: timeSchema,
    to: timeSchema,
    currency: z.string().nullable().describe("Null: nothing has a price."),
    isWhole: z.boolean().describe("False: only your own, and that of teams that you manage."),
    total: decimalSchema.describe("What all rows cost."),
    rows: z.array(usageRowSchema),
  })
  .meta({ id: "Usage" });

export const usageEventsQuery = z.strictObject({
  cursor: pageQuery.cursor,
  limit: z.coerce.number().int().min(1).max(1000).default(500),
  all: z
    .enum(["true", "false"])
    .default("false")
    .describe("Of every organization; for who runs the installation."),
});

const usageEventSchema = z
  .object({
    specversion: z.literal("1.0"),
    id: z.string().describe("The same event has the same id, however often it is read."),
    source: z.string(),
    type: z.literal("dev.berth.usage.hour.v1"),
    subject: z.string().describe("The box or snapshot."),
    time: timeSchema.describe("The end of the hour."),
    datacontenttype: z.literal("application/json"),
    data: z.object({
      hour: timeSchema,
      orgId: idSchema("org"),
      teamId: idSchema("team").nullable(),
      userId: idSchema("usr"),
      boxId: idSchema("box"),
      templateId: idSchema("tpl"),
      resource: resourceSchema,
      unit: z.string(),
      amount: decimalSchema.describe("In that unit."),
      cost: decimalSchema,
      currency: z.string().nullable(),
    }),
  })
  .meta({ id: "UsageEvent", description: "A CloudEvent (1.0): one hour of one resource." });

const budgetEventSchema = z
  .object({
    specversion: z.literal("1.0"),
    id: z.string().describe("The same event has the same id, however often it is read."),
    source: z.string(),
    type: z.enum([
      "dev.berth.budget.set.v1",
      "dev.berth.budget.deleted.v1",
      "dev.berth.budget.threshold.v1",
      "dev.berth.budget.spent.v1",
      "dev.berth.budget.lifted.v1",
    ]),
    subject: z.string().describe("The budget."),
    time: timeSchema,
    datacontenttype: z.literal("application/json"),
    data: z.object({
      orgId: idSchema("org"),
      budgetId: idSchema("bud"),
      teamId: idSchema("team").nullable().describe("Null: of the whole organization."),
      month: z.string().describe("Its first day."),
      amount: decimalSchema,
      currency: z.string().nullable(),
      spent: decimalSchema,
      policy: z.enum(BUDGET_POLICIES),
      threshold: z.number().int().nullable().describe("Percent that was reached, of a threshold."),
      message: z.string().describe("A sentence for people."),
    }),
  })
  .meta({
    id: "BudgetEvent",
    description: "A CloudEvent (1.0): a budget was set, reached a threshold, is spent, or lets go.",
  });

export const usageEventsSchema = z
  .object({
    events: z
      .array(z.discriminatedUnion("type", [usageEventSchema, budgetEventSchema]))
      .describe("A batch, as CloudEvents' JSON format has it."),
    nextCursor: z.string().describe("Ask with it later: what comes is behind these events."),
    hasMore: z.boolean().describe("There is more now."),
  })
  .meta({ id: "UsageEvents" });

const pricesShape = Object.fromEntries(
  RESOURCES.map((resource) => [
    resource,
    givenDecimalSchema
      .nullable()
      .optional()
      .describe(`For each ${UNITS[resource].unit}: ${UNITS[resource].title}. Null: none.`),
  ]),
) as Record<(typeof RESOURCES)[number], z.ZodOptional<z.ZodNullable<z.ZodString>>>;

export const priceBookSchema = z
  .object({
    currency: z.string().nullable().describe("Null: nothing has a price."),
    prices: z
      .array(
        z.object({
          resource: resourceSchema,
          title: z.string(),
          unit: z.string(),
          price: decimalSchema,
          isOwn: z.boolean().describe("It is set for this organization."),
          installationPrice: decimalSchema.describe("What holds where none is set."),
        }),
      )
      .describe("One for each resource."),
  })
  .meta({ id: "PriceBook" });

export const pricesQuery = z.strictObject({
  org: refSchema("organization")
    .optional()
    .describe("Another organization than one's own: for operators."),
});

export const setPricesSchema = z
  .strictObject({
    org: refSchema("organization")
      .optional()
      .describe("Of this organization only; default: of the installation."),
    currency: currencySchema.optional(),
    prices: z.strictObject(pricesShape).describe("What is left out stays as it is."),
  })
  .meta({ id: "SetPrices" });

export const estimateQuery = z.strictObject({
  template: refSchema("template"),
  version: z.coerce.number().pipe(versionNumber).optional(),
});

const perHour = {
  running: decimalSchema.describe("For an hour, of a box that runs."),
  paused: decimalSchema.describe("For an hour, of a paused box."),
  stopped: decimalSchema.describe("For an hour, of a stopped box."),
};

export const hourlyPriceSchema = z.object({ currency: z.string(), ...perHour }).meta({
  id: "HourlyPrice",
  description: "What a box costs, besides its snapshots and the bytes that leave it.",
});

export const estimateSchema = z
  .object({
    currency: z.string().nullable().describe("Null: nothing has a price."),
    ...perHour,
    lines: z.array(
      z.object({
        resource: resourceSchema,
        unit: z.string(),
        amount: decimalSchema,
        price: decimalSchema,
        cost: decimalSchema,
      }),
    ),
  })
  .meta({
    id: "Estimate",
    description: "What a box costs, besides its snapshots and the bytes that leave it.",
  });

export const budgetParams = z.strictObject({ budget: refSchema("budget") });

const thresholdSchema = z.number().int().min(1).max(1000);

export const setBudgetSchema = z
  .strictObject({
    team: refSchema("team").optional().describe("Default: of the whole organization."),
    amount: givenDecimalSchema
      .refine((text) => /[1-9]/.test(text), "must be more than 0")
      .describe("For each month of UTC."),
    thresholds: z
      .array(thresholdSchema)
      .max(10)
      .default([50, 80, 100])
      .describe("Percent of the amount at which an event tells it, once a month."),
    policy: z
      .enum(BUDGET_POLICIES)
      .default("warn")
      .describe(
        "When it is spent. warn: only tell; refuse: nothing starts any more; pause: also pause what runs. Nothing is ever deleted.",
      ),
  })
  .meta({ id: "SetBudget" });

export const budgetSchema = z
  .object({
    id: idSchema("bud"),
    team: z.object({ id: idSchema("team"), name: z.string() }).nullable(),
    amount: decimalSchema,
    currency: z.string().nullable(),
    thresholds: z.array(z.number().int()),
    policy: z.enum(BUDGET_POLICIES),
    month: z.string().describe("First day of this month."),
    spent: decimalSchema.describe("Of this month, up to now."),
    percent: z.number().int(),
    perHour: decimalSchema.describe("What an hour of what is taken now costs."),
    projected: decimalSchema.describe("What the month will have cost if that goes on."),
    passed: z
      .array(z.object({ threshold: z.number().int(), at: timeSchema }))
      .describe("Thresholds that were reached this month, and when it was seen."),
    told: z.array(z.number().int()).describe("Thresholds that were told this month."),
    isClosed: z.boolean().describe("What would start is refused."),
    resetsAt: timeSchema,
  })
  .meta({ id: "Budget" });

export const budgetsSchema = z.object({ items: z.array(budgetSchema) }).meta({ id: "Budgets" });
