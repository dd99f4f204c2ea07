// Who may come in: organizations, users, their hashed tokens, and the certificate authorities' keys.

import { sql } from "kysely";
import type { OrgId, UserId } from "#domain/ids.ts";
import type { OrgRole, Subject } from "#domain/permission.ts";
import { type Db, transact } from "./db.ts";
import { newId } from "./new-id.ts";
import { selectSubject } from "./subjects.ts";

const FIRST_ORG = "default";
const FIRST_USER = "admin";

/** The first organization and its administrator; made once, however often and by how many it is called. */
export async function ensureAdmin(db: Db): Promise<Subject> {
  return transact(db, "store.admin.ensure", async (tx) => {
    await sql`select pg_advisory_xact_lock(hashtext('berth.admin'))`.execute(tx.query);
    // The first that there was: its organization cannot be left by its last owner.
    const { rows } = await sql<{ userId: UserId; orgId: OrgId }>`
      select u.id as "userId", g.scope_id as "orgId" from users u
      join grants g on g.user_id = u.id and g.scope = 'org' and g.role = 'owner'
      where u.is_operator and u.kind = 'person' and u.disabled_at is null
      order by u.created_at, g.created_at, u.id limit 1`.execute(tx.query);
    const known = rows[0] && (await selectSubject(tx, rows[0].userId, rows[0].orgId));
    return (
      known?.subject ?? createUser(tx, { orgName: FIRST_ORG, name: FIRST_USER, isOperator: true })
    );
  });
}

/** A user in an organization of its own; its owner, unless other roles are given. */
export async function createUser(
  db: Db,
  user: {
    readonly orgName: string;
    readonly name: string;
    readonly isOperator?: boolean;
    readonly roles?: readonly OrgRole[];
  },
): Promise<Subject> {
  return transact(db, "store.user.create", async (tx) => {
    const orgId = newId<OrgId>("org");
    await sql`insert into orgs (id, name) values (${orgId}, ${user.orgName})`.execute(tx.query);
    return addUser(tx, orgId, user);
  });
}

/** A new user of an organization that there is. */
export async function addUser(
  db: Db,
  orgId: OrgId,
  user: {
    readonly name: string;
    readonly isOperator?: boolean;
    readonly roles?: readonly OrgRole[];
  },
): Promise<Subject> {
  return transact(db, "store.user.add", async (tx) => {
    const userId = newId<UserId>("user");
    const roles = user.roles ?? ["owner"];
    const isOperator = user.isOperator ?? false;
    await sql`insert into users (id, name, is_operator) values (${userId}, ${user.name}, ${isOperator})`.execute(
      tx.query,
    );
    for (const role of roles)
      await sql`insert into grants (id, org_id, user_id, role, scope, scope_id)
        values (${newId("grant")}, ${orgId}, ${userId}, ${role}, 'org', ${orgId})`.execute(
        tx.query,
      );
    return { userId, orgId, isOperator, roles, teams: [], scopes: null };
  });
}

/** The same hash again is the same token. */
export async function addToken(
  db: Db,
  subject: Subject,
  token: { readonly hash: string; readonly name: string; readonly expiresAt?: Date | null },
): Promise<void> {
  await db.query
    .insertInto("tokens")
    .values({
      id: newId("token"),
      hash: token.hash,
      org_id: subject.orgId,
      user_id: subject.userId,
      name: token.name,
      expires_at: token.expiresAt ?? null,
    })
    .onConflict((conflict) => conflict.column("hash").doNothing())
    .execute();
}

/** The material kept under a name; made by the first who asks. All who ask get the same. */
export async function loadOrCreateAuthority(
  db: Db,
  name: string,
  make: () => Promise<string> | string,
): Promise<string> {
  const known = await readAuthority(db, name);
  if (known !== null) return known;
  const material = await make();
  await db.query
    .insertInto("authorities")
    .values({ name, material })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return (await readAuthority(db, name)) as string;
}

async function readAuthority(db: Db, name: string): Promise<string | null> {
  const row = await db.query
    .selectFrom("authorities")
    .select("material")
    .where("name", "=", name)
    .executeTakeFirst();
  return row?.material ?? null;
}
