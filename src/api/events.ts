// Events and operations: what happened, what is happening, and the receipts of what was asked.

import { getBox } from "#store/boxes.ts";
import { listEvents, listEventsBack } from "#store/events.ts";
import { getOperation } from "#store/operations.ts";
import type { ApiContext } from "./context.ts";
import { numberPosition, pageFrom } from "./cursor.ts";
import type { Handlers } from "./route.ts";
import { shapeOperation } from "./shape-box.ts";
import type { SseMessage } from "./sse.ts";
import { shapeEvent, watchEvents } from "./watch.ts";

export function eventHandlers(
  context: ApiContext,
): Pick<Handlers, "events.list" | "events.watch" | "operations.get"> {
  const { clock, hub } = context;
  return {
    "events.list": async ({ db, subject, query }) => {
      const boxId = query.box === undefined ? undefined : (await getBox(db, subject, query.box)).id;
      const scope = ["events", query.order, boxId ?? null];
      const at = numberPosition(scope, query.cursor);
      const filter = { boxId, limit: query.limit + 1 };
      const rows =
        query.order === "newest"
          ? await listEventsBack(db, subject, { ...filter, before: at })
          : await listEvents(db, subject, clock, { ...filter, after: at ?? 0 });
      return pageFrom(rows, query.limit, scope, (event) => event.id, shapeEvent);
    },
    "events.watch": async function* ({
      db,
      subject,
      credential,
      query,
      lastEventId,
      signal,
    }): AsyncGenerator<SseMessage, void> {
      const boxId = query.box === undefined ? null : (await getBox(db, subject, query.box)).id;
      // A browser repeats the first URL when it reconnects; its header is newer.
      const cursor = lastEventId ?? query.cursor ?? null;
      yield* watchEvents({ db, hub, clock, credential, cursor, boxId, signal });
    },
    "operations.get": async ({ db, subject, params }) =>
      shapeOperation(await getOperation(db, subject, params.operation)),
  };
}
