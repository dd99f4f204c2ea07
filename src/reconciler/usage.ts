// Two loops. `roll-up-usage` rolls up each hour of usage that is over, and forgets what is old. `watch-budgets` tells what
// budgets have reached, and pauses what a spent one pays for.
//
// Reads: intervals, prices, budgets, boxes. Writes: rollups, budgets, boxes' intent, events.
// Every: 60 s. Safe twice because an hour is rolled up once, a threshold is told once, and a paused box is not paused again.

import type { Clock } from "#lib/clock.ts";
import { judgeBudgets, pauseForBudget } from "#store/budgets.ts";
import type { Db } from "#store/db.ts";
import { rollUpHour, trimUsage } from "#store/usage-rollups.ts";
import type { PassOutcome } from "./run.ts";

const DAY_MS = 24 * 60 * 60_000;
const KEPT = { intervalsMs: 40 * DAY_MS, rollupsMs: 400 * DAY_MS };
const TRIM_AT_ONCE = 5_000;
const BUDGETS_AT_ONCE = 100;
const PAUSES_AT_ONCE = 100;

export async function rollUpUsage(db: Db, clock: Clock): Promise<PassOutcome> {
  if (await rollUpHour(db, clock)) return "again";
  return (await trimUsage(db, KEPT, TRIM_AT_ONCE)) === TRIM_AT_ONCE ? "again" : "done";
}

export async function watchBudgets(db: Db, pausesAtOnce = PAUSES_AT_ONCE): Promise<PassOutcome> {
  for (let after: string | null = ""; after !== null; ) {
    const { next, closed } = await judgeBudgets(db, { after, limit: BUDGETS_AT_ONCE });
    for (const budget of closed)
      for (let box: string | null = ""; box !== null; )
        box = await pauseForBudget(db, budget, { after: box, limit: pausesAtOnce });
    after = next;
  }
  return "done";
}
