// An organization's directory, as SCIM fills it: who is in it, in which groups, and what follows for their roles. Entries
// become a user's at the first login, or at once when a verified address tells whose they are.

import { type RawBuilder, sql } from "kysely";
import type { OrgId, TeamId, UserId } from "#domain/ids.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import type { Db } from "./db.ts";
import { insertEvents } from "./events.ts";
import { lockOrg, refuseOwnerless } from "./grants.ts";
import { type KeptGrant, keepGrants } from "./kept-grants.ts";
import { endMembership } from "./members.ts";
import type { ProviderView } from "./providers.ts";

export interface DirectoryMatch {
  readonly id: string;
  readonly orgId: OrgId;
  readonly userId: UserId | null;
  readonly isActive: boolean;
}

/**
 * By the directory's own id for them, or by an address that was verified. Anybody's address can be written into a directory,
 * so its organization must have to do with whom another's provider lets in: see `isAnsweredFor`.
 */
export async function findInDirectories(
  tx: Db,
  person: {
    readonly provider: Pick<ProviderView, "orgId" | "defaultOrgId">;
    readonly sub: string;
    readonly email: string | null;
    /** Null: nobody of ours yet. */
    readonly userId: UserId | null;
  },
): Promise<DirectoryMatch[]> {
  const { provider, sub, email, userId } = person;
  const ways = [
    ...(provider.orgId === null ? [] : [sql`external_id = ${sub}`]),
    ...(email === null
      ? []
      : [sql`lower(user_name) = lower(${email})`, sql`lower(email) = lower(${email})`]),
  ];
  if (ways.length === 0) return [];
  const { rows } = await sql<DirectoryMatch>`
    select id, org_id as "orgId", user_id as "userId", is_active as "isActive" from scim_users s
    where (${sql.join(ways, sql` or `)})
      and ${provider.orgId === null ? isAnsweredFor(provider, email, userId) : sql`org_id = ${provider.orgId}`}
    order by org_id, id for update`.execute(tx.query);
  return rows;
}

/**
 * Entries `s` of directories that speak of the people of a provider of the installation: of the organization where they
 * belong; of one that has a provider which an operator trusts with the address's domain; of a directory that operators
 * alone have set up; and of who is a member already. Whoever else is written into one waits to be invited.
 */
function isAnsweredFor(
  { defaultOrgId }: Pick<ProviderView, "defaultOrgId">,
  email: string | null,
  userId: UserId | null,
): RawBuilder<unknown> {
  return sql`(s.org_id = ${defaultOrgId}
    or exists (select 1 from providers p where p.org_id = s.org_id and p.is_trusted
      and p.deleted_at is null and lower(split_part(${email}, '@', -1)) = any(p.email_domains))
    or (select bool_and(u.is_operator) from scim_tokens t join users u on u.id = t.created_by
      where t.org_id = s.org_id)
    or exists (select 1 from grants g where g.user_id = ${userId} and g.scope = 'org'
      and g.scope_id = s.org_id))`;
}

/** Entries that nobody has yet become the user's. */
export async function bindDirectory(
  tx: Db,
  userId: UserId,
  matches: readonly DirectoryMatch[],
): Promise<void> {
  const free = matches.filter((match) => match.userId === null);
  if (free.length === 0) return;
  await sql`update scim_users set user_id = ${userId}
    where id = any(${free.map(({ id }) => id)}::text[])`.execute(tx.query);
  for (const orgId of new Set(free.map((match) => match.orgId)))
    await keepDirectoryGrants(tx, orgId, userId);
}

/**
 * Whose an entry is, when it can be told already: a member's, or somebody's of whom the organization's own provider has
 * spoken. Of others it says nothing before they log in: an entry must not find out who there is elsewhere.
 */
export async function findUserFor(
  tx: Db,
  orgId: OrgId,
  entry: {
    readonly userName: string;
    readonly email: string | null;
    readonly externalId: string | null;
  },
): Promise<UserId | null> {
  const { rows } = await sql<{ id: UserId }>`
    select u.id from users u where u.kind = 'person' and exists (select 1 from grants g
        where g.user_id = u.id and g.scope = 'org' and g.scope_id = ${orgId})
      and (lower(u.email) = lower(${entry.userName}) or lower(u.email) = lower(${entry.email}))
    union all
    select i.user_id from identities i join providers p on p.id = i.provider_id
    where p.org_id = ${orgId} and (i.sub = ${entry.externalId} or (i.email_verified
      and (lower(i.email) = lower(${entry.userName}) or lower(i.email) = lower(${entry.email}))))
    limit 1`.execute(tx.query);
  return rows[0]?.id ?? null;
}

export function directorySource(orgId: OrgId): string {
  return `scim:${orgId}`;
}

/** The roles that follow from a user's active entries and their groups. The user's row is locked by it. */
export async function keepDirectoryGrants(tx: Db, orgId: OrgId, userId: UserId): Promise<void> {
  await sql`select 1 from users where id = ${userId} for no key update`.execute(tx.query);
  const { rows: active } = await sql`
    select 1 from scim_users where org_id = ${orgId} and user_id = ${userId} and is_active limit 1
  `.execute(tx.query);
  const wanted = active.length > 0 ? await readGroupGrants(tx, orgId, userId) : [];
  const isPlaced = wanted.some(({ scope }) => scope === "org");
  if (active.length > 0 && !isPlaced)
    wanted.push({ orgId, scope: "org", scopeId: orgId, role: "member" });
  await keepGrants(tx, userId, directorySource(orgId), wanted, [orgId]);
}

/**
 * A group is what one of the organization's providers says that it means, else its team. Nobody becomes an owner by it:
 * an administrator who is none may set a directory up, and would say who is in the group.
 */
async function readGroupGrants(tx: Db, orgId: OrgId, userId: UserId): Promise<KeptGrant[]> {
  const { rows } = await sql<KeptGrant>`
    with mine as (
      select distinct g.id, g.display_name, g.team_id from scim_groups g
      join scim_members m on m.group_id = g.id join scim_users u on u.id = m.member_id
      where g.org_id = ${orgId} and u.user_id = ${userId} and u.is_active),
    mapped as (
      select mine.id, r.scope, r.scope_id, r.role from mine
      join provider_groups r on r.org_id = ${orgId} and r.group_name = mine.display_name
      join providers p on p.id = r.provider_id and p.org_id = ${orgId} and p.deleted_at is null
      where r.role <> 'owner' or r.scope <> 'org')
    select distinct ${orgId}::text as "orgId", scope, scope_id as "scopeId", role from mapped
    union
    select ${orgId}::text, 'team', mine.team_id, 'member' from mine
    where mine.team_id is not null and not exists (select 1 from mapped where mapped.id = mine.id)
  `.execute(tx.query);
  return [...rows];
}

/**
 * The directory has let somebody go: every role of theirs in the organization, whoever gave it, and all that they come in by.
 * Owners are not the directory's to remove unless an owner has set it up, and the last one not at all.
 */
export async function removeFromOrg(
  tx: Db,
  orgId: OrgId,
  userId: UserId,
  setUpBy: UserId,
): Promise<void> {
  await lockOrg(tx, orgId);
  await sql`select 1 from users where id = ${userId} for no key update`.execute(tx.query);
  const { rows } = await sql<{ role: string; by: boolean }>`
    select g.role, exists (select 1 from grants o where o.user_id = ${setUpBy} and o.scope = 'org'
      and o.scope_id = ${orgId} and o.role = 'owner') as by
    from grants g where g.user_id = ${userId} and g.org_id = ${orgId}`.execute(tx.query);
  if (rows.some(({ role, by }) => role === "owner" && !by))
    throw new StoreRefusal(
      "forbidden",
      "They are an owner: only a SCIM token that an owner has made can remove one.",
    );
  await endMembership(tx, orgId, userId);
  if (rows.length === 0) return;
  await refuseOwnerless(tx, orgId);
  await insertEvents(tx, [
    {
      orgId,
      kind: "member.deleted",
      subjectKind: "member",
      subjectId: userId,
      actor: null,
      message: "the directory has let a member go",
    },
  ]);
}

/** The team that a group of this name is; made when there is none. */
export async function ensureTeam(tx: Db, orgId: OrgId, name: string, id: TeamId): Promise<TeamId> {
  await sql`insert into teams (id, org_id, name) values (${id}, ${orgId}, ${name})
    on conflict (org_id, name) where deleted_at is null do nothing`.execute(tx.query);
  const { rows } = await sql<{ id: TeamId }>`
    select id from teams where org_id = ${orgId} and name = ${name} and deleted_at is null for share
  `.execute(tx.query);
  const team = rows[0]?.id as TeamId;
  if (team === id)
    await insertEvents(tx, [
      {
        orgId,
        kind: "team.created",
        subjectKind: "team",
        subjectId: id,
        actor: null,
        message: `the team ${name} was made for a group of the directory`,
      },
    ]);
  return team;
}

/** Of the users whose entries fulfil the condition on `u`. */
export async function keepGrantsOf(
  tx: Db,
  orgId: OrgId,
  condition: RawBuilder<unknown>,
): Promise<void> {
  const { rows } = await sql<{ userId: UserId }>`
    select distinct u.user_id as "userId" from scim_users u
    where u.org_id = ${orgId} and u.user_id is not null and (${condition}) order by 1`.execute(
    tx.query,
  );
  for (const { userId } of rows) await keepDirectoryGrants(tx, orgId, userId);
}
