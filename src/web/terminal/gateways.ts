// Which gateway to try: the server's order, but those that failed a moment ago come last.

const FORGIVEN_MS = 30_000;

export class GatewayChoice {
  readonly #failedAtMs = new Map<string, number>();
  readonly #nowMs: () => number;

  #last: string | null = null;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** What was picked last; null: nothing, or it has failed since. */
  get last(): string | null {
    return this.#last !== null && this.#failedAtMs.has(this.#last) ? null : this.#last;
  }

  pick(urls: readonly string[]): string | null {
    const rank = (url: string) => {
      const atMs = this.#failedAtMs.get(url);
      return atMs === undefined || this.#nowMs() - atMs > FORGIVEN_MS ? 0 : atMs + 1;
    };
    this.#last = [...urls].sort((a, b) => rank(a) - rank(b))[0] ?? null;
    return this.#last;
  }

  failed(url: string): void {
    this.#failedAtMs.set(url, this.#nowMs());
  }

  worked(url: string): void {
    this.#failedAtMs.delete(url);
  }
}
