// A session lasts as long as its provider says yes: refusals, silence, limits, log-out on either side, and crashes between.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { DASHBOARD } from "#test/harness/control-plane.ts";
import { ALICE, type SignIn, signIn, whoIs } from "#test/harness/sign-in.ts";

interface Row {
  id: string;
  leftMs: number;
  checkInMs: number | null;
  isRevoked: boolean;
  hasToken: boolean;
  failed: number;
}

async function sessions({ plane }: SignIn): Promise<Row[]> {
  const { rows } = await sql<Row>`
    select s.id, extract(epoch from s.expires_at - now()) * 1000 as "leftMs",
      extract(epoch from l.check_at - now()) * 1000 as "checkInMs",
      s.revoked_at is not null as "isRevoked", l.refresh_token is not null as "hasToken",
      l.checks_failed as failed
    from web_sessions s join logins l on l.session_id = s.id order by s.created_at`.execute(
    plane.db.query,
  );
  return rows.map((row) => ({
    ...row,
    leftMs: Number(row.leftMs),
    checkInMs: Number(row.checkInMs),
  }));
}

async function one(world: SignIn): Promise<Row> {
  const all = await sessions(world);
  assert.equal(all.length, 1);
  return all[0] as Row;
}

/** Now is the time to ask about every session. */
async function due({ plane }: SignIn): Promise<void> {
  await sql`update logins set check_at = now() where check_at is not null`.execute(plane.db.query);
}

async function isRevoked({ plane }: SignIn, id: string): Promise<boolean> {
  const { rows } = await sql`select 1 from revocations where credential_id = ${id}`.execute(
    plane.db.query,
  );
  return rows.length === 1;
}

test("a session is asked after, goes on, and never lasts longer than the provider and its settings say", async (t) => {
  const world = await signIn(t, {
    ttl: { IdToken: 600 },
    provider: { sessionMaxMs: 20 * 60_000, checkEveryMs: 60_000 },
  });
  const alice = world.person("alice");
  await world.logIn(alice);
  const first = await one(world);
  assert.ok(first.leftMs > 590_000 && first.leftMs <= 601_000, `${first.leftMs}`);
  assert.ok((first.checkInMs ?? 0) <= 60_000);
  const { rows } = await sql<{ token: string }>`select refresh_token as token from logins`.execute(
    world.plane.db.query,
  );
  assert.match(rows[0]?.token ?? "", /^v1\.[\w-]+$/);
  // Not due: the provider is not asked.
  await world.check();
  const { rows: same } = await sql<{ token: string }>`
    select refresh_token as token from logins`.execute(world.plane.db.query);
  assert.deepEqual(same, rows);
  await sql`update web_sessions set expires_at = now() + interval '1 minute'`.execute(
    world.plane.db.query,
  );
  await due(world);
  await world.check();
  const renewed = await one(world);
  assert.ok(renewed.leftMs > 590_000, "it goes on");
  assert.equal(renewed.hasToken, true);
  const { rows: rotated } = await sql<{ token: string }>`
    select refresh_token as token from logins`.execute(world.plane.db.query);
  assert.notDeepEqual(rotated, rows);
  // And again, with the new token.
  await sql`update logins set ends_at = now() + interval '2 minutes'`.execute(world.plane.db.query);
  await due(world);
  await world.check();
  const limited = await one(world);
  assert.ok(limited.leftMs > 100_000 && limited.leftMs <= 121_000, `${limited.leftMs}`);
  assert.ok(await whoIs(world, alice));
});

test("whom the provider does not know any more is out at once, with all that the session opened", async (t) => {
  const world = await signIn(t);
  const alice = world.person("alice");
  await world.logIn(alice);
  const { id } = await one(world);
  await world.oidc.setAccount("alice", { ...ALICE, disabled: true });
  await due(world);
  await world.check();
  assert.equal((await one(world)).isRevoked, true);
  assert.equal(await isRevoked(world, id), true);
  await world.plane.identity.clock.sleep(1100);
  assert.equal(await whoIs(world, alice), null);
});

test("a provider that is down ends nothing before its word is over, and then everything", async (t) => {
  const world = await signIn(t);
  const alice = world.person("alice");
  await world.logIn(alice);
  const { id } = await one(world);
  await world.oidc.stop();
  await due(world);
  await world.check();
  const waiting = await one(world);
  assert.deepEqual([waiting.isRevoked, waiting.failed, waiting.hasToken], [false, 1, true]);
  assert.ok((waiting.checkInMs ?? 0) > 0, "it waits before it asks again");
  assert.ok(await whoIs(world, alice));
  await sql`update web_sessions set expires_at = now() - interval '1 second'`.execute(
    world.plane.db.query,
  );
  await world.check();
  assert.equal((await one(world)).isRevoked, true);
  assert.equal(await isRevoked(world, id), true, "streams end too");
});

test("without a refresh token a session ends with what the provider has said at first", async (t) => {
  const world = await signIn(t, {
    ttl: { IdToken: 60 },
    provider: { scopes: ["openid", "email"] },
  });
  const alice = world.person("alice");
  await world.logIn(alice);
  const { leftMs, hasToken, checkInMs } = await one(world);
  assert.ok(leftMs <= 61_000 && !hasToken && !checkInMs);
});

test("what groups give follows the provider while a session goes on", async (t) => {
  const world = await signIn(t, { provider: { defaultRole: null } });
  const { client } = world.plane.admin;
  await client.providers.setGroups(world.provider.id, {
    groups: [
      { group: "engineers", role: "member" },
      { group: "leads", role: "admin" },
    ],
  });
  const alice = world.person("alice");
  await world.logIn(alice);
  await world.oidc.setAccount("alice", { ...ALICE, groups: ["leads"] });
  await due(world);
  await world.check();
  await world.plane.identity.clock.sleep(1100);
  assert.deepEqual((await whoIs(world, alice)).roles, ["admin"]);
  // In no group that means something, she belongs nowhere: everything that she has here ends, her tokens too.
  const { rows: users } = await sql<{
    id: string;
  }>`select id from users where name = 'Alice'`.execute(world.plane.db.query);
  await sql`insert into tokens (id, hash, org_id, user_id, name) values
    ('tok_alice', 'x', ${world.plane.admin.subject.orgId}, ${users[0]?.id}, 't')`.execute(
    world.plane.db.query,
  );
  await world.oidc.setAccount("alice", { ...ALICE, groups: [] });
  await due(world);
  await world.check();
  const { id, isRevoked: isOver } = await one(world);
  assert.deepEqual([isOver, await isRevoked(world, id)], [true, true]);
  assert.equal(await isRevoked(world, "tok_alice"), true);
});

test("one at a time asks, whoever crashes: a refresh token works once", async (t) => {
  const world = await signIn(t);
  await world.logIn(world.person("alice"));
  const { clients } = world.plane.identity;
  const refresh = clients.refresh.bind(clients);
  let answer = () => {};
  const answered = new Promise<void>((done) => {
    answer = done;
  });
  const asked = t.mock.method(clients, "refresh", async (...args: Parameters<typeof refresh>) => {
    await answered;
    return refresh(...args);
  });
  await due(world);
  const first = world.check();
  while (asked.mock.callCount() === 0) await world.plane.identity.clock.sleep(10);
  // While the provider thinks, others pass by, at once and later.
  await Promise.all([world.check(), world.check()]);
  answer();
  await first;
  assert.equal(asked.mock.callCount(), 1);
  assert.equal((await one(world)).isRevoked, false);
  // Dies with the provider's answer in hand, before anything is kept: the claim keeps others away for a while, then the
  // old token is tried, the provider knows that it was used, and the session is over. Never longer, never forged.
  const { failpoints } = world.plane;
  failpoints.arm("identity.refresh.answered", { kind: "throw", message: "killed" });
  await due(world);
  await world.check();
  assert.equal(failpoints.hits("identity.refresh.answered"), 2);
  await due(world);
  await world.check();
  assert.equal((await one(world)).isRevoked, true);
  // Dies after the new token was kept: the next one goes on with it.
  await world.logIn(world.person("alice"));
  failpoints.arm("identity.login.checked.before_commit", { kind: "throw", message: "killed" });
  await due(world);
  await world.check();
  await due(world);
  await world.check();
  const [, second] = await sessions(world);
  assert.deepEqual([second?.isRevoked, second?.failed], [false, 0]);
});

test("logging out here ends the session, gives the token back, and shows the way to log out there", async (t) => {
  const world = await signIn(t);
  const alice = world.person("alice");
  await world.logIn(alice);
  const out = await world.as(alice, "/v1/web-session", { method: "DELETE" });
  const { ended, providerLogoutUrl } = JSON.parse(out.text);
  assert.equal(ended, true);
  const given = t.mock.method(world.plane.identity.clients, "giveBack");
  await world.check();
  assert.equal(given.mock.callCount(), 1);
  assert.equal((await one(world)).hasToken, false);
  await world.check();
  assert.equal(given.mock.callCount(), 1);
  const page = await alice.visit(providerLogoutUrl, (url) => url.origin === DASHBOARD);
  assert.equal(page.url.href.split("?")[0], `${DASHBOARD}/login`);
});

test("logging out at the provider ends the session here, by its notice", async (t) => {
  const world = await signIn(t);
  const [alice, bob] = [world.person("alice"), world.person("alice")];
  await world.logIn(alice);
  await world.logIn(bob);
  const page = await alice.visit(`${world.oidc.issuer}/session/end`);
  assert.equal(page.status, 200, page.text);
  const all = await sessions(world);
  assert.deepEqual(
    all.map((row) => row.isRevoked),
    [true, false],
    "only that session of hers",
  );
  assert.equal(await isRevoked(world, all[0]?.id ?? ""), true);
});

test("a provider that is removed takes its sessions and roles with it", async (t) => {
  const world = await signIn(t);
  const alice = world.person("alice");
  await world.logIn(alice);
  const { id } = await one(world);
  await world.plane.admin.client.providers.delete(world.provider.id);
  assert.equal((await one(world)).isRevoked, true);
  assert.equal(await isRevoked(world, id), true);
  const { rows } = await sql`select 1 from grants where source like 'provider:%'`.execute(
    world.plane.db.query,
  );
  assert.equal(rows.length, 0);
  await world.check();
  assert.equal((await one(world)).hasToken, false);
});
