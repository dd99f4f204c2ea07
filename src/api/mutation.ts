// The identity of a mutating request: its Idempotency-Key and a hash of what it asks. The store keeps
// both with the answer, in the transaction that has the effect.

import { createHash } from "node:crypto";
import type { FastifyRequest } from "fastify";
import type { Route } from "#contract/route.ts";
import type { Mutation } from "#store/idempotency.ts";

export function mutationOf(route: Route, request: FastifyRequest): Mutation | null {
  const key = request.headers["idempotency-key"];
  if (typeof key !== "string") return null;
  const requestHash = createHash("sha256")
    .update(
      canonical([
        route.name,
        request.params ?? {},
        request.body ?? {},
        request.headers["if-match"] ?? null,
        ...(route.query ? [request.query ?? {}] : []),
      ]),
    )
    .digest("hex");
  return { key, requestHash };
}

/** JSON with sorted keys, so that the order of fields does not matter. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
