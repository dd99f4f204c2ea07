// Events: written in the transaction of what they tell, read in one total order without gaps.

import { type RawBuilder, sql } from "kysely";
import type { BoxId, OrgId } from "#domain/ids.ts";
import { can, mayEver, type Subject } from "#domain/permission.ts";
import type { Clock } from "#lib/clock.ts";
import type { Db } from "./db.ts";
import { readEndOf, readFrontierOf } from "./frontier.ts";
import { touch } from "./request.ts";
import { mayOnBox } from "./rights.ts";
import { CHANNEL, TOPICS } from "./wake.ts";

export interface NewEvent {
  /** Null: of the installation, shown to administrators. */
  readonly orgId: OrgId | null;
  readonly kind: string;
  readonly subjectKind:
    | "box"
    | "snapshot"
    | "template"
    | "template_version"
    | "node"
    | "ssh_key"
    | "token"
    | "web_session"
    | "preview"
    | "preview_link"
    | "org"
    | "member"
    | "team"
    | "grant"
    | "invitation"
    | "service_account"
    | "quota"
    | "budget"
    | "provider";
  readonly subjectId: string;
  readonly boxId?: BoxId | null;
  /** Who caused it; null for Berth itself. */
  readonly actor?: string | null;
  readonly message: string;
  readonly data?: Record<string, unknown>;
}

export interface EventView {
  /** Increases along the stream; continue after it. */
  readonly id: number;
  readonly orgId: OrgId | null;
  readonly at: Date;
  readonly kind: string;
  readonly subjectKind: NewEvent["subjectKind"];
  readonly subjectId: string;
  readonly boxId: BoxId | null;
  readonly actor: string | null;
  readonly message: string;
  readonly data: Record<string, unknown>;
}

/** Also wakes the given topics. Call it after the writes that it tells of: see `listEvents`. */
export async function insertEvents(
  tx: Db,
  events: readonly NewEvent[],
  topics: readonly string[] = [],
): Promise<void> {
  const rows = events.map((event) => ({
    org_id: event.orgId,
    kind: event.kind,
    subject_kind: event.subjectKind,
    subject_id: event.subjectId,
    box_id: event.boxId ?? null,
    actor: event.actor ?? null,
    message: event.message,
    data: event.data ?? {},
  }));
  for (const { subjectId, boxId } of events) for (const id of [subjectId, boxId]) touch(tx, id);
  const wakes = rows.length > 0 ? [...topics, TOPICS.events] : topics;
  if (wakes.length === 0) return;
  await sql`
    with written as (
      insert into events (org_id, kind, subject_kind, subject_id, box_id, actor, message, data)
      select org_id, kind, subject_kind, subject_id, box_id, actor, message, data
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as e
        (org_id text, kind text, subject_kind text, subject_id text, box_id text, actor text,
         message text, data jsonb))
    select pg_notify(${CHANNEL}, topic) from unnest(${wakes}::text[]) as topic`.execute(tx.query);
}

export interface EventFilter {
  readonly boxId?: BoxId | undefined;
  readonly limit: number;
}

/** The highest id up to which nothing can appear any more; null: a transaction is still open (frontier.ts). */
export function readFrontier(db: Db, clock: Clock, after = -1): Promise<number | null> {
  return readFrontierOf(db, clock, "events", after);
}

/**
 * Events after a cursor, oldest first. `upTo` is a frontier that was read before; without it the newest one is read,
 * and an empty answer may mean that a transaction is still open.
 */
export async function listEvents(
  db: Db,
  subject: Subject,
  clock: Clock,
  filter: EventFilter & { readonly after: number; readonly upTo?: number },
): Promise<EventView[]> {
  const frontier = filter.upTo ?? (await readFrontier(db, clock, filter.after));
  if (frontier === null || frontier <= filter.after) return [];
  return selectEvents(
    db,
    sql`e.id > ${filter.after} and e.id <= ${frontier} and ${isShown(subject, filter)}`,
    sql`e.id asc limit ${filter.limit}`,
  );
}

/**
 * Events of every organization after a cursor, for the one follower that serves all watches of a process.
 * `upTo`: nothing at or below it can appear any more; null: a transaction is still open, look again.
 */
export async function listAllEvents(
  db: Db,
  clock: Clock,
  page: { readonly after: number; readonly limit: number },
): Promise<{ events: EventView[]; upTo: number | null }> {
  const frontier = await readFrontier(db, clock, page.after);
  if (frontier === null || frontier <= page.after) return { events: [], upTo: frontier };
  const events = await selectEvents(
    db,
    sql`e.id > ${page.after} and e.id <= ${frontier}`,
    sql`e.id asc limit ${page.limit}`,
  );
  const last = events.length < page.limit ? undefined : events.at(-1);
  return { events, upTo: last?.id ?? frontier };
}

/**
 * What can be seen after a cursor, although more may still appear among it: for those who must know soon, and do not mind
 * to be told twice.
 */
export async function listEarlyEvents(db: Db, after: number, limit: number): Promise<EventView[]> {
  return selectEvents(db, sql`e.id > ${after}`, sql`e.id asc limit ${limit}`);
}

/** Events before a cursor (null: from the newest), newest first: for reading, not for following. */
export async function listEventsBack(
  db: Db,
  subject: Subject,
  filter: EventFilter & { readonly before: number | null },
): Promise<EventView[]> {
  const before = filter.before ?? Number.MAX_SAFE_INTEGER;
  return selectEvents(
    db,
    sql`e.id < ${before} and ${isShown(subject, filter)}`,
    sql`e.id desc limit ${filter.limit}`,
  );
}

/** The last id that was given: its event may not be visible yet, or never be. */
export function readEventsEnd(db: Db): Promise<number> {
  return readEndOf(db, "events");
}

/** The oldest event that is still kept: a cursor before it has missed some. */
export async function readEventsStart(db: Db): Promise<number | null> {
  const { rows } = await sql<{ id: number | null }>`select oldest_event() as id`.execute(db.query);
  return rows[0]?.id ?? null;
}

function isShown(subject: Subject, filter: EventFilter): RawBuilder<unknown> {
  return sql`${seesEvent(subject)}
    and (${filter.boxId ?? null}::text is null or e.box_id = ${filter.boxId ?? null})`;
}

/** What concerns everybody of an organization, and no box. */
const SHARED_KINDS: readonly NewEvent["subjectKind"][] = [
  ...(["template", "template_version", "org", "team", "quota", "budget"] as const),
];

function seesEvent(subject: Subject): RawBuilder<unknown> {
  const ofOperators = sql`(e.org_id is null and ${can(subject, "node.manage")}::boolean)`;
  if (!mayEver(subject, "event.read")) return ofOperators;
  if (can(subject, "event.read")) return sql`(e.org_id = ${subject.orgId} or ${ofOperators})`;
  return sql`(${ofOperators} or (e.org_id = ${subject.orgId} and case
    when e.box_id is not null then exists (
      select 1 from boxes b where b.id = e.box_id and ${mayOnBox(subject, "event.read")})
    else e.actor = ${subject.userId} or e.subject_kind = any(${[...SHARED_KINDS]}::text[]) end))`;
}

/** Of events that have just happened, those that the subject may see. */
export async function keepSeen(
  db: Db,
  subject: Subject,
  events: readonly EventView[],
): Promise<EventView[]> {
  const ofOrg = events.filter(
    (event) =>
      event.orgId === subject.orgId || (event.orgId === null && can(subject, "node.manage")),
  );
  if (ofOrg.length === 0 || can(subject, "event.read")) return ofOrg;
  const { rows } = await sql<{ id: number }>`
    select e.id from events e where e.id = any(${ofOrg.map(({ id }) => id)}::bigint[])
      and ${seesEvent(subject)}`.execute(db.query);
  const seen = new Set(rows.map(({ id }) => id));
  return ofOrg.filter(({ id }) => seen.has(id));
}

async function selectEvents(
  db: Db,
  condition: RawBuilder<unknown>,
  order: RawBuilder<unknown>,
): Promise<EventView[]> {
  const { rows } = await sql<{
    id: number;
    org_id: OrgId | null;
    at: Date;
    kind: string;
    subject_kind: NewEvent["subjectKind"];
    subject_id: string;
    box_id: BoxId | null;
    actor: string | null;
    message: string;
    data: Record<string, unknown>;
  }>`
    select e.id, e.org_id, e.at, e.kind, e.subject_kind, e.subject_id, e.box_id, e.actor, e.message, e.data
    from events e where ${condition} order by ${order}`.execute(db.query);
  return rows.map((row) => ({
    id: row.id,
    orgId: row.org_id,
    at: row.at,
    kind: row.kind,
    subjectKind: row.subject_kind,
    subjectId: row.subject_id,
    boxId: row.box_id,
    actor: row.actor,
    message: row.message,
    data: row.data,
  }));
}

export async function trimEvents(db: Db, maxAgeMs: number, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from events where id in (
      select id from events where at < now() - ${maxAgeMs} * interval '1 millisecond'
      order by at limit ${limit})`.execute(db.query);
  return Number(numAffectedRows ?? 0);
}
