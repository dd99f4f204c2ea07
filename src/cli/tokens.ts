// API tokens: what programs show to be let in.

import type { Command } from "commander";
import type { BerthClient } from "#sdk/client.ts";
import {
  collect,
  type OutputOptions,
  parseDurationMs,
  withExamples,
  withOutput,
} from "./options.ts";
import { everyPage } from "./pages.ts";
import type { Session } from "./session.ts";
import { table } from "./table.ts";
import { age } from "./terminal.ts";

export type Scope = Awaited<
  ReturnType<BerthClient["system"]["get"]>
>["user"]["permissions"][number];

export function addTokenCommands(program: Command, session: Session): void {
  const { clock } = session.terminal;
  const group = program.command("token").summary("API tokens of yours, for programs");
  const create = group
    .command("create")
    .summary("make a token; it is shown once")
    .argument("<name>", "what it is for")
    .option(
      "--for <duration>",
      "how long it is good, such as 12h (default: until revoked)",
      parseDurationMs,
    )
    .option("--scope <permission>", "what it may be used for (repeat; default: all)", collect)
    .action(async (name: string, options: OutputOptions & { for?: number; scope?: Scope[] }) => {
      const client = await session.client();
      const made = await client.tokens.create({
        name,
        ...(options.for ? { expiresInMs: options.for } : {}),
        ...(options.scope ? { scopes: options.scope } : {}),
      });
      session.print(options, made, () => `${made.token}\n`);
    });
  withExamples(withOutput(create), [
    "berth token create ci --for 12h",
    "berth token create watcher --scope box.read --scope event.read",
  ]);
  const list = group
    .command("list")
    .alias("ls")
    .summary("list your tokens")
    .action(async (options: OutputOptions) => {
      const client = await session.client();
      const tokens = await everyPage((page) => client.tokens.list(page));
      session.print(options, tokens, (all) =>
        table(
          ["ID", "NAME", "AGE", "LAST USED", "EXPIRES"],
          all.map((token) => [
            ...[token.id, token.isCurrent ? `${token.name} (this one)` : token.name],
            age(token.createdAt, clock.nowMs()),
            token.lastUsedAt ? age(token.lastUsedAt, clock.nowMs()) : "never",
            token.expiresAt ?? "never",
          ]),
        ),
      );
    });
  withExamples(withOutput(list), ["berth token list"]);
  const revoke = group
    .command("revoke")
    .summary("revoke a token; what it opened ends within seconds")
    .argument("<token>", "id")
    .action(async (id: string, options: OutputOptions) => {
      const client = await session.client();
      const token = await client.tokens.delete(id);
      session.print(options, token, () => `${id}\n`);
    });
  withExamples(withOutput(revoke), ["berth token revoke tok_01h…"]);
}
