// Named places where a test may crash, delay or fail the program. A failpoint stands at each step
// boundary of every transition. Nothing is armed unless a test, or BERTH_FAILPOINTS through
// main/config.ts, arms it.

export type FailpointAction =
  | { readonly kind: "crash" } // SIGKILL to ourselves: no handler, no flush
  | { readonly kind: "throw"; readonly message: string }
  | { readonly kind: "run"; readonly run: () => void | Promise<void> };

interface Armed {
  readonly action: FailpointAction;
  left: number;
}

export class FailpointError extends Error {
  override readonly name = "FailpointError";
}

export class Failpoints {
  readonly #armed = new Map<string, Armed>();
  readonly #seen = new Map<string, number>();

  /** Acts the next `times` times that `name` is hit. */
  arm(name: string, action: FailpointAction, times = 1): void {
    this.#armed.set(name, { action, left: times });
  }

  disarm(name: string): void {
    this.#armed.delete(name);
  }

  /** How often a name was hit; a test that armed a name no code has must not pass. */
  hits(name: string): number {
    return this.#seen.get(name) ?? 0;
  }

  async hit(name: string): Promise<void> {
    this.#seen.set(name, (this.#seen.get(name) ?? 0) + 1);
    const armed = this.#armed.get(name);
    if (!armed || armed.left <= 0) return;
    armed.left -= 1;
    if (armed.action.kind === "crash") process.kill(process.pid, "SIGKILL");
    if (armed.action.kind === "throw") throw new FailpointError(armed.action.message);
    if (armed.action.kind === "run") await armed.action.run();
  }

  /** Reads "name=crash,other=throw" and arms each once. Unknown actions are refused. */
  armFromText(text: string): void {
    for (const part of text.split(",").filter(Boolean)) {
      const [name = "", action = ""] = part.split("=");
      if (action === "crash") this.arm(name, { kind: "crash" });
      else if (action === "throw") this.arm(name, { kind: "throw", message: `failpoint ${name}` });
      else throw new Error(`failpoint '${part}': expected NAME=crash or NAME=throw`);
    }
  }
}
