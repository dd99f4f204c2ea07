// Options that several commands share, and how their values are read.

import { type Command, InvalidArgumentError, Option } from "commander";

export interface OutputOptions {
  readonly output: "text" | "json";
}

export interface WaitOptions {
  readonly wait: boolean;
  readonly timeout: number;
}

/** Adds -o text|json, and --json. */
export function withOutput(command: Command): Command {
  return command
    .addOption(
      new Option("-o, --output <format>", "how results are printed")
        .choices(["text", "json"])
        .default("text"),
    )
    .addOption(new Option("--json", "as -o json").implies({ output: "json" }));
}

/** Adds --no-wait, --timeout and --quiet. */
export function withWait(command: Command, defaultTimeout = "10m"): Command {
  return withQuiet(command)
    .option("--no-wait", "return when the request is accepted")
    .addOption(timeoutOption(defaultTimeout));
}

/** Adds --quiet, which program.ts heeds. */
export function withQuiet(command: Command): Command {
  return command.option("-q, --quiet", "say nothing on the way");
}

export function timeoutOption(defaultTimeout: string): Option {
  return new Option("--timeout <duration>", "give up waiting after this long, such as 90s or 10m")
    .argParser(parseDurationMs)
    .default(parseDurationMs(defaultTimeout), defaultTimeout);
}

/** "90s", "10m", "2h", or plain seconds, in milliseconds. */
export function parseDurationMs(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match?.[2] ?? "s"] ?? 1000;
  if (!match) throw new InvalidArgumentError("Write a duration such as 90s, 10m or 2h.");
  return Number(match[1]) * unitMs;
}

export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError("Write a whole number from 1.");
  return Number(text);
}

/** Collects NAME=VALUE pairs of a repeated option. */
export function collectPair(
  text: string,
  earlier: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("Write NAME=VALUE.");
  return { ...earlier, [text.slice(0, at)]: text.slice(at + 1) };
}

export function collect(text: string, earlier: readonly string[] = []): string[] {
  return [...earlier, text];
}

/** Examples at the end of a command's help. */
export function withExamples(command: Command, examples: readonly string[]): Command {
  return command.addHelpText(
    "after",
    `\nExamples:\n${examples.map((example) => `  $ ${example}`).join("\n")}`,
  );
}
