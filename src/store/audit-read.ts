// Reading the audit trail: pages and searches of what was written, and the sealed chain as it is exported.

import { sql } from "kysely";
import {
  type AuditEntry,
  type AuditOutcome,
  INSTALLATION_CHAIN,
  type SealedEntry,
  ZERO_HASH,
} from "#domain/audit.ts";
import { can, type Permission, type Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { ENTRY_COLUMNS, type EntryRow, entryOf } from "./audit-seals.ts";
import { type Db, transact } from "./db.ts";

export type AuditScope = "org" | "installation";

/** The chain that the subject means and may read; throws. The installation's is for those who run it. */
export function chainFor(
  subject: Subject,
  scope: AuditScope,
  permission: Permission = "audit.read",
): string {
  const isIn = subject.scopes === null || subject.scopes.includes(permission);
  if (scope === "installation") {
    if (subject.isOperator && isIn) return INSTALLATION_CHAIN;
    throw new StoreRefusal("forbidden", "The installation's trail is for its operators.");
  }
  if (!can(subject, permission))
    throw new StoreRefusal("forbidden", `This needs the permission ${permission}.`);
  return subject.orgId;
}

export interface AuditFilter {
  /** Id of a user, or a user's name. */
  readonly actor?: string | undefined;
  /** An id that was touched, or a name or id that the request gave. */
  readonly resource?: string | undefined;
  /** `boxes.create`, or `boxes.` for all of these. */
  readonly verb?: string | undefined;
  readonly outcome?: AuditOutcome | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  /** Anywhere in an entry, whatever the case. */
  readonly text?: string | undefined;
}

export interface AuditView extends AuditEntry {
  /** Null for Berth itself, and for users that are gone. */
  readonly actorName: string | null;
  /** Null: not sealed yet. */
  readonly seq: number | null;
  readonly hash: string | null;
}

export interface AuditPage {
  readonly after?: number | null;
  readonly before?: number | null;
  readonly limit: number;
  readonly order: "newest" | "oldest";
  /** Only what is sealed, so that nothing appears later before what was read. */
  readonly isSealed?: boolean;
}

export async function listAudit(
  db: Db,
  chain: string,
  filter: AuditFilter,
  page: AuditPage,
): Promise<AuditView[]> {
  const { rows } = await sql<
    EntryRow & { actor_name: string | null; seq: number | null; hash: string | null }
  >`
    select ${ENTRY_COLUMNS}, u.name as actor_name, s.seq, encode(s.hash, 'hex') as hash
    from audit_entries e
    left join audit_seals s on s.entry_id = e.id
    left join users u on u.id = e.actor_id
    where ${isOf(chain)} and e.id > ${page.after ?? 0} and e.id < ${page.before ?? Number.MAX_SAFE_INTEGER}
      and ${page.isSealed ? sql`s.seq is not null` : IS_OURS} and ${matches(filter)}
    order by ${page.order === "newest" ? sql`e.id desc` : sql`e.id asc`} limit ${page.limit}`.execute(
    db.query,
  );
  return rows.map((row) => ({
    ...entryOf(row),
    ...{ actorName: row.actor_name, seq: row.seq, hash: row.hash },
  }));
}

/** In its chain, or about to be: what was slipped in below what is sealed never will be. */
const IS_OURS = sql`(s.seq is not null or e.id > (select sealed_to from audit_state))`;

function isOf(chain: string) {
  return chain === INSTALLATION_CHAIN ? sql`e.org_id is null` : sql`e.org_id = ${chain}`;
}

/** Only the conditions that there are: each combination is a statement of its own, with a plan of its own. */
function matches(filter: AuditFilter) {
  const { actor, resource, verb, outcome, since, until, text } = filter;
  const conditions = [sql`true`];
  if (actor !== undefined)
    conditions.push(
      sql`e.actor_id in (select id from users where id = ${actor} or name = ${actor}
        union all select ${actor}::text)`,
    );
  if (resource !== undefined)
    conditions.push(sql`(e.touched @> array[${resource}::text]
      or exists (select 1 from jsonb_each_text(e.resource) r where r.value = ${resource}))`);
  if (verb?.endsWith(".")) conditions.push(sql`starts_with(e.verb, ${verb})`);
  else if (verb !== undefined) conditions.push(sql`e.verb = ${verb}`);
  if (outcome !== undefined) conditions.push(sql`e.outcome = ${outcome}`);
  if (since !== undefined) conditions.push(sql`e.at >= ${since}::timestamptz`);
  if (until !== undefined) conditions.push(sql`e.at < ${until}::timestamptz`);
  if (text !== undefined)
    conditions.push(sql`position(lower(${text}) in lower(concat_ws(' ', e.verb, e.code, e.actor_id,
      u.name, e.credential_id, e.address, e.user_agent, e.resource::text, e.touched::text, e.data::text,
      e.request_id))) > 0`);
  return sql.join(conditions, sql` and `);
}

/** The sealed chain after a place, up to another. */
export async function readSealed(
  db: Db,
  chain: string,
  { after, upTo, limit }: { readonly after: number; readonly upTo: number; readonly limit: number },
): Promise<SealedEntry[]> {
  const { rows } = await sql<EntryRow & { seq: number; hash: string; previous: string }>`
    select ${ENTRY_COLUMNS}, s.seq, encode(s.hash, 'hex') as hash,
      coalesce(encode(p.hash, 'hex'), case when s.seq = c.anchor_seq + 1 then encode(c.anchor_hash, 'hex') end,
        ${ZERO_HASH}) as previous
    from audit_seals s
    join audit_chains c on c.chain = s.chain
    join audit_entries e on e.id = s.entry_id
    left join audit_seals p on p.chain = s.chain and p.seq = s.seq - 1
    where s.chain = ${chain} and s.seq > ${after} and s.seq <= ${upTo} order by s.seq limit ${limit}`.execute(
    db.query,
  );
  return rows.map((row) => ({
    ...{ chain, seq: row.seq, previous: row.previous, hash: row.hash, entry: entryOf(row) },
  }));
}

export interface AuditPolicy {
  /** Null: for ever. */
  readonly keepDays: number | null;
  readonly keepDaysMin: number;
}

export async function getAuditPolicy(db: Db, subject: Subject): Promise<AuditPolicy> {
  return readAuditPolicy(db, chainFor(subject, "org"));
}

async function readAuditPolicy(db: Db, orgId: string): Promise<AuditPolicy> {
  const { rows } = await sql<AuditPolicy>`
    select p.keep_days as "keepDays", s.keep_days_min as "keepDaysMin"
    from audit_state s left join audit_policies p on p.org_id = ${orgId}`.execute(db.query);
  return rows[0] as AuditPolicy;
}

export interface AuditPolicyChange {
  readonly keepDays?: number | null | undefined;
  readonly keepDaysMin?: number | undefined;
}

/** An organization says for how long it keeps its trail; who runs the installation says how long that is at least. */
export async function setAuditPolicy(
  db: Db,
  subject: Subject,
  { keepDays, keepDaysMin }: AuditPolicyChange,
): Promise<AuditPolicy> {
  return transact(db, "store.audit.policy", async (tx) => {
    if (keepDaysMin !== undefined) {
      if (!subject.isOperator)
        throw new StoreRefusal(
          "forbidden",
          "The minimum is set by those who run the installation.",
        );
      await sql`update audit_state set keep_days_min = ${keepDaysMin}`.execute(tx.query);
    }
    if (keepDays !== undefined) {
      const orgId = chainFor(subject, "org", "audit.manage");
      const { keepDaysMin: least } = await readAuditPolicy(tx, orgId);
      if (keepDays !== null && keepDays < least)
        throw new StoreRefusal("not_now", `This installation keeps every trail for ${least} days.`);
      if (keepDays === null)
        await sql`delete from audit_policies where org_id = ${orgId}`.execute(tx.query);
      else
        await sql`
          insert into audit_policies (org_id, keep_days) values (${orgId}, ${keepDays})
          on conflict (org_id) do update set keep_days = excluded.keep_days`.execute(tx.query);
    }
    return readAuditPolicy(tx, subject.orgId);
  });
}
