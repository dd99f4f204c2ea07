// Which gateway to try: the server's order, but those that failed a moment ago come last.

const FORGIVEN_MS = 30_000;

export class GatewayChoice {
  readonly #failedAtMs = new Map<string, number>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  pick(urls: readonly string[]): string | null {
    const rank = (url: string) => {
      const atMs = this.#failedAtMs.get(url);
      return atMs === undefined || this.#nowMs() - atMs > FORGIVEN_MS ? 0 : atMs + 1;
    };
    return [...urls].sort((a, b) => rank(a) - rank(b))[0] ?? null;
  }

  failed(url: string): void {
    this.#failedAtMs.set(url, this.#nowMs());
  }

  worked(url: string): void {
    this.#failedAtMs.delete(url);
  }
}
