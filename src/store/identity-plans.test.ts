// No statement of a login, of asking after sessions, or of a directory reads a whole table: the statements are caught as
// they are sent, and Postgres is asked how it would run each when nothing is cheap.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { testDatabase } from "#test/harness/database.ts";
import { caught } from "#test/harness/plans.ts";
import { createUser } from "./access.ts";
import { admitPerson, confirmPerson } from "./identities.ts";
import {
  claimDueLogins,
  createLogin,
  endOverdueLogins,
  endProviderSessions,
  findLogin,
  listEndedLogins,
  newSessionId,
  refuseUnconfirmed,
  renewLogin,
  takeLogin,
  trimUsedLogins,
} from "./logins.ts";
import { createProvider, deleteProvider, findProvider, listLoginProviders } from "./providers.ts";
import {
  changeScimUser,
  createScimUser,
  type DirectoryCaller,
  deleteScimUser,
  identifyScim,
  listScimUsers,
} from "./scim.ts";
import {
  changeScimGroup,
  createScimGroup,
  deleteScimGroup,
  listScimGroups,
} from "./scim-groups.ts";

const CALLER = { requestId: "req_1", address: "127.0.0.1", userAgent: null };
const FIRST = { offset: 0, limit: 10 };

test("identity's statements use indexes", async (t) => {
  const { db } = await testDatabase(t);
  const operator = await createUser(db, { orgName: "acme", name: "op", isOperator: true });
  const person = {
    ...{ issuer: "https://p.test", sub: "1", name: "Ann", email: "ann@p.test" },
    ...{ isEmailVerified: true, groups: ["g"] },
  };
  const directory: DirectoryCaller = {
    ...{ ...CALLER, orgId: operator.orgId, tokenId: "sct_1", setUpBy: operator.userId },
  };
  const sent = await caught(async () => {
    const settings = {
      ...{ name: "p", label: "P", issuer: "https://p.test", clientId: "c", clientSecret: null },
      ...{ scopes: ["openid"], parameters: {}, isTrusted: true, admitsNewUsers: true },
      ...{ emailDomains: [], groupsClaim: "groups", defaultRole: "member" as const },
      ...{ sessionMaxMs: 600_000, checkEveryMs: 60_000, memberMaxAgeMs: 3_600_000 },
    };
    const { id } = await createProvider(db, operator, settings, true);
    await listLoginProviders(db, "acme");
    const provider = await findProvider(db, id);
    assert.ok(provider);
    const admitted = await admitPerson(db, provider, person, { org: null, invitation: null });
    await admitPerson(db, provider, person, { org: "acme", invitation: null });
    assert.ok(await takeLogin(db, "once", 1000));
    const sessionId = newSessionId();
    const goodUntil = new Date(Date.now() + 600_000);
    await createLogin(db, {
      ...{ ...admitted, caller: CALLER, sessionId, hash: "h", kind: "web", providerId: id },
      ...{ refreshToken: "r", idToken: "i", sid: "s", goodUntil },
      ...{ checkEveryMs: 60_000, sessionMaxMs: 600_000 },
    });
    await sql`update logins set check_at = now() where session_id = ${sessionId}`.execute(db.query);
    assert.equal((await claimDueLogins(db, 10)).length, 1);
    await confirmPerson(db, provider, admitted.userId, person, new Date());
    await refuseUnconfirmed(db, 10);
    await renewLogin(db, sessionId, { idToken: null, goodUntil, checkEveryMs: 60_000 });
    await findLogin(db, sessionId);
    await endOverdueLogins(db, 10);
    assert.equal(await endProviderSessions(db, id, { sid: "s", sub: null }), 1);
    await endProviderSessions(db, id, { sid: null, sub: "1" });
    assert.equal((await listEndedLogins(db, 10)).length, 1);
    await trimUsedLogins(db, 10);
    await identifyScim(db, "h", CALLER);
    const entry = { externalId: "x", email: "ann@p.test", isActive: true, attributes: {} };
    const user = await createScimUser(db, directory, { ...entry, userName: "ann" });
    assert.equal(user.userId, admitted.userId);
    for (const filter of [
      {},
      { id: user.id },
      { userName: "ANN" },
      { externalId: "x" },
      { email: "ann@p.test" },
    ])
      assert.equal((await listScimUsers(db, directory, filter, FIRST)).total, 1);
    const fields = { displayName: "g", externalId: "y", members: [user.id] };
    const group = await createScimGroup(db, directory, fields);
    await changeScimGroup(db, directory, group.id, () => ({ ...fields, displayName: "h" }));
    for (const filter of [{}, { displayName: "H" }, { externalId: "y" }, { id: group.id }])
      assert.equal((await listScimGroups(db, directory, filter, FIRST)).total, 1);
    await admitPerson(db, provider, { ...person, sub: "2" }, { org: null, invitation: null });
    await changeScimUser(db, directory, user.id, (one) => ({ ...one, isActive: false }));
    await deleteScimGroup(db, directory, group.id);
    await deleteScimUser(db, directory, user.id);
    await deleteProvider(db, operator, id);
  });
  const texts = new Set(sent.map(({ text }) => text));
  assert.ok(texts.size > 60, `${texts.size} statements`);
  await db.query.connection().execute(async (query) => {
    await sql`set enable_seqscan = off`.execute(query);
    for (const text of texts) {
      const { rows } = await sql<{
        "QUERY PLAN": string;
      }>`explain (generic_plan) ${sql.raw(text)}`.execute(query);
      const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
      assert.doesNotMatch(plan, /Seq Scan|Disabled: true/, `${text}\n${plan}`);
    }
  });
});
