// How many replicas serve, as each of them knows it: what a user may ask in a minute is shared among them.
//
// Every: 5 s. Safe twice because a beat only says that the replica is there. One that died counts for 20 s more: until
// then the others give a little less than they could.

import { randomUUID } from "node:crypto";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import type { Metrics } from "#lib/metrics.ts";
import type { Db } from "#store/db.ts";
import { beatReplica, forgetReplica } from "#store/replicas.ts";

export interface Replicas {
  /** This one included, as of the last beat: while the database is away nothing changes. */
  count(): number;
  close(): Promise<void>;
}

export interface ReplicasOptions {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly beatMs?: number;
}

const BEAT_MS = 5_000;
const GONE_AFTER_BEATS = 4;

/** Resolves when the first beat is done, so that a new replica never begins with more than its share. */
export async function joinReplicas(options: ReplicasOptions): Promise<Replicas> {
  const { db, clock, log, metrics, beatMs = BEAT_MS } = options;
  const id = randomUUID();
  const stop = new AbortController();
  let count = 1;
  const beat = async () => {
    try {
      count = await beatReplica(db, id, beatMs * GONE_AFTER_BEATS);
    } catch (err) {
      log.debug({ err }, "the number of replicas stays what it was");
    }
  };
  metrics.gauge("berth_replicas", "Replicas of the control plane that serve.", () => count);
  await beat();
  const beating = (async () => {
    while (!stop.signal.aborted) {
      await clock.sleep(beatMs, stop.signal).catch(() => {});
      if (!stop.signal.aborted) await beat();
    }
  })();
  return {
    count: () => count,
    close: async () => {
      stop.abort();
      await beating;
      await forgetReplica(db, id).catch(() => {}); // Then it counts a little longer.
    },
  };
}
