// Where to go after logging in: only ever to this origin.

interface Place {
  readonly origin: string;
  readonly search: string;
}

export function safeNext({ origin, search }: Place): string {
  const next = new URLSearchParams(search).get("next") ?? "/";
  try {
    // Parsed as the browser will, and whole: `//host`, `/\host` and `/.//host` are other origins to it.
    const url = new URL(next, origin);
    if (url.origin === origin && next.startsWith("/")) return url.href;
  } catch {
    // Not an address at all.
  }
  return `${origin}/`;
}
