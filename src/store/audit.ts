// Entries of the audit trail, written where the act is: in its transaction, before its commit. How they become a chain
// is in audit-seals.ts. An act whose entry cannot be written does not happen.

import { type RawBuilder, sql } from "kysely";
import { Problem } from "#contract/errors.ts";
import { type AuditOutcome, type AuditValue, auditText } from "#domain/audit.ts";
import type { Subject } from "#domain/permission.ts";
import type { Db } from "./handle.ts";
import type { RequestFacts } from "./request.ts";

export interface NewAuditEntry {
  /** Null: of the installation's chain. */
  readonly orgId: string | null;
  readonly verb: string;
  readonly outcome: AuditOutcome;
  readonly code?: string | null;
  readonly actorId?: string | null;
  readonly actorRoles?: readonly string[];
  readonly credentialId?: string | null;
  readonly address?: string | null;
  readonly userAgent?: string | null;
  readonly resource?: Readonly<Record<string, string>>;
  readonly touched?: readonly string[];
  readonly data?: Readonly<Record<string, AuditValue>>;
  readonly requestId?: string | null;
  /** What tells it from others that may be told twice. */
  readonly sourceId?: string | null;
  /** When it was; null: now. */
  readonly atMs?: number | null;
}

const TOUCHED_MAX = 50;
const ROLES_MAX = 30;

/** Writes them in the given transaction, or in one of their own. Those with a source id that is known are left out. */
export async function insertAuditEntries(db: Db, entries: readonly NewAuditEntry[]): Promise<void> {
  if (entries.length === 0) return;
  await guarded(async () => {
    await auditInsert(entries).execute(db.query);
  });
}

/** Before the commit of what the request has done. */
export async function insertRequestEntry(tx: Db, request: RequestFacts): Promise<void> {
  await insertAuditEntries(tx, [entryOfRequest(request, "ok", null)]);
}

/** The statement, to stand in a `with` of another one: `from` has a row when the act took place. */
export function auditInsert(
  entries: readonly NewAuditEntry[],
  from: RawBuilder<unknown> = sql`(select 1) as done`,
): RawBuilder<unknown> {
  return sql`
    insert into audit_entries (org_id, at, verb, outcome, code, actor_id, actor_roles, credential_id, address,
      user_agent, resource, touched, data, request_id, source_id)
    select e.org_id, coalesce(e.at, clock_timestamp()), e.verb, e.outcome, e.code, e.actor_id, e.actor_roles,
      e.credential_id, e.address, e.user_agent, e.resource, e.touched, e.data, e.request_id, e.source_id
    from ${from}, jsonb_to_recordset(${JSON.stringify(entries.map(rowOf))}::jsonb) as e
      (org_id text, at timestamptz, verb text, outcome text, code text, actor_id text, actor_roles text[],
        credential_id text, address text, user_agent text, resource jsonb, touched text[], data jsonb,
        request_id text, source_id text)
    on conflict (source_id) where source_id is not null do nothing`;
}

export function entryOfRequest(
  { requestId, route, address, userAgent, subject, credentialId, resource, trail }: RequestFacts,
  outcome: AuditOutcome,
  code: string | null,
): NewAuditEntry {
  return {
    orgId: trail?.isInstallation ? null : (trail?.joined?.orgId ?? subject.orgId) || null,
    actorId: (trail?.joined?.userId ?? subject.userId) || null,
    ...{ verb: route, outcome, code, actorRoles: rolesOf(subject) },
    ...{ credentialId, address, userAgent, resource, touched: [...(trail?.touched ?? [])] },
    requestId,
  };
}

/** What a subject is: its roles in the organization and in teams. */
export function rolesOf({ roles, teams, isOperator }: Subject): string[] {
  return [
    ...(isOperator ? ["operator"] : []),
    ...roles,
    ...teams.map(({ teamId, role }) => `${role} of ${teamId}`),
  ];
}

function rowOf(entry: NewAuditEntry) {
  const text = (value: string | null | undefined) => (value == null ? null : auditText(value));
  const pairs = <T>(record: Readonly<Record<string, T>> | undefined) =>
    Object.fromEntries(
      Object.entries(record ?? {}).map(([key, value]) => [
        auditText(key),
        typeof value === "string" ? auditText(value) : value,
      ]),
    );
  return {
    ...{ org_id: entry.orgId, verb: auditText(entry.verb), outcome: entry.outcome },
    ...{ at: entry.atMs == null ? null : new Date(entry.atMs).toISOString() },
    ...{ code: text(entry.code), actor_id: text(entry.actorId) },
    actor_roles: (entry.actorRoles ?? []).slice(0, ROLES_MAX).map((role) => auditText(role)),
    ...{ credential_id: text(entry.credentialId), address: text(entry.address) },
    ...{ user_agent: text(entry.userAgent), resource: pairs(entry.resource) },
    touched: (entry.touched ?? []).slice(0, TOUCHED_MAX).map((id) => auditText(id)),
    ...{ data: pairs(entry.data), request_id: text(entry.requestId) },
    source_id: text(entry.sourceId),
  };
}

/** Runs a statement that writes an entry. */
export async function guarded<T>(statement: () => Promise<T>): Promise<T> {
  try {
    return await statement();
  } catch (error) {
    if (!isAuditFailure(error)) throw error;
    throw new Problem(
      "audit_unavailable",
      "The audit trail cannot be written, so nothing was done.",
      { cause: error },
    );
  }
}

/** Postgres works, but does not take the entry. What it undid or could not do at all is told as ever. */
function isAuditFailure(error: unknown): boolean {
  const { code, table, message, where } = error as Record<string, unknown>;
  if (typeof code !== "string" || !/^(?:22|23|42|54|P0|XX)/.test(code)) return false;
  return /\baudit_\w+/.test(`${table} ${message} ${where}`);
}
