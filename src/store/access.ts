// Who may come in: organizations, users, their hashed tokens, and the certificate authorities' keys.

import { sql } from "kysely";
import type { OrgId, UserId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { type Db, transact } from "./db.ts";
import { newId } from "./new-id.ts";

const FIRST_ORG = "default";
const FIRST_USER = "admin";

/** The first organization and its administrator; made once, however often and by how many it is called. */
export async function ensureAdmin(db: Db): Promise<Subject> {
  return transact(db, "store.admin.ensure", async (tx) => {
    await sql`select pg_advisory_xact_lock(hashtext('berth.admin'))`.execute(tx.query);
    const known = await tx.query
      .selectFrom("users")
      .select(["id", "org_id"])
      .where("is_admin", "=", true)
      .orderBy("created_at")
      .limit(1)
      .executeTakeFirst();
    if (known) return { userId: known.id, orgId: known.org_id, isAdmin: true };
    return createUser(tx, { orgName: FIRST_ORG, name: FIRST_USER, isAdmin: true });
  });
}

/** A user in an organization of its own. */
export async function createUser(
  db: Db,
  user: { readonly orgName: string; readonly name: string; readonly isAdmin: boolean },
): Promise<Subject> {
  return transact(db, "store.user.create", async (tx) => {
    const orgId = newId<OrgId>("org");
    const userId = newId<UserId>("user");
    await tx.query.insertInto("orgs").values({ id: orgId, name: user.orgName }).execute();
    await tx.query
      .insertInto("users")
      .values({ id: userId, org_id: orgId, name: user.name, is_admin: user.isAdmin })
      .execute();
    return { userId, orgId, isAdmin: user.isAdmin };
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
