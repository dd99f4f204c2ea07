// Whether somebody stands with the providers that answer for them: who may refuse whom, whose yes is newer than whose no, and
// how long nobody needs to say anything.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import type { OrgId, ProviderId } from "#domain/ids.ts";
import { testDatabase } from "#test/harness/database.ts";
import { createUser } from "./access.ts";
import { type Admitted, admitPerson, confirmPerson } from "./identities.ts";
import {
  claimDueLogins,
  createLogin,
  endSession,
  newSessionId,
  refuseLogin,
  refuseUnconfirmed,
  renewLogin,
} from "./logins.ts";
import { removeMember } from "./members.ts";
import { createProvider, findProvider, type ProviderView } from "./providers.ts";
import { loadSubject } from "./subjects.ts";
import { createToken, identifyToken } from "./tokens.ts";

const HOUR_MS = 3_600_000;
const ISSUER = "https://idp.test";
const ALICE = {
  ...{ issuer: ISSUER, sub: "alice", name: "Alice", email: null, isEmailVerified: false },
  groups: [],
};
const CALLER = { requestId: "r", address: "a", userAgent: null };

/** An installation with a provider, and an organization that has one of its own at the same issuer. */
async function world(t: Parameters<typeof testDatabase>[0]) {
  const { db } = await testDatabase(t);
  const operator = await createUser(db, { orgName: "main", name: "op", isOperator: true });
  const owner = await createUser(db, { orgName: "other", name: "o" });
  const provider = async (by: typeof owner, isOfAll: boolean, memberMaxAgeMs: number | null) => {
    const settings = {
      ...{ name: "p", label: "P", issuer: ISSUER, clientId: "c", clientSecret: null },
      ...{ scopes: ["openid"], parameters: {}, isTrusted: isOfAll, admitsNewUsers: true },
      ...{ emailDomains: [], groupsClaim: "groups", defaultRole: "member" as const },
      ...{ sessionMaxMs: HOUR_MS, checkEveryMs: 60_000, memberMaxAgeMs },
    };
    return createProvider(db, by, settings, isOfAll);
  };
  const ofAll = await provider(operator, true, 30 * 24 * HOUR_MS);
  const own = await provider(owner, false, null);
  const open = async (by: ProviderView, admitted: Admitted) => {
    const sessionId = newSessionId();
    await createLogin(db, {
      ...{ ...admitted, caller: CALLER, sessionId, hash: sessionId, kind: "web" },
      ...{ refreshToken: "r", idToken: null, sid: null, providerId: by.id },
      ...{ goodUntil: new Date(Date.now() + HOUR_MS), checkEveryMs: 60_000 },
      sessionMaxMs: HOUR_MS,
    });
    return { ...admitted, sessionId, providerId: by.id as ProviderId };
  };
  const admit = (by: ProviderView) => admitPerson(db, by, ALICE, { org: null, invitation: null });
  const logIn = async (by: ProviderView) => open(by, await admit(by));
  const token = async ({ userId }: Admitted, orgId: OrgId, hash: string) => {
    const subject = await loadSubject(db, userId, orgId);
    assert.ok(subject);
    const maker = { subject, tokenId: null };
    await createToken(db, maker, { hash, name: hash, expiresInMs: null });
  };
  const works = async (hash: string) =>
    identifyToken(db, hash).then(
      (known) => known !== null,
      (error: { code?: string }) => {
        assert.equal(error.code, "suspended");
        return false;
      },
    );
  return { db, operator, owner, ofAll, own, admit, open, logIn, token, works };
}

test("an organization's provider refuses nobody elsewhere, and lets nobody in elsewhere, at whatever issuer", async (t) => {
  const { db, operator, owner, ofAll, own, logIn, token, works } = await world(t);
  const main = await logIn(ofAll);
  await token(main, operator.orgId, "main");
  await endSession(db, main.sessionId, "logged out");
  const there = await logIn(own);
  assert.deepEqual([there.userId, there.orgId], [main.userId, owner.orgId]);
  await refuseLogin(db, there, "its administrators say so");
  assert.equal(await works("main"), true, "another organization's word");

  const again = await logIn(ofAll);
  const living = await logIn(own);
  await refuseLogin(db, again, "the installation's provider says so");
  assert.equal(await works("main"), false, "whatever is open elsewhere");
  assert.equal(await loadSubject(db, main.userId, owner.orgId).then((one) => one !== null), true);
  await endSession(db, living.sessionId, "logged out");
  await endSession(db, (await logIn(own)).sessionId, "logged out");
  assert.equal(await works("main"), false, "a login elsewhere lifts nothing");
  await logIn(ofAll);
  assert.equal(await works("main"), true);
});

test("a yes that is older than a no lifts nothing; it is asked for again at once", async (t) => {
  const { db, ofAll, operator, logIn, token, works } = await world(t);
  const [one, other] = [await logIn(ofAll), await logIn(ofAll)];
  await token(one, operator.orgId, "t");
  await sql`update logins set check_at = now()`.execute(db.query);
  const due = await claimDueLogins(db, 10);
  const asked = due.find(({ sessionId }) => sessionId === other.sessionId);
  const provider = await findProvider(db, ofAll.id);
  assert.ok(asked && provider);
  // Both were asked; the provider has locked her out between its answers.
  await refuseLogin(db, one, "no");
  const renewed = {
    ...{ idToken: null, goodUntil: new Date(Date.now() + HOUR_MS) },
    checkEveryMs: 60_000,
  };
  await confirmPerson(db, provider, one.userId, ALICE, asked.askedAt);
  await renewLogin(db, other.sessionId, renewed);
  const [again] = await claimDueLogins(db, 10);
  assert.equal(again?.sessionId, other.sessionId, "due now");
  await endSession(db, other.sessionId, "logged out before it was asked");
  assert.equal(await works("t"), false, "the no counts");

  await logIn(ofAll);
  assert.equal(await works("t"), true);
});

test("whom a provider has not confirmed for as long as it says is suspended until they log in", async (t) => {
  const { db, ofAll, own, operator, owner, logIn, token, works } = await world(t);
  const main = await logIn(ofAll);
  await token(main, operator.orgId, "main");
  const waitDays = (days: number) =>
    sql`update identities set confirmed_at = confirmed_at - ${days} * interval '1 day'`.execute(
      db.query,
    );
  await waitDays(31);
  assert.equal(await refuseUnconfirmed(db, 10), 0, "a session that goes on is asked after itself");
  const provider = await findProvider(db, ofAll.id);
  assert.ok(provider);
  await confirmPerson(db, provider, main.userId, ALICE, new Date());
  await endSession(db, main.sessionId, "logged out");
  await waitDays(29);
  assert.equal(await refuseUnconfirmed(db, 10), 0, "its check has confirmed her");
  assert.equal(await works("main"), true);
  await waitDays(2);
  assert.equal(await refuseUnconfirmed(db, 10), 1);
  assert.equal(await works("main"), false);
  assert.equal(await refuseUnconfirmed(db, 10), 0, "once");
  const { rows } = await sql<{ kind: string; message: string }>`
    select kind, message from events where subject_kind = 'member' and subject_id = ${main.userId}
    order by id desc limit 1`.execute(db.query);
  assert.match(`${rows[0]?.kind} ${rows[0]?.message}`, /member.updated .*has not logged in for/);
  const back = await logIn(ofAll);
  assert.equal(await works("main"), true);
  await endSession(db, back.sessionId, "logged out");

  // Where nothing is set, nobody needs to come back.
  await sql`update providers set member_max_age_ms = null`.execute(db.query);
  await token(await logIn(own), owner.orgId, "other");
  await sql`update web_sessions set revoked_at = now()`.execute(db.query);
  await waitDays(3000);
  assert.equal(await refuseUnconfirmed(db, 10), 0);
  assert.deepEqual([await works("main"), await works("other")], [true, true]);
});

test("a login of whoever is removed while the provider is being asked opens nothing", async (t) => {
  const { db, operator, ofAll, admit, open } = await world(t);
  const admitted = await admit(ofAll);
  await removeMember(db, operator, admitted.userId);
  await assert.rejects(open(ofAll, admitted), { code: "login_denied" });
});
