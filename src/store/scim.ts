// The users of an organization's directory, by SCIM. What follows for people's roles: directory.ts.

import { type RawBuilder, sql } from "kysely";
import type { OrgId, UserId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { insertAuditEntries } from "./audit.ts";
import { type Db, isUniqueViolation, transact } from "./db.ts";
import { findUserFor, keepDirectoryGrants, removeFromOrg } from "./directory.ts";
import { insertEvents } from "./events.ts";
import type { Caller } from "./logins.ts";
import { refuseGrant } from "./members.ts";
import { newId } from "./new-id.ts";
import { permit } from "./rights.ts";
import { endOfMaker, holdToken, type Maker } from "./tokens.ts";

/** Whose directory speaks, by which token. */
export interface DirectoryCaller extends Caller {
  readonly orgId: OrgId;
  readonly tokenId: string;
  /** Who has set it up. */
  readonly setUpBy: UserId;
}

export interface ScimTokenView {
  readonly id: string;
  readonly name: string;
  readonly createdAt: Date;
  readonly lastUsedAt: Date | null;
  /** With the token that it was made with; null: never by itself. */
  readonly expiresAt: Date | null;
  /** The token that it was made with; null: a login. */
  readonly madeWith: { readonly id: string; readonly name: string } | null;
}

const TOKEN_COLUMNS = sql`id, name, created_at as "createdAt", last_used_at as "lastUsedAt",
  expires_at as "expiresAt", (select jsonb_build_object('id', m.id, 'name', m.name)
    from tokens m where m.id = scim_tokens.parent_id) as "madeWith"`;
const IS_GOOD = sql`revoked_at is null and (expires_at is null or expires_at > now())`;

/** Null when it is unknown or revoked, or its organization is over. Notes that it was used, to the minute. */
export async function identifyScim(
  db: Db,
  hash: string,
  from: Caller,
): Promise<DirectoryCaller | null> {
  const { rows } = await sql<Omit<DirectoryCaller, keyof Caller> & { isStale: boolean }>`
    select t.id as "tokenId", t.org_id as "orgId", t.created_by as "setUpBy",
      coalesce(t.last_used_at < now() - interval '1 minute', true) as "isStale"
    from scim_tokens t join orgs o on o.id = t.org_id and o.deleted_at is null
    where t.hash = ${hash} and t.revoked_at is null and (t.expires_at is null or t.expires_at > now())`.execute(
    db.query,
  );
  if (!rows[0]) return null;
  const { isStale, ...caller } = rows[0];
  if (isStale)
    await sql`update scim_tokens set last_used_at = now() where id = ${caller.tokenId}`.execute(
      db.query,
    );
  return { ...caller, ...from };
}

/** In the transaction of what the directory has changed. */
export async function auditDirectory(
  tx: Db,
  { orgId, tokenId, setUpBy, requestId, address, userAgent }: DirectoryCaller,
  verb: string,
  touched: readonly string[],
  data: Readonly<Record<string, string | boolean>>,
): Promise<void> {
  await insertAuditEntries(tx, [
    {
      ...{ orgId, verb, outcome: "ok", credentialId: tokenId, requestId, address, userAgent },
      ...{ touched, data: { ...data, setUpBy } },
    },
  ]);
}

export async function createScimToken(
  db: Db,
  { subject, tokenId }: Maker,
  token: { readonly hash: string; readonly name: string },
): Promise<ScimTokenView> {
  permit(subject, "provider.manage");
  // A directory makes and removes members, so whoever sets one up must be able to.
  permit(subject, "member.manage");
  // And its groups give the roles that a provider says they mean: any but an owner's (directory.ts).
  refuseGrant(subject, "admin");
  return transact(db, "store.scim_token.create", async (tx) => {
    await holdToken(tx, tokenId);
    const { rows } = await sql<ScimTokenView>`
      insert into scim_tokens (id, org_id, hash, name, created_by, parent_id, expires_at)
      values (${newId("scimToken")}, ${subject.orgId}, ${token.hash}, ${token.name}, ${subject.userId},
        ${tokenId}, ${endOfMaker(tokenId)})
      returning ${TOKEN_COLUMNS}`.execute(tx.query);
    const made = rows[0] as ScimTokenView;
    await tellToken(tx, subject, made.id, "created", `SCIM token ${made.name} was made`);
    return made;
  });
}

export async function listScimTokens(
  db: Db,
  subject: Subject,
  page: { readonly after: string | null; readonly limit: number },
): Promise<ScimTokenView[]> {
  permit(subject, "provider.manage");
  const { rows } = await sql<ScimTokenView>`
    select ${TOKEN_COLUMNS} from scim_tokens where org_id = ${subject.orgId} and ${IS_GOOD}
      and id > ${page.after ?? ""} order by id limit ${page.limit}`.execute(db.query);
  return rows;
}

export async function deleteScimToken(
  db: Db,
  subject: Subject,
  id: string,
): Promise<ScimTokenView> {
  permit(subject, "provider.manage");
  return transact(db, "store.scim_token.delete", async (tx) => {
    const { rows } = await sql<ScimTokenView>`
      update scim_tokens set revoked_at = now()
      where id = ${id} and org_id = ${subject.orgId} and revoked_at is null
      returning ${TOKEN_COLUMNS}`.execute(tx.query);
    if (!rows[0]) throw new StoreRefusal("not_found", `There is no SCIM token '${id}'.`);
    await tellToken(tx, subject, id, "deleted", `SCIM token ${rows[0].name} was revoked`);
    return rows[0];
  });
}

async function tellToken(
  tx: Db,
  subject: Subject,
  id: string,
  what: "created" | "deleted",
  message: string,
): Promise<void> {
  await insertEvents(tx, [
    {
      orgId: subject.orgId,
      kind: `scim_token.${what}`,
      subjectKind: "provider",
      subjectId: id,
      actor: subject.userId,
      message,
    },
  ]);
}

export interface ScimUserFields {
  readonly userName: string;
  readonly externalId: string | null;
  readonly email: string | null;
  readonly isActive: boolean;
  /** As the directory sent it. */
  readonly attributes: Readonly<Record<string, unknown>>;
}

export interface ScimUserView extends ScimUserFields {
  readonly id: string;
  readonly userId: UserId | null;
  readonly createdAt: Date;
  readonly changedAt: Date;
  readonly version: number;
  readonly groups: readonly { readonly id: string; readonly name: string }[];
}

/** Equality with each that is given; text without regard to case, as RFC 7643 has it for names. */
export interface ScimUserFilter {
  readonly id?: string;
  readonly userName?: string;
  readonly externalId?: string;
  readonly email?: string;
  readonly isActive?: boolean;
}

export interface ScimPage<T> {
  readonly items: readonly T[];
  readonly total: number;
}

const USER_COLUMNS = sql`u.id, u.user_id as "userId", u.user_name as "userName",
  u.external_id as "externalId", u.email, u.is_active as "isActive", u.attributes,
  u.created_at as "createdAt", u.changed_at as "changedAt", u.version,
  (select coalesce(jsonb_agg(jsonb_build_object('id', g.id, 'name', g.display_name) order by g.id), '[]')
    from scim_members m join scim_groups g on g.id = m.group_id where m.member_id = u.id) as groups`;

export async function listScimUsers(
  db: Db,
  { orgId }: DirectoryCaller,
  filter: ScimUserFilter,
  page: { readonly offset: number; readonly limit: number },
): Promise<ScimPage<ScimUserView>> {
  const { id, userName, externalId, email, isActive } = filter;
  const condition = allOf([
    sql`u.org_id = ${orgId}`,
    id === undefined ? null : sql`u.id = ${id}`,
    userName === undefined ? null : sql`lower(u.user_name) = lower(${userName})`,
    externalId === undefined ? null : sql`u.external_id = ${externalId}`,
    email === undefined ? null : sql`lower(u.email) = lower(${email})`,
    isActive === undefined ? null : sql`u.is_active = ${isActive}`,
  ]);
  const { rows: counted } = await sql<{ total: number }>`
    select count(*) as total from scim_users u where ${condition}`.execute(db.query);
  const { rows } = await sql<ScimUserView>`
    select ${USER_COLUMNS} from scim_users u where ${condition}
    order by u.id offset ${page.offset} limit ${page.limit}`.execute(db.query);
  return { items: rows, total: counted[0]?.total ?? 0 };
}

/** Only what is asked stands in the statement, so that each has a plan of its own. */
export function allOf(conditions: readonly (RawBuilder<unknown> | null)[]): RawBuilder<unknown> {
  return sql.join(
    conditions.filter((one) => one !== null),
    sql` and `,
  );
}

export async function getScimUser(
  db: Db,
  { orgId }: DirectoryCaller,
  id: string,
  lock: RawBuilder<unknown> = sql``,
): Promise<ScimUserView> {
  const { rows } = await sql<ScimUserView>`
    select ${USER_COLUMNS} from scim_users u where u.org_id = ${orgId} and u.id = ${id} ${lock}`.execute(
    db.query,
  );
  if (!rows[0]) throw new StoreRefusal("not_found", `There is no user '${id}' in this directory.`);
  return rows[0];
}

export async function createScimUser(
  db: Db,
  caller: DirectoryCaller,
  fields: ScimUserFields,
): Promise<ScimUserView> {
  const { orgId } = caller;
  return transact(db, "store.scim_user.create", async (tx) => {
    const id = newId("scimUser");
    const userId = await findUserFor(tx, orgId, fields);
    await named(fields.userName, () =>
      sql`
        insert into scim_users (id, org_id, user_id, user_name, external_id, email, is_active, attributes)
        values (${id}, ${orgId}, ${userId}, ${fields.userName}, ${fields.externalId}, ${fields.email},
          ${fields.isActive}, ${JSON.stringify(fields.attributes)}::jsonb)`.execute(tx.query),
    );
    if (userId) await follow(tx, caller, userId, fields.isActive);
    await auditUser(tx, caller, "scim.createUser", [id, userId], fields);
    return getScimUser(tx, caller, id);
  });
}

function auditUser(
  tx: Db,
  caller: DirectoryCaller,
  verb: string,
  touched: readonly (string | null)[],
  { userName, isActive }: Pick<ScimUserFields, "userName" | "isActive">,
): Promise<void> {
  const ids = touched.filter((id) => id !== null);
  return auditDirectory(tx, caller, verb, ids, { userName, isActive });
}

/** `change` sees the entry as it is, locked. */
export async function changeScimUser(
  db: Db,
  caller: DirectoryCaller,
  id: string,
  change: (current: ScimUserView) => ScimUserFields,
): Promise<ScimUserView> {
  return transact(db, "store.scim_user.change", async (tx) => {
    const current = await getScimUser(tx, caller, id, sql`for update of u`);
    const fields = change(current);
    await named(fields.userName, () =>
      sql`
        update scim_users set user_name = ${fields.userName}, external_id = ${fields.externalId},
          email = ${fields.email}, is_active = ${fields.isActive},
          attributes = ${JSON.stringify(fields.attributes)}::jsonb, changed_at = now(),
          version = version + 1
        where id = ${id}`.execute(tx.query),
    );
    if (current.userId) await follow(tx, caller, current.userId, fields.isActive);
    await auditUser(tx, caller, "scim.changeUser", [id, current.userId], fields);
    return getScimUser(tx, caller, id);
  });
}

export async function deleteScimUser(db: Db, caller: DirectoryCaller, id: string): Promise<void> {
  await transact(db, "store.scim_user.delete", async (tx) => {
    const { userId, userName } = await getScimUser(tx, caller, id, sql`for update of u`);
    await sql`delete from scim_users where id = ${id}`.execute(tx.query);
    if (userId) await follow(tx, caller, userId, false);
    const gone = { userName, isActive: false };
    await auditUser(tx, caller, "scim.deleteUser", [id, userId], gone);
  });
}

/** Another active entry of theirs, if there is one, keeps them in. */
async function follow(
  tx: Db,
  caller: DirectoryCaller,
  userId: UserId,
  isActive: boolean,
): Promise<void> {
  const { rows: active } = isActive
    ? { rows: [true] }
    : await sql`select 1 from scim_users where org_id = ${caller.orgId} and user_id = ${userId}
        and is_active limit 1`.execute(tx.query);
  if (active.length === 0) await removeFromOrg(tx, caller.orgId, userId, caller.setUpBy);
  else await keepDirectoryGrants(tx, caller.orgId, userId);
}

async function named(userName: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isUniqueViolation(error, "scim_users_name")) throw error;
    throw new StoreRefusal(
      "name_taken",
      `There is already a user '${userName}' in this directory.`,
    );
  }
}
