// What a command has at hand: the terminal, and a client that is made when it is first needed (a command
// that only prints help never loads the SDK).

import type { BerthClient, Ticket } from "#sdk/client.ts";
import { type Credentials, findCredentials } from "./credentials.ts";
import type { OutputOptions } from "./options.ts";
import { fit } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** Above what tries pause by themselves. */
const LONG_PAUSE_MS = 6000;

export class Session {
  readonly terminal: Terminal;
  /** The last that was got for each door (enter.ts). */
  readonly tickets = new Map<string, Ticket>();
  #client: Promise<BerthClient> | null = null;
  #credentials: Credentials | null = null;

  constructor(terminal: Terminal) {
    this.terminal = terminal;
  }

  /** For commands that know the installation they are about. */
  use(credentials: Credentials): void {
    this.#credentials = credentials;
  }

  async credentials(): Promise<Credentials> {
    this.#credentials ??= await findCredentials(this.terminal.env);
    return this.#credentials;
  }

  client(): Promise<BerthClient> {
    this.#client ??= (async () => {
      const credentials = await this.credentials();
      const { createClient } = await import("#sdk/client.ts");
      return createClient({
        ...credentials,
        fetch: (request) => this.#fetch(request),
        sleep: (ms, signal) => this.#pause(ms, signal),
      });
    })();
    return this.#client;
  }

  /** Ctrl-C ends what only asks; what changes something is answered first, so that nobody wonders whether it was done. */
  async #fetch(request: Request): Promise<Response> {
    if (request.method !== "GET") return await fetch(request);
    const signal = AbortSignal.any([request.signal, this.terminal.interrupted]);
    return await fetch(new Request(request, { signal }));
  }

  /** Between two tries of a request. A long one, which the server asks for, is told. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    if (ms >= LONG_PAUSE_MS)
      this.terminal.err(`The server asks to wait: trying again in ${Math.ceil(ms / 1000)} s.\n`);
    const either = AbortSignal.any([signal, this.terminal.interrupted]);
    await this.terminal.clock.sleep(ms, either).catch((error: unknown) => {
      throw either.aborted ? either.reason : error;
    });
  }

  /** Prints a result: JSON for scripts, or what `text` makes of it. */
  print<T>(options: OutputOptions, value: T, text: (value: T) => string): void {
    const { outColumns } = this.terminal;
    if (options.output === "json") this.terminal.out(`${JSON.stringify(value, null, 2)}\n`);
    else this.terminal.out(outColumns ? fit(text(value), outColumns) : text(value));
  }
}
