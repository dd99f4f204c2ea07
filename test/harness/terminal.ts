// A terminal that keeps what was written to it.

import { runCli } from "#cli/main.ts";
import { createProgram } from "#cli/program.ts";
import { Session } from "#cli/session.ts";
import type { Terminal } from "#cli/terminal.ts";
import { type Clock, systemClock } from "#lib/clock.ts";

export interface RecordedTerminal extends Terminal {
  readonly written: { out: string; err: string };
  /** As Ctrl-C does. */
  interrupt(): void;
}

export function recordedTerminal(
  options: {
    readonly env?: Record<string, string>;
    readonly isLive?: boolean;
    readonly answer?: string;
    readonly clock?: Clock;
    readonly columns?: number;
    readonly outColumns?: number;
  } = {},
): RecordedTerminal {
  const written = { out: "", err: "" };
  const interrupt = new AbortController();
  return {
    written,
    interrupt: () => interrupt.abort(new Error("interrupted")),
    out: (text) => {
      written.out += text;
    },
    err: (text) => {
      written.err += text;
    },
    isLive: options.isLive ?? false,
    canAsk: options.answer !== undefined,
    hasColor: false,
    columns: options.columns ?? 100,
    outColumns: options.outColumns ?? null,
    isQuiet: false,
    env: options.env ?? {},
    clock: options.clock ?? systemClock,
    interrupted: interrupt.signal,
    ask: async (question) => {
      written.err += question;
      return options.answer ?? "";
    },
  };
}

/** Runs a command line as `berth` does; gives its exit code. */
export async function runBerth(terminal: Terminal, argv: readonly string[]): Promise<number> {
  const session = new Session(terminal);
  return await runCli(createProgram(session), argv, session);
}
