// Gateways join with the same one-time tokens as nodes, and leave no row: they have no state.

import { sql } from "kysely";
import { StoreRefusal } from "#domain/refusal.ts";
import type { Db } from "./db.ts";

/** Spends the token. */
export async function joinGateway(
  db: Db,
  input: { readonly tokenHash: string; readonly name: string },
): Promise<void> {
  const { rows } = await sql<{ hash: string }>`
    update join_tokens set used_at = now()
    where hash = ${input.tokenHash} and used_at is null and expires_at > now()
      and (name is null or name = ${input.name})
    returning hash`.execute(db.query);
  if (!rows[0])
    throw new StoreRefusal("join_token_invalid", "The join token is unknown, used or expired.");
}
