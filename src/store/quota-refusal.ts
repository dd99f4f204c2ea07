// A trigger has refused what would go over a limit: says it as a refusal, with who uses the limit and what could go. Read
// after the transaction is gone, so it may have changed meanwhile; the limit itself was judged exactly.

import { type RawBuilder, sql } from "kysely";
import type { Subject } from "#domain/permission.ts";
import {
  breachText,
  type Counted,
  isSize,
  type QuotaBreach,
  type QuotaContext,
} from "#domain/quota.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import type { Db } from "./handle.ts";
import { mayOnBox } from "./rights.ts";

const TOP = 3;
const FREEABLE = 5;

/** `subject`: who asked; null: nobody who could be told more than the limit. */
export async function quotaRefusal(
  db: Db,
  subject: Subject | null,
  detail: string,
): Promise<StoreRefusal> {
  const breach = JSON.parse(detail) as QuotaBreach & { readonly allowed?: readonly string[] };
  const isOwn = breach.scope === "user" && breach.scopeId === subject?.userId;
  const context: QuotaContext = {
    holder: isOwn ? null : await readName(db, breach),
    top: isOwn || breach.scope === "user" ? [] : await listTop(db, breach),
    freeable: subject && (await listFreeable(db, subject, breach)),
    templates: await listTemplates(db, breach.allowed ?? []),
  };
  return new StoreRefusal("quota_exceeded", breachText(breach, context));
}

async function readName(db: Db, { scope, scopeId }: QuotaBreach): Promise<string> {
  const table = sql.table({ org: "orgs", team: "teams", user: "users" }[scope]);
  const { rows } = await sql<{
    name: string;
  }>`select name from ${table} where id = ${scopeId}`.execute(db.query);
  return rows[0]?.name ?? scopeId;
}

const COLUMNS: Readonly<Record<Counted, RawBuilder<unknown>>> = {
  boxes: sql`boxes`,
  running: sql`running`,
  cpus: sql`cpus`,
  memoryMib: sql`memory_mib`,
  gpus: sql`gpus`,
  diskGib: sql`disk_gib`,
  snapshotBytes: sql`snapshot_bytes`,
  sharedPorts: sql`shared_ports`,
};

/** Users who take most. Of an organization from the sums of its users, of a team from its boxes. */
async function listTop(db: Db, breach: QuotaBreach): Promise<{ name: string; used: number }[]> {
  const column = COLUMNS[breach.resource as Counted];
  if (!column) return [];
  const taken =
    breach.scope === "org"
      ? sql`select scope_id as user_id, ${column} as used from quota_usage
            where org_id = ${breach.orgId} and scope = 'user'
          union all select user_id, ${column} from quota_deltas where org_id = ${breach.orgId}`
      : sql`select user_id, ${column} as used from quota_recount()
          where org_id = ${breach.orgId} and team_id = ${breach.scopeId}`;
  const { rows } = await sql<{ name: string; used: number }>`
    select u.name, sum(t.used)::bigint as used from (${taken}) t join users u on u.id = t.user_id
    group by u.id, u.name having sum(t.used) > 0 order by 2 desc, u.id limit ${TOP}`.execute(
    db.query,
  );
  return rows;
}

/** Boxes within the limit that the asker may make room with, those first that make most. */
async function listFreeable(db: Db, subject: Subject, breach: QuotaBreach): Promise<string[]> {
  const { resource, scope, scopeId } = breach;
  if (resource === "templates" || resource === "createsPerHour" || isSize(resource)) return [];
  const isWithin =
    scope === "org"
      ? sql`b.org_id = ${scopeId}`
      : sql`b.org_id = ${breach.orgId} and ${sql.ref(scope === "team" ? "b.team_id" : "b.owner_id")} = ${scopeId}`;
  const { permission, gain } = WAYS[resource];
  const { rows } = await sql<{ name: string }>`
    select f.name from (
      select b.name, b.created_at, ${gain} as gain from boxes b
      where ${mayOnBox(subject, permission)} and ${isWithin} and b.kind = 'user' and box_lives(b)) f
    where f.gain > 0 order by f.gain desc, f.created_at limit ${FREEABLE}`.execute(db.query);
  return rows.map(({ name }) => name);
}

const whileRunning = (amount: RawBuilder<unknown>) => ({
  permission: "box.control" as const,
  gain: sql`case when box_runs(b) then ${amount} else 0 end`,
});

const WAYS: Readonly<
  Record<
    Counted,
    {
      readonly permission: "box.control" | "box.delete" | "snapshot.delete" | "preview.share";
      readonly gain: RawBuilder<unknown>;
    }
  >
> = {
  boxes: { permission: "box.delete", gain: sql`1` },
  running: whileRunning(sql`1`),
  cpus: whileRunning(sql`b.cpus`),
  memoryMib: whileRunning(sql`b.memory_mib`),
  gpus: whileRunning(sql`b.gpus`),
  diskGib: { permission: "box.delete", gain: sql`b.disk_gib` },
  snapshotBytes: {
    permission: "snapshot.delete",
    gain: sql`(select coalesce(sum(snapshot_bytes(s)), 0) from snapshots s where s.box_id = b.id and s.kept
      and s.id is distinct from b.rest_snapshot_id)`,
  },
  sharedPorts: {
    permission: "preview.share",
    gain: sql`(select count(*) from previews p where p.box_id = b.id and preview_shared(p))`,
  },
};

async function listTemplates(db: Db, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const { rows } = await sql<{ name: string }>`
    select name from templates where id = any(${[...ids]}::text[]) and deleted_at is null order by name`.execute(
    db.query,
  );
  return rows.map(({ name }) => name);
}
