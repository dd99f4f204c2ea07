// The one client of the API, by the SDK, with the cookie of this origin; and the cache of what was read.

import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiError } from "#sdk/api-error.ts";
import { createClient } from "#sdk/client.ts";

export const berth = createClient({ url: window.location.origin });

const loggedOut = new Set<() => void>();

/** Called when an answer says that nobody is logged in any more. */
export function onLoggedOut(listener: () => void): () => void {
  loggedOut.add(listener);
  return () => loggedOut.delete(listener);
}

export function isLoggedOut(error: unknown): boolean {
  return error instanceof ApiError && (error.code === "unauthenticated" || error.status === 401);
}

export function noteError(error: unknown): void {
  if (isLoggedOut(error)) for (const listener of loggedOut) listener();
}

/** What to show a person of an error. */
export function wordsOf(error: unknown): string {
  if (error instanceof ApiError) {
    // The detail of a refused form says them too, as programs name them.
    return error.fields.length > 0 ? error.fields.map(fieldWords).join("\n") : error.detail;
  }
  return error instanceof Error ? error.message : String(error);
}

/** `body.groups.0.clientId: must be…` as `Groups 1 client id must be…`. */
function fieldWords({
  path,
  message,
}: {
  readonly path: string;
  readonly message: string;
}): string {
  const name = path
    .replace(/^(?:body|query|params)\.?/, "")
    .replace(/\.(\d+)/g, (_, index) => ` ${Number(index) + 1}`)
    .replaceAll(".", " ")
    .replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return name ? `${name.charAt(0).toUpperCase()}${name.slice(1)} ${message}` : message;
}

const STALE_MS = 30_000;

export const queries = new QueryClient({
  queryCache: new QueryCache({ onError: noteError }),
  mutationCache: new MutationCache({ onError: noteError }),
  // The SDK has tried again already; events say when something is out of date.
  defaultOptions: { queries: { retry: false, staleTime: STALE_MS, refetchOnWindowFocus: true } },
});
