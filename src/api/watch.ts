// The stream of events of one client: from its cursor on, in order, without a gap and without a repeat.

import { Problem } from "#contract/errors.ts";
import type { Event } from "#contract/events.ts";
import type { BoxId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import type { Clock } from "#lib/clock.ts";
import type { Db } from "#store/db.ts";
import {
  type EventView,
  keepSeen,
  listEvents,
  readEventsEnd,
  readEventsStart,
  readFrontier,
} from "#store/events.ts";
import { type Identified, identifyAgain } from "#store/tokens.ts";
import { encodeCursor, numberPosition } from "./cursor.ts";
import type { EventHub } from "./event-hub.ts";
import type { SseMessage } from "./sse.ts";

const BATCH = 200;
const LOOK_EVERY_MS = 60_000;

const SCOPE = ["event"];

function eventCursor(id: number): string {
  return encodeCursor(SCOPE, id);
}

function eventIdOf(cursor: string): number {
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
  readonly hub: EventHub;
  readonly clock: Clock;
  readonly credential: Identified;
  readonly cursor: string | null;
  readonly boxId: BoxId | null;
  readonly signal: AbortSignal;
}

export async function* watchEvents(options: WatchOptions): AsyncGenerator<SseMessage, void> {
  const { db, clock, credential, boxId, signal } = options;
  let checkedMs = clock.monotonicMs();
  let { subject } = credential;
  // Of its organization or of the installation: what the subject sees of them, the store says.
  const mayBeShown = (event: EventView) =>
    (event.orgId === subject.orgId || event.orgId === null) &&
    (boxId === null || event.boxId === boxId);
  // Listens before it reads what has been: nothing falls between.
  const listening = await options.hub.listen(
    (event) => mayBeShown(event) || ends(event, credential),
  );
  try {
    let after = await startOf(options);
    // Tells where the stream stands, so that a client that loses it at once misses nothing either.
    yield { id: eventCursor(after), event: "hello", data: {} };
    for await (const event of pastEvents(options, after, listening.from)) yield toMessage(event);
    after = Math.max(after, listening.from);
    while (!signal.aborted) {
      const events = await listening.take(LOOK_EVERY_MS, signal);
      // Dropped for not keeping up: the client resumes with its cursor.
      if (events === null) return;
      const isDue = clock.monotonicMs() - checkedMs >= LOOK_EVERY_MS;
      if (isDue || events.some((event) => ends(event, credential) || changes(event, subject))) {
        const again = await identifyAgain(db, credential);
        if (!again) return;
        subject = again.subject;
        checkedMs = clock.monotonicMs();
      }
      const fresh = events.filter((event) => event.id > after && mayBeShown(event));
      for (const event of await keepSeen(db, subject, fresh)) yield toMessage(event);
    }
  } finally {
    listening.close();
  }
}

/** Of the token, or of the web session, that the watch was opened with. */
function ends({ kind, subjectId }: EventView, credential: Identified): boolean {
  return kind.endsWith(".deleted") && subjectId === credential.credentialId;
}

/** What somebody may do may be another thing now. */
function changes({ kind, orgId }: EventView, subject: Subject): boolean {
  return orgId === subject.orgId && /^(?:member|team|org|user)\./.test(kind);
}

async function* pastEvents(
  { db, clock, credential: { subject }, boxId }: WatchOptions,
  start: number,
  upTo: number,
): AsyncGenerator<EventView, void> {
  for (let after = start; after < upTo; ) {
    const filter = { after, upTo, limit: BATCH, boxId: boxId ?? undefined };
    const events = await listEvents(db, subject, clock, filter);
    yield* events;
    if (events.length < BATCH) return;
    after = events.at(-1)?.id ?? upTo;
  }
}

function toMessage(event: EventView): SseMessage {
  return { id: eventCursor(event.id), event: "event", data: shapeEvent(event) };
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
