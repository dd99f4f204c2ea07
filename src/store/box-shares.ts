// Boxes shared with a member or a team, and boxes handed over to another owner or team.

import { sql } from "kysely";
import type { BoxId, GrantId, TeamId, UserId } from "#domain/ids.ts";
import { BOX_RIGHTS, BOX_ROLES, type BoxRole, can, type Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { bumpRevisions, concludeBoxes, nothingTold } from "./box-changes.ts";
import { refuseDeleted } from "./box-intent.ts";
import type { BoxView } from "./box-view.ts";
import { getBox, lockBoxRow } from "./boxes.ts";
import { type Db, transact } from "./db.ts";
import { insertEvents, type NewEvent } from "./events.ts";
import { addGrant } from "./grants.ts";
import { getMember } from "./members.ts";
import { permitCreate, refuseWiderThanScopes } from "./rights.ts";
import { getTeam } from "./teams.ts";

export interface ShareView {
  readonly id: GrantId;
  readonly role: BoxRole;
  readonly user: { readonly id: UserId; readonly name: string } | null;
  readonly team: { readonly id: TeamId; readonly name: string } | null;
  readonly createdAt: Date;
}

async function selectShares(db: Db, boxId: BoxId): Promise<ShareView[]> {
  const { rows } = await sql<ShareView>`
    select g.id, g.role, g.created_at as "createdAt",
      case when u.id is null then null else jsonb_build_object('id', u.id, 'name', u.name) end as user,
      case when t.id is null then null else jsonb_build_object('id', t.id, 'name', t.name) end as team
    from grants g left join users u on u.id = g.user_id left join teams t on t.id = g.team_id
    where g.scope = 'box' and g.scope_id = ${boxId} and g.role = any(${[...BOX_ROLES]}::text[])
    order by g.id`.execute(db.query);
  return rows;
}

export async function listShares(
  db: Db,
  subject: Subject,
  reference: string,
): Promise<ShareView[]> {
  return selectShares(db, (await getBox(db, subject, reference)).id);
}

export interface ShareInput {
  readonly role: BoxRole;
  /** Exactly one of the two. */
  readonly user?: string | undefined;
  readonly team?: string | undefined;
}

/** Each holder has one role: another one replaces it. */
export async function shareBox(
  db: Db,
  subject: Subject,
  reference: string,
  input: ShareInput,
): Promise<ShareView> {
  return transact(db, "store.box.share", async (tx) => {
    const box = await lockBoxRow(tx, subject, reference, "box.share");
    refuseDeleted(box);
    refuseWiderThanScopes(subject, BOX_RIGHTS[input.role]);
    const { holder, name } = await holderOf(tx, subject, input);
    if ("userId" in holder && holder.userId === box.owner_id)
      throw new StoreRefusal("in_use", `${name} owns ${box.name} already.`);
    const [userId, teamId] = "userId" in holder ? [holder.userId, null] : [null, holder.teamId];
    await sql`delete from grants where scope = 'box' and scope_id = ${box.id}
      and user_id is not distinct from ${userId} and team_id is not distinct from ${teamId}
      and role <> ${input.role}`.execute(tx.query);
    const id = await addGrant(tx, {
      ...{ scope: "box", scopeId: box.id, orgId: box.org_id, role: input.role },
      ...{ holder, createdBy: subject.userId },
    });
    const message = `${box.name} is shared with ${name} (${input.role})`;
    await insertEvents(tx, [shareEvent(subject, box.id, id, "created", message)]);
    return (await selectShares(tx, box.id)).find((one) => one.id === id) as ShareView;
  });
}

async function holderOf(
  tx: Db,
  subject: Subject,
  input: ShareInput,
): Promise<{ holder: { userId: UserId } | { teamId: TeamId }; name: string }> {
  if (input.user !== undefined) {
    const { id, name } = await getMember(tx, subject, input.user);
    return { holder: { userId: id }, name };
  }
  const { id, name } = await getTeam(tx, subject, input.team ?? "");
  return { holder: { teamId: id }, name: `the team ${name}` };
}

/** What it has open there ends within seconds. */
export async function unshareBox(
  db: Db,
  subject: Subject,
  reference: string,
  shareId: string,
): Promise<ShareView> {
  return transact(db, "store.box.unshare", async (tx) => {
    const { id } = await getBox(tx, subject, reference);
    const share = (await selectShares(tx, id)).find((one) => one.id === shareId);
    // What one was given oneself, one may give back.
    const isOwn = share?.user?.id === subject.userId;
    const box = await lockBoxRow(tx, subject, id, isOwn ? "box.read" : "box.share");
    if (!share) throw new StoreRefusal("not_found", `${box.name} has no share '${shareId}'.`);
    await sql`delete from grants where id = ${shareId}`.execute(tx.query);
    const message = `${box.name} is not shared with ${share.user?.name ?? `the team ${share.team?.name}`} any more`;
    await insertEvents(tx, [shareEvent(subject, box.id, share.id, "deleted", message)]);
    return share;
  });
}

/** Another owner, another team. Undefined leaves it as it is. Whom it is shared with does not give it away, or take it. */
export async function handOver(
  db: Db,
  subject: Subject,
  reference: string,
  to: { readonly owner?: string | undefined; readonly team?: string | null | undefined },
): Promise<BoxView> {
  return transact(db, "store.box.hand_over", async (tx) => {
    const row = await lockBoxRow(tx, subject, reference, "box.share");
    const resource = { orgId: row.org_id, ownerId: row.owner_id, teamId: row.team_id };
    if (!can(subject, "box.share", resource))
      throw new StoreRefusal(
        "forbidden",
        `${row.name} is handed over by its owner, or whoever manages its team or the organization: this needs the permission box.share by more than a share.`,
      );
    refuseDeleted(row);
    const told = nothingTold();
    const change = (message: string) =>
      told.events.push({
        ...{ orgId: row.org_id, kind: "box.updated", subjectKind: "box", subjectId: row.id },
        ...{ boxId: row.id, actor: subject.userId, message },
      });
    if (to.owner !== undefined) refuseWiderThanScopes(subject, BOX_RIGHTS.admin);
    const owner = to.owner === undefined ? null : await getMember(tx, subject, to.owner);
    const team = to.team == null ? null : await getTeam(tx, subject, to.team);
    if (team) permitCreate(subject, team.id);
    // Both at once: whoever gets it must have room for it, and room is asked for in one order.
    await sql`update boxes set owner_id = coalesce(${owner?.id ?? null}, owner_id),
      team_id = case when ${to.team === undefined} then team_id else ${team?.id ?? null} end
      where id = ${row.id}`.execute(tx.query);
    if (owner) {
      await sql`delete from grants where scope = 'box' and scope_id = ${row.id} and user_id = ${owner.id}`.execute(
        tx.query,
      );
      change(`${row.name} belongs to ${owner.name} now`);
      // Its new owner's keys are written into it.
      if (row.reserved) await bumpRevisions(tx, [row.node_id], told);
    }
    if (team) change(`${row.name} belongs to the team ${team.name}`);
    if (to.team === null) change(`${row.name} is in no team`);
    const [box] = await concludeBoxes(tx, [row.id], told, subject.userId);
    return box as BoxView;
  });
}

function shareEvent(
  subject: Subject,
  boxId: BoxId,
  id: GrantId,
  what: "created" | "deleted",
  message: string,
): NewEvent {
  return {
    ...{ orgId: subject.orgId, kind: `grant.${what}`, subjectKind: "grant", subjectId: id },
    ...{ boxId, actor: subject.userId, message },
  };
}
