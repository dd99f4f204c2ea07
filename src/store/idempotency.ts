// Remembered answers: a repeated request gets the answer of the first one, and has no second effect.

import { sql } from "kysely";
import type { Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { type Db, transact } from "./db.ts";

export interface Mutation {
  readonly key: string;
  /** Equal for equal requests. */
  readonly requestHash: string;
}

/**
 * Runs `work` and keeps its answer under the key, in one transaction. The same key and hash again: the
 * kept answer, without the work. Another hash: refused. Two at the same time: the second waits for the
 * first. Keys of another user never meet. Without a mutation `work` just runs, in one transaction.
 */
export async function answerOnce<Answer>(
  db: Db,
  subject: Subject,
  mutation: Mutation | null,
  work: (tx: Db) => Promise<Answer>,
): Promise<Answer> {
  if (!mutation) return transact(db, "store.answer", work);
  return transact(db, "store.answer", async (tx) => {
    const inserted = await tx.query
      .insertInto("idempotency_keys")
      .values({
        org_id: subject.orgId,
        user_id: subject.userId,
        key: mutation.key,
        request_hash: mutation.requestHash,
      })
      .onConflict((conflict) => conflict.doNothing())
      .returning("key")
      .executeTakeFirst();
    if (!inserted) {
      const kept = await readAnswer<Answer>(tx, subject, mutation);
      if (kept) return kept.answer;
      throw new Error(`the answer of key ${mutation.key} was trimmed while it was read`);
    }
    const answer = await work(tx);
    await sql`
      update idempotency_keys set answer = ${JSON.stringify(answer)}::jsonb
      where org_id = ${subject.orgId} and user_id = ${subject.userId} and key = ${mutation.key}
    `.execute(tx.query);
    return answer;
  });
}

/** The answer that is kept under the key; null when there is none. Refused when it is another request's. */
export async function readAnswer<Answer>(
  db: Db,
  subject: Subject,
  mutation: Mutation,
): Promise<{ readonly answer: Answer } | null> {
  const kept = await db.query
    .selectFrom("idempotency_keys")
    .select(["request_hash", "answer"])
    .where("org_id", "=", subject.orgId)
    .where("user_id", "=", subject.userId)
    .where("key", "=", mutation.key)
    .executeTakeFirst();
  if (!kept) return null;
  if (kept.request_hash !== mutation.requestHash)
    throw new StoreRefusal(
      "idempotency_key_reused",
      `The key '${mutation.key}' belongs to another request.`,
    );
  return { answer: kept.answer as Answer };
}

/** Forgets answers older than `maxAgeMs`. */
export async function trimIdempotencyKeys(
  db: Db,
  maxAgeMs: number,
  limit: number,
): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from idempotency_keys where (org_id, user_id, key) in (
      select org_id, user_id, key from idempotency_keys
      where created_at < now() - ${maxAgeMs} * interval '1 millisecond' limit ${limit})
  `.execute(db.query);
  return Number(numAffectedRows ?? 0);
}
