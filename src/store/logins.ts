// Sessions that a provider stands behind: they last as long as it says yes, are asked after when due, and end with all that
// they opened. Ended ones keep their refresh token until the provider has it back. Whom every provider has refused is
// suspended: their tokens and keys wait until one lets them in again.

import { type RawBuilder, sql } from "kysely";
import type { OrgId, ProviderId, UserId } from "#domain/ids.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { insertAuditEntries } from "./audit.ts";
import { type Db, transact } from "./db.ts";
import { insertEvents } from "./events.ts";
import { newId } from "./new-id.ts";
import { revoke } from "./revocations.ts";

/** Where a request came from, that nobody has let in yet. */
export interface Caller {
  readonly requestId: string;
  readonly address: string;
  readonly userAgent: string | null;
}

export interface NewLogin {
  readonly caller: Caller;
  /** Taken once: a repeated answer of the provider opens nothing. */
  readonly sessionId: string;
  readonly hash: string;
  readonly kind: "web" | "cli";
  readonly userId: UserId;
  readonly orgId: OrgId;
  readonly providerId: ProviderId;
  readonly identityId: string;
  readonly refreshToken: string | null;
  readonly idToken: string | null;
  readonly sid: string | null;
  readonly goodUntil: Date;
  readonly checkEveryMs: number;
  readonly sessionMaxMs: number;
}

export function newSessionId(): string {
  return newId("webSession");
}

/** False: it was answered before. Kept until its attempt could not be answered any more. */
export async function takeLogin(db: Db, id: string, lifetimeMs: number): Promise<boolean> {
  const { rows } = await sql`
    insert into used_logins (id, until) values (${id}, now() + ${lifetimeMs} * interval '1 millisecond')
    on conflict do nothing returning id`.execute(db.query);
  return rows.length > 0;
}

/** Resolves to when the session ends unless the provider is asked again. */
export async function createLogin(db: Db, login: NewLogin): Promise<{ readonly expiresAt: Date }> {
  return transact(db, "store.login.create", async (tx) => {
    // Locked against its removal, and against what ends the user's sessions: this one must be among them.
    const { rows: allowed } = await sql<{ name: string }>`
      select u.name from providers p, users u where p.id = ${login.providerId} and p.deleted_at is null
        and u.id = ${login.userId} and u.disabled_at is null for share`.execute(tx.query);
    // After the user's row, as whoever removes a member takes them.
    const { rows: roles } = await sql`
      select 1 from grants where user_id = ${login.userId} and scope = 'org'
        and scope_id = ${login.orgId} order by id for share`.execute(tx.query);
    if (!allowed[0] || roles.length === 0)
      throw new StoreRefusal("login_denied", "You were locked out just now.");
    const { rows } = await sql<{ expiresAt: Date }>`
      insert into web_sessions (id, hash, org_id, user_id, kind, expires_at)
      values (${login.sessionId}, ${login.hash}, ${login.orgId}, ${login.userId}, ${login.kind},
        least(${login.goodUntil}::timestamptz, ${inMs(login.sessionMaxMs)}))
      returning expires_at as "expiresAt"`.execute(tx.query);
    await sql`
      insert into logins (session_id, provider_id, identity_id, refresh_token, id_token, sid, ends_at, check_at)
      values (${login.sessionId}, ${login.providerId}, ${login.identityId}, ${login.refreshToken},
        ${login.idToken}, ${login.sid}, ${inMs(login.sessionMaxMs)},
        case when ${login.refreshToken}::text is not null
          then ${nextCheck(login.goodUntil, login.checkEveryMs)} end)`.execute(tx.query);
    const way = login.kind === "cli" ? "the command line" : "a browser";
    await insertEvents(tx, [
      {
        orgId: login.orgId,
        kind: "web_session.created",
        subjectKind: "web_session",
        subjectId: login.sessionId,
        actor: login.userId,
        message: `${allowed[0].name} logged in with ${way}`,
        data: { provider: login.providerId },
      },
    ]);
    await insertAuditEntries(tx, [
      {
        ...{ orgId: login.orgId, verb: `login.${login.kind}`, outcome: "ok", ...login.caller },
        ...{ actorId: login.userId, credentialId: login.sessionId },
        resource: { provider: login.providerId },
        touched: [login.sessionId],
      },
    ]);
    return rows[0] as { expiresAt: Date };
  });
}

export interface DueLogin {
  readonly sessionId: string;
  readonly providerId: ProviderId;
  readonly userId: UserId;
  readonly orgId: OrgId;
  readonly identityId: string;
  readonly issuer: string;
  readonly sub: string;
  readonly refreshToken: string;
  readonly checksFailed: number;
  /** What was refused after it is newer than what the provider answers now. */
  readonly askedAt: Date;
}

/** So long nobody else asks for the same session. Longer than asking takes. */
const CLAIM_MS = 60_000;

/** Sessions whose provider is to be asked now, for the caller alone: a refresh token may work only once. */
export async function claimDueLogins(db: Db, limit: number): Promise<DueLogin[]> {
  const { rows } = await sql<DueLogin>`
    with due as (
      select l.session_id from logins l join web_sessions s on s.id = l.session_id
      where l.check_at <= now() and (l.claimed_until is null or l.claimed_until < now())
        and s.revoked_at is null and s.expires_at > now()
      order by l.check_at limit ${limit} for update of l skip locked)
    update logins l set claimed_until = ${inMs(CLAIM_MS)}
    from due, web_sessions s, identities i
    where l.session_id = due.session_id and s.id = l.session_id and i.id = l.identity_id
    returning l.session_id as "sessionId", l.provider_id as "providerId", s.user_id as "userId",
      s.org_id as "orgId", i.id as "identityId", i.issuer, i.sub, l.refresh_token as "refreshToken",
      l.checks_failed as "checksFailed", now() as "askedAt"`.execute(db.query);
  return rows;
}

/** Before anything else is done with the provider's answer: the token before it works no more. */
export async function keepRefreshToken(db: Db, sessionId: string, sealed: string): Promise<void> {
  await sql`update logins set refresh_token = ${sealed} where session_id = ${sessionId}`.execute(
    db.query,
  );
}

/** The provider has said yes; if it has said no to another session meanwhile, it is asked again at once. */
export async function renewLogin(
  db: Db,
  sessionId: string,
  renewed: {
    readonly idToken: string | null;
    readonly goodUntil: Date;
    readonly checkEveryMs: number;
  },
): Promise<void> {
  await transact(db, "store.login.renew", async (tx) => {
    await sql`
      update web_sessions s set expires_at = least(${renewed.goodUntil}::timestamptz, l.ends_at)
      from logins l where l.session_id = s.id and s.id = ${sessionId} and s.revoked_at is null
        and s.expires_at > now()`.execute(tx.query);
    await sql`
      update logins set id_token = coalesce(${renewed.idToken}, id_token), checks_failed = 0,
        claimed_until = null, check_at = case when exists (
          select 1 from identities i where i.id = identity_id and i.refused_at is not null)
          then now() else ${nextCheck(renewed.goodUntil, renewed.checkEveryMs)} end
      where session_id = ${sessionId}`.execute(tx.query);
  });
}

/** The provider could not be asked: the session goes on for as long as was said before. */
export async function postponeLogin(db: Db, sessionId: string, waitMs: number): Promise<void> {
  await sql`
    update logins set checks_failed = checks_failed + 1, claimed_until = null, check_at = ${inMs(waitMs)}
    where session_id = ${sessionId}`.execute(db.query);
}

/** Ends the sessions of logins `l` with what they opened; how many there were. */
export async function endLogins(
  db: Db,
  condition: RawBuilder<unknown>,
  why: string,
): Promise<number> {
  return transact(db, "store.login.end", async (tx) => {
    const { rows } = await sql<{ id: string; orgId: OrgId; userId: UserId; name: string }>`
      update web_sessions s set revoked_at = now() from logins l, users u
      where l.session_id = s.id and u.id = s.user_id and s.revoked_at is null and (${condition})
      returning s.id, s.org_id as "orgId", s.user_id as "userId", u.name`.execute(tx.query);
    await revoke(
      tx,
      rows.map(({ id }) => id),
    );
    await insertEvents(
      tx,
      rows.map(({ id, orgId, userId, name }) => ({
        orgId,
        kind: "web_session.deleted",
        subjectKind: "web_session" as const,
        subjectId: id,
        actor: userId,
        message: `a session of ${name} ended: ${why}`,
      })),
    );
    await insertAuditEntries(
      tx,
      rows.map(({ id, orgId, userId }) => ({
        ...{ orgId, verb: "login.ended", outcome: "ok" as const, credentialId: id },
        ...{ touched: [id, userId], data: { why } },
      })),
    );
    if (rows.length > 0) await tellSuspended(tx, rows);
    return rows.length;
  });
}

export async function endSession(db: Db, sessionId: string, why: string): Promise<void> {
  await endLogins(db, sql`l.session_id = ${sessionId}`, why);
}

/** The provider does not let the person in any more: not only this session of theirs. The others are asked after now. */
export async function refuseLogin(
  db: Db,
  login: Pick<DueLogin, "sessionId" | "identityId" | "providerId">,
  why: string,
): Promise<void> {
  await transact(db, "store.login.refuse", async (tx) => {
    await sql`update identities set refused_at = coalesce(refused_at, now())
      where id = ${login.identityId} and provider_id = ${login.providerId}`.execute(tx.query);
    await endSession(tx, login.sessionId, why);
    await sql`update logins set check_at = now() where identity_id = ${login.identityId}
      and check_at is not null`.execute(tx.query);
  });
}

/**
 * The provider that answers for the person lets them in. `askedAt`: it was asked then, and what it has said since counts
 * more; absent: they have just come from it.
 */
export async function acceptIdentity(
  tx: Db,
  identityId: string,
  providerId: ProviderId,
  askedAt?: Date,
): Promise<void> {
  const since = askedAt ?? null;
  const { rows } = await sql<{ wasRefused: boolean }>`
    update identities i set confirmed_at = now(), refused_at = null
    from (select id, refused_at from identities where id = ${identityId} for no key update) old
    where i.id = old.id and i.provider_id = ${providerId}
      and (old.refused_at is null or ${since}::timestamptz is null or old.refused_at < ${since})
    returning old.refused_at is not null as "wasRefused"`.execute(tx.query);
  if (!rows[0]?.wasRefused) return;
  await tellStanding(tx, sql`i.id = ${identityId}`, {
    verb: "member.resume",
    message: "is let in again by their identity provider: their tokens and SSH keys work again",
  });
}

/** Whose last session has ended, after a refusal. */
async function tellSuspended(tx: Db, sessions: readonly { readonly id: string }[]): Promise<void> {
  const ids = sessions.map(({ id }) => id);
  const isTheirs = sql`i.id in (select identity_id from logins where session_id = any(${ids}::text[]))`;
  await tellStanding(
    tx,
    sql`${isTheirs} and i.refused_at is not null and is_suspended(u.id, g.org_id)`,
    {
      verb: "member.suspend",
      message:
        "was refused by their identity provider: their tokens and SSH keys wait until they log in again",
    },
  );
}

/**
 * Of whom their provider has not spoken for longer than its settings allow, and who have no session that it stands behind:
 * as if it had refused them. How many there were.
 */
export async function refuseUnconfirmed(db: Db, limit: number): Promise<number> {
  return transact(db, "store.login.unconfirmed", async (tx) => {
    const { rows } = await sql<{ id: string }>`
      update identities i set refused_at = now() where i.id in (
        select o.id from providers p join identities o on o.provider_id = p.id
        where p.member_max_age_ms is not null and p.deleted_at is null and o.refused_at is null
          and o.confirmed_at < now() - p.member_max_age_ms * interval '1 millisecond'
          and not exists (select 1 from logins l join web_sessions s on s.id = l.session_id
            where l.identity_id = o.id and l.provider_id = p.id and s.revoked_at is null)
        limit ${limit} for update of o skip locked)
      returning id`.execute(tx.query);
    const ids = rows.map(({ id }) => id);
    if (ids.length > 0)
      await tellStanding(tx, sql`i.id = any(${ids}::text[]) and is_suspended(u.id, g.org_id)`, {
        verb: "member.suspend",
        message:
          "has not logged in for longer than their identity provider's settings allow: their tokens and SSH keys wait until they do",
      });
    return rows.length;
  });
}

/** Wherever a person of an identity `i` has roles, `g`: gateways and watches hear by it as what they go on. */
async function tellStanding(
  tx: Db,
  condition: RawBuilder<unknown>,
  { verb, message }: { readonly verb: string; readonly message: string },
): Promise<void> {
  const { rows } = await sql<{ orgId: OrgId; userId: UserId; name: string }>`
    select distinct g.org_id as "orgId", u.id as "userId", u.name
    from identities i join users u on u.id = i.user_id join providers p on p.id = i.provider_id
    join grants g on g.user_id = u.id and g.scope = 'org' and coalesce(p.org_id, g.org_id) = g.org_id
    where ${condition} order by 1, 2`.execute(tx.query);
  await insertAuditEntries(
    tx,
    rows.map(({ orgId, userId }) => ({
      ...{ orgId, verb, outcome: "ok" as const, touched: [userId] },
    })),
  );
  await insertEvents(
    tx,
    rows.map(({ orgId, userId, name }) => ({
      ...{ orgId, kind: "member.updated", subjectKind: "member" as const, subjectId: userId },
      ...{ actor: null, message: `${name} ${message}` },
    })),
  );
}

/** What its provider has not said yes to for too long. Its streams end too, as if it had been taken back. */
export async function endOverdueLogins(db: Db, limit: number): Promise<number> {
  return endLogins(
    db,
    sql`s.id in (select s.id from web_sessions s join logins l on l.session_id = s.id
      where s.revoked_at is null and s.expires_at <= now() limit ${limit})`,
    "its provider's word was good until now",
  );
}

export interface EndedLogin {
  readonly sessionId: string;
  readonly providerId: ProviderId;
  readonly refreshToken: string;
}

/** Ended sessions whose refresh token the provider should have back. */
export async function listEndedLogins(db: Db, limit: number): Promise<EndedLogin[]> {
  const { rows } = await sql<EndedLogin>`
    select l.session_id as "sessionId", l.provider_id as "providerId", l.refresh_token as "refreshToken"
    from logins l where l.refresh_token is not null and l.ended_at is not null
      and (l.claimed_until is null or l.claimed_until < now())
    order by l.session_id limit ${limit}`.execute(db.query);
  return rows;
}

/** The provider could not take it back now. */
export async function delayEndedLogin(db: Db, sessionId: string, waitMs: number): Promise<void> {
  await sql`update logins set claimed_until = ${inMs(waitMs)} where session_id = ${sessionId}`.execute(
    db.query,
  );
}

export async function forgetRefreshToken(db: Db, sessionId: string): Promise<void> {
  await sql`update logins set refresh_token = null, check_at = null
    where session_id = ${sessionId}`.execute(db.query);
}

export interface LoginBehind {
  readonly providerId: ProviderId;
  readonly idToken: string | null;
}

/** What stands behind a session; null: a token, or nothing. */
export async function findLogin(db: Db, sessionId: string): Promise<LoginBehind | null> {
  const { rows } = await sql<LoginBehind>`
    select provider_id as "providerId", id_token as "idToken" from logins
    where session_id = ${sessionId}`.execute(db.query);
  return rows[0] ?? null;
}

/** What a provider's log-out notice is about: one session of it, or all of a person. */
export async function endProviderSessions(
  db: Db,
  providerId: ProviderId,
  about: { readonly sid: string | null; readonly sub: string | null },
): Promise<number> {
  return endLogins(
    db,
    sql`l.provider_id = ${providerId} and ${about.sid === null ? sql`true` : sql`l.sid = ${about.sid}`}
      and ${
        about.sub === null
          ? sql`true`
          : sql`l.identity_id in (select id from identities
              where provider_id = ${providerId} and sub = ${about.sub})`
      }`,
    "its provider has logged it out",
  );
}

export async function trimUsedLogins(db: Db, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from used_logins where id in (
      select id from used_logins where until < now() limit ${limit})`.execute(db.query);
  return Number(numAffectedRows ?? 0);
}

function inMs(ms: number): RawBuilder<unknown> {
  return sql`now() + ${ms}::bigint * interval '1 millisecond'`;
}

/** Well before its word is over, and as often as the provider's settings say. */
function nextCheck(goodUntil: Date, checkEveryMs: number): RawBuilder<unknown> {
  return sql`least(${inMs(checkEveryMs)}, now() + (${goodUntil}::timestamptz - now()) / 2)`;
}
