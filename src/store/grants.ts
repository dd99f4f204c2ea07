// Grants: who holds which role at an organization, a team or a box. What a person is given directly and what a provider
// or SCIM keeps up to date stand beside each other; a role is held as long as one of them says so.

import { type RawBuilder, sql } from "kysely";
import type { GrantId, OrgId, TeamId, UserId } from "#domain/ids.ts";
import type { BoxRole, OrgRole, TeamRole } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import type { Db } from "./db.ts";
import { newId } from "./new-id.ts";

export const DIRECT = "direct";

type Place =
  | { readonly scope: "org"; readonly scopeId: OrgId; readonly role: OrgRole }
  | { readonly scope: "team"; readonly scopeId: TeamId; readonly role: TeamRole }
  | { readonly scope: "box"; readonly scopeId: string; readonly role: BoxRole };

export type NewGrant = Place & {
  readonly orgId: OrgId;
  readonly holder: { readonly userId: UserId } | { readonly teamId: TeamId };
  /** `direct`, or what keeps it: `provider:ID`, `scim:ID`. */
  readonly source?: string;
  readonly createdBy?: UserId | null;
};

/** The same grant again is the same one. */
export async function addGrant(tx: Db, grant: NewGrant): Promise<GrantId> {
  const userId = "userId" in grant.holder ? grant.holder.userId : null;
  const teamId = "teamId" in grant.holder ? grant.holder.teamId : null;
  const source = grant.source ?? DIRECT;
  const { rows } = await sql<{ id: GrantId }>`
    with made as (
      insert into grants (id, org_id, user_id, team_id, role, scope, scope_id, source, created_by)
      values (${newId("grant")}, ${grant.orgId}, ${userId}, ${teamId}, ${grant.role}, ${grant.scope},
        ${grant.scopeId}, ${source}, ${grant.createdBy ?? null})
      on conflict do nothing returning id)
    select id from made union all
    select id from grants where scope = ${grant.scope} and scope_id = ${grant.scopeId}
      and role = ${grant.role} and source = ${source}
      and user_id is not distinct from ${userId} and team_id is not distinct from ${teamId}
    limit 1`.execute(tx.query);
  return rows[0]?.id as GrantId;
}

/** Locks who holds what in an organization until the transaction ends: nobody removes the last owner beside us. */
export async function lockOrg(tx: Db, orgId: OrgId): Promise<void> {
  await sql`select 1 from orgs where id = ${orgId} for no key update`.execute(tx.query);
}

/** Locks the organizations that the grants `g` make somebody an owner of, in order, before anything of people's. */
export async function lockOwned(tx: Db, condition: RawBuilder<unknown>): Promise<OrgId[]> {
  const { rows } = await sql<{ id: OrgId }>`
    select o.id from orgs o where o.deleted_at is null and o.id in (select g.scope_id from grants g
      where g.scope = 'org' and g.role = 'owner' and (${condition}))
    order by o.id for no key update of o`.execute(tx.query);
  return rows.map(({ id }) => id);
}

/** By one of the grants `g`. */
export async function hasOwner(
  tx: Db,
  orgId: OrgId,
  condition: RawBuilder<unknown> = sql`true`,
): Promise<boolean> {
  const { rows } = await sql`
    select 1 from grants g join users u on u.id = g.user_id
    where g.scope = 'org' and g.scope_id = ${orgId} and g.role = 'owner' and ${condition}
      and u.disabled_at is null and u.kind = 'person' limit 1`.execute(tx.query);
  return rows.length > 0;
}

/** After a change of roles, under the lock: an organization without an owner could not be managed any more. */
export async function refuseOwnerless(
  tx: Db,
  orgId: OrgId,
  condition?: RawBuilder<unknown>,
): Promise<void> {
  if (!(await hasOwner(tx, orgId, condition)))
    throw new StoreRefusal("in_use", "The last owner stays: make another member an owner first.");
}
