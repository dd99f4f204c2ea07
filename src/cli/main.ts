// Runs one command line to its exit code, and turns every way to fail into one paragraph that says what
// to do next.

import { type Command, CommanderError } from "commander";
import { CliError, EXIT, type ExitCode, ExitWith, wrap } from "./exit.ts";
import { explained } from "./explained.ts";
import { problemText } from "./problem.ts";
import { finish } from "./program.ts";
import type { Session } from "./session.ts";
import { paint, plain, type Terminal } from "./terminal.ts";

export async function runCli(
  program: Command,
  argv: readonly string[],
  session: Session,
): Promise<number> {
  finish(program);
  try {
    await program.parseAsync(argv, { from: "user" });
    return EXIT.ok;
  } catch (error) {
    const isOurs = error instanceof CliError || error instanceof ExitWith;
    if (session.terminal.interrupted.aborted && !isOurs)
      return report(INTERRUPTED, session.terminal);
    return report(await explained(error, session), session.terminal);
  }
}

/** For commands that have nothing of their own to say about it. */
const INTERRUPTED = new CliError("interrupted.", {
  exitCode: EXIT.interrupted,
  next: "What you asked for stays asked, and Berth goes on with it: `berth list` and `berth events` tell how. Run the same command again to go on here.",
});

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
