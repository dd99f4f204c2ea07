// Adds what triggers have counted to the sums that limits are judged by, so that judging reads few rows.
//
// Reads and writes: quota deltas, quota usage. Woken by: time. Every: 5 s. Safe twice because a row is added in the
// statement that removes it.

import type { Db } from "#store/db.ts";
import { foldQuotas } from "#store/quotas.ts";
import type { PassOutcome } from "./run.ts";

const BATCH = 2000;

export async function foldQuotaDeltas(db: Db): Promise<PassOutcome> {
  return (await foldQuotas(db, BATCH)) >= BATCH ? "again" : "done";
}
