// What gateways must know, read whole or by id: boxes, previews, keys, and credentials that hold no more.

import { type RawBuilder, sql } from "kysely";
import type { FeedBox, FeedKey, FeedPreview, FeedRevocation } from "#contract/gateway-feed.ts";
import type { Db } from "./db.ts";

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
    select id as "boxId", name, org_id as "orgId", owner_id as "ownerId", phase, phase_reason as reason,
      epoch, node_id as "nodeId"
    from boxes where deleted_at is null and kind = 'user' and ${condition}`.execute(db.query);
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
      exists (select 1 from grants g where g.user_id = k.user_id and g.scope = 'org'
        and g.scope_id = k.org_id and g.role in ('owner', 'admin')) as "isAdmin"
    from ssh_keys k join users u on u.id = k.user_id
    where k.revoked_at is null and ${amongIds("k.id", ids)}`.execute(db.query);
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
