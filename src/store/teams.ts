// Teams: groups of an organization's members, with boxes of their own.

import { sql } from "kysely";
import type { BoxId, OrgId, TeamId, UserId } from "#domain/ids.ts";
import { can, type Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { type Db, isUniqueViolation, transact } from "./db.ts";
import { insertEvents, type NewEvent } from "./events.ts";
import { memberEvent } from "./members.ts";
import { newId } from "./new-id.ts";
import { permit } from "./rights.ts";

interface EndedBudget {
  readonly id: string;
  readonly amount: string;
  readonly spent: string;
  readonly policy: string;
  readonly month: string;
}

export interface TeamView {
  readonly id: TeamId;
  readonly orgId: OrgId;
  readonly name: string;
  readonly members: number;
  readonly boxes: number;
  readonly createdAt: Date;
}

const COLUMNS = sql`t.id, t.org_id as "orgId", t.name, t.created_at as "createdAt",
  (select count(distinct g.user_id) from grants g where g.scope = 'team' and g.scope_id = t.id) as members,
  (select count(*) from boxes b where b.team_id = t.id and b.deleted_at is null) as boxes`;

/** By id or name, for whoever creates a box in it; null stays null. */
export async function resolveTeam(
  db: Db,
  subject: Subject,
  reference: string | null,
): Promise<TeamId | null> {
  return reference === null ? null : (await getTeam(db, subject, reference)).id;
}

export async function getTeam(db: Db, subject: Subject, reference: string): Promise<TeamView> {
  const { rows } = await sql<TeamView>`
    select ${COLUMNS} from teams t where t.org_id = ${subject.orgId} and t.deleted_at is null
      and (t.id = ${reference} or t.name = ${reference}) order by (t.id = ${reference}) desc limit 1
  `.execute(db.query);
  if (!rows[0] || !can(subject, "team.read"))
    throw new StoreRefusal("not_found", `There is no team '${reference}'.`);
  return rows[0];
}

export async function listTeams(
  db: Db,
  subject: Subject,
  page: { readonly after: string | null; readonly limit: number },
): Promise<TeamView[]> {
  permit(subject, "team.read");
  const { rows } = await sql<TeamView>`
    select ${COLUMNS} from teams t where t.org_id = ${subject.orgId} and t.deleted_at is null
      and t.id > ${page.after ?? ""} order by t.id limit ${page.limit}`.execute(db.query);
  return rows;
}

export async function createTeam(db: Db, subject: Subject, name: string): Promise<TeamView> {
  permit(subject, "team.manage");
  return transact(db, "store.team.create", async (tx) => {
    const id = newId<TeamId>("team");
    await named(name, () =>
      sql`insert into teams (id, org_id, name) values (${id}, ${subject.orgId}, ${name})`.execute(
        tx.query,
      ),
    );
    await tellTeam(tx, subject, id, "created", `the team ${name} was made`);
    return getTeam(tx, subject, id);
  });
}

export async function renameTeam(
  db: Db,
  subject: Subject,
  reference: string,
  name: string,
): Promise<TeamView> {
  return transact(db, "store.team.update", async (tx) => {
    const team = await lockTeam(tx, subject, reference);
    await named(name, () =>
      sql`update teams set name = ${name} where id = ${team.id}`.execute(tx.query),
    );
    await tellTeam(tx, subject, team.id, "updated", `the team ${team.name} is called ${name} now`);
    return { ...team, name };
  });
}

/** Its boxes stay with their owners; whoever had rights over them by the team has them no more. Its budget goes with it. */
export async function deleteTeam(db: Db, subject: Subject, reference: string): Promise<TeamView> {
  return transact(db, "store.team.delete", async (tx) => {
    const team = await lockTeam(tx, subject, reference);
    permit(subject, "team.manage");
    // Who has begun to make a box in it holds the row (boxes.ts); who begins later finds no team.
    await sql`select 1 from teams where id = ${team.id} for update`.execute(tx.query);
    await sql`update teams set deleted_at = now() where id = ${team.id}`.execute(tx.query);
    const { rows: lost } = await sql<{ userId: UserId | null; boxId: BoxId | null }>`
      delete from grants where (scope = 'team' and scope_id = ${team.id}) or team_id = ${team.id}
      returning user_id as "userId", case when scope = 'box' then scope_id end as "boxId"`.execute(
      tx.query,
    );
    const { rows: owned } = await sql<{ boxId: BoxId }>`
      update boxes set team_id = null where team_id = ${team.id} and deleted_at is null
      returning id as "boxId"`.execute(tx.query);
    const { rows: budgets } = await sql<EndedBudget>`
      update budgets set deleted_at = now()
      where org_id = ${team.orgId} and team_id = ${team.id} and deleted_at is null
      returning id, trim_scale(amount)::text as amount, spent::text as spent, policy,
        to_char(date_trunc('month', usage_wall() at time zone 'utc'), 'YYYY-MM-DD') as month`.execute(
      tx.query,
    );
    await sql`update invitations set revoked_at = now()
      where org_id = ${team.orgId} and team_id = ${team.id} and accepted_at is null and revoked_at is null`.execute(
      tx.query,
    );
    await tellTeam(tx, subject, team.id, "deleted", `the team ${team.name} was deleted`);
    const message = `the team ${team.name} was deleted`;
    await insertEvents(tx, [
      ...budgets.map(({ id, ...data }): NewEvent => {
        const budget = {
          orgId: team.orgId,
          kind: "budget.deleted",
          subjectKind: "budget" as const,
        };
        const told = { subjectId: id, actor: subject.userId, data: { teamId: team.id, ...data } };
        return {
          ...budget,
          ...told,
          message: `the budget of the team ${team.name} was deleted with it`,
        };
      }),
      ...lost.flatMap(({ userId }) => {
        return userId ? [memberEvent(subject, userId, "updated", message)] : [];
      }),
      ...[...lost, ...owned].flatMap(({ boxId }): NewEvent[] => {
        const box = { orgId: team.orgId, kind: "box.updated", subjectKind: "box" as const };
        return boxId ? [{ ...box, subjectId: boxId, boxId, actor: subject.userId, message }] : [];
      }),
    ]);
    return team;
  });
}

/** For whoever manages it, locked until the transaction ends. */
export async function lockTeam(tx: Db, subject: Subject, reference: string): Promise<TeamView> {
  const { id } = await getTeam(tx, subject, reference);
  await sql`select 1 from teams where id = ${id} for no key update`.execute(tx.query);
  const team = await getTeam(tx, subject, id);
  permit(subject, "team.manage", team.id);
  return team;
}

async function named(name: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isUniqueViolation(error, "teams_name")) throw error;
    throw new StoreRefusal("name_taken", `There is already a team named '${name}'.`);
  }
}

export async function tellTeam(
  tx: Db,
  subject: Subject,
  id: TeamId,
  what: "created" | "updated" | "deleted",
  message: string,
): Promise<void> {
  await insertEvents(tx, [
    {
      orgId: subject.orgId,
      kind: `team.${what}`,
      subjectKind: "team",
      subjectId: id,
      actor: subject.userId,
      message,
    },
  ]);
}
