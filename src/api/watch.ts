// The stream of events of one client: from its cursor on, in order, without a gap and without a repeat.

import { Problem } from "#contract/errors.ts";
import type { Event } from "#contract/events.ts";
import type { BoxId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import type { Clock } from "#lib/clock.ts";
import type { Db } from "#store/db.ts";
import {
  type EventView,
  listEvents,
  readEventsEnd,
  readEventsStart,
  readFrontier,
} from "#store/events.ts";
import type { Wakes } from "#store/listen.ts";
import { TOPICS } from "#store/wake.ts";
import { encodeCursor, numberPosition } from "./cursor.ts";
import type { SseMessage } from "./sse.ts";

const BATCH = 200;
/** Looks at least this often, should a wake be lost. */
const LOOK_EVERY_MS = 5000;
/** After a wake that showed nothing: a transaction was still open. */
const LOOK_AGAIN_MS = 500;

const SCOPE = ["event"];

export function eventCursor(id: number): string {
  return encodeCursor(SCOPE, id);
}

export function eventIdOf(cursor: string): number {
  return numberPosition(SCOPE, cursor) ?? 0;
}

export function shapeEvent(event: EventView): Event {
  return {
    cursor: eventCursor(event.id),
    at: event.at.toISOString(),
    kind: event.kind,
    resource: { type: event.subjectKind, id: event.subjectId },
    boxId: event.boxId,
    message: event.message,
    data: event.data,
  };
}

export interface WatchOptions {
  readonly db: Db;
  readonly wakes: Wakes;
  readonly clock: Clock;
  readonly subject: Subject;
  readonly cursor: string | null;
  readonly boxId: BoxId | null;
  readonly signal: AbortSignal;
}

export async function* watchEvents(options: WatchOptions): AsyncGenerator<SseMessage, void> {
  const { db, clock, subject, signal } = options;
  const subscription = options.wakes.subscribe([TOPICS.events]);
  try {
    let after = await startOf(options);
    // Tells where the stream stands, so that a client that loses it at once misses nothing either.
    yield { id: eventCursor(after), event: "hello", data: {} };
    let heard = false;
    while (!signal.aborted) {
      const events = await listEvents(db, subject, clock, {
        after,
        limit: BATCH,
        boxId: options.boxId ?? undefined,
      });
      for (const event of events) {
        yield { id: eventCursor(event.id), event: "event", data: shapeEvent(event) };
        after = event.id;
      }
      if (events.length > 0) heard = false;
      else heard = await subscription.next(heard ? LOOK_AGAIN_MS : LOOK_EVERY_MS, signal);
    }
  } finally {
    subscription.close();
  }
}

async function startOf({ db, clock, cursor, signal }: WatchOptions): Promise<number> {
  if (cursor === null) {
    // Not the newest id: what is being committed now must come, or be seen by a read after the hello.
    for (;;) {
      const frontier = await readFrontier(db, clock);
      if (frontier !== null || signal.aborted) return frontier ?? 0;
    }
  }
  const after = eventIdOf(cursor);
  const first = await readEventsStart(db);
  if (first !== null && after < first - 1)
    throw new Problem(
      "invalid_cursor",
      "Events after this cursor have been removed because of their age.",
    );
  if (after > (await readEventsEnd(db)))
    throw new Problem("invalid_cursor", "The cursor is from another database.");
  return after;
}
