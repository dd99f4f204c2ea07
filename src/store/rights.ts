// What can() says of boxes, as SQL: made from the same tables of roles, so that lists and single answers agree. What a
// subject cannot see is not found; what it sees but may not do is forbidden, by the name of the permission.

import { type RawBuilder, sql } from "kysely";
import type { BoxId, OrgId, TeamId, UserId } from "#domain/ids.ts";
import {
  BOX_RIGHTS,
  BOX_ROLES,
  type BoxRole,
  can,
  isWithinScopes,
  mayCreateIn,
  ORG_RIGHTS,
  type Permission,
  type Subject,
  TEAM_RIGHTS,
} from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import type { Db } from "./handle.ts";

/** True for boxes (of alias `alias`) over which the subject has the permission. */
export function mayOnBox(
  subject: Subject,
  permission: Permission,
  alias = "b",
): RawBuilder<boolean> {
  const column = (name: string) => sql.ref(`${alias}.${name}`);
  const isIn = sql`${column("org_id")} = ${subject.orgId}`;
  if (subject.scopes !== null && !subject.scopes.includes(permission)) return sql<boolean>`false`;
  if (subject.roles.length === 0) return sql<boolean>`false`;
  if (subject.roles.some((role) => ORG_RIGHTS[role].any.has(permission)))
    return sql<boolean>`(${isIn})`;
  const ways: RawBuilder<unknown>[] = [];
  if (subject.roles.some((role) => ORG_RIGHTS[role].own.has(permission)))
    ways.push(sql`${column("owner_id")} = ${subject.userId}`);
  const teams = subject.teams.filter(({ role }) => TEAM_RIGHTS[role].has(permission));
  if (teams.length > 0)
    ways.push(sql`${column("team_id")} = any(${teams.map(({ teamId }) => teamId)}::text[])`);
  const roles = BOX_ROLES.filter((role) => BOX_RIGHTS[role].has(permission));
  if (roles.length > 0)
    ways.push(sql`${column("id")} in (select g.scope_id from grants g where g.scope = 'box'
      and g.org_id = ${subject.orgId} and g.role = any(${roles}::text[]) and ${isHeldBy(subject)})`);
  return sql<boolean>`(${isIn} and (${ways.length > 0 ? sql.join(ways, sql` or `) : sql`false`}))`;
}

/** Grants `g` of the subject itself, or of a team of theirs. */
function isHeldBy(subject: Subject): RawBuilder<unknown> {
  if (subject.teams.length === 0) return sql`g.user_id = ${subject.userId}`;
  const teams = subject.teams.map(({ teamId }) => teamId);
  return sql`(g.user_id = ${subject.userId} or g.team_id = any(${teams}::text[]))`;
}

/** A box as rights see it. */
export interface GuardedBox {
  readonly id: BoxId;
  readonly name: string;
  readonly org_id: OrgId;
  readonly owner_id: UserId;
  readonly team_id: TeamId | null;
}

/** Refuses what the subject may not do to a box that it can see. */
export async function permitOnBox(
  db: Db,
  subject: Subject,
  permission: Permission,
  box: GuardedBox,
): Promise<void> {
  const resource = { orgId: box.org_id, ownerId: box.owner_id, teamId: box.team_id };
  if (can(subject, permission, resource)) return;
  const shares = await readShares(db, subject, box.id);
  if (!can(subject, permission, { ...resource, shares }))
    throw new StoreRefusal("forbidden", `For ${box.name} this needs the permission ${permission}.`);
}

async function readShares(db: Db, subject: Subject, boxId: BoxId): Promise<BoxRole[]> {
  const { rows } = await sql<{ role: BoxRole }>`
    select g.role from grants g where g.scope = 'box' and g.scope_id = ${boxId}
      and g.org_id = ${subject.orgId} and g.role = any(${[...BOX_ROLES]}::text[])
      and ${isHeldBy(subject)}`.execute(db.query);
  return rows.map(({ role }) => role);
}

/** Refuses a new box, or one that is handed over, in a team that is not the subject's. */
export function permitCreate(subject: Subject, teamId: TeamId | null): void {
  permit(subject, "box.create", teamId);
  if (!mayCreateIn(subject, teamId))
    throw new StoreRefusal(
      "forbidden",
      "Boxes of a team are made by its members: this needs the permission box.create in the team.",
    );
}

/** Refuses what the subject may not do to its organization as a whole, or to a team of it. */
export function permit(
  subject: Subject,
  permission: Permission,
  teamId: TeamId | null = null,
): void {
  if (!can(subject, permission, { orgId: subject.orgId, teamId }))
    throw new StoreRefusal("forbidden", `This needs the permission ${permission}.`);
}

/** Refuses to give by a token what the token itself has not. */
export function refuseWiderThanScopes(subject: Subject, permissions: Iterable<Permission>): void {
  if (!isWithinScopes(subject, permissions))
    throw new StoreRefusal(
      "forbidden",
      "This token has not all of that itself: it can give no more than it has.",
    );
}
