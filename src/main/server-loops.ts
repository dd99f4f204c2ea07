// The loops of a replica: placement and healing. All replicas run all of them; leases in the database see to it that
// one works at a time.

import { randomUUID } from "node:crypto";
import { checkLogins } from "#identity/check-logins.ts";
import type { IdentityContext } from "#identity/context.ts";
import type { Metrics } from "#lib/metrics.ts";
import { collectGarbage } from "#objects/gc.ts";
import { manifestKeyOf } from "#objects/keys.ts";
import type { ObjectStore } from "#objects/store.ts";
import { healingLoops } from "#reconciler/loops.ts";
import { type Loop, runLoop } from "#reconciler/run.ts";
import { rollUpUsage, watchBudgets } from "#reconciler/usage.ts";
import { placeBoxes } from "#scheduler/place-boxes.ts";
import { takeOverBoxes } from "#scheduler/take-over.ts";
import type { Database } from "#store/db.ts";
import type { Wakes } from "#store/listen.ts";
import { listLiveManifests } from "#store/snapshots.ts";
import { TOPICS } from "#store/wake.ts";
import type { AuditKey } from "#trust/audit-key.ts";
import { auditLoops } from "./audit-loops.ts";
import type { RoleContext } from "./role.ts";

const PLACE_EVERY_MS = 5_000;
/** A session ends at most this much after its provider's word. */
const CHECK_LOGINS_EVERY_MS = 2_000;
const USAGE_EVERY_MS = 60_000;
const COLLECT_EVERY_MS = 10 * 60_000;
/** Longer than an upload pauses between two packs, and than an agent may be silent. */
const COLLECT_GRACE_MS = 60 * 60_000;

interface LoopParts {
  readonly db: Database;
  readonly wakes: Wakes;
  readonly store: ObjectStore;
  readonly metrics: Metrics;
  readonly auditKey: AuditKey;
  readonly identity: IdentityContext;
}

/** Runs until the signal aborts. */
export async function runLoops(
  { db, wakes, store, metrics, auditKey, identity }: LoopParts,
  { config, clock, log, failpoints }: RoleContext,
  signal: AbortSignal,
): Promise<void> {
  const placement: Loop = {
    name: "place-boxes",
    topics: [TOPICS.schedule],
    everyMs: PLACE_EVERY_MS,
    isShared: true,
    pass: async () => {
      await placeBoxes(db, clock);
      return "done";
    },
  };
  const takeOver: Loop = {
    name: "take-over",
    topics: [],
    everyMs: PLACE_EVERY_MS,
    pass: async () => {
      await takeOverBoxes(db, clock, config.nodeLostAfterMs);
      return "done";
    },
  };
  const healing = healingLoops(db, {
    forget: async (id, manifestKey) => {
      await store.delete(manifestKey ?? manifestKeyOf(id));
    },
  });
  const logins: Loop = {
    name: "check-logins",
    topics: [],
    everyMs: CHECK_LOGINS_EVERY_MS,
    pass: () => checkLogins(identity),
  };
  const context = { db, wakes, clock, log, holder: randomUUID(), signal };
  const collection = collectionLoop({ db, store }, { clock, log, failpoints });
  const auditing = auditLoops({ db, store, key: auditKey, clock, log, metrics });
  const loops = [
    placement,
    takeOver,
    logins,
    collection,
    ...healing,
    ...usageLoops(db, clock),
    ...auditing,
  ];
  await Promise.all(loops.map((loop) => runLoop(loop, context)));
}

function usageLoops(db: Database, clock: RoleContext["clock"]): Loop[] {
  return [
    {
      name: "roll-up-usage",
      topics: [],
      everyMs: USAGE_EVERY_MS,
      pass: () => rollUpUsage(db, clock),
    },
    { name: "watch-budgets", topics: [], everyMs: USAGE_EVERY_MS, pass: () => watchBudgets(db) },
  ];
}

/** Removes from the object store what no snapshot of the database needs. */
export function collectionLoop(
  { db, store }: Pick<LoopParts, "db" | "store">,
  { clock, log, failpoints }: Pick<RoleContext, "clock" | "log" | "failpoints">,
): Loop {
  return {
    name: "collect-garbage",
    topics: [],
    everyMs: COLLECT_EVERY_MS,
    pass: async () => {
      const result = await collectGarbage({
        store,
        liveManifestKeys: await listLiveManifests(db),
        graceMs: COLLECT_GRACE_MS,
        clock,
        failpoints,
      });
      if (result.problems.length > 0)
        log.error({ problems: result.problems }, "the object store was not cleaned");
      else if (result.deletedObjects > 0) log.info(result, "the object store was cleaned");
      return "done";
    },
  };
}
