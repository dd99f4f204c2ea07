// Boxes: create, read, change what is wanted, fork, wait.

import type { RouteNamed } from "#contract/routes.ts";
import type { BoxSpec } from "#domain/box.ts";
import type { PreviewPlace } from "#domain/preview.ts";
import { hourlyPrice } from "#domain/price.ts";
import { type Intent, setDesired } from "#store/box-intent.ts";
import { handOver } from "#store/box-shares.ts";
import { type AcceptedBox, createBoxOnce, getBox, listBoxes } from "#store/boxes.ts";
import { forkBox } from "#store/forks.ts";
import { answerOnce } from "#store/idempotency.ts";
import type { PriceBook } from "#store/prices.ts";
import type { ApiContext } from "./context.ts";
import { pageFrom, textPosition } from "./cursor.ts";
import type { Call, Handlers } from "./route.ts";
import { shapeBox, shapeOperation } from "./shape-box.ts";
import { waitFor } from "./wait.ts";

/** What every change of intent takes. */
type IntentCall = Pick<
  Call<RouteNamed<"boxes.start">>,
  "db" | "subject" | "params" | "ifMatch" | "mutation"
>;

export function shapeAccepted({ box, operation }: AcceptedBox, place: PreviewPlace) {
  return { box: shapeBox(box, place), operation: shapeOperation(operation) };
}

function shapePrice(spec: BoxSpec, { currency, prices }: PriceBook) {
  if (currency === null) return null;
  const { running, paused, stopped } = hourlyPrice(spec, prices);
  return { currency, running, paused, stopped };
}

export function boxHandlers(
  context: ApiContext,
): Pick<Handlers, Extract<keyof Handlers, `boxes.${string}`>> {
  const intent = (verb: Intent) => (call: IntentCall) =>
    answerOnce(call.db, call.subject, call.mutation, async (tx) =>
      shapeAccepted(
        await setDesired(tx, call.subject, call.params.box, verb, { ifGeneration: call.ifMatch }),
        context,
      ),
    );
  return {
    "boxes.create": async ({ db, subject, body, mutation }) => {
      const book = await context.pricesOf(subject.orgId);
      return createBoxOnce(
        db,
        subject,
        mutation,
        {
          name: body.name ?? null,
          template: body.template,
          version: body.version ?? null,
          env: body.env,
          region: body.region ?? null,
          labels: body.labels,
          team: body.team ?? null,
        },
        (accepted) => ({
          ...shapeAccepted(accepted, context),
          hourlyPrice: shapePrice(accepted.box.spec, book),
        }),
      );
    },
    "boxes.list": async ({ db, subject, query }) => {
      const scope = ["boxes", query.template ?? null];
      const rows = await listBoxes(db, subject, {
        after: textPosition(scope, query.cursor),
        limit: query.limit + 1,
        template: query.template,
      });
      return pageFrom(
        rows,
        query.limit,
        scope,
        (box) => box.id,
        (box) => shapeBox(box, context),
      );
    },
    "boxes.get": async ({ db, subject, params }) =>
      shapeBox(await getBox(db, subject, params.box), context),
    "boxes.start": intent("start"),
    "boxes.stop": intent("stop"),
    "boxes.pause": intent("pause"),
    "boxes.resume": intent("resume"),
    "boxes.restart": intent("restart"),
    "boxes.delete": intent("delete"),
    "boxes.update": ({ db, subject, params, body, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeBox(await handOver(tx, subject, params.box, body), context),
      ),
    "boxes.fork": ({ db, subject, params, body, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) => {
        const forks = await forkBox(tx, subject, params.box, {
          count: body.count,
          names: body.names ?? null,
        });
        return { forks: forks.map((fork) => shapeAccepted(fork, context)) };
      }),
    "boxes.wait": (call) => wait(context, call),
  };
}

async function wait(context: ApiContext, call: Call<RouteNamed<"boxes.wait">>) {
  const { hub, clock } = context;
  const { db } = call;
  // By id from here on: a name may come to mean another box while we wait.
  const { id } = await getBox(db, call.subject, call.params.box);
  const listening = await hub.listen((event) => event.boxId === id);
  try {
    const { verdict, box } = await waitFor({
      goal: call.query.for,
      timeoutMs: call.query.timeoutMs,
      read: () => getBox(db, call.subject, id),
      listening,
      clock,
      signal: call.signal,
    });
    return {
      reached: verdict === "reached",
      hopeless: verdict === "hopeless",
      box: shapeBox(box, context),
    };
  } finally {
    listening.close();
  }
}
