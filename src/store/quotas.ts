// Quotas: what is taken beside what may be, and the limits as they are set. What takes and gives back, and what is refused,
// is in triggers (migrations/0006-quotas.sql, 0013-limits-and-prices.sql).

import { type RawBuilder, sql } from "kysely";
import type { OrgId, TemplateId } from "#domain/ids.ts";
import { can, type Subject } from "#domain/permission.ts";
import {
  EVERYONE,
  type InstallationLimits,
  QUOTA_SCOPES,
  type QuotaLimits,
  type QuotaScope,
  type QuotaUsage,
} from "#domain/quota.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { type Db, transact } from "./db.ts";
import { insertEvents } from "./events.ts";
import { findOrg } from "./find-org.ts";
import { permit } from "./rights.ts";

export interface QuotaView {
  readonly scope: QuotaScope;
  readonly id: string;
  readonly name: string;
  readonly usage: QuotaUsage;
  /** What holds: its own, else those for everybody in the organization, else those for everybody in the installation. */
  readonly limits: QuotaLimits;
  readonly ownLimits: QuotaLimits;
}

export interface QuotasView {
  readonly user: QuotaView;
  readonly teams: readonly QuotaView[];
  readonly org: QuotaView | null;
  readonly everyTeam: QuotaLimits;
  readonly everyUser: QuotaLimits;
}

/** Null takes a limit away; what is left out stays. */
export type LimitsPatch = { readonly [Key in keyof QuotaLimits]?: QuotaLimits[Key] | null };

/** Whose limits are set: by id or name; a user also by email. */
export interface Holder {
  readonly scope: QuotaScope;
  readonly reference: string;
}

/** What is the subject's own, and its organization's for whoever may read that. */
export async function getQuotas(db: Db, subject: Subject): Promise<QuotasView> {
  const { orgId } = subject;
  const [user] = await selectQuotas(db, "user", sql`u.id = ${subject.userId}`, orgId);
  const teamIds = subject.teams.map(({ teamId }) => teamId) as string[];
  const teams = await selectQuotas(
    db,
    "team",
    sql`t.id = any(${teamIds}::text[]) and t.deleted_at is null order by t.id`,
    orgId,
  );
  const [org] = can(subject, "quota.read")
    ? await selectQuotas(db, "org", sql`o.id = ${orgId}`, orgId)
    : [];
  return {
    user: user as QuotaView,
    teams,
    org: org ?? null,
    everyTeam: await readOwnLimits(db, orgId, "team", EVERYONE),
    everyUser: await readOwnLimits(db, orgId, "user", EVERYONE),
  };
}

export async function listQuotas(
  db: Db,
  subject: Subject,
  filter: {
    readonly scope: "team" | "user";
    readonly after: string | null;
    readonly limit: number;
  },
): Promise<QuotaView[]> {
  permit(subject, "quota.read");
  const after = filter.after ?? "";
  const condition =
    filter.scope === "team"
      ? sql`t.org_id = ${subject.orgId} and t.deleted_at is null and t.id > ${after}
          order by t.id limit ${filter.limit}`
      : sql`${isMember(subject.orgId)} and u.id > ${after} order by u.id limit ${filter.limit}`;
  return selectQuotas(db, filter.scope, condition, subject.orgId);
}

/** Any organization's, for operators. */
export async function getOrgQuota(db: Db, subject: Subject, reference: string): Promise<QuotaView> {
  permit(subject, "org.create");
  const { id } = await findOrg(db, reference);
  const [quota] = await selectQuotas(db, "org", sql`o.id = ${id}`, id);
  return quota as QuotaView;
}

/** An organization's limits are its operator's to set; those within it are for whoever has quota.manage. */
export async function setLimits(
  db: Db,
  subject: Subject,
  { scope, reference }: Holder,
  patch: LimitsPatch,
): Promise<QuotaView> {
  permit(subject, scope === "org" ? "org.create" : "quota.manage");
  return transact(db, "store.quota.update", async (tx) => {
    const { id, name } = await findHolder(tx, subject, scope, reference);
    const orgId = scope === "org" ? (id as OrgId) : subject.orgId;
    await writeLimits(tx, subject, { orgId, scope, id, name }, patch);
    const [quota] = await selectQuotas(tx, scope, idIs(scope, id), orgId);
    return quota as QuotaView;
  });
}

/** For every team or user of the organization, for what it has no limit of its own. */
export async function setDefaultLimits(
  db: Db,
  subject: Subject,
  scope: "team" | "user",
  patch: LimitsPatch,
): Promise<QuotaLimits> {
  permit(subject, "quota.manage");
  const { orgId } = subject;
  return transact(db, "store.quota.update", (tx) =>
    writeLimits(tx, subject, { orgId, scope, id: EVERYONE, name: `every ${scope}` }, patch),
  );
}

/** For operators; what holds for others is in their own limits. */
export async function getInstallationLimits(db: Db, subject: Subject): Promise<InstallationLimits> {
  permit(subject, "org.create");
  return readInstallationLimits(db);
}

/** For each organization, team or user, new ones too, where neither it nor its organization says otherwise. */
export async function setInstallationLimits(
  db: Db,
  subject: Subject,
  scope: QuotaScope,
  patch: LimitsPatch,
): Promise<InstallationLimits> {
  permit(subject, "org.create");
  return transact(db, "store.quota.update", async (tx) => {
    await sql`insert into quota_defaults (scope, limits) values (${scope}, '{}') on conflict do nothing`.execute(
      tx.query,
    );
    await sql`select 1 from quota_defaults where scope = ${scope} for no key update`.execute(
      tx.query,
    );
    const limits = patched((await readInstallationLimits(tx))[scope], patch);
    await sql`update quota_defaults set limits = ${JSON.stringify(limits)}::jsonb, updated_at = now()
      where scope = ${scope}`.execute(tx.query);
    await insertEvents(tx, [
      {
        ...{ orgId: null, kind: "quota.updated", subjectKind: "quota" },
        ...{ subjectId: `installation_${scope}`, actor: subject.userId, data: { scope, limits } },
        message: `limits of every ${scope} of the installation: ${wordsOf(limits)}`,
      },
    ]);
    return readInstallationLimits(tx);
  });
}

async function readInstallationLimits(db: Db): Promise<InstallationLimits> {
  const { rows } = await sql<{ scope: QuotaScope; limits: QuotaLimits }>`
    select scope, limits from quota_defaults`.execute(db.query);
  const none = Object.fromEntries(QUOTA_SCOPES.map((scope) => [scope, {}])) as InstallationLimits;
  return { ...none, ...Object.fromEntries(rows.map(({ scope, limits }) => [scope, limits])) };
}

/** What is asked for meanwhile is judged by the limits before. */
async function writeLimits(
  tx: Db,
  subject: Subject,
  holder: { readonly orgId: OrgId; readonly scope: QuotaScope } & Found,
  patch: LimitsPatch,
): Promise<QuotaLimits> {
  const { orgId, scope, id, name } = holder;
  const isRow = sql`org_id = ${orgId} and scope = ${scope} and scope_id = ${id}`;
  await sql`insert into quota_limits (org_id, scope, scope_id, limits)
    values (${orgId}, ${scope}, ${id}, '{}') on conflict do nothing`.execute(tx.query);
  await sql`select 1 from quota_limits where ${isRow} for no key update`.execute(tx.query);
  const limits = patched(
    await readOwnLimits(tx, orgId, scope, id),
    await withTemplateIds(tx, orgId, patch),
  );
  await sql`update quota_limits set limits = ${JSON.stringify(limits)}::jsonb, updated_at = now()
    where ${isRow}`.execute(tx.query);
  await insertEvents(tx, [
    {
      orgId,
      kind: "quota.updated",
      subjectKind: "quota",
      subjectId: id === EVERYONE ? `every_${scope}` : id,
      actor: subject.userId,
      message: `limits of ${name}: ${wordsOf(limits)}`,
      data: { scope, limits },
    },
  ]);
  return limits;
}

function wordsOf(limits: QuotaLimits): string {
  const words = Object.entries(limits).map(([name, value]) => `${name} ${String(value)}`);
  return words.length > 0 ? words.join(", ") : "none";
}

function patched(before: QuotaLimits, patch: LimitsPatch): QuotaLimits {
  const merged = Object.entries({ ...before, ...patch }).filter(
    ([, value]) => value !== null && value !== undefined,
  );
  return Object.fromEntries(merged) as QuotaLimits;
}

/** By id or name; each must be there. */
async function withTemplateIds(tx: Db, orgId: OrgId, patch: LimitsPatch): Promise<LimitsPatch> {
  if (!patch.templates) return patch;
  const ids: TemplateId[] = [];
  for (const reference of patch.templates) {
    const { rows } = await sql<{ id: TemplateId }>`
      select id from templates where org_id = ${orgId} and deleted_at is null
        and (id = ${reference} or name = ${reference}) order by (id = ${reference}) desc limit 1`.execute(
      tx.query,
    );
    if (!rows[0]) throw new StoreRefusal("not_found", `There is no template '${reference}'.`);
    ids.push(rows[0].id);
  }
  return { ...patch, templates: [...new Set(ids)].sort() };
}

interface Found {
  readonly id: string;
  readonly name: string;
}

async function findHolder(
  tx: Db,
  subject: Subject,
  scope: QuotaScope,
  reference: string,
): Promise<Found> {
  if (scope === "org") return findOrg(tx, reference);
  const { rows } =
    scope === "team"
      ? await sql<Found>`
          select t.id, t.name from teams t where t.org_id = ${subject.orgId} and t.deleted_at is null
            and (t.id = ${reference} or t.name = ${reference})`.execute(tx.query)
      : await sql<Found>`
          select u.id, u.name from users u where ${isMember(subject.orgId)}
            and (u.id = ${reference} or u.name = ${reference} or lower(u.email) = lower(${reference}))
          limit 2`.execute(tx.query);
  const exact = rows.find(({ id }) => id === reference) ?? rows[0];
  if (!exact) throw new StoreRefusal("not_found", `There is no ${scope} '${reference}'.`);
  if (rows.length > 1 && exact.id !== reference)
    throw new StoreRefusal(
      "not_found",
      `There are several users called '${reference}': name one by its id or email.`,
    );
  return exact;
}

function isMember(orgId: OrgId): RawBuilder<unknown> {
  return sql`exists (select 1 from grants g where g.user_id = u.id and g.scope = 'org' and g.scope_id = ${orgId})`;
}

const HOLDERS: Readonly<Record<QuotaScope, { from: RawBuilder<unknown>; alias: string }>> = {
  org: { from: sql`orgs o`, alias: "o" },
  team: { from: sql`teams t`, alias: "t" },
  user: { from: sql`users u`, alias: "u" },
};

function idIs(scope: QuotaScope, id: string): RawBuilder<unknown> {
  return sql`${sql.ref(`${HOLDERS[scope].alias}.id`)} = ${id}`;
}

/** Holders that fulfil a condition (and order and limit as given at its end), as of one organization. */
async function selectQuotas(
  db: Db,
  scope: QuotaScope,
  condition: RawBuilder<unknown>,
  orgId: OrgId,
): Promise<QuotaView[]> {
  const { from, alias } = HOLDERS[scope];
  const [id, name] = [sql.ref(`${alias}.id`), sql.ref(`${alias}.name`)];
  const { rows } = await sql<Omit<QuotaView, "limits"> & { everyLimits: QuotaLimits }>`
    select ${scope} as scope, ${id} as id, ${name} as name, 
      quota_used(${orgId}, ${scope}, ${id})
        || jsonb_build_object('createsPerHour', quota_creates(${orgId}, ${scope}, ${id})) as usage,
      coalesce((select l.limits from quota_limits l where l.org_id = ${orgId} and l.scope = ${scope}
        and l.scope_id = ${id}), '{}') as "ownLimits",
      coalesce((select d.limits from quota_defaults d where d.scope = ${scope}), '{}')
        || coalesce((select l.limits from quota_limits l where l.org_id = ${orgId} and l.scope = ${scope}
          and l.scope_id = ${EVERYONE}), '{}') as "everyLimits"
    from ${from} where ${condition}`.execute(db.query);
  return rows.map(({ everyLimits, ...row }) => ({
    ...row,
    limits: { ...everyLimits, ...row.ownLimits },
  }));
}

async function readOwnLimits(
  db: Db,
  orgId: OrgId,
  scope: QuotaScope,
  id: string,
): Promise<QuotaLimits> {
  const { rows } = await sql<{ limits: QuotaLimits }>`
    select limits from quota_limits where org_id = ${orgId} and scope = ${scope} and scope_id = ${id}`.execute(
    db.query,
  );
  return rows[0]?.limits ?? {};
}

/** Adds what was counted to the sums. Whoever reads meanwhile sees it before or after, and never twice. */
export async function foldQuotas(db: Db, limit: number): Promise<number> {
  return transact(db, "store.quota.fold", async (tx) => {
    const { rows } = await sql<{ count: number }>`
      with gone as (
        delete from quota_deltas where id in (
          select id from quota_deltas order by id limit ${limit} for update skip locked)
        returning *),
      parts as (
        select 'org' as part, org_id as part_id, g.* from gone g
        union all select 'team', team_id, g.* from gone g where team_id is not null
        union all select 'user', user_id, g.* from gone g),
      folded as (
        insert into quota_usage as q (org_id, scope, scope_id, boxes, running, cpus, memory_mib, gpus, disk_gib,
          snapshot_bytes, shared_ports)
        select org_id, part, part_id, sum(boxes), sum(running), sum(cpus), sum(memory_mib), sum(gpus),
          sum(disk_gib), sum(snapshot_bytes), sum(shared_ports)
        from parts group by org_id, part, part_id order by org_id, part, part_id
        on conflict (org_id, scope, scope_id) do update set boxes = q.boxes + excluded.boxes,
          running = q.running + excluded.running, cpus = q.cpus + excluded.cpus,
          memory_mib = q.memory_mib + excluded.memory_mib, gpus = q.gpus + excluded.gpus,
          disk_gib = q.disk_gib + excluded.disk_gib, snapshot_bytes = q.snapshot_bytes + excluded.snapshot_bytes,
          shared_ports = q.shared_ports + excluded.shared_ports)
      select count(*) as count from gone`.execute(tx.query);
    return rows[0]?.count ?? 0;
  });
}
