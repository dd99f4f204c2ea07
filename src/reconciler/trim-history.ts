// Forgets old events, remembered answers, web sessions, revocations and gateways, a batch at a time.
//
// Reads and writes: events, idempotency_keys, web_sessions, revocations, gateways. Every: 60 s. Safe twice because it deletes by age.

import type { Db } from "#store/db.ts";
import { trimEvents } from "#store/events.ts";
import { trimGateways } from "#store/gateways.ts";
import { trimIdempotencyKeys } from "#store/idempotency.ts";
import { trimRevocations } from "#store/revocations.ts";
import { trimWebSessions } from "#store/tokens.ts";
import type { PassOutcome } from "./run.ts";

export interface KeepFor {
  readonly eventsMs: number;
  readonly answersMs: number;
  /** After their end. */
  readonly sessionsMs: number;
  /** Longer than any outage: nodes leave a gateway that is forgotten, and it may serve all the while. */
  readonly gatewaysMs: number;
}

const DAY_MS = 24 * 60 * 60_000;
const DEFAULT_KEEP: KeepFor = {
  eventsMs: 30 * DAY_MS,
  answersMs: DAY_MS,
  sessionsMs: 7 * DAY_MS,
  gatewaysMs: 7 * DAY_MS,
};

const BATCH = 5_000;

export async function trimHistory(db: Db, keep: KeepFor = DEFAULT_KEEP): Promise<PassOutcome> {
  const events = await trimEvents(db, keep.eventsMs, BATCH);
  const answers = await trimIdempotencyKeys(db, keep.answersMs, BATCH);
  const sessions = await trimWebSessions(db, keep.sessionsMs, BATCH);
  const revocations = await trimRevocations(db, BATCH);
  await trimGateways(db, keep.gatewaysMs);
  return [events, answers, sessions, revocations].includes(BATCH) ? "again" : "done";
}
