// Replicas of the control plane that serve: each says so again and again, and learns how many there are.

import { sql } from "kysely";
import type { Db } from "./db.ts";

/** Says that it serves. How many do, itself among them: those that said so within `withinMs`. */
export async function beatReplica(db: Db, id: string, withinMs: number): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    with beat as (
      insert into replicas (id) values (${id}) on conflict (id) do update set seen_at = now()),
    forgotten as (delete from replicas where seen_at < now() - interval '1 hour' and id <> ${id})
    select count(*) + 1 as count from replicas
    where id <> ${id} and seen_at > now() - ${withinMs} * interval '1 millisecond'`.execute(
    db.query,
  );
  return rows[0]?.count ?? 1;
}

/** It serves no more: the others learn it at their next beat. */
export async function forgetReplica(db: Db, id: string): Promise<void> {
  await sql`delete from replicas where id = ${id}`.execute(db.query);
}
