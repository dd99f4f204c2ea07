// Every healing loop with what wakes it. main runs them beside the scheduler's.

import type { Db } from "#store/db.ts";
import { expireNodes } from "#store/nodes.ts";
import { TOPICS } from "#store/wake.ts";
import { advanceBuilds } from "./advance-builds.ts";
import { foldQuotaDeltas } from "./fold-quotas.ts";
import { type ForgetSnapshot, removeSnapshots } from "./remove-snapshots.ts";
import type { Loop } from "./run.ts";
import { settleBoxes } from "./settle-boxes.ts";
import { trimHistory } from "./trim-history.ts";

export function healingLoops(db: Db, options: { readonly forget: ForgetSnapshot }): Loop[] {
  return [
    {
      name: "settle-boxes",
      isShared: true,
      topics: [TOPICS.settle],
      everyMs: 5_000,
      pass: () => settleBoxes(db),
    },
    {
      name: "advance-builds",
      isShared: true,
      topics: [TOPICS.settle],
      everyMs: 5_000,
      pass: () => advanceBuilds(db),
    },
    {
      name: "remove-snapshots",
      topics: [TOPICS.settle],
      everyMs: 15_000,
      pass: () => removeSnapshots(db, options.forget),
    },
    {
      // A lease ends by time alone, so nothing wakes it.
      name: "expire-nodes",
      topics: [],
      everyMs: 1_000,
      pass: async () => {
        await expireNodes(db);
        return "done";
      },
    },
    {
      name: "fold-quotas",
      topics: [],
      everyMs: 5_000,
      pass: () => foldQuotaDeltas(db),
    },
    {
      name: "trim-history",
      topics: [],
      everyMs: 60_000,
      pass: () => trimHistory(db),
    },
  ];
}
