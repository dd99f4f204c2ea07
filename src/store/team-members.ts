// Who is in a team, and as what.

import { type RawBuilder, sql } from "kysely";
import type { TeamId, UserId } from "#domain/ids.ts";
import { type Subject, TEAM_RIGHTS, TEAM_ROLES, type TeamRole } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { type Db, transact } from "./db.ts";
import { insertEvents } from "./events.ts";
import { addGrant, DIRECT } from "./grants.ts";
import { getMember, memberEvent } from "./members.ts";
import { permit, refuseWiderThanScopes } from "./rights.ts";
import { getTeam, lockTeam, tellTeam } from "./teams.ts";

export interface TeamMemberView {
  readonly id: UserId;
  readonly name: string;
  readonly email: string | null;
  readonly role: TeamRole;
  /** A provider or SCIM keeps it. */
  readonly isManaged: boolean;
}

const STRONGEST = sql`array_position(${[...TEAM_ROLES]}::text[], g.role)`;

export async function listTeamMembers(
  db: Db,
  subject: Subject,
  reference: string,
  page: { readonly after: string | null; readonly limit: number },
): Promise<TeamMemberView[]> {
  permit(subject, "team.read");
  const team = await getTeam(db, subject, reference);
  return selectTeamMembers(db, team.id, sql`u.id > ${page.after ?? ""}`, page.limit);
}

async function selectTeamMembers(
  db: Db,
  teamId: TeamId,
  condition: RawBuilder<unknown>,
  limit: number,
): Promise<TeamMemberView[]> {
  const { rows } = await sql<TeamMemberView>`
    select distinct on (u.id) u.id, u.name, u.email, g.role, g.source <> ${DIRECT} as "isManaged"
    from grants g join users u on u.id = g.user_id
    where g.scope = 'team' and g.scope_id = ${teamId} and g.role = any(${[...TEAM_ROLES]}::text[])
      and ${condition} order by u.id, ${STRONGEST} limit ${limit}`.execute(db.query);
  return rows;
}

/** Adds a member of the organization, or changes what they are in the team. */
export async function setTeamMember(
  db: Db,
  subject: Subject,
  reference: string,
  member: { readonly user: string; readonly role: TeamRole },
): Promise<TeamMemberView> {
  return transact(db, "store.team_member.set", async (tx) => {
    const team = await lockTeam(tx, subject, reference);
    refuseWiderThanScopes(subject, TEAM_RIGHTS[member.role]);
    const user = await getMember(tx, subject, member.user);
    await dropDirect(tx, team.id, user.id);
    await addGrant(tx, {
      ...{ scope: "team", scopeId: team.id, orgId: team.orgId, role: member.role },
      ...{ holder: { userId: user.id }, createdBy: subject.userId },
    });
    const message = `${user.name} is ${member.role} of the team ${team.name}`;
    await tellTeam(tx, subject, team.id, "updated", message);
    await insertEvents(tx, [memberEvent(subject, user.id, "updated", message)]);
    const [shown] = await selectTeamMembers(tx, team.id, sql`u.id = ${user.id}`, 1);
    return shown as TeamMemberView;
  });
}

/** By whoever manages the team, or by the member itself. */
export async function removeTeamMember(
  db: Db,
  subject: Subject,
  reference: string,
  user: string,
): Promise<TeamMemberView> {
  return transact(db, "store.team_member.remove", async (tx) => {
    const team = await getTeam(tx, subject, reference);
    const { id, name, email } = await getMember(tx, subject, user);
    if (id !== subject.userId) await lockTeam(tx, subject, reference);
    const { rows } = await sql<{ role: TeamRole; source: string }>`
      select role, source from grants
      where user_id = ${id} and scope = 'team' and scope_id = ${team.id}`.execute(tx.query);
    const managed = rows.find(({ source }) => source !== DIRECT);
    if (managed)
      throw new StoreRefusal(
        "in_use",
        `${name} is in the team by ${managed.source}: change it there.`,
      );
    const role = rows[0]?.role;
    if (!role) throw new StoreRefusal("not_found", `${name} is not in the team ${team.name}.`);
    await dropDirect(tx, team.id, id);
    const message = `${name} left the team ${team.name}`;
    await tellTeam(tx, subject, team.id, "updated", message);
    await insertEvents(tx, [memberEvent(subject, id, "updated", message)]);
    return { id, name, email, role, isManaged: false };
  });
}

async function dropDirect(tx: Db, teamId: string, userId: UserId): Promise<void> {
  await sql`delete from grants where user_id = ${userId} and scope = 'team'
    and scope_id = ${teamId} and source = ${DIRECT}`.execute(tx.query);
}
