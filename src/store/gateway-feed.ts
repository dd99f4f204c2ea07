// What gateways must know, read whole or by id: boxes, previews, keys, and credentials that hold no more.

import { type RawBuilder, sql } from "kysely";
import type {
  FeedBox,
  FeedKey,
  FeedMember,
  FeedMemberKey,
  FeedPreview,
  FeedRevocation,
} from "#contract/gateway-feed.ts";
import { BOX_ROLES } from "#domain/permission.ts";
import type { Db } from "./db.ts";
import { IS_LET_IN, subjectColumns } from "./subjects.ts";

/** By id; those that are not among the answer are gone, or no user's. */
export async function readFeedBoxes(db: Db, ids: readonly string[]): Promise<FeedBox[]> {
  return selectBoxes(db, sql`id = any(${[...ids]}::text[])`);
}

/** All of them in pages, by id. */
export async function readFeedBoxPage(db: Db, after: string, limit: number): Promise<FeedBox[]> {
  return selectBoxes(db, sql`id > ${after} order by id limit ${limit}`);
}

async function selectBoxes(db: Db, condition: RawBuilder<unknown>): Promise<FeedBox[]> {
  const { rows } = await sql<FeedBox>`
    select id as "boxId", name, org_id as "orgId", owner_id as "ownerId", team_id as "teamId", phase,
      phase_reason as reason, epoch, node_id as "nodeId",
      coalesce((select jsonb_agg(jsonb_build_object('holder', coalesce(g.user_id, g.team_id), 'role', g.role))
        from grants g where g.scope = 'box' and g.scope_id = b.id
          and g.role = any(${[...BOX_ROLES]}::text[])), '[]') as shares
    from boxes b where deleted_at is null and kind = 'user' and ${condition}`.execute(db.query);
  return rows;
}

/** What listens in it, as its node last said; nothing at rest. */
export async function readListeningPorts(db: Db, boxId: string): Promise<number[]> {
  const { rows } = await sql<{ ports: { port: number }[] | null }>`
    select observed_ports as ports from boxes where id = ${boxId} and reserved`.execute(db.query);
  const ports = (rows[0]?.ports ?? []).map(({ port }) => port);
  return [...new Set(ports)].sort((a, b) => a - b);
}

/** Null: all. */
export async function readFeedPreviews(
  db: Db,
  ids: readonly string[] | null,
): Promise<FeedPreview[]> {
  const { rows } = await sql<FeedPreview>`
    select id as "previewId", label, box_id as "boxId", port, visibility, serial
    from previews where closed_at is null and ${amongIds("id", ids)}`.execute(db.query);
  return rows;
}

/** Null: all. */
export async function readFeedKeys(db: Db, ids: readonly string[] | null): Promise<FeedKey[]> {
  const { rows } = await sql<FeedKey>`
    select k.id as "keyId", k.fingerprint, k.user_id as "userId", k.org_id as "orgId",
      floor(extract(epoch from k.expires_at) * 1000)::bigint as "untilMs"
    from ssh_keys k join users u on u.id = k.user_id and u.disabled_at is null
    where k.revoked_at is null and ${amongIds("k.id", ids)}`.execute(db.query);
  return rows;
}

/** All that a subject is, but for what its credential may be used for. Those that are not among the answer are gone. */
export async function readFeedMembers(
  db: Db,
  keys: readonly FeedMemberKey[],
): Promise<FeedMember[]> {
  return selectMembers(
    db,
    sql`select distinct k."orgId" as org_id, k."userId" as user_id
      from jsonb_to_recordset(${JSON.stringify(keys)}::jsonb) as k ("orgId" text, "userId" text)`,
  );
}

/** All of them in pages, by organization and user. */
export async function readFeedMemberPage(
  db: Db,
  after: FeedMemberKey | null,
  limit: number,
): Promise<FeedMember[]> {
  const { orgId, userId } = after ?? { orgId: "", userId: "" };
  return selectMembers(
    db,
    sql`select distinct scope_id as org_id, user_id from grants
      where scope = 'org' and user_id is not null and (scope_id, user_id) > (${orgId}, ${userId})
      order by 1, 2 limit ${limit}`,
  );
}

async function selectMembers(db: Db, keys: RawBuilder<unknown>): Promise<FeedMember[]> {
  const { rows } = await sql<FeedMember>`
    select m."orgId", m."userId", m.roles, m.teams
    from (select ${subjectColumns(sql`c.org_id`)} from (${keys}) c join users u on u.id = c.user_id
      where ${IS_LET_IN} and not is_suspended(u.id, c.org_id)) m
    where cardinality(m.roles) > 0 order by m."orgId", m."userId"`.execute(db.query);
  return rows;
}

/** Null: all. */
export async function readFeedRevocations(
  db: Db,
  ids: readonly string[] | null,
): Promise<FeedRevocation[]> {
  const { rows } = await sql<{ credentialId: string; until: Date }>`
    select credential_id as "credentialId", until from revocations
    where until > now() and ${amongIds("credential_id", ids)}`.execute(db.query);
  return rows.map(({ credentialId, until }) => ({ credentialId, untilMs: until.getTime() }));
}

/** Those of them that hold no more, however long ago they ended; also those that there never were. */
export async function readEndedCredentials(db: Db, ids: readonly string[]): Promise<string[]> {
  const holding = ["tokens", "web_sessions", "ssh_keys", "preview_links"].map(
    (table) =>
      sql`select id from ${sql.table(table)} where id = any(${[...ids]}::text[]) and revoked_at is null`,
  );
  const { rows } = await sql<{ id: string }>`
    select distinct id from unnest(${[...ids]}::text[]) as asked (id)
    except (${sql.join(holding, sql` union all `)})`.execute(db.query);
  return rows.map((row) => row.id);
}

/** Labels that ended last. */
export async function readGoneLabels(db: Db, limit: number): Promise<string[]> {
  const { rows } = await sql<{ label: string }>`
    select label from preview_labels where ended_at is not null
    order by ended_at desc limit ${limit}`.execute(db.query);
  return rows.map((row) => row.label);
}

function amongIds(column: string, ids: readonly string[] | null): RawBuilder<unknown> {
  return ids === null ? sql`true` : sql`${sql.ref(column)} = any(${[...ids]}::text[])`;
}
