// Organizations, and the rules that hold for their members.

import { sql } from "kysely";
import { VISIBILITIES, type Visibility } from "#domain/box.ts";
import type { OrgId } from "#domain/ids.ts";
import { ORG_ROLES, type OrgRole, type Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { type Db, isUniqueViolation, transact } from "./db.ts";
import { insertEvents, type NewEvent } from "./events.ts";
import { addGrant } from "./grants.ts";
import { createInvitation, type InvitationView } from "./invitations.ts";
import { memberEvent } from "./members.ts";
import { newId } from "./new-id.ts";
import { narrowPreviews } from "./preview-changes.ts";
import { endLinks } from "./preview-links.ts";
import { permit } from "./rights.ts";
import type { Identified } from "./tokens.ts";

export interface OrgView {
  readonly id: OrgId;
  readonly name: string;
  readonly maxVisibility: Visibility;
}

export async function getOrg(db: Db, subject: Subject): Promise<OrgView> {
  const { rows } = await sql<OrgView>`
    select id, name, max_visibility as "maxVisibility" from orgs where id = ${subject.orgId}`.execute(
    db.query,
  );
  return rows[0] as OrgView;
}

/** Locked against a preview that is being opened or widened meanwhile. */
export async function setMaxVisibility(
  db: Db,
  subject: Subject,
  maxVisibility: Visibility,
): Promise<OrgView> {
  permit(subject, "org.manage");
  return transact(db, "store.org.update", async (tx) => {
    await sql`select 1 from orgs where id = ${subject.orgId} for no key update`.execute(tx.query);
    const before = await getOrg(tx, subject);
    if (before.maxVisibility === maxVisibility) return before;
    await sql`update orgs set max_visibility = ${maxVisibility} where id = ${subject.orgId}`.execute(
      tx.query,
    );
    const wider = VISIBILITIES.slice(VISIBILITIES.indexOf(maxVisibility) + 1);
    const events = await narrowPreviews(
      tx,
      sql`org_id = ${subject.orgId} and visibility = any(${wider}::text[])`,
      maxVisibility,
      subject,
    );
    if (maxVisibility !== "public")
      events.push(...(await endLinks(tx, sql`org_id = ${subject.orgId}`, subject)));
    await insertEvents(tx, [
      ...events,
      {
        orgId: subject.orgId,
        kind: "org.updated",
        subjectKind: "org",
        subjectId: subject.orgId,
        actor: subject.userId,
        message: `previews may be ${maxVisibility} at most`,
        data: { maxVisibility },
      },
    ]);
    return { ...before, maxVisibility };
  });
}

/** Another name; unlike ids, names are the organization's own business. */
export async function renameOrg(db: Db, subject: Subject, name: string): Promise<OrgView> {
  permit(subject, "org.manage");
  return transact(db, "store.org.rename", async (tx) => {
    await named(name, () =>
      sql`update orgs set name = ${name} where id = ${subject.orgId}`.execute(tx.query),
    );
    await insertEvents(tx, [
      orgEvent(subject.orgId, subject, "updated", `it is called ${name} now`),
    ]);
    return getOrg(tx, subject);
  });
}

export interface MyOrgView {
  readonly id: OrgId;
  readonly name: string;
  readonly roles: readonly OrgRole[];
}

/** Where the subject's user belongs. */
export async function listMyOrgs(db: Db, subject: Subject): Promise<MyOrgView[]> {
  const { rows } = await sql<MyOrgView>`
    select o.id, o.name, array_agg(distinct g.role order by g.role) as roles
    from grants g join orgs o on o.id = g.scope_id and o.deleted_at is null
    where g.user_id = ${subject.userId} and g.scope = 'org' and g.role = any(${[...ORG_ROLES]}::text[])
    group by o.id, o.name order by o.name`.execute(db.query);
  return rows;
}

export interface InstallationOrgView {
  readonly id: OrgId;
  readonly name: string;
  readonly createdAt: Date;
  readonly members: number;
  readonly boxes: number;
  readonly running: number;
}

/** Every organization, by name: for operators. */
export async function listAllOrgs(
  db: Db,
  subject: Subject,
  page: { readonly after: string | null; readonly limit: number },
): Promise<InstallationOrgView[]> {
  permit(subject, "org.create");
  const { rows } = await sql<InstallationOrgView>`
    select o.id, o.name, o.created_at as "createdAt",
      (select count(distinct g.user_id)::integer from grants g
       where g.org_id = o.id and g.scope = 'org' and g.scope_id = o.id) as members,
      (u.used ->> 'boxes')::integer as boxes, (u.used ->> 'running')::integer as running
    from (select id, name, created_at from orgs
          where deleted_at is null and name > ${page.after ?? ""} order by name limit ${page.limit}) o
    cross join lateral (select quota_used(o.id, 'org', o.id) as used) u order by o.name`.execute(
    db.query,
  );
  return rows;
}

export interface NewOrg {
  readonly name: string;
  /** Of an invitation to be its first owner; null: the caller is it. */
  readonly ownerInvitationHash: string | null;
}

const OWNER_INVITATION_MS = 7 * 24 * 60 * 60_000;

export async function createOrg(
  db: Db,
  subject: Subject,
  { name, ownerInvitationHash: hash }: NewOrg,
): Promise<{ readonly org: MyOrgView; readonly invitation: InvitationView | null }> {
  permit(subject, "org.create");
  return transact(db, "store.org.create", async (tx) => {
    const id = newId<OrgId>("org");
    await named(name, () =>
      sql`insert into orgs (id, name) values (${id}, ${name})`.execute(tx.query),
    );
    await insertEvents(tx, [orgEvent(id, subject, "created", `the organization ${name} was made`)]);
    if (hash === null) {
      const holder = { userId: subject.userId };
      await addGrant(tx, { scope: "org", scopeId: id, orgId: id, role: "owner", holder });
      const owner = { orgId: id, userId: subject.userId };
      await insertEvents(tx, [memberEvent(owner, owner.userId, "created", "its first owner")]);
      return { org: { id, name, roles: ["owner"] }, invitation: null };
    }
    const asOwner: Subject = { ...subject, orgId: id, roles: ["owner"], scopes: null };
    const lifetimeMs = OWNER_INVITATION_MS;
    const roles = ["owner"] as const;
    const input = { hash, email: null, roles, team: null, lifetimeMs };
    const invitation = await createInvitation(tx, { subject: asOwner, tokenId: null }, input);
    return { org: { id, name, roles: [] }, invitation };
  });
}

/** The session acts in another organization of its user's from now on. A token's organization never changes. */
export async function switchOrg(
  db: Db,
  { subject, credentialId }: Pick<Identified, "subject" | "credentialId">,
  reference: string,
): Promise<MyOrgView> {
  const org = (await listMyOrgs(db, subject)).find(
    ({ id, name }) => id === reference || name === reference,
  );
  if (!org) throw new StoreRefusal("not_found", `You belong to no organization '${reference}'.`);
  const { rows } = await sql`
    update web_sessions set org_id = ${org.id}
    where id = ${credentialId} and user_id = ${subject.userId} and revoked_at is null
      and token_id is null and not exists (
        select 1 from logins l join providers p on p.id = l.provider_id
        where l.session_id = web_sessions.id and p.org_id <> ${org.id}) returning id`.execute(
    db.query,
  );
  if (rows.length === 0 && org.id !== subject.orgId)
    throw new StoreRefusal(
      "not_now",
      "What you logged in by is of one organization: sign in with a provider of the installation or of the other, or use a token of the other.",
    );
  return org;
}

async function named(name: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isUniqueViolation(error, "orgs_name")) throw error;
    throw new StoreRefusal("name_taken", `There is already an organization named '${name}'.`);
  }
}

function orgEvent(
  orgId: OrgId,
  subject: Subject,
  what: "created" | "updated",
  message: string,
): NewEvent {
  return {
    orgId,
    kind: `org.${what}`,
    subjectKind: "org",
    subjectId: orgId,
    actor: subject.userId,
    message,
  };
}
