// API tokens and web sessions: found by their hashes, which never leave this room. Ending a token ends the web sessions
// that were got by it, and the tokens and keys that were made with it.

import { type RawBuilder, sql } from "kysely";
import type { OrgId } from "#domain/ids.ts";
import type { Permission, Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { type Db, transact } from "./db.ts";
import { type Ended, endMadeWith, isMadeWith } from "./ended-credentials.ts";
import { insertEvents, type NewEvent } from "./events.ts";
import { newId } from "./new-id.ts";
import { revoke } from "./revocations.ts";
import { IS_LET_IN, IS_SUSPENDED, subjectColumns } from "./subjects.ts";

/** Who a credential stands for, and which one it is. */
export interface Identified {
  readonly subject: Subject;
  readonly credentialId: string;
  /** The token that a session was got by; a token's own id; null for a login by a provider. */
  readonly tokenId: string | null;
}

interface IdentityRow extends Subject {
  readonly id: string;
  readonly tokenId: string | null;
  readonly isSuspended: boolean;
}

/** Null as well for whoever does not belong to the organization any more. */
function identified(row: IdentityRow | undefined): Identified | null {
  if (!row || row.roles.length === 0) return null;
  if (row.isSuspended)
    throw new StoreRefusal(
      "suspended",
      "Your identity provider has refused you, or has not heard of you for too long: your tokens and keys wait until you log in again (`berth login`, or in the browser).",
    );
  const { id, tokenId, userId, orgId, isOperator, roles, teams, scopes } = row;
  const subject = { userId, orgId, isOperator, roles, teams, scopes };
  return { subject, credentialId: id, tokenId };
}

/** Null when it is unknown, expired or revoked. Notes that it was used, to the minute. */
export async function identifyToken(db: Db, hash: string): Promise<Identified | null> {
  const { rows } = await sql<IdentityRow & { isStale: boolean }>`
    select c.id, c.id as "tokenId", ${subjectColumns(sql`c.org_id`)}, c.scopes, ${IS_SUSPENDED},
      coalesce(c.last_used_at < now() - interval '1 minute', true) as "isStale"
    from tokens c join users u on u.id = c.user_id
    where c.hash = ${hash} and c.revoked_at is null and (c.expires_at is null or c.expires_at > now())
      and ${IS_LET_IN}`.execute(db.query);
  if (rows[0]?.isStale)
    await sql`update tokens set last_used_at = now() where id = ${rows[0].id}
      and (last_used_at is null or last_used_at < now() - interval '1 minute')`.execute(db.query);
  return identified(rows[0]);
}

/** Null when it is unknown, over or ended. */
export async function identifySession(
  db: Db,
  hash: string,
  kind: "web" | "cli",
): Promise<Identified | null> {
  const { rows } = await sql<IdentityRow>`
    select c.id, c.token_id as "tokenId", ${subjectColumns(sql`c.org_id`)}, ${IS_SUSPENDED},
      (select t.scopes from tokens t where t.id = c.token_id) as scopes
    from web_sessions c join users u on u.id = c.user_id
    where c.hash = ${hash} and c.kind = ${kind} and c.revoked_at is null and c.expires_at > now()
      and ${IS_LET_IN}`.execute(db.query);
  return identified(rows[0]);
}

/** For what goes on after it was let in: as whom it may go on; null: it has ended. */
export async function identifyAgain(
  db: Db,
  { credentialId }: Identified,
): Promise<Identified | null> {
  const { rows } = await sql<IdentityRow>`
    select c.id, c.token_id as "tokenId", ${subjectColumns(sql`c.org_id`)}, c.scopes, ${IS_SUSPENDED}
    from (
      select id, id as token_id, user_id, org_id, scopes from tokens
      where id = ${credentialId} and revoked_at is null and (expires_at is null or expires_at > now())
      union all
      select s.id, s.token_id, s.user_id, s.org_id, t.scopes
      from web_sessions s left join tokens t on t.id = s.token_id
      where s.id = ${credentialId} and s.revoked_at is null and s.expires_at > now()
    ) c join users u on u.id = c.user_id where ${IS_LET_IN}`.execute(db.query);
  return rows[0]?.isSuspended ? null : identified(rows[0]);
}

export interface TokenView {
  readonly id: string;
  readonly name: string;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly lastUsedAt: Date | null;
  /** What it may be used for; null: everything that its user may do. */
  readonly scopes: readonly Permission[] | null;
  /** The token that it was made with; null: a login. */
  readonly madeWith: { readonly id: string; readonly name: string } | null;
}

const COLUMNS = sql`id, name, created_at as "createdAt", expires_at as "expiresAt",
  last_used_at as "lastUsedAt", scopes,
  (select jsonb_build_object('id', m.id, 'name', m.name) from tokens m where m.id = tokens.parent_id) as "madeWith"`;

export interface NewToken {
  readonly hash: string;
  readonly name: string;
  readonly expiresInMs: number | null;
  /** Null: whatever its maker may do. */
  readonly scopes?: readonly Permission[] | null;
}

/** It can no more than its maker, and for no longer. */
export async function createToken(
  db: Db,
  { subject, tokenId }: Maker,
  token: NewToken,
): Promise<TokenView> {
  const scopes = token.scopes ?? subject.scopes;
  refuseWiderScopes(subject, scopes);
  return transact(db, "store.token.create", async (tx) => {
    await refuseMany(tx, subject);
    await holdMaker(tx, { subject, tokenId });
    const { rows } = await sql<TokenView>`
      insert into tokens (id, hash, org_id, user_id, name, scopes, parent_id, expires_at)
      values (${newId("token")}, ${token.hash}, ${subject.orgId}, ${subject.userId}, ${token.name},
        ${scopes === null ? null : [...scopes]}::text[], ${tokenId},
        least(${endOfMaker(tokenId)},
          now() + ${token.expiresInMs}::bigint * interval '1 millisecond'))
      returning ${COLUMNS}`.execute(tx.query);
    const made = rows[0] as TokenView;
    const message = `token ${made.name} was made`;
    await insertEvents(tx, [credentialEvent(subject, "token", made.id, "created", message)]);
    return made;
  });
}

/** What makes something: nothing that is made lasts longer. */
export type Maker = Pick<Identified, "subject" | "tokenId">;

/** Locked: who is being removed loses all credentials of theirs, and what is being made must be among them. */
export async function holdMaker(tx: Db, { subject, tokenId }: Maker): Promise<void> {
  const { rows: roles } = await sql`
    select 1 from grants where user_id = ${subject.userId} and scope = 'org'
      and scope_id = ${subject.orgId} order by id for share`.execute(tx.query);
  if (roles.length === 0) throw new StoreRefusal("revoked", "You are no member here any more.");
  await holdToken(tx, tokenId);
}

/** Locked: a token that is being revoked takes with it what it made, and what is being made must be among them. */
export async function holdToken(tx: Db, tokenId: string | null): Promise<void> {
  if (tokenId === null) return;
  const { rows } = await sql`
    select 1 from tokens where id = ${tokenId} and revoked_at is null for share`.execute(tx.query);
  if (rows.length === 0) throw new StoreRefusal("revoked", "The token was revoked.");
}

/** When the token that something is made with ends; null: never, or it is a login. */
export function endOfMaker(tokenId: string | null): RawBuilder<unknown> {
  return sql`(select expires_at from tokens where id = ${tokenId})`;
}

const MAX_TOKENS = 1000;

async function refuseMany(tx: Db, { userId, orgId }: Subject): Promise<void> {
  const { rows } = await sql`
    select 1 from tokens where user_id = ${userId} and org_id = ${orgId} and revoked_at is null
      and (expires_at is null or expires_at > now()) offset ${MAX_TOKENS - 1} limit 1`.execute(
    tx.query,
  );
  if (rows.length > 0)
    throw new StoreRefusal("in_use", `There are ${MAX_TOKENS} tokens already: delete some first.`);
}

function refuseWiderScopes(subject: Subject, scopes: readonly Permission[] | null): void {
  const mine = subject.scopes;
  const wider = mine === null ? [] : (scopes ?? []).filter((scope) => !mine.includes(scope));
  if (wider.length > 0)
    throw new StoreRefusal(
      "forbidden",
      `This token has no ${wider.join(", ")} itself: it can give no more than it has.`,
    );
}

/** Of the subject itself, here; not those that are over. */
export async function listTokens(
  db: Db,
  subject: Subject,
  page: { readonly after: string | null; readonly limit: number },
): Promise<TokenView[]> {
  const { rows } = await sql<TokenView>`
    select ${COLUMNS} from tokens
    where user_id = ${subject.userId} and org_id = ${subject.orgId} and revoked_at is null
      and (expires_at is null or expires_at > now())
      and id > ${page.after ?? ""} order by id limit ${page.limit}`.execute(db.query);
  return rows;
}

export interface DeletedToken extends TokenView {
  /** What ended with it. */
  readonly ended: Ended;
}

/** With all that was made with it, and with what that made, unless that is to be kept. */
export async function deleteToken(
  db: Db,
  { subject, tokenId }: Maker,
  id: string,
  { keep }: { readonly keep?: "made" | undefined } = {},
): Promise<DeletedToken> {
  return transact(db, "store.token.delete", async (tx) => {
    const { rows } = await sql<TokenView>`
      update tokens set revoked_at = now()
      where id = ${id} and user_id = ${subject.userId} and org_id = ${subject.orgId}
        and revoked_at is null returning ${COLUMNS}`.execute(tx.query);
    const token = rows[0];
    if (!token) throw new StoreRefusal("not_found", `There is no token '${id}'.`);
    if (!keep && tokenId !== null && tokenId !== id && (await isMadeWith(tx, id, tokenId)))
      throw new StoreRefusal(
        "in_use",
        `What you use yourself was made with ${token.name}, and would end with it: keep what was made with it (\`keep=made\`, or --keep-made), or use another token.`,
      );
    await revoke(tx, [id]);
    await insertEvents(tx, [
      credentialEvent(subject, "token", id, "deleted", `token ${token.name} was revoked`),
    ]);
    return { ...token, ended: await endMadeWith(tx, subject.userId, token, keep) };
  });
}

export interface WebSessionView {
  readonly id: string;
  readonly expiresAt: Date;
}

/** Ends at the latest with its token. */
export async function createWebSession(
  db: Db,
  { subject, tokenId }: Identified,
  session: { readonly hash: string; readonly lifetimeMs: number },
): Promise<WebSessionView> {
  return transact(db, "store.web_session.create", async (tx) => {
    await holdMaker(tx, { subject, tokenId });
    const { rows } = await sql<WebSessionView>`
      insert into web_sessions (id, hash, org_id, user_id, token_id, expires_at)
      select ${newId("webSession")}, ${session.hash}, ${subject.orgId}, ${subject.userId}, id,
        least(expires_at, now() + ${session.lifetimeMs}::bigint * interval '1 millisecond')
      from tokens where id = ${tokenId}
      returning id, expires_at as "expiresAt"`.execute(tx.query);
    // A login by the command line is none.
    if (!rows[0]) throw new StoreRefusal("revoked", "This is no token.");
    const message = "a browser logged in";
    await insertEvents(tx, [
      credentialEvent(subject, "web_session", rows[0].id, "created", message),
    ]);
    return rows[0];
  });
}

/** False when it is over already, or no web session. */
export async function endWebSession(db: Db, subject: Subject, id: string): Promise<boolean> {
  return transact(db, "store.web_session.end", async (tx) => {
    const { rows } = await sql`
      update web_sessions set revoked_at = now()
      where id = ${id} and user_id = ${subject.userId} and revoked_at is null
      returning id`.execute(tx.query);
    if (!rows[0]) return false;
    await revoke(tx, [id]);
    const message = "a browser logged out";
    await insertEvents(tx, [credentialEvent(subject, "web_session", id, "deleted", message)]);
    return true;
  });
}

/** Forgets web sessions some time after their end. */
export async function trimWebSessions(db: Db, maxAgeMs: number, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from web_sessions where id in (
      select id from web_sessions where expires_at < now() - ${maxAgeMs} * interval '1 millisecond'
      limit ${limit})`.execute(db.query);
  return Number(numAffectedRows ?? 0);
}

function credentialEvent(
  subject: { readonly orgId: OrgId; readonly userId: string },
  subjectKind: "token" | "web_session",
  id: string,
  what: "created" | "deleted",
  message: string,
): NewEvent {
  return {
    orgId: subject.orgId,
    kind: `${subjectKind}.${what}`,
    subjectKind,
    subjectId: id,
    actor: subject.userId,
    message,
  };
}
