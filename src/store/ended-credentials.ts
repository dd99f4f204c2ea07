// Credentials that end by more than their own name: with their user's membership, with the token that they were made
// with, or in time. Gateways and watches hear of each.

import { type RawBuilder, sql } from "kysely";
import type { NodeId, OrgId, UserId } from "#domain/ids.ts";
import { bumpRevisions, nothingTold } from "./box-changes.ts";
import { type Db, transact } from "./db.ts";
import { insertEvents, type NewEvent } from "./events.ts";
import { revoke } from "./revocations.ts";

export interface Ended {
  readonly tokens: number;
  readonly sessions: number;
  readonly keys: number;
  readonly scimTokens: number;
  readonly invitations: number;
  readonly links: number;
}

type Kind = keyof Ended;

interface Gone {
  readonly kind: Kind;
  readonly id: string;
  readonly orgId: OrgId;
  readonly userId: UserId;
  /** Nothing that it has signed is valid after it. */
  readonly expiresAt: Date | null;
}

/** Conditions on `c`, each a row of what it names; of what is not named none ends. */
type Which = Partial<Readonly<Record<Kind, RawBuilder<unknown>>>>;

interface Holder {
  readonly table: string;
  /** Whose it is. */
  readonly user: string;
  readonly subjectKind: NewEvent["subjectKind"];
  readonly event: string;
  /** Streams are opened with it: gateways must hear. */
  readonly opens: boolean;
}

const HOLDERS: Readonly<Record<Kind, Holder>> = {
  tokens: {
    ...{ table: "tokens", user: "user_id", subjectKind: "token", event: "token" },
    opens: true,
  },
  sessions: {
    ...{ table: "web_sessions", user: "user_id", subjectKind: "web_session", event: "web_session" },
    opens: true,
  },
  keys: {
    ...{ table: "ssh_keys", user: "user_id", subjectKind: "ssh_key", event: "key" },
    opens: true,
  },
  scimTokens: {
    ...{ table: "scim_tokens", user: "created_by", subjectKind: "provider", event: "scim_token" },
    opens: false,
  },
  invitations: {
    ...{ table: "invitations", user: "created_by", subjectKind: "invitation", event: "invitation" },
    opens: false,
  },
  links: {
    ...{ table: "preview_links", user: "owner_id", subjectKind: "preview_link" },
    ...{ event: "preview_link", opens: true },
  },
};

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
  const isMade = sql`c.parent_id in ${made}`;
  const which: Which = keep
    ? { sessions: sql`c.token_id = ${token.id}` }
    : {
        tokens: sql`c.id in ${made}`,
        sessions: sql`c.token_id in ${made}`,
        ...{ keys: isMade, scimTokens: isMade, links: isMade },
        invitations: sql`${isMade} and c.accepted_at is null`,
      };
  const message = `ended with the token ${token.name}, which it was made with`;
  const gone: Gone[] = [];
  // Again: what was being made meanwhile was not there to be seen, and its maker's row was waited for.
  for (let found: Gone[] = [], isFirst = true; isFirst || found.length > 0; isFirst = false) {
    found = await end(tx, which, actor, message);
    gone.push(...found);
  }
  await forgetKeys(tx, gone);
  const count = (kind: Kind) => gone.filter((one) => one.kind === kind).length;
  return {
    ...{ tokens: count("tokens"), sessions: count("sessions"), keys: count("keys") },
    ...{ scimTokens: count("scimTokens"), invitations: count("invitations") },
    links: count("links"),
  };
}

/** What is over by itself ends what it has opened, as if it had been taken back. How many there were. */
export async function endExpired(db: Db, limit: number): Promise<number> {
  return transact(db, "store.credential.expire", async (tx) => {
    const overdue = (table: string, more = sql`true`) =>
      sql`c.id in (select o.id from ${sql.table(table)} o where o.revoked_at is null
        and o.expires_at <= now() and ${more} limit ${limit} for update skip locked)`;
    const which = {
      tokens: overdue("tokens"),
      // Those that a provider stands behind end in another way (logins.ts).
      sessions: overdue("web_sessions", sql`o.token_id is not null`),
      keys: overdue("ssh_keys"),
    };
    const gone = await end(tx, which, null, "it has expired");
    await forgetKeys(tx, gone);
    return gone.length;
  });
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

async function end(tx: Db, which: Which, actor: UserId | null, message: string): Promise<Gone[]> {
  const kinds = (Object.keys(HOLDERS) as Kind[]).filter((kind) => which[kind] !== undefined);
  const ends = kinds.map((kind) => {
    const { table, user } = HOLDERS[kind];
    const hasEnd = sql`c.id, c.org_id, ${sql.ref(`c.${user}`)} as user_id, c.expires_at`;
    return sql`${sql.ref(`gone_${table}`)} as (update ${sql.table(table)} c set revoked_at = now()
      where c.revoked_at is null and ${which[kind]} returning ${hasEnd})`;
  });
  const all = kinds.map(
    (kind) => sql`select ${kind}::text as kind, id, org_id as "orgId", user_id as "userId",
      expires_at as "expiresAt" from ${sql.table(`gone_${HOLDERS[kind].table}`)}`,
  );
  const { rows: gone } = await sql<Gone>`
    with ${sql.join(ends)} ${sql.join(all, sql` union all `)}`.execute(tx.query);
  const opened = gone.filter(({ kind }) => HOLDERS[kind].opens);
  const links = opened.filter(({ kind }) => kind === "links");
  const last = Math.max(0, ...links.map(({ expiresAt }) => expiresAt?.getTime() ?? 0));
  await revoke(
    tx,
    opened.map(({ id }) => id),
    new Date(last),
  );
  await insertEvents(
    tx,
    gone.map(({ id, orgId, kind }) => ({
      ...{ orgId, kind: `${HOLDERS[kind].event}.deleted`, message, actor },
      ...{ subjectKind: HOLDERS[kind].subjectKind, subjectId: id },
    })),
  );
  return gone;
}

/** The nodes of the boxes that keys are written into hear of their end. Last: of the locks, theirs are. */
async function forgetKeys(tx: Db, gone: readonly Gone[]): Promise<void> {
  const keys = gone.filter(({ kind }) => kind === "keys");
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
