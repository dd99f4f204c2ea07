// Events: written in the transaction of what they tell, read in one total order without gaps.

import { type RawBuilder, sql } from "kysely";
import type { BoxId, OrgId } from "#domain/ids.ts";
import { can, mayEver, type Subject } from "#domain/permission.ts";
import type { Clock } from "#lib/clock.ts";
import type { Db } from "./db.ts";
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

const FRONTIER_TRIES = 200;
const FRONTIER_STEP_MS = 5;

/**
 * The highest id up to which nothing can appear any more. Ids are given at the insert, but become visible
 * at the commit, so a reader that trusted the highest id it sees would skip those that commit late. Every
 * writer holds a shared lock from before it takes an id until after its commit is visible (the trigger of
 * migrations/0003-event-writers.sql), so: read the last id given, see who holds the lock, and wait until all of
 * those have let go. Other transactions do not matter, nor do other databases of the same cluster.
 * Costs nothing when no id above `after` was given. Not for use in a transaction that wrote an event: it would
 * wait for itself.
 */
export async function readFrontier(db: Db, clock: Clock, after = -1): Promise<number | null> {
  const id = await readEventsEnd(db);
  if (id <= after) return id;
  let writers = await listWriters(db);
  for (let tries = 0; writers.length > 0; tries += 1) {
    if (tries === FRONTIER_TRIES) return null;
    await clock.sleep(FRONTIER_STEP_MS);
    writers = await listWriters(db, writers);
  }
  return id;
}

/** The open transactions that have written events, or those of them that are still open. */
async function listWriters(db: Db, among: readonly string[] | null = null): Promise<string[]> {
  const { rows } = await sql<{ writer: string }>`
    select virtualtransaction as writer from pg_locks
    where locktype = 'advisory' and classid = 'events'::regclass and objid = 0 and objsubid = 2
      and database = (select oid from pg_database where datname = current_database())
      and (${among}::text[] is null or virtualtransaction = any(${among}::text[]))`.execute(
    db.query,
  );
  return rows.map((row) => row.writer);
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
export async function readEventsEnd(db: Db): Promise<number> {
  const { rows } = await sql<{ id: number }>`
    select case when is_called then last_value else 0 end as id from events_id_seq`.execute(
    db.query,
  );
  return rows[0]?.id ?? 0;
}

/** The oldest event that is still kept: a cursor before it has missed some. */
export async function readEventsStart(db: Db): Promise<number | null> {
  const { rows } = await sql<{ id: number | null }>`select min(id) as id from events`.execute(
    db.query,
  );
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
    (event) => event.orgId === subject.orgId || (event.orgId === null && subject.isOperator),
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
