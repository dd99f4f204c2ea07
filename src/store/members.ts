// Members of an organization: users with a role at it. Whoever is removed is out at once: their tokens, sessions and keys
// here end, and gateways end what was opened with them.

import { type RawBuilder, sql } from "kysely";
import type { BoxId, OrgId, UserId } from "#domain/ids.ts";
import { mayGrant, ORG_ROLES, type OrgRole, type Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { type Db, transact } from "./db.ts";
import { endCredentials } from "./ended-credentials.ts";
import { insertEvents, type NewEvent } from "./events.ts";
import { addGrant, DIRECT, lockOrg, refuseOwnerless } from "./grants.ts";
import { permit } from "./rights.ts";

export interface MemberView {
  readonly id: UserId;
  readonly name: string;
  readonly email: string | null;
  readonly kind: "person" | "service";
  readonly roles: readonly OrgRole[];
  /** Roles that a provider or SCIM gives: they are changed there. */
  readonly managedRoles: readonly OrgRole[];
  readonly since: Date;
  readonly isDisabled: boolean;
  /** Refused by their provider: nothing of theirs is let in before they log in again. */
  readonly isSuspended: boolean;
  /** Boxes that are theirs here. */
  readonly boxes: number;
}

export interface Names {
  readonly name: string;
  readonly email: string | null;
  readonly orgName: string;
}

export async function readNames(db: Db, subject: Subject): Promise<Names> {
  const { rows } = await sql<Names>`
    select u.name, u.email, o.name as "orgName" from users u cross join orgs o
    where u.id = ${subject.userId} and o.id = ${subject.orgId}`.execute(db.query);
  return rows[0] as Names;
}

export async function selectMembers(
  db: Db,
  orgId: OrgId,
  condition: RawBuilder<unknown>,
): Promise<MemberView[]> {
  const { rows } = await sql<MemberView>`
    select u.id, u.name, u.email, u.kind, m.roles, m."managedRoles", m.since,
      u.disabled_at is not null as "isDisabled", is_suspended(u.id, ${orgId}) as "isSuspended",
      (select count(*) from boxes b where b.org_id = ${orgId} and b.owner_id = u.id
        and b.deleted_at is null and b.kind = 'user') as boxes
    from users u cross join lateral (
      select array_agg(distinct g.role order by g.role) as roles,
        coalesce(array_agg(distinct g.role) filter (where g.source <> ${DIRECT}), '{}') as "managedRoles",
        min(g.created_at) as since
      from grants g where g.user_id = u.id and g.scope = 'org' and g.scope_id = ${orgId}
        and g.role = any(${[...ORG_ROLES]}::text[])) m
    where m.roles is not null and ${condition}`.execute(db.query);
  return rows;
}

export async function listMembers(
  db: Db,
  subject: Subject,
  page: { readonly after: string | null; readonly limit: number },
): Promise<MemberView[]> {
  permit(subject, "member.read");
  return selectMembers(
    db,
    subject.orgId,
    sql`u.id in (select g.user_id from grants g where g.scope = 'org' and g.scope_id = ${subject.orgId})
      and u.kind = 'person' and u.id > ${page.after ?? ""} order by u.id limit ${page.limit}`,
  );
}

/** By id, e-mail address or name; a name that two have names nobody. */
export async function getMember(db: Db, subject: Subject, reference: string): Promise<MemberView> {
  permit(subject, "member.read");
  const found = await selectMembers(
    db,
    subject.orgId,
    sql`u.id in (select g.user_id from grants g where g.scope = 'org' and g.scope_id = ${subject.orgId})
      and (u.id = ${reference} or lower(u.email) = lower(${reference}) or u.name = ${reference})
      order by (u.id = ${reference}) desc, (u.email is not null and lower(u.email) = lower(${reference})) desc
      limit 3`,
  );
  const exact = found.find(
    ({ id, email }) => id === reference || email?.toLowerCase() === reference.toLowerCase(),
  );
  const member = exact ?? (found.length === 1 ? found[0] : undefined);
  if (member) return member;
  if (found.length > 1)
    throw new StoreRefusal(
      "not_found",
      `Two members are named '${reference}': say which by its id.`,
    );
  throw new StoreRefusal("not_found", `There is no member '${reference}'.`);
}

/** Sets the roles that are given directly. Nobody gives or takes what they have not themselves. */
export async function setRoles(
  db: Db,
  subject: Subject,
  reference: string,
  roles: readonly OrgRole[],
): Promise<MemberView> {
  return transact(db, "store.member.update", async (tx) => {
    await lockOrg(tx, subject.orgId);
    const before = await getMember(tx, subject, reference);
    permit(subject, "member.manage");
    const direct = before.roles.filter((role) => !before.managedRoles.includes(role));
    const added = roles.filter((role) => !before.roles.includes(role));
    const removed = direct.filter((role) => !roles.includes(role));
    for (const role of [...added, ...removed]) refuseGrant(subject, role);
    if (before.kind === "service") refuseServiceOwner(added);
    if (added.length === 0 && removed.length === 0) return before;
    for (const role of added)
      await addGrant(tx, {
        ...{ scope: "org", scopeId: subject.orgId, orgId: subject.orgId, role },
        ...{ holder: { userId: before.id }, createdBy: subject.userId },
      });
    await sql`delete from grants where user_id = ${before.id} and scope = 'org'
      and scope_id = ${subject.orgId} and source = ${DIRECT}
      and role = any(${removed}::text[])`.execute(tx.query);
    await refuseOwnerless(tx, subject.orgId);
    const [member] = await selectMembers(tx, subject.orgId, sql`u.id = ${before.id}`);
    if (!member)
      throw new StoreRefusal(
        "in_use",
        "A member has at least one role: remove the member instead.",
      );
    const message = `${member.name} is ${member.roles.join(", ")} now`;
    await insertEvents(tx, [memberEvent(subject, before.id, "updated", message)]);
    return member;
  });
}

export function refuseGrant(subject: Subject, role: OrgRole): void {
  if (!mayGrant(subject, role))
    throw new StoreRefusal(
      "forbidden",
      `Only who has all that the role ${role} has may give or take it${role === "owner" ? ": an owner" : ""}.`,
    );
}

export function refuseServiceOwner(roles: readonly OrgRole[]): void {
  if (roles.includes("owner"))
    throw new StoreRefusal(
      "forbidden",
      "An owner is a person: give a service account another role.",
    );
}

/** Whoever may manage members, or the member itself. Boxes stay, with their owner's name on them. */
export async function removeMember(
  db: Db,
  subject: Subject,
  reference: string,
): Promise<MemberView> {
  return transact(db, "store.member.remove", async (tx) => {
    await lockOrg(tx, subject.orgId);
    const member = await getMember(tx, subject, reference);
    if (member.id !== subject.userId) {
      permit(subject, "member.manage");
      for (const role of member.roles) refuseGrant(subject, role);
    }
    await endMembership(tx, subject.orgId, member.id);
    await refuseOwnerless(tx, subject.orgId);
    const message = `${member.name} was removed from the organization`;
    await insertEvents(tx, [memberEvent(subject, member.id, "deleted", message)]);
    return member;
  });
}

/** Takes everything that a user has in an organization, and ends everything that they have open there. */
export async function endMembership(tx: Db, orgId: OrgId, userId: UserId): Promise<void> {
  const { rows: shares } = await sql<{ id: string; boxId: BoxId }>`
    with gone as (
      delete from grants where user_id = ${userId} and org_id = ${orgId} returning id, scope, scope_id)
    select id, scope_id as "boxId" from gone where scope = 'box'`.execute(tx.query);
  // Gateways know shares by their boxes: who comes back later must not find them there.
  await insertEvents(
    tx,
    shares.map(({ id, boxId }) => ({
      ...{ orgId, kind: "grant.deleted", subjectKind: "grant" as const, subjectId: id, boxId },
      message: "a share ended with its holder's membership",
    })),
  );
  await endCredentials(tx, orgId, userId);
}

export function memberEvent(
  subject: Pick<Subject, "orgId" | "userId">,
  userId: UserId,
  what: "created" | "updated" | "deleted",
  message: string,
): NewEvent {
  return {
    orgId: subject.orgId,
    kind: `member.${what}`,
    subjectKind: "member",
    subjectId: userId,
    actor: subject.userId,
    message,
  };
}
