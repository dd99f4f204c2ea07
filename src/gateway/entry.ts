// Who may enter a box, by what the control plane has told: the same rule that the API asks.

import type { FeedBox, FeedMember } from "#contract/gateway-feed.ts";
import type { OrgId, TeamId, UserId } from "#domain/ids.ts";
import { can, type Subject } from "#domain/permission.ts";
import type { Known } from "./known.ts";

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

/** How much later than what it signs the control plane may be heard to say the same, clocks' differences and all. */
const LAG_MS = 10_000;

/**
 * Whether somebody with something that the control plane has signed may (still) enter. What was signed may be newer than
 * what is known here; once it is known, it holds as long as it stays so.
 */
export function stillHolds(
  issuedAtMs: number,
  isKnown: (known: Known) => boolean,
): (known: Known) => boolean {
  let isSeen = false;
  return (known) => {
    isSeen ||= isKnown(known);
    return isSeen ? isKnown(known) : known.asOfMs < issuedAtMs + LAG_MS;
  };
}
