// One-time tokens by which nodes and gateways join.

import { sql } from "kysely";
import { StoreRefusal } from "#domain/refusal.ts";
import type { Db } from "./db.ts";

/** In the transaction of what the token is spent for. */
export async function spendJoinToken(
  tx: Db,
  token: { readonly hash: string; readonly name: string },
): Promise<void> {
  const { rows } = await sql`
    update join_tokens set used_at = now()
    where hash = ${token.hash} and used_at is null and expires_at > now()
      and (name is null or name = ${token.name})
    returning 1`.execute(tx.query);
  if (!rows[0])
    throw new StoreRefusal("join_token_invalid", "The join token is unknown, used or expired.");
}
