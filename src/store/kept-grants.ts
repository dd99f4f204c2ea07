// Grants that something outside keeps up to date: a provider's groups, a directory. Each touches only its own, by their
// source. Whoever has no role left in an organization is out of it, with all that they have open there.

import { sql } from "kysely";
import type { GrantId, OrgId, UserId } from "#domain/ids.ts";
import { insertAuditEntries } from "./audit.ts";
import type { Db } from "./db.ts";
import { endCredentials } from "./ended-credentials.ts";
import { insertEvents, type NewEvent } from "./events.ts";
import { DIRECT, hasOwner, lockOwned } from "./grants.ts";
import { newId } from "./new-id.ts";

export interface KeptGrant {
  readonly orgId: OrgId;
  readonly scope: "org" | "team";
  readonly scopeId: string;
  readonly role: string;
}

interface Change extends KeptGrant {
  readonly what: "created" | "deleted";
}

/**
 * In the organizations `among`, or everywhere. The user's row must be locked. Nobody is left without an owner by it: what
 * makes somebody the last one becomes theirs by hand.
 */
export async function keepGrants(
  tx: Db,
  userId: UserId,
  source: string,
  wanted: readonly KeptGrant[],
  among: readonly OrgId[] | null = null,
): Promise<void> {
  await keepLastOwners(tx, userId, source, wanted, among);
  const rows = withMembership(wanted).map((grant) => ({ ...grant, id: newId<GrantId>("grant") }));
  const { rows: changes } = await sql<Change>`
    with wanted as (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
        as w (id text, "orgId" text, scope text, "scopeId" text, role text)),
    gone as (
      delete from grants g where g.user_id = ${userId} and g.source = ${source}
        and (${among}::text[] is null or g.org_id = any(${among}::text[]))
        and not exists (select 1 from wanted w where w."orgId" = g.org_id and w.scope = g.scope
          and w."scopeId" = g.scope_id and w.role = g.role)
      returning g.org_id as "orgId", g.scope, g.scope_id as "scopeId", g.role),
    made as (
      insert into grants (id, org_id, user_id, role, scope, scope_id, source)
      select w.id, w."orgId", ${userId}, w.role, w.scope, w."scopeId", ${source} from wanted w
      where w.scope = 'org' or exists (
        select 1 from teams t where t.id = w."scopeId" and t.deleted_at is null)
      on conflict (user_id, scope, scope_id, role, source) where user_id is not null do nothing
      returning org_id as "orgId", scope, scope_id as "scopeId", role)
    select *, 'deleted' as what from gone union all select *, 'created' as what from made
  `.execute(tx.query);
  await tellChanges(tx, userId, source, changes);
  const orgs = new Set(changes.filter(({ what }) => what === "deleted").map(({ orgId }) => orgId));
  for (const orgId of orgs)
    if (!(await belongs(tx, userId, orgId))) await endCredentials(tx, orgId, userId);
}

async function keepLastOwners(
  tx: Db,
  userId: UserId,
  source: string,
  wanted: readonly KeptGrant[],
  among: readonly OrgId[] | null,
): Promise<void> {
  const still = wanted.filter(({ scope, role }) => scope === "org" && role === "owner");
  for (const orgId of await lockOwned(tx, sql`g.user_id = ${userId} and g.source = ${source}`)) {
    const isAsked = among === null || among.includes(orgId);
    if (!isAsked || still.some((one) => one.orgId === orgId)) continue;
    if (await hasOwner(tx, orgId, sql`(g.user_id, g.source) <> (${userId}, ${source})`)) continue;
    await sql`update grants set source = ${DIRECT} where user_id = ${userId} and source = ${source}
      and scope = 'org' and scope_id = ${orgId} and role = 'owner'`.execute(tx.query);
    await tellKept(tx, userId, source, orgId);
  }
}

async function tellKept(tx: Db, userId: UserId, source: string, orgId: OrgId): Promise<void> {
  await insertAuditEntries(tx, [
    {
      ...{ orgId, verb: "grants.keep", outcome: "ok", touched: [userId] },
      ...{ resource: { org: orgId }, data: { role: "owner", source } },
    },
  ]);
  await insertEvents(tx, [
    {
      ...{ orgId, kind: "member.updated", subjectKind: "member", subjectId: userId, actor: null },
      message: `${source} would take the last owner's role: it stays, as if it were given by hand. Make another member an owner`,
      data: { userId, scope: "org", scopeId: orgId, role: "owner", source },
    },
  ]);
}

/** A role in a team is of use only to whoever belongs to its organization. */
function withMembership(wanted: readonly KeptGrant[]): KeptGrant[] {
  const known = new Set(wanted.filter(({ scope }) => scope === "org").map(({ orgId }) => orgId));
  const missing = new Set(wanted.map(({ orgId }) => orgId).filter((orgId) => !known.has(orgId)));
  return [
    ...wanted,
    ...[...missing].map((orgId) => ({
      ...{ orgId, scopeId: orgId },
      ...{ scope: "org" as const, role: "member" },
    })),
  ];
}

export async function belongs(tx: Db, userId: UserId, orgId: OrgId): Promise<boolean> {
  const { rows } = await sql`
    select 1 from grants where user_id = ${userId} and scope = 'org' and scope_id = ${orgId} limit 1
  `.execute(tx.query);
  return rows.length > 0;
}

async function tellChanges(
  tx: Db,
  userId: UserId,
  source: string,
  changes: readonly Change[],
): Promise<void> {
  await insertAuditEntries(
    tx,
    changes.map(({ orgId, scope, scopeId, role, what }) => ({
      ...{
        orgId,
        verb: what === "created" ? "grants.give" : "grants.take",
        outcome: "ok" as const,
      },
      ...{ resource: { [scope]: scopeId }, touched: [userId], data: { role, source } },
    })),
  );
  // Of the member in any case: gateways and watches hear by it that somebody is something else.
  await insertEvents(
    tx,
    changes.flatMap(({ orgId, scope, scopeId, role, what }): NewEvent[] => {
      const verb = what === "created" ? "gives" : "takes";
      const message = `${source} ${verb} the role ${role}`;
      const told = {
        ...{ orgId, actor: null, message },
        data: { userId, scope, scopeId, role, source },
      };
      return [
        ...(scope === "team"
          ? [{ ...told, kind: "team.updated", subjectKind: "team" as const, subjectId: scopeId }]
          : []),
        { ...told, kind: "member.updated", subjectKind: "member", subjectId: userId },
      ];
    }),
  );
}
