// Budgets: what an organization or a team may spend in a month, and what happens when it is spent.

import { type Command, InvalidArgumentError, Option } from "commander";
import type { Budget } from "#sdk/client.ts";
import { type OutputOptions, withExamples, withOutput } from "./options.ts";
import type { Session } from "./session.ts";
import { table } from "./table.ts";
import { money } from "./usage.ts";

interface SetOptions extends OutputOptions {
  readonly team?: string;
  readonly warnAt?: number[];
  readonly policy: Budget["policy"];
}

export function addBudgetCommands(program: Command, session: Session): void {
  const group = program.command("budget").summary("what may be spent in a month");
  const list = group
    .command("list", { isDefault: true })
    .alias("ls")
    .summary("list budgets")
    .action(async (options: OutputOptions) => {
      const client = await session.client();
      const { items } = await client.budgets.list();
      session.print(options, items, (all) =>
        all.length > 0 ? budgetTable(all) : "There is no budget. `berth budget set` sets one.\n",
      );
    });
  withExamples(withOutput(list), ["berth budget"]);
  const set = group
    .command("set")
    .summary("set the budget of the organization or of a team; raising it lets boxes start again")
    .argument("<amount>", "for each month, in the currency of the prices")
    .option("--team <team>", "of this team; default: of the whole organization")
    .option(
      "--warn-at <percents>",
      "tell when so much is spent (default: 50,80,100)",
      parsePercents,
    )
    .addOption(
      new Option("--policy <policy>", "when it is spent: only tell; start nothing; also pause")
        .choices(["warn", "refuse", "pause"])
        .default("warn"),
    )
    .action(async (amount: string, options: SetOptions) => {
      const client = await session.client();
      const budget = await client.budgets.set({
        ...{ amount, policy: options.policy },
        ...(options.team ? { team: options.team } : {}),
        ...(options.warnAt ? { thresholds: options.warnAt } : {}),
      });
      session.print(options, budget, (one) => budgetTable([one]));
    });
  withExamples(withOutput(set), [
    "berth budget set 500 --policy refuse",
    "berth budget set 80 --team red --policy pause --warn-at 75,90",
  ]);
  const remove = group
    .command("delete")
    .summary("delete a budget")
    .argument("<budget>", "id")
    .action(async (id: string, options: OutputOptions) => {
      const client = await session.client();
      session.print(options, await client.budgets.delete(id), () => `${id}\n`);
    });
  withExamples(withOutput(remove), ["berth budget delete bud_01h…"]);
}

function budgetTable(budgets: readonly Budget[]): string {
  return table(
    ["ID", "OF", "AMOUNT", "SPENT", "", "MONTH AT THIS RATE", "PASSED", "WHEN SPENT", "STATE"],
    budgets.map((budget) => [
      ...[budget.id, budget.team?.name ?? "(organization)", money(budget.amount, budget.currency)],
      ...[money(budget.spent, budget.currency), `${budget.percent} %`],
      money(budget.projected, budget.currency),
      budget.passed.map(({ threshold, at }) => `${threshold} % on ${at.slice(5, 10)}`).join(", "),
      budget.policy,
      budget.isClosed ? `nothing starts until ${budget.resetsAt}` : "open",
    ]),
  );
}

function parsePercents(text: string): number[] {
  const numbers = text.split(",").map(Number);
  if (numbers.some((number) => !Number.isInteger(number) || number < 1))
    throw new InvalidArgumentError("Write percents such as 50,80,100.");
  return numbers;
}
