// The groups of an organization's directory, by SCIM. Each is a team, unless one of the organization's providers says what
// a group of its name means.

import { type RawBuilder, sql } from "kysely";
import type { OrgId, TeamId } from "#domain/ids.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { type Db, isUniqueViolation, transact } from "./db.ts";
import { ensureTeam, keepGrantsOf } from "./directory.ts";
import { newId } from "./new-id.ts";
import { allOf, auditDirectory, type DirectoryCaller, type ScimPage } from "./scim.ts";

export interface ScimGroupFields {
  readonly displayName: string;
  readonly externalId: string | null;
  /** Ids of users of the directory. */
  readonly members: readonly string[];
}

export interface ScimGroupView {
  readonly id: string;
  readonly displayName: string;
  readonly externalId: string | null;
  readonly teamId: TeamId | null;
  readonly members: readonly { readonly id: string; readonly name: string }[];
  readonly createdAt: Date;
  readonly changedAt: Date;
  readonly version: number;
}

export interface ScimGroupFilter {
  readonly id?: string;
  readonly displayName?: string;
  readonly externalId?: string;
}

const COLUMNS = sql`g.id, g.display_name as "displayName", g.external_id as "externalId",
  g.team_id as "teamId", g.created_at as "createdAt", g.changed_at as "changedAt", g.version,
  (select coalesce(jsonb_agg(jsonb_build_object('id', u.id, 'name', u.user_name) order by u.id), '[]')
    from scim_members m join scim_users u on u.id = m.member_id where m.group_id = g.id) as members`;

export async function listScimGroups(
  db: Db,
  { orgId }: DirectoryCaller,
  filter: ScimGroupFilter,
  page: { readonly offset: number; readonly limit: number },
): Promise<ScimPage<ScimGroupView>> {
  const { id, displayName, externalId } = filter;
  const condition = allOf([
    sql`g.org_id = ${orgId}`,
    id === undefined ? null : sql`g.id = ${id}`,
    displayName === undefined ? null : sql`lower(g.display_name) = lower(${displayName})`,
    externalId === undefined ? null : sql`g.external_id = ${externalId}`,
  ]);
  const { rows: counted } = await sql<{ total: number }>`
    select count(*) as total from scim_groups g where ${condition}`.execute(db.query);
  const { rows } = await sql<ScimGroupView>`
    select ${COLUMNS} from scim_groups g where ${condition}
    order by g.id offset ${page.offset} limit ${page.limit}`.execute(db.query);
  return { items: rows, total: counted[0]?.total ?? 0 };
}

export async function getScimGroup(
  db: Db,
  { orgId }: DirectoryCaller,
  id: string,
  lock: RawBuilder<unknown> = sql``,
): Promise<ScimGroupView> {
  const { rows } = await sql<ScimGroupView>`
    select ${COLUMNS} from scim_groups g where g.org_id = ${orgId} and g.id = ${id} ${lock}`.execute(
    db.query,
  );
  if (!rows[0]) throw new StoreRefusal("not_found", `There is no group '${id}' in this directory.`);
  return rows[0];
}

export async function createScimGroup(
  db: Db,
  caller: DirectoryCaller,
  fields: ScimGroupFields,
): Promise<ScimGroupView> {
  const { orgId } = caller;
  return transact(db, "store.scim_group.create", async (tx) => {
    const id = newId("scimGroup");
    const teamId = (await isMapped(tx, orgId, fields.displayName))
      ? null
      : await ensureTeam(tx, orgId, teamNameOf(fields.displayName, id), newId<TeamId>("team"));
    await named(fields.displayName, () =>
      sql`
        insert into scim_groups (id, org_id, team_id, display_name, external_id)
        values (${id}, ${orgId}, ${teamId}, ${fields.displayName}, ${fields.externalId})`.execute(
        tx.query,
      ),
    );
    await setMembers(tx, orgId, id, fields.members);
    await auditGroup(tx, caller, "scim.createGroup", id, fields);
    return getScimGroup(tx, caller, id);
  });
}

/** `change` sees the group as it is, locked. */
export async function changeScimGroup(
  db: Db,
  caller: DirectoryCaller,
  id: string,
  change: (current: ScimGroupView) => ScimGroupFields,
): Promise<ScimGroupView> {
  return transact(db, "store.scim_group.change", async (tx) => {
    const current = await getScimGroup(tx, caller, id, sql`for update of g`);
    const fields = change(current);
    await named(fields.displayName, () =>
      sql`
        update scim_groups set display_name = ${fields.displayName}, external_id = ${fields.externalId},
          changed_at = now(), version = version + 1 where id = ${id}`.execute(tx.query),
    );
    // Another name may mean another role to everybody in it.
    if (fields.displayName !== current.displayName) await keepGrantsOf(tx, caller.orgId, isIn(id));
    await setMembers(tx, caller.orgId, id, fields.members);
    await auditGroup(tx, caller, "scim.changeGroup", id, fields);
    return getScimGroup(tx, caller, id);
  });
}

/** Its team stays, with its boxes; only the members that the directory put into it go. */
export async function deleteScimGroup(db: Db, caller: DirectoryCaller, id: string): Promise<void> {
  await transact(db, "store.scim_group.delete", async (tx) => {
    const group = await getScimGroup(tx, caller, id, sql`for update of g`);
    await setMembers(tx, caller.orgId, id, []);
    await sql`delete from scim_groups where id = ${id}`.execute(tx.query);
    await auditGroup(tx, caller, "scim.deleteGroup", id, { ...group, members: [] });
  });
}

function auditGroup(
  tx: Db,
  caller: DirectoryCaller,
  verb: string,
  id: string,
  { displayName, members }: Pick<ScimGroupFields, "displayName" | "members">,
): Promise<void> {
  return auditDirectory(tx, caller, verb, [id, ...members], { displayName });
}

function isIn(groupId: string): RawBuilder<unknown> {
  return sql`u.id in (select member_id from scim_members where group_id = ${groupId})`;
}

async function setMembers(
  tx: Db,
  orgId: OrgId,
  groupId: string,
  members: readonly string[],
): Promise<void> {
  const ids = [...new Set(members)];
  const { rows: known } = await sql<{ id: string }>`
    select id from scim_users where org_id = ${orgId} and id = any(${ids}::text[]) for share`.execute(
    tx.query,
  );
  const missing = ids.find((id) => !known.some((row) => row.id === id));
  if (missing)
    throw new StoreRefusal("not_found", `There is no user '${missing}' in this directory.`);
  const { rows: changed } = await sql<{ id: string }>`
    with gone as (
      delete from scim_members where group_id = ${groupId} and not member_id = any(${ids}::text[])
      returning member_id),
    made as (
      insert into scim_members (group_id, member_id, org_id)
      select ${groupId}, id, ${orgId} from unnest(${ids}::text[]) as id
      on conflict do nothing returning member_id)
    select member_id as id from gone union all select member_id from made`.execute(tx.query);
  if (changed.length > 0)
    await keepGrantsOf(tx, orgId, sql`u.id = any(${changed.map(({ id }) => id)}::text[])`);
}

async function isMapped(tx: Db, orgId: OrgId, displayName: string): Promise<boolean> {
  const { rows } = await sql`
    select 1 from provider_groups r join providers p on p.id = r.provider_id
    where r.org_id = ${orgId} and p.org_id = ${orgId} and p.deleted_at is null
      and r.group_name = ${displayName} limit 1`.execute(tx.query);
  return rows.length > 0;
}

const TEAM_NAME_MAX = 40;

/** A team's name of the group's: "Platform Team" is platform-team. */
export function teamNameOf(displayName: string, id: string): string {
  const plain = displayName
    .normalize("NFKD")
    .toLowerCase()
    .replace(/\p{M}/gu, "")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^[^a-z]+/, "")
    .slice(0, TEAM_NAME_MAX)
    .replace(/-+$/, "");
  return plain || `group-${id.slice(-8)}`;
}

async function named(displayName: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isUniqueViolation(error, "scim_groups_name")) throw error;
    throw new StoreRefusal(
      "name_taken",
      `There is already a group '${displayName}' in this directory.`,
    );
  }
}
