// Credentials that end by more than their own name: with their user's membership, or with the token that they were made
// with. Gateways and watches hear of each.

import { type RawBuilder, sql } from "kysely";
import type { NodeId, OrgId, UserId } from "#domain/ids.ts";
import { bumpRevisions, nothingTold } from "./box-changes.ts";
import type { Db } from "./db.ts";
import { insertEvents, type NewEvent } from "./events.ts";
import { revoke } from "./revocations.ts";

export interface Ended {
  readonly tokens: number;
  readonly sessions: number;
  readonly keys: number;
}

interface Gone {
  readonly id: string;
  readonly orgId: OrgId;
  readonly userId: UserId;
}

/** Conditions on `c`, each a row of what it names. */
interface Which {
  readonly tokens: RawBuilder<unknown>;
  readonly sessions: RawBuilder<unknown>;
  readonly keys: RawBuilder<unknown>;
}

/** All of a user's in an organization, with their membership. What they made for others goes on. */
export async function endCredentials(tx: Db, orgId: OrgId, userId: UserId): Promise<void> {
  const theirs = sql`c.user_id = ${userId} and c.org_id = ${orgId}`;
  const which = { tokens: theirs, sessions: theirs, keys: theirs };
  await end(tx, which, userId, "a credential ended with its user's membership");
}

/** A token is revoked, as its row says already. With `keep` only the browsers that were logged in by it end with it. */
export async function endMadeWith(
  tx: Db,
  actor: UserId,
  token: { readonly id: string; readonly name: string },
  keep: "made" | undefined,
): Promise<Ended> {
  const made = treeOf(token.id);
  const which = keep
    ? { tokens: sql`false`, sessions: sql`c.token_id = ${token.id}`, keys: sql`false` }
    : {
        tokens: sql`c.id in ${made}`,
        sessions: sql`c.token_id in ${made}`,
        keys: sql`c.parent_id in ${made}`,
      };
  const message = `ended with the token ${token.name}, which it was made with`;
  const gone: Gone[] = [];
  // Again: what was being made meanwhile was not there to be seen, and its maker's row was waited for.
  for (let found: Gone[] = [], isFirst = true; isFirst || found.length > 0; isFirst = false) {
    found = await end(tx, which, actor, message);
    gone.push(...found);
  }
  const keys = gone.filter(({ id }) => kindOf(id) === "ssh_key");
  await forgetKeys(tx, keys);
  return {
    tokens: gone.filter(({ id }) => kindOf(id) === "token").length,
    sessions: gone.filter(({ id }) => kindOf(id) === "web_session").length,
    keys: keys.length,
  };
}

/** The token itself, what was made with it, what that made, and so on. */
function treeOf(id: string): RawBuilder<unknown> {
  return sql`(with recursive made (id) as (
    select ${id}::text union select t.id from tokens t join made on t.parent_id = made.id)
    select id from made)`;
}

export async function isMadeWith(tx: Db, id: string, tokenId: string): Promise<boolean> {
  const { rows } = await sql`select 1 where ${tokenId} in ${treeOf(id)}`.execute(tx.query);
  return rows.length > 0;
}

async function end(tx: Db, which: Which, actor: UserId, message: string): Promise<Gone[]> {
  const { rows: gone } = await sql<Gone>`
    with gone_tokens as (
      update tokens c set revoked_at = now() where c.revoked_at is null and ${which.tokens} returning c.*),
    gone_sessions as (
      update web_sessions c set revoked_at = now() where c.revoked_at is null and ${which.sessions} returning c.*),
    gone_keys as (
      update ssh_keys c set revoked_at = now() where c.revoked_at is null and ${which.keys} returning c.*)
    select id, org_id as "orgId", user_id as "userId" from gone_tokens
    union all select id, org_id, user_id from gone_sessions
    union all select id, org_id, user_id from gone_keys`.execute(tx.query);
  await revoke(
    tx,
    gone.map(({ id }) => id),
  );
  await insertEvents(
    tx,
    gone.map(({ id, orgId }) => ({
      ...{ orgId, kind: `${kindOf(id) === "ssh_key" ? "key" : kindOf(id)}.deleted` },
      ...{ subjectKind: kindOf(id), subjectId: id, actor, message },
    })),
  );
  return gone;
}

function kindOf(id: string): Extract<NewEvent["subjectKind"], "token" | "ssh_key" | "web_session"> {
  if (id.startsWith("tok_")) return "token";
  return id.startsWith("key_") ? "ssh_key" : "web_session";
}

/** The nodes of the boxes that the keys are written into hear of it. Last: of the locks, theirs are. */
async function forgetKeys(tx: Db, keys: readonly Gone[]): Promise<void> {
  if (keys.length === 0) return;
  const { rows } = await sql<{ id: NodeId }>`
    select distinct b.node_id as id from boxes b
    join jsonb_to_recordset(${JSON.stringify(keys)}::jsonb) as k ("orgId" text, "userId" text)
      on b.org_id = k."orgId" and b.owner_id = k."userId"
    where b.reserved`.execute(tx.query);
  const told = nothingTold();
  await bumpRevisions(
    tx,
    rows.map(({ id }) => id),
    told,
  );
  await insertEvents(tx, told.events, [...told.topics]);
}
