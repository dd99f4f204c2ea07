// Up to where a table that many write to is complete. Ids are given at the insert, but become visible at the commit, so a
// reader that trusted the highest id it sees would skip those that commit late.

import { sql } from "kysely";
import type { Clock } from "#lib/clock.ts";
import type { Db } from "./db.ts";

/** Tables whose writers hold a lock by a trigger (migrations/0003-event-writers.sql, 0007-audit.sql). */
export type HeldTable = "events" | "audit_entries";

const FRONTIER_TRIES = 200;
const FRONTIER_STEP_MS = 5;

/**
 * The highest id up to which nothing can appear any more. Every writer holds a shared lock from before it takes an id
 * until after its commit is visible, so: read the last id given, see who holds the lock, and wait until all of those
 * have let go (null: one did not). Other transactions do not matter, nor do other databases of the same cluster.
 * Costs nothing when no id above `after` was given. Not for use in a transaction that wrote to the table: it would wait
 * for itself.
 */
export async function readFrontierOf(
  db: Db,
  clock: Clock,
  table: HeldTable,
  after: number,
): Promise<number | null> {
  const id = await readEndOf(db, table);
  if (id <= after) return id;
  let writers = await listWriters(db, table);
  for (let tries = 0; writers.length > 0; tries += 1) {
    if (tries === FRONTIER_TRIES) return null;
    await clock.sleep(FRONTIER_STEP_MS);
    writers = await listWriters(db, table, writers);
  }
  return id;
}

/** The last id that was given: its row may not be visible yet, or never be. */
export async function readEndOf(db: Db, table: HeldTable): Promise<number> {
  const { rows } = await sql<{ id: number }>`
    select case when is_called then last_value else 0 end as id
    from ${sql.table(`${table}_id_seq`)}`.execute(db.query);
  return rows[0]?.id ?? 0;
}

/** The open transactions that have written to it, or those of them that are still open. */
async function listWriters(
  db: Db,
  table: HeldTable,
  among: readonly string[] | null = null,
): Promise<string[]> {
  const { rows } = await sql<{ writer: string }>`
    select virtualtransaction as writer from pg_locks
    where locktype = 'advisory' and classid = ${table}::regclass and objid = 0 and objsubid = 2
      and database = (select oid from pg_database where datname = current_database())
      and (${among}::text[] is null or virtualtransaction = any(${among}::text[]))`.execute(
    db.query,
  );
  return rows.map((row) => row.writer);
}
