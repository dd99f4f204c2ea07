// Who is woken by what. A wake carries no facts: whoever hears it looks at the tables, and whoever misses it
// looks by time. Postgres sends equal wakes of one transaction once.

import { sql } from "kysely";
import type { Db } from "./db.ts";

export const CHANNEL = "berth";

export const TOPICS = {
  /** There is a new event. */
  events: "events",
  /** A box may want a node. */
  schedule: "schedule",
  /** Something may want to be settled, built or removed. */
  settle: "settle",
  /** Prices changed. */
  prices: "prices",
  /** A node's assignments changed. */
  node: (nodeId: string) => `node:${nodeId}`,
} as const;

export async function wake(tx: Db, topics: readonly string[]): Promise<void> {
  if (topics.length === 0) return;
  await sql`select pg_notify(${CHANNEL}, topic) from unnest(${topics}::text[]) as topic`.execute(
    tx.query,
  );
}
