// Identity providers: of the installation (operators look after them) or of one organization. What a group of a provider
// means in an organization, that organization's administrators say, whosever the provider is.

import { type RawBuilder, sql } from "kysely";
import type { OrgId, ProviderId, UserId } from "#domain/ids.ts";
import { can, mayGrant, type OrgRole, type Subject, type TeamRole } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { type Db, isUniqueViolation, transact } from "./db.ts";
import { insertEvents } from "./events.ts";
import { lockOwned, refuseOwnerless } from "./grants.ts";
import { keepGrants } from "./kept-grants.ts";
import { endLogins } from "./logins.ts";
import { newId } from "./new-id.ts";
import { permit } from "./rights.ts";

export interface ProviderView {
  readonly id: ProviderId;
  /** Null: of the installation. */
  readonly orgId: OrgId | null;
  readonly name: string;
  readonly label: string;
  readonly issuer: string;
  readonly clientId: string;
  /** Sealed. */
  readonly clientSecret: string | null;
  readonly scopes: readonly string[];
  readonly parameters: Readonly<Record<string, string>>;
  readonly isTrusted: boolean;
  readonly admitsNewUsers: boolean;
  readonly emailDomains: readonly string[];
  readonly groupsClaim: string;
  readonly defaultOrgId: OrgId | null;
  readonly defaultRole: OrgRole | null;
  readonly sessionMaxMs: number;
  readonly checkEveryMs: number;
  /** So long a member's tokens and keys work without its word; null: until it refuses them. */
  readonly memberMaxAgeMs: number | null;
  readonly createdAt: Date;
  readonly changedAt: Date;
}

export type ProviderSettings = Omit<
  ProviderView,
  "id" | "orgId" | "defaultOrgId" | "createdAt" | "changedAt"
>;

export interface GroupRole {
  readonly group: string;
  /** Null: at the organization itself. */
  readonly teamId: string | null;
  readonly role: OrgRole | TeamRole;
}

const COLUMNS = sql`p.id, p.org_id as "orgId", p.name, p.label, p.issuer, p.client_id as "clientId",
  p.client_secret as "clientSecret", p.scopes, p.parameters, p.is_trusted as "isTrusted",
  p.admits_new_users as "admitsNewUsers", p.email_domains as "emailDomains",
  p.groups_claim as "groupsClaim", p.default_org_id as "defaultOrgId", p.default_role as "defaultRole",
  p.session_max_ms as "sessionMaxMs", p.check_every_ms as "checkEveryMs",
  p.member_max_age_ms as "memberMaxAgeMs",
  p.created_at as "createdAt", p.changed_at as "changedAt"`;

/** Whom a person may choose to log in by: those of the installation, and of the named organization. */
export async function listLoginProviders(db: Db, orgName: string | null): Promise<ProviderView[]> {
  return select(
    db,
    sql`p.org_id is null or p.org_id = (
      select id from orgs where name = ${orgName} and deleted_at is null)`,
    sql`p.org_id nulls first, p.label, p.id`,
  );
}

/** For a login: by id, or by name when it is of the installation. Null: there is none. */
export async function findProvider(db: Db, reference: string): Promise<ProviderView | null> {
  const found = await select(
    db,
    sql`(p.id = ${reference} or (p.org_id is null and p.name = ${reference}))
      and not exists (select 1 from orgs o where o.id = p.org_id and o.deleted_at is not null)`,
    sql`(p.id = ${reference}) desc limit 1`,
  );
  return found[0] ?? null;
}

/** Those that mean something to the subject's organization. */
export async function listProviders(
  db: Db,
  subject: Subject,
  page: { readonly after: string | null; readonly limit: number },
): Promise<ProviderView[]> {
  permit(subject, "provider.manage");
  return select(
    db,
    sql`(p.org_id is null or p.org_id = ${subject.orgId}) and p.id > ${page.after ?? ""}`,
    sql`p.id limit ${page.limit}`,
  );
}

export async function getProvider(
  db: Db,
  subject: Subject,
  reference: string,
): Promise<ProviderView> {
  permit(subject, "provider.manage");
  const found = await select(
    db,
    sql`(p.org_id is null or p.org_id = ${subject.orgId})
      and (p.id = ${reference} or p.name = ${reference})`,
    sql`(p.id = ${reference}) desc, p.org_id nulls last limit 1`,
  );
  if (!found[0]) throw new StoreRefusal("not_found", `There is no provider '${reference}'.`);
  return found[0];
}

/** `ofInstallation`: for everybody, by an operator. */
export async function createProvider(
  db: Db,
  subject: Subject,
  settings: ProviderSettings,
  ofInstallation: boolean,
): Promise<ProviderView> {
  permit(subject, "provider.manage");
  refuseSettings(subject, settings, ofInstallation);
  return transact(db, "store.provider.create", async (tx) => {
    const id = newId<ProviderId>("provider");
    const orgId = ofInstallation ? null : subject.orgId;
    await named(settings.name, () =>
      sql`
        insert into providers (id, org_id, name, label, issuer, client_id, client_secret, scopes, parameters,
          is_trusted, admits_new_users, email_domains, groups_claim, default_org_id, default_role,
          session_max_ms, check_every_ms, member_max_age_ms)
        values (${id}, ${orgId}, ${settings.name}, ${settings.label}, ${settings.issuer},
          ${settings.clientId}, ${settings.clientSecret}, ${[...settings.scopes]}::text[],
          ${JSON.stringify(settings.parameters)}::jsonb, ${settings.isTrusted},
          ${settings.admitsNewUsers}, ${[...settings.emailDomains]}::text[], ${settings.groupsClaim},
          ${settings.defaultRole === null ? null : subject.orgId}, ${settings.defaultRole},
          ${settings.sessionMaxMs}, ${settings.checkEveryMs}, ${settings.memberMaxAgeMs})`.execute(
        tx.query,
      ),
    );
    await tell(
      tx,
      subject,
      { id, orgId },
      "created",
      `identity provider ${settings.name} was set up`,
    );
    return getProvider(tx, subject, id);
  });
}

/** Another issuer would be other people: that is a new provider. */
export async function updateProvider(
  db: Db,
  subject: Subject,
  reference: string,
  change: Partial<Omit<ProviderSettings, "issuer">>,
): Promise<ProviderView> {
  return transact(db, "store.provider.update", async (tx) => {
    const before = await lockProvider(tx, subject, reference);
    const settings = { ...before, ...change };
    const isOtherRole = settings.defaultRole !== before.defaultRole;
    if (settings.isTrusted !== before.isTrusted || isOtherRole)
      refuseSettings(subject, settings, before.orgId === null);
    const defaultOrgId = isOtherRole ? subject.orgId : before.defaultOrgId;
    await named(settings.name, () =>
      sql`
        update providers set name = ${settings.name}, label = ${settings.label},
          client_id = ${settings.clientId}, client_secret = ${settings.clientSecret},
          scopes = ${[...settings.scopes]}::text[],
          parameters = ${JSON.stringify(settings.parameters)}::jsonb,
          is_trusted = ${settings.isTrusted}, admits_new_users = ${settings.admitsNewUsers},
          email_domains = ${[...settings.emailDomains]}::text[],
          groups_claim = ${settings.groupsClaim}, default_role = ${settings.defaultRole},
          default_org_id = ${settings.defaultRole === null ? null : defaultOrgId},
          session_max_ms = ${settings.sessionMaxMs}, check_every_ms = ${settings.checkEveryMs},
          member_max_age_ms = ${settings.memberMaxAgeMs}, changed_at = now()
        where id = ${before.id}`.execute(tx.query),
    );
    await tell(tx, subject, before, "updated", `identity provider ${settings.name} was changed`);
    return getProvider(tx, subject, before.id);
  });
}

/** Every session that it stands behind ends, and every role that it gave. */
export async function deleteProvider(
  db: Db,
  subject: Subject,
  reference: string,
): Promise<ProviderView> {
  return transact(db, "store.provider.delete", async (tx) => {
    const provider = await lockProvider(tx, subject, reference);
    await sql`update providers set deleted_at = now() where id = ${provider.id}`.execute(tx.query);
    await endLogins(tx, sql`l.provider_id = ${provider.id}`, "its identity provider was removed");
    await endGiven(tx, provider.id);
    await tell(tx, subject, provider, "deleted", `identity provider ${provider.name} was removed`);
    return provider;
  });
}

/** Who was in an organization by it alone is out, as if they had been removed; no organization loses its last owner so. */
async function endGiven(tx: Db, id: ProviderId): Promise<void> {
  const source = sourceOf(id);
  const isGiven = sql`g.source = ${source} and g.source <> 'direct'`;
  for (const orgId of await lockOwned(tx, isGiven))
    await refuseOwnerless(tx, orgId, sql`g.source <> ${source}`);
  const { rows: held } = await sql<{ userId: UserId }>`
    select u.id as "userId" from users u where u.id in (
      select g.user_id from grants g where ${isGiven}) order by u.id for no key update of u`.execute(
    tx.query,
  );
  for (const { userId } of held) await keepGrants(tx, userId, source, []);
}

export async function listGroupRoles(
  db: Db,
  subject: Subject,
  reference: string,
): Promise<GroupRole[]> {
  const { id } = await getProvider(db, subject, reference);
  const { rows } = await sql<GroupRole>`
    select group_name as "group", case when scope = 'team' then scope_id end as "teamId", role
    from provider_groups where provider_id = ${id} and org_id = ${subject.orgId}
    order by group_name, scope, scope_id, role`.execute(db.query);
  return rows;
}

/** All that the provider's groups mean in the subject's organization; they count from everybody's next login or check. */
export async function setGroupRoles(
  db: Db,
  subject: Subject,
  reference: string,
  roles: readonly GroupRole[],
): Promise<GroupRole[]> {
  return transact(db, "store.provider.groups", async (tx) => {
    const provider = await getProvider(tx, subject, reference);
    await sql`select 1 from providers where id = ${provider.id} for no key update`.execute(
      tx.query,
    );
    refuseChanges(subject, await listGroupRoles(tx, subject, provider.id), roles);
    await refuseUnknownTeams(tx, subject, roles);
    await sql`delete from provider_groups
      where provider_id = ${provider.id} and org_id = ${subject.orgId}`.execute(tx.query);
    await sql`
      insert into provider_groups (provider_id, group_name, org_id, scope, scope_id, role)
      select distinct ${provider.id}, r."group", ${subject.orgId},
        case when r."teamId" is null then 'org' else 'team' end,
        coalesce(r."teamId", ${subject.orgId}), r.role
      from jsonb_to_recordset(${JSON.stringify(roles)}::jsonb)
        as r ("group" text, "teamId" text, role text)`.execute(tx.query);
    const message = `what the groups of identity provider ${provider.name} mean was changed`;
    await tell(tx, subject, { id: provider.id, orgId: subject.orgId }, "updated", message);
    return listGroupRoles(tx, subject, provider.id);
  });
}

/** Nobody gives a role by a group, or takes it away, that they could not by hand. */
function refuseChanges(
  subject: Subject,
  before: readonly GroupRole[],
  after: readonly GroupRole[],
): void {
  const isIn = (those: readonly GroupRole[], { group, teamId, role }: GroupRole) =>
    those.some((one) => one.group === group && one.teamId === teamId && one.role === role);
  const given = after.filter((one) => !isIn(before, one));
  const taken = before.filter((one) => !isIn(after, one));
  refuseGroupRoles(subject, [...given, ...taken]);
}

function refuseGroupRoles(subject: Subject, roles: readonly GroupRole[]): void {
  for (const { teamId, role } of roles)
    if (teamId === null) refuseRole(subject, role as OrgRole);
    else permit(subject, "team.manage");
}

/** Of the grants that a provider keeps up to date. */
export function sourceOf(providerId: string): string {
  return `provider:${providerId}`;
}

async function refuseUnknownTeams(
  tx: Db,
  subject: Subject,
  roles: readonly GroupRole[],
): Promise<void> {
  const ids = [...new Set(roles.flatMap(({ teamId }) => teamId ?? []))];
  const { rows } = await sql<{ id: string }>`
    select id from teams where id = any(${ids}::text[]) and org_id = ${subject.orgId}
      and deleted_at is null for share`.execute(tx.query);
  const missing = ids.find((id) => !rows.some((row) => row.id === id));
  if (missing) throw new StoreRefusal("not_found", `There is no team '${missing}'.`);
}

/** Who may change the provider itself: operators those of the installation, an organization's administrators its own. */
async function lockProvider(tx: Db, subject: Subject, reference: string): Promise<ProviderView> {
  const { id } = await getProvider(tx, subject, reference);
  await sql`select 1 from providers where id = ${id} for update`.execute(tx.query);
  const provider = await getProvider(tx, subject, id);
  if (provider.orgId === null && !subject.isOperator)
    throw new StoreRefusal(
      "forbidden",
      `${provider.name} is of the whole installation: its operators look after it.`,
    );
  // Whoever changes an organization's provider decides who gets the roles that it gives.
  if (provider.orgId !== null) {
    if (provider.defaultRole !== null) refuseRole(subject, provider.defaultRole);
    refuseGroupRoles(subject, await listGroupRoles(tx, subject, provider.id));
  }
  return provider;
}

function refuseSettings(
  subject: Subject,
  settings: Pick<ProviderSettings, "isTrusted" | "defaultRole">,
  ofInstallation: boolean,
): void {
  if ((ofInstallation || settings.isTrusted) && !subject.isOperator)
    throw new StoreRefusal(
      "forbidden",
      "Only an operator of the installation sets up a provider for all, or one that is trusted.",
    );
  if (settings.defaultRole !== null) refuseRole(subject, settings.defaultRole);
}

/** Nobody gives by a provider what they could not give by hand. */
function refuseRole(subject: Subject, role: OrgRole): void {
  if (!can(subject, "member.manage"))
    throw new StoreRefusal("forbidden", "This needs the permission member.manage.");
  if (!mayGrant(subject, role))
    throw new StoreRefusal("forbidden", `You may not give the role ${role}.`);
}

async function named(name: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isUniqueViolation(error, "providers_name")) throw error;
    throw new StoreRefusal("name_taken", `There is already a provider named '${name}'.`);
  }
}

async function select(
  db: Db,
  condition: RawBuilder<unknown>,
  order: RawBuilder<unknown>,
): Promise<ProviderView[]> {
  const { rows } = await sql<ProviderView>`
    select ${COLUMNS} from providers p where p.deleted_at is null and (${condition})
    order by ${order}`.execute(db.query);
  return rows;
}

async function tell(
  tx: Db,
  subject: Subject,
  provider: { readonly id: string; readonly orgId: OrgId | null },
  what: "created" | "updated" | "deleted",
  message: string,
): Promise<void> {
  await insertEvents(tx, [
    {
      orgId: provider.orgId,
      kind: `provider.${what}`,
      subjectKind: "provider",
      subjectId: provider.id,
      actor: subject.userId,
      message,
    },
  ]);
}
