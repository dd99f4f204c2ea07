// Service accounts: users of one organization that are programs. They come in by tokens only.

import { sql } from "kysely";
import type { UserId } from "#domain/ids.ts";
import type { OrgRole, Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { type Db, isUniqueViolation, transact } from "./db.ts";
import { insertEvents, type NewEvent } from "./events.ts";
import { addGrant } from "./grants.ts";
import {
  endMembership,
  type MemberView,
  memberEvent,
  refuseGrant,
  refuseServiceOwner,
  selectMembers,
} from "./members.ts";
import { newId } from "./new-id.ts";
import { permit } from "./rights.ts";
import { loadSubject } from "./subjects.ts";
import {
  createToken,
  type DeletedToken,
  deleteToken,
  type Identified,
  listTokens,
  type NewToken,
  type TokenView,
} from "./tokens.ts";

export async function createServiceAccount(
  db: Db,
  subject: Subject,
  account: { readonly name: string; readonly roles: readonly OrgRole[] },
): Promise<MemberView> {
  permit(subject, "service.manage");
  for (const role of account.roles) refuseGrant(subject, role);
  refuseServiceOwner(account.roles);
  return transact(db, "store.service_account.create", async (tx) => {
    const id = newId<UserId>("user");
    await named(account.name, () =>
      sql`insert into users (id, name, kind, home_org_id)
        values (${id}, ${account.name}, 'service', ${subject.orgId})`.execute(tx.query),
    );
    for (const role of account.roles)
      await addGrant(tx, {
        ...{ scope: "org", scopeId: subject.orgId, orgId: subject.orgId, role },
        ...{ holder: { userId: id }, createdBy: subject.userId },
      });
    const message = `the service account ${account.name} was made (${account.roles.join(", ")})`;
    await insertEvents(tx, [
      accountEvent(subject, id, "created", message),
      memberEvent(subject, id, "created", message),
    ]);
    return getServiceAccount(tx, subject, id);
  });
}

export async function listServiceAccounts(
  db: Db,
  subject: Subject,
  page: { readonly after: string | null; readonly limit: number },
): Promise<MemberView[]> {
  permit(subject, "member.read");
  return selectMembers(
    db,
    subject.orgId,
    sql`u.home_org_id = ${subject.orgId} and u.kind = 'service' and u.disabled_at is null
      and u.id > ${page.after ?? ""} order by u.id limit ${page.limit}`,
  );
}

export async function getServiceAccount(
  db: Db,
  subject: Subject,
  reference: string,
): Promise<MemberView> {
  const [account] = await selectMembers(
    db,
    subject.orgId,
    sql`u.home_org_id = ${subject.orgId} and u.kind = 'service' and u.disabled_at is null
      and (u.id = ${reference} or lower(u.name) = lower(${reference})) order by (u.id = ${reference}) desc limit 1`,
  );
  if (!account) throw new StoreRefusal("not_found", `There is no service account '${reference}'.`);
  return account;
}

/** Its tokens end; its boxes stay. */
export async function deleteServiceAccount(
  db: Db,
  subject: Subject,
  reference: string,
): Promise<MemberView> {
  return transact(db, "store.service_account.delete", async (tx) => {
    const account = await getServiceAccount(tx, subject, reference);
    permit(subject, "service.manage");
    for (const role of account.roles) refuseGrant(subject, role);
    await endMembership(tx, subject.orgId, account.id);
    await sql`update users set disabled_at = now() where id = ${account.id}`.execute(tx.query);
    const message = `the service account ${account.name} was deleted`;
    await insertEvents(tx, [
      accountEvent(subject, account.id, "deleted", message),
      memberEvent(subject, account.id, "deleted", message),
    ]);
    return account;
  });
}

/** Nobody gets by a token what they could not give the account, or for longer than what they came by holds. */
export async function createAccountToken(
  db: Db,
  { subject, tokenId }: Pick<Identified, "subject" | "tokenId">,
  reference: string,
  token: NewToken,
): Promise<TokenView> {
  return transact(db, "store.service_account.token", async (tx) => {
    const account = await getServiceAccount(tx, subject, reference);
    permit(subject, "service.manage");
    for (const role of account.roles) refuseGrant(subject, role);
    const as = await accountSubject(tx, subject, account);
    return createToken(tx, { subject: as, tokenId }, token);
  });
}

export async function listAccountTokens(
  db: Db,
  subject: Subject,
  reference: string,
  page: { readonly after: string | null; readonly limit: number },
): Promise<TokenView[]> {
  const account = await getServiceAccount(db, subject, reference);
  permit(subject, "service.manage");
  return listTokens(db, await accountSubject(db, subject, account), page);
}

export async function deleteAccountToken(
  db: Db,
  { subject, tokenId }: Pick<Identified, "subject" | "tokenId">,
  reference: string,
  id: string,
  options: Parameters<typeof deleteToken>[3] = {},
): Promise<DeletedToken> {
  return transact(db, "store.service_account.token_delete", async (tx) => {
    const account = await getServiceAccount(tx, subject, reference);
    permit(subject, "service.manage");
    const as = await accountSubject(tx, subject, account);
    return deleteToken(tx, { subject: as, tokenId }, id, options);
  });
}

/** The account itself, narrowed to what the caller's own credential may be used for. */
async function accountSubject(db: Db, subject: Subject, account: MemberView): Promise<Subject> {
  const own = await loadSubject(db, account.id, subject.orgId);
  if (!own) throw new StoreRefusal("not_found", `There is no service account '${account.name}'.`);
  return { ...own, scopes: subject.scopes };
}

async function named(name: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isUniqueViolation(error, "users_service_name")) throw error;
    throw new StoreRefusal("name_taken", `There is already a service account '${name}'.`);
  }
}

function accountEvent(
  subject: Subject,
  id: UserId,
  what: "created" | "deleted",
  message: string,
): NewEvent {
  return {
    orgId: subject.orgId,
    kind: `service_account.${what}`,
    subjectKind: "service_account",
    subjectId: id,
    actor: subject.userId,
    message,
  };
}
