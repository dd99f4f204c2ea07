// A terminal that keeps what was written to it.

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
    env: options.env ?? {},
    clock: options.clock ?? systemClock,
    interrupted: interrupt.signal,
    ask: async (question) => {
      written.err += question;
      return options.answer ?? "";
    },
  };
}
