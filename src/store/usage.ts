// Usage, added up: whole hours from the rollups, and from the intervals what is not rolled up yet.

import { type RawBuilder, sql } from "kysely";
import type { OrgId, TeamId } from "#domain/ids.ts";
import { can, type Subject } from "#domain/permission.ts";
import type { Resource } from "#domain/price.ts";
import type { Db } from "./db.ts";
import { costOf, inUnits, priceBooks, secondsIn } from "./usage-rollups.ts";

export const USAGE_GROUPS = ["total", "box", "user", "team", "template"] as const;
export type UsageGroup = (typeof USAGE_GROUPS)[number];

export interface UsageFilter {
  /** Whole hours of UTC. */
  readonly from: Date;
  readonly to: Date;
  readonly by: UsageGroup;
  readonly step: "none" | "hour" | "day";
  /** Ids or names. */
  readonly box?: string | undefined;
  readonly user?: string | undefined;
  readonly team?: string | undefined;
  readonly template?: string | undefined;
}

export interface UsageRow {
  /** Beginning of the hour or day; null: of the whole time. */
  readonly at: Date | null;
  /** What `by` names; null: all, or what belongs to no team. */
  readonly id: string | null;
  readonly name: string | null;
  readonly resource: Resource;
  /** In the unit of the resource. */
  readonly amount: string;
  readonly cost: string;
}

/** More than that are not read. */
export const USAGE_ROWS_MAX = 20_000;

/** One's own and that of teams whose usage one may read; with usage.read the organization's. At most one row too many. */
export async function readUsage(
  db: Db,
  subject: Subject,
  filter: UsageFilter,
): Promise<UsageRow[]> {
  const at = {
    none: sql`null::timestamptz`,
    hour: sql`u.hour`,
    day: sql`date_trunc('day', u.hour, 'UTC')`,
  }[filter.step];
  const key = {
    total: sql`null::text`,
    box: sql`u.box_id`,
    user: sql`u.owner_id`,
    team: sql`u.team_id`,
    template: sql`u.template_id`,
  }[filter.by];
  const { rows } = await sql<UsageRow>`
    with used as (
      select ${at} as at, ${key} as id, u.resource, sum(u.amount) as amount, sum(u.cost) as cost
      from ${usageIn(subject.orgId, filter.from, filter.to)} u
      where ${isShown(subject, sql`u.owner_id`, sql`u.team_id`)} and ${matches(subject.orgId, filter)}
      group by 1, 2, 3)
    select used.at, used.id, ${nameOf(filter.by)} as name, used.resource,
      ${inUnits(sql`used.resource`, sql`used.amount`)} as amount,
      trim_scale(used.cost)::text as cost
    from used where used.amount > 0
    order by used.at nulls first, used.cost desc, used.id nulls last, used.resource
    limit ${USAGE_ROWS_MAX + 1}`.execute(db.query);
  return rows;
}

/**
 * A table of one row: (month, spent, per_hour, projected): since the month began, of one team (null: in all), up to now;
 * what an hour of what is taken now costs; what the month will have cost if that goes on.
 */
export function spentOf(
  orgId: RawBuilder<unknown>,
  teamId: RawBuilder<unknown>,
): RawBuilder<unknown> {
  const ofTeam = (column: RawBuilder<unknown>) => sql`(${teamId} is null or ${column} = ${teamId})`;
  return sql`(
    select s.month, s.spent::text as spent, s.per_hour::text as per_hour, round(s.spent + s.per_hour
      * greatest(0, extract(epoch from s.next_month - usage_wall())) / 3600, 9)::text as projected
    from (
      select to_char(n.month at time zone 'utc', 'YYYY-MM-DD') as month, n.next_month, round(coalesce((
          select sum(u.cost)
          from ${liveUsage(orgId, sql`greatest(n.rolled_until, n.month)`, sql`n.next_month`)} u
          where ${ofTeam(sql`u.team_id`)}), 0) + coalesce((
          select sum(s.cost) from usage_spend s where s.org_id = ${orgId}
            and s.month = (n.month at time zone 'utc')::date and ${ofTeam(sql`s.team_id`)}), 0), 9) as spent,
        coalesce((
          select sum(${costOf(sql`i.resource`, sql`3600 * i.amount`, sql`p.prices`)})
          from usage_intervals i left join ${priceBookOf(orgId)} p on true
          where i.org_id = ${orgId} and i.ended_at = 'infinity' and ${ofTeam(sql`i.team_id`)}), 0) as per_hour
      from (
        select m.month, date_trunc('month', m.month + interval '40 days', 'UTC') as next_month,
          ${rolledUntil(orgId)} as rolled_until
        from (select date_trunc('month', usage_wall(), 'UTC') as month) m, usage_clock c) n) s)`;
}

/** By the row `c` of the clock. While an hour is rolled up page by page, the organizations of the first pages have it. */
function rolledUntil(orgId: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(c.rolled_until + case when ${orgId} <= c.rolled_org then interval '1 hour' else '0' end)`;
}

/** By hour, box and resource: (hour, team_id, owner_id, box_id, template_id, resource, amount, cost). */
function usageIn(orgId: OrgId, from: Date, to: Date): RawBuilder<unknown> {
  const rolled = rolledUntil(sql`${orgId}`);
  return sql`(
    select r.hour, r.team_id, r.owner_id, r.box_id, r.template_id, r.resource, r.amount, r.cost
    from usage_rollups r, usage_clock c
    where r.org_id = ${orgId} and r.hour >= ${from} and r.hour < ${to} and r.hour < ${rolled}
    union all
    select l.* from usage_clock c cross join lateral
      ${liveUsage(sql`${orgId}`, sql`greatest(${rolled}, ${from}::timestamptz)`, sql`${to}::timestamptz`)} l)`;
}

/** The same from what is not rolled up, each hour by the prices that it will be rolled up by; `from` is a whole hour. */
function liveUsage(
  orgId: RawBuilder<unknown>,
  from: RawBuilder<unknown>,
  to: RawBuilder<unknown>,
): RawBuilder<unknown> {
  const now = sql`(select greatest(usage_wall(), floor_at) from usage_clock)`;
  const next = sql`h.hour + interval '1 hour'`;
  const end = sql`least(${next}, ${to}, w.now)`;
  return sql`(
    select h.hour, t.team_id, t.owner_id, t.box_id, t.template_id, t.resource, t.amount,
      ${costOf(sql`t.resource`, sql`t.amount`, sql`p.prices`)} as cost
    from (select ${now} as now) w
    cross join generate_series(${from}, least(${to}, w.now), interval '1 hour') as h (hour)
    cross join lateral ${priceBooks(sql`array[${orgId}]::text[]`, next)} p
    cross join lateral (
      select i.team_id, i.owner_id, i.box_id, i.template_id, i.resource, ${secondsIn(sql`h.hour`, end)} * i.amount as amount
      from usage_intervals i where i.org_id = ${orgId} and i.ended_at > h.hour and i.began_at < ${end}
      union all
      select k.team_id, k.owner_id, k.box_id, k.template_id, k.resource, k.amount
      from usage_counts k where k.org_id = ${orgId} and k.hour = h.hour) t
    where h.hour < ${to})`;
}

/** What holds now. */
function priceBookOf(orgId: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`${priceBooks(sql`array[${orgId}]::text[]`, sql`'infinity'::timestamptz`)}`;
}

function isShown(
  subject: Subject,
  owner: RawBuilder<unknown>,
  team: RawBuilder<unknown>,
): RawBuilder<unknown> {
  if (can(subject, "usage.read")) return sql`true`;
  const teams = subject.teams.map(({ teamId }) => teamId).filter((id) => mayReadTeam(subject, id));
  return sql`(${owner} = ${subject.userId} or ${team} = any(${teams}::text[]))`;
}

export function mayReadTeam(subject: Subject, teamId: TeamId | null): boolean {
  return can(subject, "usage.read", { orgId: subject.orgId, teamId });
}

function matches(orgId: OrgId, filter: UsageFilter): RawBuilder<unknown> {
  const [box, user, team, template] = [filter.box, filter.user, filter.team, filter.template];
  const parts: RawBuilder<unknown>[] = [sql`true`];
  if (box !== undefined)
    parts.push(sql`u.box_id in (select id from boxes where org_id = ${orgId}
      and (id = ${box} or (name = ${box} and deleted_at is null)))`);
  if (user !== undefined)
    parts.push(sql`u.owner_id in (select id from users where id = ${user} or name = ${user})`);
  if (team !== undefined)
    parts.push(sql`u.team_id in (select id from teams where org_id = ${orgId}
      and (id = ${team} or (name = ${team} and deleted_at is null)))`);
  if (template !== undefined)
    parts.push(sql`u.template_id in (select id from templates where org_id = ${orgId}
      and (id = ${template} or (name = ${template} and deleted_at is null)))`);
  return sql.join(parts, sql` and `);
}

function nameOf(by: UsageGroup): RawBuilder<unknown> {
  if (by === "total") return sql`null::text`;
  const table = { box: "boxes", user: "users", team: "teams", template: "templates" }[by];
  return sql`(select n.name from ${sql.table(table)} n where n.id = used.id)`;
}
