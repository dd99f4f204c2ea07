// The shape that most commands have: arguments, options, one question to the API, and its answer printed as text or JSON.

import type { Command } from "commander";
import type { BerthClient } from "#sdk/client.ts";
import { type OutputOptions, withExamples, withOutput } from "./options.ts";
import { everyPage, type PageQuery } from "./pages.ts";
import type { Session } from "./session.ts";
import { table } from "./table.ts";

interface About<Options> {
  readonly summary: string;
  readonly examples: readonly string[];
  /** In order: `<name>` must be given, `[name]` may be, `<name...>` takes all the rest as a list. */
  readonly args?: Readonly<Record<string, string>>;
  readonly aliases?: readonly string[];
  /** Adds options to the command. */
  readonly options?: (command: Command) => unknown;
  /** Before anything is asked: refuses, or asks the user. */
  readonly before?: (options: Options, args: readonly string[]) => Promise<void> | void;
}

export interface Question<Args extends readonly unknown[], Options, Answer> extends About<Options> {
  readonly run: (client: BerthClient, args: Args, options: Options) => Promise<Answer>;
  readonly text: (answer: Answer) => string;
}

/** Adds a command that asks one question. */
export function ask<Args extends readonly unknown[], Options, Answer>(
  group: Command,
  session: Session,
  name: string,
  question: Question<Args, Options, Answer>,
): void {
  const { summary, examples, args = {}, aliases = [] } = question;
  const command = group.command(name).summary(summary).aliases(aliases);
  for (const [argument, description] of Object.entries(args))
    command.argument(argument, description);
  question.options?.(command);
  command.action(async (...given: unknown[]) => {
    // Commander gives the arguments, then the options, then the command itself.
    const values = given.slice(0, -2) as unknown as Args;
    const options = given.at(-2) as Options & OutputOptions;
    await question.before?.(options, values as unknown as readonly string[]);
    const answer = await question.run(await session.client(), values, options);
    session.print(options, answer, question.text);
  });
  withExamples(withOutput(command), examples);
}

export interface Listing<Args extends readonly unknown[], Item> extends About<object> {
  readonly load: (
    client: BerthClient,
    args: Args,
    page: PageQuery,
  ) => Promise<{ readonly items: readonly Item[]; readonly nextCursor?: string | null }>;
  readonly headings: readonly string[];
  readonly row: (item: Item) => readonly string[];
  /** What is printed when there is none: how to get one. */
  readonly empty?: string;
}

/** Adds `list` (or what `name` says): all pages, as a table. */
export function list<Args extends readonly unknown[], Item>(
  group: Command,
  session: Session,
  listing: Listing<Args, Item> & { readonly name?: string },
): void {
  const { name = "list", load, headings, row, empty, ...about } = listing;
  ask<Args, object, Item[]>(group, session, name, {
    ...about,
    aliases: name === "list" ? ["ls"] : [],
    run: (client, args) =>
      everyPage(async (page) => {
        const { items, nextCursor = null } = await load(client, args, page);
        return { items, nextCursor };
      }),
    text: (items) => (items.length === 0 && empty ? `${empty}\n` : table(headings, items.map(row))),
  });
}
