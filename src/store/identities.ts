// Who somebody is whom a provider vouches for: known by issuer and subject, never by an address. An address that a trusted
// provider has verified is a person's; one that an organization's own provider says finds nobody outside of it.

import { sql } from "kysely";
import type { OrgId, ProviderId, UserId } from "#domain/ids.ts";
import { personName } from "#domain/person-name.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { insertAuditEntries } from "./audit.ts";
import { type Db, transact } from "./db.ts";
import { bindDirectory, type DirectoryMatch, findInDirectories } from "./directory.ts";
import { insertEvents } from "./events.ts";
import { lockOwned } from "./grants.ts";
import { acceptInvitation } from "./invitations.ts";
import { type KeptGrant, keepGrants } from "./kept-grants.ts";
import { acceptIdentity, type Caller } from "./logins.ts";
import { newId } from "./new-id.ts";
import { type ProviderView, sourceOf } from "./providers.ts";

/** What a provider says of somebody. */
export interface Vouched {
  readonly issuer: string;
  readonly sub: string;
  readonly name: string | null;
  readonly email: string | null;
  readonly isEmailVerified: boolean;
  /** Null: it could not be asked; nothing is changed for it. */
  readonly groups: readonly string[] | null;
}

export interface Admitted {
  readonly userId: UserId;
  readonly identityId: string;
  readonly name: string;
  /** Where they are let in. */
  readonly orgId: OrgId;
  readonly orgName: string;
}

interface Known {
  readonly identityId: string;
  readonly userId: UserId;
  readonly name: string;
  readonly isOperator: boolean;
  readonly isDisabled: boolean;
}

export interface Wanted {
  /** Id or name; null: any. */
  readonly org: string | null;
  /** Hash of an invitation's secret. It is taken by whoever logs in. */
  readonly invitation: string | null;
}

/**
 * Finds or makes the user, brings the roles that the provider's groups give up to date, and says which organization the
 * login is for: the wanted one, the provider's own, or where they were last. Throws StoreRefusal `login_denied`.
 */
export async function admitPerson(
  db: Db,
  provider: ProviderView,
  vouched: Vouched,
  wanted: Wanted,
): Promise<Admitted> {
  return transact(db, "store.identity.admit", async (tx) => {
    const key = `${vouched.issuer} ${vouched.sub}`;
    await sql`select pg_advisory_xact_lock(hashtextextended(${key}, 9))`.execute(tx.query);
    await lockOwnedBy(tx, provider, vouched);
    refuseAddress(provider, vouched);
    const known =
      (await findKnown(tx, vouched)) ?? (await makeKnown(tx, provider, vouched, wanted));
    refuseUser(provider, known);
    await noteLogin(tx, provider, vouched, known);
    const invited = wanted.invitation
      ? await takeInvitation(tx, known.userId, wanted.invitation)
      : wanted.org;
    await bindDirectory(tx, known.userId, await matchesOf(tx, provider, vouched, known.userId));
    await keepProviderGrants(tx, provider, known.userId, vouched.groups);
    const org = await chooseOrg(tx, provider, known, invited);
    return { userId: known.userId, identityId: known.identityId, name: known.name, ...org };
  });
}

/** There is no request of theirs yet that would leave the entry in the audit trail. */
async function takeInvitation(tx: Db, userId: UserId, hash: string): Promise<OrgId> {
  const { id, orgId, roles } = await acceptInvitation(tx, userId, hash);
  await insertAuditEntries(tx, [
    {
      ...{ orgId, verb: "invitations.accept", outcome: "ok", actorId: userId },
      ...{ touched: [id, userId], data: { roles: roles.join(",") } },
    },
  ]);
  return orgId;
}

/** When a session is asked after: the provider's word of today about somebody who is known. Throws as `admitPerson`. */
export async function confirmPerson(
  db: Db,
  provider: ProviderView,
  userId: UserId,
  vouched: Vouched,
  askedAt: Date,
): Promise<void> {
  await transact(db, "store.identity.confirm", async (tx) => {
    await lockOwnedBy(tx, provider, vouched);
    refuseAddress(provider, vouched);
    const known = await findKnown(tx, vouched);
    if (known?.userId !== userId) throw denied("The provider speaks of somebody else now.");
    refuseUser(provider, known);
    await acceptIdentity(tx, known.identityId, provider.id, askedAt);
    await bindDirectory(tx, userId, await matchesOf(tx, provider, vouched, userId));
    await keepProviderGrants(tx, provider, userId, vouched.groups);
  });
}

/** Organizations come before people in the order of locks, and these may lose an owner by what the provider says now. */
async function lockOwnedBy(tx: Db, { id }: ProviderView, { issuer, sub }: Vouched): Promise<void> {
  await lockOwned(
    tx,
    sql`g.source = ${sourceOf(id)} and g.user_id in (
      select user_id from identities where issuer = ${issuer} and sub = ${sub})`,
  );
}

function denied(detail: string): StoreRefusal {
  return new StoreRefusal("login_denied", detail);
}

function refuseAddress(provider: ProviderView, { email, isEmailVerified }: Vouched): void {
  if (provider.emailDomains.length === 0) return;
  if (!email || !isEmailVerified)
    throw denied(`${provider.label} has not verified your e-mail address, and it must be.`);
  const domain = email.slice(email.lastIndexOf("@") + 1).toLowerCase();
  if (!provider.emailDomains.includes(domain))
    throw denied(`Addresses at ${domain} are not let in by ${provider.label}.`);
}

function refuseUser(provider: ProviderView, { name, isDisabled, isOperator }: Known): void {
  if (isDisabled) throw denied(`${name} is disabled.`);
  // Whoever runs an organization's provider can be anybody there, and must not be an operator.
  if (isOperator && !provider.isTrusted)
    throw denied(`${name} runs the installation, and logs in by a provider that is trusted.`);
}

async function findKnown(tx: Db, { issuer, sub }: Vouched): Promise<Known | null> {
  const { rows } = await sql<Known>`
    select i.id as "identityId", u.id as "userId", u.name, u.is_operator as "isOperator",
      u.disabled_at is not null as "isDisabled"
    from identities i join users u on u.id = i.user_id
    where i.issuer = ${issuer} and i.sub = ${sub} for no key update of u`.execute(tx.query);
  return rows[0] ?? null;
}

async function makeKnown(
  tx: Db,
  provider: ProviderView,
  vouched: Vouched,
  { invitation }: Wanted,
): Promise<Known> {
  const address = trustedAddress(provider, vouched);
  const linked = address ? await findByAddress(tx, address) : null;
  if (!linked && !invitation) await refuseStranger(tx, provider, vouched);
  const user = linked ?? (await makeUser(tx, vouched, address));
  const identityId = newId("identity");
  await sql`
    insert into identities (id, issuer, sub, provider_id, user_id)
    values (${identityId}, ${vouched.issuer}, ${vouched.sub}, ${provider.id}, ${user.userId})`.execute(
    tx.query,
  );
  return { identityId, ...user };
}

/** Null unless a trusted provider has verified it. */
function trustedAddress(provider: ProviderView, vouched: Vouched): string | null {
  return provider.isTrusted && vouched.isEmailVerified ? vouched.email : null;
}

type UserOf = Omit<Known, "identityId">;

async function findByAddress(tx: Db, address: string): Promise<UserOf | null> {
  const { rows } = await sql<UserOf>`
    select id as "userId", name, is_operator as "isOperator", disabled_at is not null as "isDisabled"
    from users where lower(email) = lower(${address}) and kind = 'person' for no key update`.execute(
    tx.query,
  );
  return rows[0] ?? null;
}

async function makeUser(tx: Db, vouched: Vouched, address: string | null): Promise<UserOf> {
  const userId = newId<UserId>("user");
  const name = nameOf(vouched, address);
  await sql`insert into users (id, name, email) values (${userId}, ${name}, ${address})`.execute(
    tx.query,
  );
  return { userId, name, isOperator: false, isDisabled: false };
}

/** What an organization's own provider says looks like nobody's address: only a proven one may. */
function nameOf({ name, email, sub }: Vouched, address: string | null): string {
  const said = [name, address === null ? email?.split("@")[0] : null].map(
    (text) => text && personName(text),
  );
  return said.find((one) => one) ?? address ?? personName(sub) ?? "somebody";
}

/** A provider may admit only those whom a directory has. */
async function refuseStranger(tx: Db, provider: ProviderView, vouched: Vouched): Promise<void> {
  if (provider.admitsNewUsers) return;
  const matches = await matchesOf(tx, provider, vouched, null);
  if (!matches.some(({ isActive }) => isActive))
    throw denied(`${provider.label} lets in nobody who was not made a member before.`);
}

/** The entries of directories that this is. */
async function matchesOf(
  tx: Db,
  provider: ProviderView,
  vouched: Vouched,
  userId: UserId | null,
): Promise<DirectoryMatch[]> {
  const email = vouched.isEmailVerified ? vouched.email : null;
  return findInDirectories(tx, { provider, sub: vouched.sub, email, userId });
}

async function noteLogin(
  tx: Db,
  provider: ProviderView,
  vouched: Vouched,
  { identityId, userId }: Known,
): Promise<void> {
  // Whom a provider of the installation answers for does not come to be an organization's, which may have the same issuer.
  await sql`
    update identities i set last_login_at = now(), email = ${vouched.email},
      email_verified = ${vouched.isEmailVerified},
      provider_id = case when ${provider.orgId}::text is not null and exists (
          select 1 from providers p where p.id = i.provider_id and p.org_id is null and p.deleted_at is null)
        then i.provider_id else ${provider.id} end
    where id = ${identityId}`.execute(tx.query);
  await acceptIdentity(tx, identityId, provider.id);
  const address = trustedAddress(provider, vouched);
  if (!address) return;
  // Another user's address stays theirs.
  await sql`
    update users u set email = ${address} where u.id = ${userId}
      and u.email is distinct from ${address} and not exists (
        select 1 from users o where lower(o.email) = lower(${address}) and o.kind = 'person' and o.id <> u.id)
  `.execute(tx.query);
}

async function keepProviderGrants(
  tx: Db,
  provider: ProviderView,
  userId: UserId,
  groups: readonly string[] | null,
): Promise<void> {
  if (groups === null) return;
  const { rows } = await sql<KeptGrant>`
    select g.org_id as "orgId", g.scope, g.scope_id as "scopeId", g.role from provider_groups g
    where g.provider_id = ${provider.id} and g.group_name = any(${[...groups]}::text[])`.execute(
    tx.query,
  );
  const { orgId, defaultOrgId, defaultRole } = provider;
  const home = orgId ?? defaultOrgId;
  const isPlaced = rows.some((one) => one.orgId === home && one.scope === "org");
  const fallback =
    home && defaultRole && !isPlaced
      ? [{ orgId: home, scope: "org" as const, scopeId: home, role: defaultRole }]
      : [];
  const shut = await listShutOrgs(tx, userId);
  const wanted = [...rows, ...fallback].filter((one) => !shut.has(one.orgId));
  await keepGrants(tx, userId, sourceOf(provider.id), wanted);
}

/** Organizations whose directory has the user as gone: no provider brings them back. And those that are over. */
async function listShutOrgs(tx: Db, userId: UserId): Promise<Set<OrgId>> {
  const { rows } = await sql<{ orgId: OrgId }>`
    select org_id as "orgId" from scim_users where user_id = ${userId}
    group by org_id having not bool_or(is_active)
    union select id from orgs where deleted_at is not null`.execute(tx.query);
  return new Set(rows.map(({ orgId }) => orgId));
}

type Place = Pick<Admitted, "orgId" | "orgName">;

async function chooseOrg(
  tx: Db,
  provider: ProviderView,
  { userId, name }: Known,
  wanted: string | null,
): Promise<Place> {
  const { rows } = await sql<Place>`
    select o.id as "orgId", o.name as "orgName" from orgs o
    where o.deleted_at is null and exists (select 1 from grants g
        where g.user_id = ${userId} and g.scope = 'org' and g.scope_id = o.id)
      and (${provider.orgId}::text is null or o.id = ${provider.orgId})
      and (${wanted}::text is null or o.id = ${wanted} or o.name = ${wanted})
    order by (o.id = ${provider.defaultOrgId}) desc nulls last,
      (select max(s.created_at) from web_sessions s where s.user_id = ${userId} and s.org_id = o.id
        and s.revoked_at is null) desc nulls last, o.created_at, o.id limit 1`.execute(tx.query);
  if (rows[0]) return rows[0];
  throw denied(
    wanted
      ? `${name} is no member of '${wanted}'.`
      : `${name} belongs to no organization that ${provider.label} lets in.`,
  );
}

/** Whoever is denied is told of to the organization, when it has a provider of its own. */
export async function tellDenied(
  db: Db,
  provider: Pick<ProviderView, "id" | "orgId" | "name">,
  vouched: Pick<Vouched, "issuer" | "sub">,
  caller: Caller,
  detail: string,
): Promise<void> {
  await transact(db, "store.identity.denied", async (tx) => {
    await insertAuditEntries(tx, [
      {
        ...{ orgId: provider.orgId, verb: "login.denied", outcome: "refused", ...caller },
        ...{ code: "login_denied", resource: { provider: provider.id } },
        data: { issuer: vouched.issuer, sub: vouched.sub, detail },
      },
    ]);
    await insertEvents(tx, [
      {
        orgId: provider.orgId,
        kind: "provider.denied",
        subjectKind: "provider",
        subjectId: provider.id as ProviderId,
        actor: null,
        message: `a login by ${provider.name} was denied: ${detail}`,
      },
    ]);
  });
}
