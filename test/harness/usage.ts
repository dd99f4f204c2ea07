// For tests of usage: a clock of the database that a test sets, and what is written of usage.

import { sql } from "kysely";
import type { Resource } from "#domain/price.ts";
import type { Db } from "#store/db.ts";

/** Usage is told this time from now on, until it is set again; hours that were over before are taken as rolled up. */
export async function holdUsageClock(db: Db, at: Date): Promise<void> {
  await sql`create table test_wall (at timestamptz not null)`.execute(db.query);
  await sql`insert into test_wall values (${at})`.execute(db.query);
  await sql`create or replace function usage_wall() returns timestamptz language sql volatile security definer
    as 'select at from test_wall'`.execute(db.query);
  await sql`update usage_clock set floor_at = date_trunc('hour', ${at}::timestamptz, 'UTC'),
    rolled_until = date_trunc('hour', ${at}::timestamptz, 'UTC')`.execute(db.query);
}

export async function setUsageClock(db: Db, at: Date): Promise<void> {
  await sql`update test_wall set at = ${at}`.execute(db.query);
}

export interface Interval {
  readonly subjectId: string;
  readonly resource: Resource;
  readonly amount: number;
  readonly teamId: string | null;
  readonly beganMs: number;
  /** Null: it goes on. */
  readonly endedMs: number | null;
}

export async function readIntervals(db: Db): Promise<Interval[]> {
  const { rows } = await sql<Interval>`
    select subject_id as "subjectId", resource, amount, team_id as "teamId",
      (extract(epoch from began_at) * 1000)::float8 as "beganMs",
      case when ended_at < 'infinity' then (extract(epoch from ended_at) * 1000)::float8 end as "endedMs"
    from usage_intervals order by subject_id, resource, began_at, id`.execute(db.query);
  return rows;
}

/** What is wrong with them: overlaps, more than one open, negative ones. */
export function intervalProblems(intervals: readonly Interval[]): string[] {
  const problems: string[] = [];
  const last = new Map<string, Interval>();
  for (const interval of intervals) {
    const key = `${interval.subjectId} ${interval.resource}`;
    const before = last.get(key);
    last.set(key, interval);
    if (interval.endedMs !== null && interval.endedMs < interval.beganMs)
      problems.push(`${key} ends before it begins`);
    if (!before) continue;
    if (before.endedMs === null) problems.push(`${key} is open twice`);
    else if (before.endedMs > interval.beganMs) problems.push(`${key} overlaps itself`);
  }
  return problems;
}
