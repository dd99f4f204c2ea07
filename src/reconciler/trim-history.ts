// Forgets old events and remembered answers, a batch at a time.
//
// Reads and writes: events, idempotency keys. Every: 60 s. Safe twice because it deletes by age.

import type { Db } from "#store/db.ts";
import { trimEvents } from "#store/events.ts";
import { trimIdempotencyKeys } from "#store/idempotency.ts";
import type { PassOutcome } from "./run.ts";

export interface KeepFor {
  readonly eventsMs: number;
  readonly answersMs: number;
}

const DAY_MS = 24 * 60 * 60_000;
const DEFAULT_KEEP: KeepFor = { eventsMs: 30 * DAY_MS, answersMs: DAY_MS };

const BATCH = 5_000;

export async function trimHistory(db: Db, keep: KeepFor = DEFAULT_KEEP): Promise<PassOutcome> {
  const events = await trimEvents(db, keep.eventsMs, BATCH);
  const answers = await trimIdempotencyKeys(db, keep.answersMs, BATCH);
  return events === BATCH || answers === BATCH ? "again" : "done";
}
