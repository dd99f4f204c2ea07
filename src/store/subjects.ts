// Who a user is in an organization: the roles that its grants give there. Read with every credential.

import { type RawBuilder, sql } from "kysely";
import { ORG_ROLES, type Subject, TEAM_ROLES } from "#domain/permission.ts";
import type { Db } from "./db.ts";

/** The columns of a Subject for a user `u` in an organization whose id is `org`; its token's scopes come beside them. */
export function subjectColumns(org: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`u.id as "userId", ${org} as "orgId", u.is_operator as "isOperator",
    array(select distinct g.role from grants g where g.user_id = u.id and g.scope = 'org'
      and g.scope_id = ${org} and g.role = any(${[...ORG_ROLES]}::text[])) as roles,
    (select coalesce(jsonb_agg(jsonb_build_object('teamId', g.scope_id, 'role', g.role)), '[]')
      from grants g join teams m on m.id = g.scope_id and m.deleted_at is null
      where g.user_id = u.id and g.scope = 'team' and g.org_id = ${org}
        and g.role = any(${[...TEAM_ROLES]}::text[])) as teams`;
}

/** Lets in whom nothing has ended: neither the user nor the organization. */
export const IS_LET_IN = sql`u.disabled_at is null and exists (
  select 1 from orgs o where o.id = c.org_id and o.deleted_at is null)`;

/** Whether the tokens and keys of the user `u` wait in the organization `c.org_id`: its provider has refused them. */
export const IS_SUSPENDED = sql`is_suspended(u.id, c.org_id) as "isSuspended"`;

/** Null: it does not belong there (any more), or nothing of its is let in now. */
export async function loadSubject(db: Db, userId: string, orgId: string): Promise<Subject | null> {
  const found = await selectSubject(db, userId, orgId);
  return found && !found.isSuspended ? found.subject : null;
}

/** As `loadSubject`, of a suspended user too. */
export async function selectSubject(
  db: Db,
  userId: string,
  orgId: string,
): Promise<{ readonly subject: Subject; readonly isSuspended: boolean } | null> {
  const { rows } = await sql<Omit<Subject, "scopes"> & { isSuspended: boolean }>`
    select ${subjectColumns(sql`c.org_id`)}, ${IS_SUSPENDED}
    from users u cross join (select ${orgId}::text as org_id) c
    where u.id = ${userId} and ${IS_LET_IN}`.execute(db.query);
  if (!rows[0] || rows[0].roles.length === 0) return null;
  const { isSuspended, ...subject } = rows[0];
  return { subject: { ...subject, scopes: null }, isSuspended };
}
