// Who may enter a box, by what the control plane has told: the same rule that the API asks.

import type { FeedBox, FeedMember } from "#contract/gateway-feed.ts";
import type { OrgId, TeamId, UserId } from "#domain/ids.ts";
import { can, type Subject } from "#domain/permission.ts";

export function mayEnter(member: FeedMember, box: FeedBox): boolean {
  const subject: Subject = {
    userId: member.userId as UserId,
    orgId: member.orgId as OrgId,
    isOperator: false,
    roles: member.roles,
    teams: member.teams.map(({ teamId, role }) => ({ teamId: teamId as TeamId, role })),
    scopes: null,
  };
  const isHolder = (holder: string) =>
    holder === member.userId || member.teams.some(({ teamId }) => teamId === holder);
  return can(subject, "box.enter", {
    orgId: box.orgId as OrgId,
    ownerId: box.ownerId as UserId,
    teamId: box.teamId as TeamId | null,
    shares: box.shares.flatMap(({ holder, role }) => (isHolder(holder) ? [role] : [])),
  });
}
