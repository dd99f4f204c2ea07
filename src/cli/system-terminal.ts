// The terminal of this process.

import { createInterface } from "node:readline";
import { systemClock } from "#lib/clock.ts";
import { EXIT } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

const DEFAULT_COLUMNS = 100;

export function systemTerminal(): Terminal {
  const { stdin, stdout, stderr, env } = process;
  // Output that is cut off (`berth list | head -1`) is not a failure.
  for (const stream of [stdout, stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(EXIT.ok);
      throw error;
    });
  const interrupt = new AbortController();
  process.on("SIGINT", () => {
    // The second Ctrl-C means it.
    if (interrupt.signal.aborted) process.exit(EXIT.interrupted);
    interrupt.abort(new Error("interrupted"));
  });
  return {
    out: (text) => stdout.write(text),
    err: (text) => stderr.write(text),
    isLive: stderr.isTTY === true && env.TERM !== "dumb",
    canAsk: stdin.isTTY === true && stderr.isTTY === true,
    // Both: what is piped on must be plain, whichever of them it is.
    hasColor:
      stderr.isTTY === true && stdout.isTTY === true && env.TERM !== "dumb" && !env.NO_COLOR,
    get columns() {
      return stderr.columns || DEFAULT_COLUMNS;
    },
    get outColumns() {
      return stdout.isTTY ? stdout.columns || null : null;
    },
    isQuiet: false,
    env,
    clock: systemClock,
    interrupted: interrupt.signal,
    ask: (question) =>
      new Promise((resolve) => {
        const lines = createInterface({ input: stdin, output: stderr });
        lines.on("close", () => resolve(""));
        lines.on("SIGINT", () => lines.close());
        lines.question(question, (answer) => {
          resolve(answer);
          lines.close();
        });
      }),
  };
}
