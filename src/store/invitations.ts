// Invitations: a secret in a link that makes whoever shows it a member, once.

import { sql } from "kysely";
import type { InvitationId, OrgId, TeamId, UserId } from "#domain/ids.ts";
import { mayGrant, type OrgRole, type Subject, TEAM_RIGHTS } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { addUser } from "./access.ts";
import { type Db, transact } from "./db.ts";
import { insertEvents, type NewEvent } from "./events.ts";
import { addGrant } from "./grants.ts";
import { memberEvent, refuseGrant } from "./members.ts";
import { newId } from "./new-id.ts";
import { noteJoined } from "./request.ts";
import { permit, refuseWiderThanScopes } from "./rights.ts";
import { loadSubject } from "./subjects.ts";
import { resolveTeam } from "./teams.ts";
import { endOfMaker, holdToken, type Maker } from "./tokens.ts";

export interface InvitationView {
  readonly id: InvitationId;
  readonly orgId: OrgId;
  readonly orgName: string;
  readonly email: string | null;
  readonly roles: readonly OrgRole[];
  readonly teamId: TeamId | null;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

const COLUMNS = sql`i.id, i.org_id as "orgId", o.name as "orgName", i.email, i.roles,
  i.team_id as "teamId", i.created_at as "createdAt", i.expires_at as "expiresAt"`;
const IS_OPEN = sql`i.accepted_at is null and i.revoked_at is null and i.expires_at > now()
  and o.deleted_at is null`;

export interface NewInvitation {
  readonly hash: string;
  readonly email: string | null;
  readonly roles: readonly OrgRole[];
  readonly team: string | null;
  readonly lifetimeMs: number;
}

export async function createInvitation(
  db: Db,
  { subject, tokenId }: Maker,
  input: NewInvitation,
): Promise<InvitationView> {
  permit(subject, "member.manage");
  for (const role of input.roles) refuseGrant(subject, role);
  return transact(db, "store.invitation.create", async (tx) => {
    const teamId = await resolveTeam(tx, subject, input.team);
    if (teamId !== null) {
      permit(subject, "team.manage", teamId);
      refuseWiderThanScopes(subject, TEAM_RIGHTS.member);
    }
    await holdToken(tx, tokenId);
    const id = newId<InvitationId>("invitation");
    await sql`insert into invitations (id, org_id, hash, email, roles, team_id, created_by, parent_id,
        expires_at)
      values (${id}, ${subject.orgId}, ${input.hash}, ${input.email}, ${[...input.roles]}::text[],
        ${teamId}, ${subject.userId}, ${tokenId},
        least(${endOfMaker(tokenId)}, now() + ${input.lifetimeMs}::bigint * interval '1 millisecond'))`.execute(
      tx.query,
    );
    const [made] = await selectInvitations(tx, sql`i.id = ${id}`);
    const whom = input.email ?? "whoever has the link";
    await insertEvents(tx, [
      invitationEvent(subject, id, "created", `${whom} was invited as ${input.roles.join(", ")}`),
    ]);
    return made as InvitationView;
  });
}

async function selectInvitations(
  db: Db,
  condition: ReturnType<typeof sql>,
): Promise<InvitationView[]> {
  const { rows } = await sql<InvitationView>`
    select ${COLUMNS} from invitations i join orgs o on o.id = i.org_id where ${condition}`.execute(
    db.query,
  );
  return rows;
}

/** Those that can still be taken. */
export async function listInvitations(
  db: Db,
  subject: Subject,
  page: { readonly after: string | null; readonly limit: number },
): Promise<InvitationView[]> {
  permit(subject, "member.manage");
  return selectInvitations(
    db,
    sql`i.org_id = ${subject.orgId} and ${IS_OPEN} and i.id > ${page.after ?? ""}
      order by i.id limit ${page.limit}`,
  );
}

export async function deleteInvitation(
  db: Db,
  subject: Subject,
  id: string,
): Promise<InvitationView> {
  permit(subject, "member.manage");
  return transact(db, "store.invitation.delete", async (tx) => {
    const [invitation] = await selectInvitations(
      tx,
      sql`i.id = ${id} and i.org_id = ${subject.orgId} and ${IS_OPEN} for no key update of i`,
    );
    if (!invitation) throw new StoreRefusal("not_found", `There is no invitation '${id}'.`);
    await sql`update invitations set revoked_at = now() where id = ${id}`.execute(tx.query);
    await insertEvents(tx, [
      invitationEvent(subject, invitation.id, "deleted", "an invitation was taken back"),
    ]);
    return invitation;
  });
}

/** A user that there is takes an invitation. */
export async function acceptInvitation(
  db: Db,
  userId: UserId,
  hash: string,
): Promise<InvitationView> {
  return transact(db, "store.invitation.accept", async (tx) => {
    const invitation = await takeInvitation(tx, hash);
    const { rows } = await sql<{ name: string; email: string | null }>`
      select name, email from users where id = ${userId} and disabled_at is null
        and kind = 'person'`.execute(tx.query);
    const user = rows[0];
    if (!user) throw new StoreRefusal("forbidden", "Only a person takes an invitation.");
    if (invitation.email && invitation.email.toLowerCase() !== user.email?.toLowerCase())
      throw new StoreRefusal("forbidden", "This invitation is for somebody with another address.");
    await join(tx, invitation, userId, user.name);
    return invitation;
  });
}

/** A new user takes an invitation: for installations without a provider. One for an address needs a sign-in that proves it. */
export async function registerByInvitation(
  db: Db,
  name: string,
  hash: string,
): Promise<{ readonly subject: Subject; readonly invitation: InvitationView }> {
  return transact(db, "store.invitation.register", async (tx) => {
    const invitation = await takeInvitation(tx, hash);
    if (invitation.email !== null)
      throw new StoreRefusal(
        "forbidden",
        "This invitation is for an e-mail address: sign in with your provider to take it.",
      );
    const { userId } = await addUser(tx, invitation.orgId, { name, roles: [] });
    await join(tx, invitation, userId, name);
    const subject = await loadSubject(tx, userId, invitation.orgId);
    return { subject: subject as Subject, invitation };
  });
}

/** Found and used up in one: the second who comes with it finds nothing. */
async function takeInvitation(tx: Db, hash: string): Promise<InvitationView> {
  const [invitation] = await selectInvitations(
    tx,
    sql`i.hash = ${hash} and ${IS_OPEN} for no key update of i`,
  );
  if (!invitation)
    throw new StoreRefusal(
      "invitation_invalid",
      "This invitation was used, taken back, or has expired.",
    );
  await refuseOverreach(tx, invitation);
  await sql`update invitations set accepted_at = now() where id = ${invitation.id}`.execute(
    tx.query,
  );
  return invitation;
}

/** Whoever has invited must still be one who could: nobody comes back in by what they made before they were let go. */
async function refuseOverreach(tx: Db, { id, orgId, roles }: InvitationView): Promise<void> {
  const { rows } = await sql<{ userId: string; isOperator: boolean; isFirst: boolean }>`
    select u.id as "userId", u.is_operator and u.disabled_at is null as "isOperator",
      not exists (select 1 from grants g where g.scope = 'org' and g.scope_id = i.org_id) as "isFirst"
    from invitations i join users u on u.id = i.created_by where i.id = ${id}`.execute(tx.query);
  const inviter = rows[0] && (await loadSubject(tx, rows[0].userId, orgId));
  if (inviter && roles.every((role) => mayGrant(inviter, role))) return;
  // An operator invites the first owner of an organization that is nobody's yet.
  if (rows[0]?.isOperator && rows[0].isFirst) return;
  throw new StoreRefusal(
    "invitation_invalid",
    "Whoever made this invitation may not give these roles any more: ask for another.",
  );
}

async function join(
  tx: Db,
  invitation: InvitationView,
  userId: UserId,
  name: string,
): Promise<void> {
  const { orgId, roles, teamId, id } = invitation;
  noteJoined(tx, { orgId, userId });
  await sql`update invitations set accepted_by = ${userId} where id = ${id}`.execute(tx.query);
  for (const role of roles)
    await addGrant(tx, { scope: "org", scopeId: orgId, orgId, role, holder: { userId } });
  if (teamId !== null)
    await addGrant(tx, {
      ...{ scope: "team", scopeId: teamId, orgId, role: "member", holder: { userId } },
    });
  await insertEvents(tx, [
    memberEvent({ orgId, userId }, userId, "created", `${name} joined by an invitation`),
  ]);
}

function invitationEvent(
  subject: Subject,
  id: InvitationId,
  what: "created" | "deleted",
  message: string,
): NewEvent {
  return {
    orgId: subject.orgId,
    kind: `invitation.${what}`,
    subjectKind: "invitation",
    subjectId: id,
    actor: subject.userId,
    message,
  };
}
