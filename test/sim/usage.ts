// What must hold of usage whatever dies: what is open is what the boxes' rows say, told here in other words than in SQL;
// nothing of a deleted box; nothing twice; and what is shown is the integral of it all.

import { sql } from "kysely";
import type { Subject } from "#domain/permission.ts";
import { UNITS } from "#domain/price.ts";
import type { Db } from "#store/db.ts";
import { readUsage } from "#store/usage.ts";
import { intervalProblems, readIntervals } from "#test/harness/usage.ts";

interface BoxFacts {
  readonly id: string;
  readonly isOver: boolean;
  readonly reserved: boolean;
  readonly state: string | null;
  readonly rests: boolean;
  readonly withMemory: boolean;
  readonly cpus: number;
  readonly memoryMib: number;
  readonly diskGib: number;
}

function wantedOf(box: BoxFacts): string[] {
  if (box.isOver) return [];
  const isHere = box.reserved && box.state !== null && box.state !== "absent";
  const wanted: string[] = [];
  if (isHere) wanted.push(`disk_running ${box.diskGib}`);
  if (isHere && box.state !== "down") wanted.push(`memory ${box.memoryMib}`, `vcpu ${box.cpus}`);
  if (!box.reserved && box.rests)
    wanted.push(`${box.withMemory ? "disk_paused" : "disk_stopped"} ${box.diskGib}`);
  return wanted.sort();
}

/** In one transaction, so that nothing moves meanwhile. */
export async function usageProblems(db: Db): Promise<string[]> {
  return db.query
    .transaction()
    .setIsolationLevel("repeatable read")
    .execute(async (query) => {
      const tx = { ...db, query };
      const { rows: boxes } = await sql<BoxFacts>`
        select id, deleted_at is not null or desired = 'deleted' as "isOver", reserved, observed_state as state,
          rest_snapshot_id is not null as rests, source_with_memory as "withMemory", cpus,
          memory_mib as "memoryMib", disk_gib as "diskGib" from boxes`.execute(query);
      const { rows: snapshots } = await sql<{ id: string; bytes: number }>`
        select id, coalesce(stored_bytes, 0) as bytes from snapshots where state = 'durable'`.execute(
        query,
      );
      const intervals = await readIntervals(tx);
      const open = Map.groupBy(
        intervals.filter(({ endedMs }) => endedMs === null),
        ({ subjectId }) => subjectId,
      );
      const problems = intervalProblems(intervals);
      const expect = (id: string, wanted: string) => {
        const found = open.get(id) ?? [];
        const words = found.map(({ resource, amount }) => `${resource} ${amount}`).sort();
        open.delete(id);
        if (words.join(", ") !== wanted)
          problems.push(`${id} is metered as (${words.join(", ")}) and takes (${wanted})`);
      };
      for (const box of boxes) expect(box.id, wantedOf(box).join(", "));
      for (const { id, bytes } of snapshots) expect(id, bytes > 0 ? `snapshot ${bytes}` : "");
      for (const id of open.keys()) problems.push(`${id} is metered, and is not there`);
      return problems;
    });
}

/** Nothing runs meanwhile. `sentBytes`: what all guests together have sent out. */
export async function usageSumProblems(
  db: Db,
  subject: Subject,
  nowMs: number,
  sentBytes: number,
): Promise<string[]> {
  const problems: string[] = [];
  const period = { from: new Date(0), to: new Date(nowMs + 100 * 3_600_000) };
  const rows = await readUsage(db, subject, { ...period, by: "total", step: "none" });
  const intervals = await readIntervals(db);
  for (const { resource, amount } of rows) {
    const { perUnit } = UNITS[resource];
    const shown = Number(amount) * perUnit;
    // Nine digits are shown.
    const grain = Math.max(10, perUnit * 1e-9);
    const meant =
      resource === "egress"
        ? sentBytes
        : intervals
            .filter((one) => one.resource === resource)
            .reduce(
              (sum, one) => sum + (one.amount * ((one.endedMs ?? nowMs) - one.beganMs)) / 1000,
              0,
            );
    // What a network sent after it was last looked at is lost with it; nothing is counted twice.
    const isRight =
      resource === "egress"
        ? shown <= meant + grain
        : Math.abs(shown - meant) <= Math.max(grain, meant * 1e-6);
    if (!isRight) problems.push(`${resource}: ${shown} is shown and ${meant} was taken`);
  }
  return problems;
}
