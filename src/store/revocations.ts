// Credentials that hold no more. Gateways end what was opened with one; nothing that it signed is taken after it.

import { sql } from "kysely";
import type { Db } from "./db.ts";

/**
 * Longer than anything that a credential signs lasts (a preview's pass: an hour), and than a gateway may be cut off
 * with streams open that it did not hear should end.
 */
const KEEP_HOURS = 24;

/** Kept until then, at least for a day from now. */
export async function revoke(
  tx: Db,
  credentialIds: readonly string[],
  until: Date | null = null,
): Promise<void> {
  if (credentialIds.length === 0) return;
  await sql`
    insert into revocations (credential_id, until)
    select id, greatest(now() + ${KEEP_HOURS} * interval '1 hour', ${until}::timestamptz)
    from unnest(${[...credentialIds].sort()}::text[]) as id
    on conflict (credential_id) do nothing`.execute(tx.query);
}

export async function isRevoked(db: Db, credentialId: string): Promise<boolean> {
  const { rows } = await sql`
    select 1 from revocations where credential_id = ${credentialId}`.execute(db.query);
  return rows.length > 0;
}

/** Forgets those of which nothing can be valid any more. */
export async function trimRevocations(db: Db, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from revocations where credential_id in (
      select credential_id from revocations where until < now() limit ${limit})`.execute(db.query);
  return Number(numAffectedRows ?? 0);
}
