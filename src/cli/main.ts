// Runs one command line to its exit code, and turns every way to fail into one paragraph that says what
// to do next.

import { type Command, CommanderError } from "commander";
import { EXIT, type ExitCode, ExitWith, wrap } from "./exit.ts";
import { problemText } from "./problem.ts";
import { paint, plain, type Terminal } from "./terminal.ts";

export async function runCli(
  program: Command,
  argv: readonly string[],
  terminal: Terminal,
): Promise<number> {
  try {
    await program.parseAsync(argv, { from: "user" });
    return EXIT.ok;
  } catch (error) {
    return report(error, terminal);
  }
}

/** Prints the failure and returns its exit code. */
export function report(error: unknown, terminal: Terminal): number {
  if (error instanceof CommanderError)
    return error.exitCode === 0 || error.code === "commander.help" ? helpExit(error) : EXIT.usage;
  if (error instanceof ExitWith) return error.code;
  const { message, next, exitCode } = problemText(error);
  const text = next ? `${message} ${next}` : message;
  terminal.err(
    `${paint(terminal, "red", "berth:")} ${wrap(plain(text), Math.max(40, Math.min(terminal.columns, 100)))}\n`,
  );
  return exitCode;
}

/** `berth` alone prints help as an error: nothing was asked. */
function helpExit(error: CommanderError): ExitCode {
  return error.code === "commander.help" ? EXIT.usage : EXIT.ok;
}
