// Takes template builds to their end: steps are done -> prebuild snapshot -> version ready -> builder deleted. A
// failure is written on the version.
//
// Reads: template versions, builder boxes, prebuild snapshots. Writes: the same, operations, events.
// Woken by: settle. Every: 5 s. Safe twice because each step is decided from the locked rows.

import { advanceBuild, listBuildsToAdvance } from "#store/builds.ts";
import type { Db } from "#store/db.ts";
import type { PassOutcome } from "./run.ts";

const BATCH = 100;

export async function advanceBuilds(db: Db): Promise<PassOutcome> {
  const ids = await listBuildsToAdvance(db, BATCH);
  let advanced = 0;
  for (const id of ids) if (await advanceBuild(db, id)) advanced += 1;
  return advanced > 0 ? "again" : "done";
}
