// Rolls usage up, hour by hour. That is when nothing of an hour can change any more: the floor is raised to its end,
// so whoever begins to write usage from then on writes it above; those who had begun before are waited for. Then a page of
// organizations after the other is rolled up, each in one transaction, and the place where it stopped is kept. One
// transaction at a time has the row of the clock, so rollups become visible in the order of their ids.

import { type RawBuilder, sql } from "kysely";
import { RESOURCES, UNITS } from "#domain/price.ts";
import type { Clock } from "#lib/clock.ts";
import { type Db, transact } from "./db.ts";

const WRITERS_STEP_MS = 20;
/** Longer than a transaction can live. */
const WRITERS_TRIES = 3_000;
const ORGS_AT_ONCE = 100;

/** Rolls one hour up when one is over, or goes on with one. False: there is none. */
export async function rollUpHour(db: Db, clock: Clock): Promise<boolean> {
  const hour = await raiseFloor(db);
  if (!hour) return false;
  await db.failpoints.hit("store.usage.floor_raised");
  await waitForWriters(db, clock);
  while (await rollUp(db, hour)) await db.failpoints.hit("store.usage.page_rolled_up");
  return true;
}

/** From the commit on nothing is written below the end of the first hour that is not rolled up. Null: it is not over. */
async function raiseFloor(db: Db): Promise<Date | null> {
  const { rows } = await sql<{ rolled_until: Date }>`
    update usage_clock set floor_at = greatest(floor_at, rolled_until + interval '1 hour')
    where usage_wall() >= rolled_until + interval '1 hour' returning rolled_until`.execute(
    db.query,
  );
  return rows[0]?.rolled_until ?? null;
}

/** Transactions that have looked at an older floor. See the function usage_now of 0008-usage.sql. */
async function waitForWriters(db: Db, clock: Clock): Promise<void> {
  let writers = await listWriters(db, null);
  for (let tries = 0; writers.length > 0; tries += 1) {
    if (tries === WRITERS_TRIES) throw new Error("a transaction that writes usage does not end");
    await clock.sleep(WRITERS_STEP_MS);
    writers = await listWriters(db, writers);
  }
}

async function listWriters(db: Db, among: readonly string[] | null): Promise<string[]> {
  const { rows } = await sql<{ writer: string }>`
    select virtualtransaction as writer from pg_locks
    where locktype = 'advisory' and classid = 'usage_intervals'::regclass and objid = 0 and objsubid = 2
      and database = (select oid from pg_database where datname = current_database())
      and (${among}::text[] is null or virtualtransaction = any(${among}::text[]))`.execute(
    db.query,
  );
  return rows.map((row) => row.writer);
}

/** The next organizations of that hour. False: the hour is done, perhaps by another replica. */
async function rollUp(db: Db, hour: Date): Promise<boolean> {
  return transact(db, "store.usage.roll_up", async (tx) => {
    const { rows: clocks } = await sql<{ rolled_org: string | null }>`
      select rolled_org from usage_clock where rolled_until = ${hour} for update`.execute(tx.query);
    if (!clocks[0]) return false;
    const { rows } = await sql<{ id: string }>`
      select id from orgs where id > ${clocks[0].rolled_org ?? ""} order by id limit ${ORGS_AT_ONCE}`.execute(
      tx.query,
    );
    const orgs = rows.map((row) => row.id);
    if (orgs.length > 0) await writeRollups(tx, hour, orgs);
    await sql`delete from usage_counts where hour = ${hour} and org_id = any(${orgs}::text[])`.execute(
      tx.query,
    );
    const isLast = orgs.length < ORGS_AT_ONCE;
    await sql`update usage_clock set rolled_org = ${isLast ? null : orgs.at(-1)},
      rolled_until = ${isLast ? sql`rolled_until + interval '1 hour'` : sql`rolled_until`}`.execute(
      tx.query,
    );
    return !isLast;
  });
}

/** What `hour` took, by the intervals that touch it and the counts of it; and what it costs, for the budgets. */
async function writeRollups(tx: Db, hour: Date, orgs: readonly string[]): Promise<void> {
  await sql`
    with taken as (
      select org_id, team_id, owner_id, box_id, template_id, subject_id, resource, sum(${secondsIn(
        sql`${hour}::timestamptz`,
        sql`${hour}::timestamptz + interval '1 hour'`,
      )} * amount) as amount
      from usage_intervals i where org_id = any(${orgs}::text[]) and ended_at > ${hour}
        and began_at < ${hour}::timestamptz + interval '1 hour'
      group by 1, 2, 3, 4, 5, 6, 7
      union all
      select org_id, team_id, owner_id, box_id, template_id, subject_id, resource, amount
      from usage_counts where org_id = any(${orgs}::text[]) and hour = ${hour}),
    priced as (
      select t.*, ${costOf(sql`t.resource`, sql`t.amount`, sql`b.prices`)} as cost, b.currency
      from taken t left join ${priceBooks(sql`${orgs}::text[]`, sql`${hour}::timestamptz + interval '1 hour'`)} b on b.org_id = t.org_id
      where t.amount > 0),
    written as (
      insert into usage_rollups (org_id, team_id, owner_id, box_id, template_id, subject_id, resource, hour,
        amount, cost, currency)
      select org_id, team_id, owner_id, box_id, template_id, subject_id, resource, ${hour}::timestamptz,
        amount, cost, currency from priced
      order by org_id, subject_id, resource, owner_id, team_id
      returning org_id, team_id, cost)
    insert into usage_spend as s (org_id, month, team_id, cost)
    select org_id, date_trunc('month', ${hour}::timestamptz at time zone 'utc')::date, coalesce(team_id, ''), sum(cost)
    from written group by 1, 2, 3 having sum(cost) > 0
    on conflict (org_id, month, team_id) do update set cost = s.cost + excluded.cost`.execute(
    tx.query,
  );
}

/** How long an interval `i` lay between two instants; exact. */
export function secondsIn(from: RawBuilder<unknown>, to: RawBuilder<unknown>): RawBuilder<string> {
  return sql<string>`greatest(extract(epoch from least(i.ended_at, ${to}) - greatest(i.began_at, ${from})), 0)`;
}

/** A table of (org_id, currency, prices): the books that hold for the organizations, of those made before `before`. */
export function priceBooks(
  orgs: RawBuilder<unknown>,
  before: RawBuilder<unknown>,
): RawBuilder<unknown> {
  const newest = (org: RawBuilder<unknown>) => sql`
    (select to_jsonb(p) from price_books p where ${org} and p.created_at < ${before} order by p.id desc limit 1)`;
  return sql`(
    select o.id as org_id, base.book ->> 'currency' as currency,
      (base.book -> 'prices') || coalesce(own.book -> 'prices', '{}') as prices
    from unnest(${orgs}) as o (id)
    cross join (select ${newest(sql`p.org_id is null`)} as book) base
    cross join lateral (select ${newest(sql`p.org_id = o.id`)} as book) own)`;
}

const PER_UNIT = JSON.stringify(Object.fromEntries(RESOURCES.map((r) => [r, UNITS[r].perUnit])));

function perUnit(resource: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(${PER_UNIT}::jsonb ->> ${resource})::numeric`;
}

/** A metered amount in the unit that has a price, as text. */
export function inUnits(
  resource: RawBuilder<unknown>,
  amount: RawBuilder<unknown>,
): RawBuilder<string> {
  return sql<string>`trim_scale(round(${amount} / ${perUnit(resource)}, 9))::text`;
}

export function costOf(
  resource: RawBuilder<unknown>,
  amount: RawBuilder<unknown>,
  prices: RawBuilder<unknown>,
): RawBuilder<string> {
  return sql<string>`round(coalesce(${amount} * (${prices} ->> ${resource})::numeric
    / ${perUnit(resource)}, 0), 9)`;
}

export interface UsageKept {
  /** After they ended and were rolled up. */
  readonly intervalsMs: number;
  readonly rollupsMs: number;
}

/** Forgets what is old. Rollups go in the order of their ids, so that a cursor before them can be refused. */
export async function trimUsage(db: Db, kept: UsageKept, limit: number): Promise<number> {
  const intervals = await sql`
    delete from usage_intervals where id in (
      select i.id from usage_intervals i, usage_clock c
      where i.ended_at < least(c.rolled_until, now() - ${kept.intervalsMs} * interval '1 millisecond')
      order by i.ended_at limit ${limit})`.execute(db.query);
  const rollups = await transact(db, "store.usage.trim", async (tx) => {
    await sql`select 1 from usage_clock for update`.execute(tx.query);
    const { rows } = await sql<{ id: number; count: number }>`
      with oldest as (select id, hour from usage_rollups order by id limit ${limit}),
      gone as (
        delete from usage_rollups where id in (
          select id from oldest where hour < now() - ${kept.rollupsMs} * interval '1 millisecond') returning id),
      noted as (
        update usage_clock set trimmed_id = greatest(trimmed_id, (select max(id) from gone))
        where exists (select 1 from gone))
      select count(*) as count from gone`.execute(tx.query);
    return rows[0]?.count ?? 0;
  });
  return Math.max(Number(intervals.numAffectedRows ?? 0), rollups);
}
