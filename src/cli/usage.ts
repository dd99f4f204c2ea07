// What boxes took and what it costs; its export for a billing system; prices.

import { type Command, InvalidArgumentError, Option } from "commander";
import type { Estimate, PriceBook, Usage } from "#sdk/client.ts";
import {
  collectPair,
  type OutputOptions,
  parseCount,
  withExamples,
  withOutput,
} from "./options.ts";
import type { Session } from "./session.ts";
import { facts, table } from "./table.ts";

const GROUPS = ["total", "box", "user", "team", "template"] as const;
const STEPS = ["none", "hour", "day"] as const;

interface UsageOptions extends OutputOptions {
  readonly from?: string;
  readonly to?: string;
  readonly by: (typeof GROUPS)[number];
  readonly step: (typeof STEPS)[number];
  readonly box?: string;
  readonly user?: string;
  readonly team?: string;
  readonly template?: string;
}

export function addUsageCommands(program: Command, session: Session): void {
  const group = program
    .command("usage")
    .summary("what boxes took and what it costs")
    .description("What boxes took and what it costs, this month unless you say when.");
  const show = group
    .command("show", { isDefault: true })
    .summary("show usage")
    .option("--from <time>", "from the hour that this is in, such as 2026-11-01", parseTime)
    .option("--to <time>", "up to this", parseTime)
    .addOption(new Option("--by <what>", "a row for each").choices(GROUPS).default("total"))
    .addOption(new Option("--step <step>", "a row for each").choices(STEPS).default("none"))
    .option("--box <box>", "only of this box")
    .option("--user <user>", "only of this user")
    .option("--team <team>", "only of this team")
    .option("--template <template>", "only of boxes of this template")
    .action(async ({ output, ...query }: UsageOptions) => {
      const client = await session.client();
      const usage = await client.usage.get(query);
      session.print({ output }, usage, usageText);
    });
  withExamples(withOutput(show), [
    "berth usage",
    "berth usage --by box",
    "berth usage --from 2026-11-01 --to 2026-12-01 --by team --step day -o json",
  ]);
  addExport(group, session);
}

interface ExportOptions {
  readonly after?: string;
  readonly all?: boolean;
}

function addExport(group: Command, session: Session): void {
  const command = group
    .command("export")
    .summary("print hours of usage, and what budgets reach, as CloudEvents for a billing system")
    .description(
      "Print whole hours of usage, and events of budgets, as CloudEvents, one a line. The cursor to go on with is the last line of standard error.",
    )
    .option("--after <cursor>", "go on behind what an earlier export has printed")
    .option("--all", "of every organization; for who runs the installation")
    .action(async ({ after, all }: ExportOptions) => {
      const client = await session.client();
      let cursor = after;
      for (let hasMore = true; hasMore; ) {
        const page = await client.usage.events({
          ...(cursor === undefined ? {} : { cursor }),
          ...(all ? { all: "true" } : {}),
        });
        for (const event of page.events) session.terminal.out(`${JSON.stringify(event)}\n`);
        cursor = page.nextCursor;
        hasMore = page.hasMore;
      }
      session.terminal.err(`${cursor}\n`);
    });
  withExamples(command, ['berth usage export --after "$CURSOR" 2>cursor >>usage.jsonl']);
}

function usageText(usage: Usage): string {
  const { currency, rows } = usage;
  const hasTime = rows.some(({ at }) => at !== null);
  const hasName = rows.some(({ id }) => id !== null);
  const lines = table(
    [
      ...(hasTime ? ["WHEN"] : []),
      ...(hasName ? ["OF"] : []),
      "RESOURCE",
      "AMOUNT",
      "UNIT",
      "COST",
    ],
    rows.map((row) => [
      ...(hasTime ? [row.at ?? ""] : []),
      ...(hasName ? [row.name ?? row.id ?? "(none)"] : []),
      ...[row.resource, short(row.amount), row.unit, money(row.cost, currency)],
    ]),
  );
  const whose = usage.isWhole ? "" : " of yours";
  const total = `${money(usage.total, currency)} from ${usage.from} to ${usage.to}${whose}\n`;
  return rows.length > 0
    ? `${lines}\n${total}`
    : `No usage${whose} from ${usage.from} to ${usage.to}.\n`;
}

/** Four digits after the point, without zeros at the end. */
function short(decimal: string): string {
  return String(Number(Number(decimal).toFixed(4)));
}

export function money(decimal: string, currency: string | null): string {
  const value = Number(decimal);
  const digits = value !== 0 && Math.abs(value) < 0.01 ? 6 : 2;
  return currency === null ? "-" : `${value.toFixed(digits)} ${currency}`;
}

function parseTime(text: string): string {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new InvalidArgumentError("Write a time such as 2026-11-01.");
  return new Date(ms).toISOString();
}

interface OrgOption extends OutputOptions {
  readonly org?: string;
}

interface SetOptions extends OrgOption {
  readonly currency?: string;
}

export function addPriceCommands(program: Command, session: Session): void {
  const group = program.command("price").summary("what usage costs");
  const list = group
    .command("list", { isDefault: true })
    .summary("show prices")
    .option("--org <organization>", "of another organization (name or id); for operators")
    .action(async (options: OrgOption) => {
      const client = await session.client();
      const { org } = options;
      const book = await client.prices.get(org ? { org } : {});
      session.print(options, book, (prices) => pricesText(prices, org));
    });
  withExamples(withOutput(list), ["berth price", "berth price list --org acme"]);
  const estimate = group
    .command("estimate")
    .summary("what a box of a template costs for an hour")
    .argument("[template]", "name or id", "default")
    .option("--version <number>", "version of the template", parseCount)
    .action(async (template: string, options: OutputOptions & { readonly version?: number }) => {
      const client = await session.client();
      const { version } = options;
      const found = await client.prices.estimate({ template, ...(version ? { version } : {}) });
      session.print(options, found, estimateText);
    });
  withExamples(withOutput(estimate), ["berth price estimate default"]);
  const set = group
    .command("set")
    .summary("set prices; for who runs the installation")
    .argument("<resource=price...>", "a decimal for each unit, or 'none'", collectPair)
    .option("--currency <code>", "such as EUR; of all prices")
    .option("--org <organization>", "for this organization only (name or id)")
    .action(async (pairs: Record<string, string>, options: SetOptions) => {
      const client = await session.client();
      const given = Object.entries(pairs).map(([resource, price]) => [
        resource,
        price === "none" ? null : price,
      ]);
      const book = await client.prices.set({
        prices: Object.fromEntries(given),
        ...(options.org ? { org: options.org } : {}),
        ...(options.currency ? { currency: options.currency } : {}),
      });
      session.print(options, book, (prices) => pricesText(prices, options.org));
    });
  withExamples(withOutput(set), [
    "berth price set vcpu=0.02 memory=0.005 disk_running=0.0001 --currency EUR",
  ]);
}

function pricesText({ currency, prices }: PriceBook, org?: string): string {
  if (currency === null) return "Nothing has a price. `berth price set` sets prices.\n";
  return table(
    ["RESOURCE", "PRICE", "FOR EACH", "OF"],
    prices.map(({ resource, price, unit, title, isOwn, installationPrice }) => [
      ...[resource, `${price} ${currency}`, unit],
      isOwn
        ? `${title} (${org ? `price of ${org}` : "your own price"}; others: ${installationPrice})`
        : title,
    ]),
  );
}

function estimateText({ currency, running, paused, stopped }: Estimate): string {
  if (currency === null) return "Nothing has a price.\n";
  return facts([
    ["running", `${money(running, currency)} an hour`],
    ["paused", `${money(paused, currency)} an hour`],
    ["stopped", `${money(stopped, currency)} an hour`],
  ]);
}

/** What a new box will cost, for whoever creates it; null: nothing, or it cannot be told. */
export async function priceLine(
  session: Session,
  template: string,
  version: number | undefined,
): Promise<string | null> {
  const client = await session.client();
  const query = { template, ...(version ? { version } : {}) };
  // Creating it will say what is wrong.
  const price = await client.prices.estimate(query).catch(() => null);
  if (!price || price.currency === null) return null;
  const { currency, running, paused } = price;
  return `costs ${money(running, currency)} an hour while it runs, ${money(paused, currency)} while it is paused`;
}
