// What a trigger refuses comes as an SQLSTATE of ours with JSON as its detail. Here, and only here, it becomes the refusal
// that it is.

import type { Subject } from "#domain/permission.ts";
import type { StoreRefusal } from "#domain/refusal.ts";
import { budgetRefusal } from "./budget-refusal.ts";
import type { Db } from "./handle.ts";
import { quotaRefusal } from "./quota-refusal.ts";

type ToRefusal = (db: Db, subject: Subject | null, detail: string) => Promise<StoreRefusal>;

const RAISED: Readonly<Record<string, ToRefusal>> = {
  // migrations/0008-usage.sql
  BE001: async (_db, _subject, detail) => budgetRefusal(detail),
  // migrations/0006-quotas.sql
  BE002: quotaRefusal,
};

/** The refusal, or the error itself when it is none of ours. `db`: outside the transaction that failed. */
export async function asRefusal(
  db: Db,
  error: unknown,
  subject: Subject | null = db.request?.subject ?? null,
): Promise<unknown> {
  const { code, detail } = error as { code?: string; detail?: string };
  const toRefusal = RAISED[code ?? ""];
  return toRefusal && detail !== undefined ? toRefusal(db, subject, detail) : error;
}
