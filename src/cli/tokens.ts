// API tokens: what programs show to be let in.

import type { Command } from "commander";
import type { Clock } from "#lib/clock.ts";
import type { BerthClient } from "#sdk/client.ts";
import { ask, list } from "./command.ts";
import { idOf } from "./names.ts";
import { collect, parseDurationMs } from "./options.ts";
import type { Session } from "./session.ts";
import { age } from "./terminal.ts";

type NewToken = Parameters<BerthClient["tokens"]["create"]>[0];
type Token = Awaited<ReturnType<BerthClient["tokens"]["list"]>>["items"][number];

export interface TokenOptions {
  readonly for?: number;
  readonly scope?: NonNullable<NewToken["scopes"]>;
}

export function withTokenOptions(command: Command): Command {
  return command
    .option("--for <duration>", "how long it is good (default: until revoked)", parseDurationMs)
    .option("--scope <permission>", "what it may be used for (repeat; default: all)", collect);
}

export function tokenBody(name: string, options: TokenOptions): NewToken {
  return {
    name,
    ...(options.for ? { expiresInMs: options.for } : {}),
    ...(options.scope ? { scopes: options.scope } : {}),
  };
}

export function tokenColumns(clock: Clock) {
  return {
    headings: ["ID", "NAME", "AGE", "LAST USED", "EXPIRES", "MADE WITH", "FOR"],
    row: (token: Token) => [
      ...[token.id, token.isCurrent ? `${token.name} (this one)` : token.name],
      age(token.createdAt, clock.nowMs()),
      token.lastUsedAt ? age(token.lastUsedAt, clock.nowMs()) : "never",
      ...[token.expiresAt ?? "never", token.madeWith?.name ?? "a login"],
      token.scopes?.join(", ") ?? "everything",
    ],
  };
}

export function addTokenCommands(program: Command, session: Session): void {
  const group = program.command("token").summary("API tokens of yours, for programs");
  ask(group, session, "create", {
    summary: "make a token; it is shown once",
    examples: [
      "berth token create ci --for 12h",
      "berth token create watcher --scope box.read --scope event.read",
    ],
    args: { "<name>": "what it is for" },
    options: withTokenOptions,
    run: (client, [name]: [string], options: TokenOptions) =>
      client.tokens.create(tokenBody(name, options)),
    text: ({ token }) => `${token}\n`,
  });
  list(group, session, {
    summary: "list your tokens",
    examples: ["berth token list"],
    load: (client, _none, page) => client.tokens.list(page),
    ...tokenColumns(session.terminal.clock),
  });
  ask(group, session, "revoke", {
    summary: "revoke a token; what was made with it, and what they opened, ends within seconds",
    examples: ["berth token revoke ci", "berth token revoke ci --keep-made"],
    args: { "<token>": "name or id" },
    options: withKeepMade,
    run: async (client, [token]: [string], options: KeepMade) =>
      client.tokens.delete(await idOf(token, "token", client.tokens.list), keeping(options)),
    text: endedText,
  });
}

export interface KeepMade {
  readonly keepMade?: boolean;
}

export function withKeepMade(command: Command): Command {
  return command.option(
    "--keep-made",
    "what was made with it goes on: for one that you have replaced",
  );
}

export function keeping({ keepMade }: KeepMade): { keep?: "made" } {
  return keepMade ? { keep: "made" } : {};
}

export function endedText({
  id,
  ended,
}: Awaited<ReturnType<BerthClient["tokens"]["delete"]>>): string {
  const parts = [
    [ended.tokens, "token", "made with it"],
    [ended.keys, "SSH key", "made with it"],
    [ended.scimTokens, "SCIM token", "made with it"],
    [ended.invitations, "invitation", "made with it"],
    [ended.links, "preview link", "made with it"],
    [ended.sessions, "browser session", "got by it"],
  ] as const;
  const words = parts.flatMap(([n, what, how]) =>
    n === 0 ? [] : [`${n} ${what}${n === 1 ? "" : "s"} ${how}`],
  );
  return `${id}\n${words.length === 0 ? "" : `also ended: ${words.join(", ")}\n`}`;
}
