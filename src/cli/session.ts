// What a command has at hand: the terminal, and a client that is made when it is first needed (a command
// that only prints help never loads the SDK).

import type { BerthClient } from "#sdk/client.ts";
import { type Credentials, findCredentials } from "./credentials.ts";
import type { OutputOptions } from "./options.ts";
import type { Terminal } from "./terminal.ts";

/** Above what tries pause by themselves. */
const LONG_PAUSE_MS = 6000;

export class Session {
  readonly terminal: Terminal;
  #client: Promise<BerthClient> | null = null;
  #credentials: Credentials | null = null;

  constructor(terminal: Terminal) {
    this.terminal = terminal;
  }

  /** For commands that know the installation they are about. */
  use(credentials: Credentials): void {
    this.#credentials = credentials;
  }

  client(): Promise<BerthClient> {
    this.#client ??= (async () => {
      const credentials = this.#credentials ?? (await findCredentials(this.terminal.env));
      const { createClient } = await import("#sdk/client.ts");
      return createClient({ ...credentials, sleep: (ms, signal) => this.#pause(ms, signal) });
    })();
    return this.#client;
  }

  /** Between two tries of a request. A long one, which the server asks for, is told. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    if (ms >= LONG_PAUSE_MS)
      this.terminal.err(`The server asks to wait: trying again in ${Math.ceil(ms / 1000)} s.\n`);
    await this.terminal.clock.sleep(ms, signal).catch((error: unknown) => {
      throw signal.aborted ? signal.reason : error;
    });
  }

  /** Prints a result: JSON for scripts, or what `text` makes of it. */
  print<T>(options: OutputOptions, value: T, text: (value: T) => string): void {
    this.terminal.out(
      options.output === "json" ? `${JSON.stringify(value, null, 2)}\n` : text(value),
    );
  }
}
