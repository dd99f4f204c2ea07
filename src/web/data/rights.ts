// What one may do to a box, as the server will decide it: here only so that nobody is shown what would be refused.

import type { Box } from "#sdk/client.ts";
import type { BoxRole, Permission, Share, TeamRole, Who } from "./types.ts";

const SEE = ["box.read", "snapshot.read", "preview.read", "event.read"] as const;
const USE = [...SEE, "box.enter"] as const;
const RUN = [
  ...USE,
  ...(["box.control", "box.delete", "box.share", "snapshot.delete", "preview.share"] as const),
] as const;

const OF_TEAM: Readonly<Record<TeamRole, readonly Permission[]>> = {
  admin: RUN,
  member: USE,
  viewer: SEE,
};
const OF_SHARE: Readonly<Record<BoxRole, readonly Permission[]>> = {
  view: SEE,
  use: USE,
  admin: RUN,
};

export type OwnedBox = Pick<Box, "owner" | "team">;

/** Of roles at the organization that hold over what others own, too. */
function holdsOverAll({ roles, permissions }: Who, permission: Permission): boolean {
  if (!permissions.includes(permission)) return false;
  if (roles.includes("owner") || roles.includes("admin")) return true;
  const seesAll = roles.includes("viewer") || roles.includes("auditor");
  return seesAll && (SEE as readonly Permission[]).includes(permission);
}

/** Without the box's shares: by role, ownership and team. */
export function mayByRole(who: Who, box: OwnedBox, permission: Permission): boolean {
  if (holdsOverAll(who, permission)) return true;
  if (box.owner === who.id && who.permissions.includes(permission)) return true;
  return who.teams.some(({ id, role }) => id === box.team && OF_TEAM[role].includes(permission));
}

export function mayOnBox(
  who: Who,
  box: OwnedBox,
  permission: Permission,
  shares: readonly Share[],
): boolean {
  if (mayByRole(who, box, permission)) return true;
  const teams = new Set(who.teams.map(({ id }) => id));
  return shares.some(
    ({ user, team, role }) =>
      (user?.id === who.id || (team !== null && teams.has(team.id))) &&
      OF_SHARE[role].includes(permission),
  );
}

/** Managing a team is its own administrators' work too. */
export function mayManageTeam(who: Who, teamId: string): boolean {
  return (
    who.permissions.includes("team.manage") ||
    who.teams.some(({ id, role }) => id === teamId && role === "admin")
  );
}

/** Teams that one may make boxes in; without the right of one's own, in nothing else. */
export function creatingTeams(who: Who): readonly string[] {
  return who.teams.filter(({ role }) => role !== "viewer").map(({ id }) => id);
}

export function mayCreate(who: Who): boolean {
  return who.permissions.includes("box.create") || creatingTeams(who).length > 0;
}
