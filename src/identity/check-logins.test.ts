// A session lasts as long as its provider says yes: refusals, silence, limits, log-out on either side, and crashes between.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { makeSshKey } from "#lib/ssh-keys.ts";
import { DASHBOARD } from "#test/harness/control-plane.ts";
import { gatewayPeer } from "#test/harness/gateway-peer.ts";
import type { Person } from "#test/harness/oidc.ts";
import { ALICE, clientOf, type SignIn, signIn, whoIs } from "#test/harness/sign-in.ts";

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

/** A token and a key of hers, made in the browser. */
async function lasting(world: SignIn, person: Person) {
  const post = async (path: string, body: object) => {
    const answer = await world.as(person, path, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
    });
    assert.equal(answer.status, 201, answer.text);
    return JSON.parse(answer.text);
  };
  const { token } = await post("/v1/tokens", { name: "laptop" });
  const { fingerprint } = await post("/v1/ssh-keys", {
    ...{ name: "laptop", publicKey: makeSshKey("laptop").publicKeyLine },
  });
  return { client: clientOf(world, token), fingerprint: fingerprint as string };
}

test("whom the provider refuses is suspended, tokens and keys too, until they log in again", async (t) => {
  const world = await signIn(t);
  const { plane } = world;
  const alice = world.person("alice");
  await world.logIn(alice);
  const { id: userId, org } = await whoIs(world, alice);
  const { client } = await lasting(world, alice);
  await plane.addTemplate();
  const { box } = await client.boxes.create({ template: "default", name: "hers" });
  const feed = await (await gatewayPeer(plane)).openFeed();
  t.after(async () => feed.close());
  assert.ok(feed.known.mayEnter(userId, box.id));
  const members = async () => (await plane.admin.client.members.get(userId)).isSuspended;
  await world.oidc.setAccount("alice", { ...ALICE, disabled: true });
  await due(world);
  await world.check();
  await feed.until("out at gateways", (known) => !known.isMember(org.id, userId));
  await plane.identity.clock.sleep(1100);
  await assert.rejects(client.system.get(), { code: "suspended", status: 403 });
  assert.equal(await members(), true);
  // Nothing is lost.
  await world.oidc.setAccount("alice", ALICE);
  await world.logIn(alice);
  await feed.until("in again", (known) => known.mayEnter(userId, box.id));
  assert.equal((await client.system.get()).user.id, userId);
  assert.equal(await members(), false);
  const { rows } = await sql<{ verb: string }>`select verb from audit_entries
    where verb in ('member.suspend', 'member.resume') and ${userId} = any(touched) order by id`.execute(
    plane.db.query,
  );
  assert.deepEqual(
    rows.map(({ verb }) => verb),
    ["member.suspend", "member.resume"],
  );
});

test("silence, a log-out and one session of several suspend nobody", async (t) => {
  const world = await signIn(t);
  const [browser, other] = [world.person("alice"), world.person("alice")];
  await world.logIn(browser);
  await world.logIn(other);
  const { client } = await lasting(world, browser);
  const works = async () => {
    await world.plane.identity.clock.sleep(1100);
    assert.equal((await client.system.get()).user.name, "Alice");
  };
  // One session's token is not taken any more, as it was used before; the other's is asked at once, and says yes.
  const [first] = await sessions(world);
  const { rows: used } = await sql<{ token: string }>`select refresh_token as token from logins
    where session_id = ${first?.id}`.execute(world.plane.db.query);
  await due(world);
  await world.check();
  await sql`update logins set refresh_token = ${used[0]?.token}, check_at = now()
    where session_id = ${first?.id}`.execute(world.plane.db.query);
  await world.check();
  assert.deepEqual(
    (await sessions(world)).map((row) => row.isRevoked),
    [true, false],
  );
  const { rows: refused } = await sql`
    select 1 from identities where refused_at is not null`.execute(world.plane.db.query);
  assert.equal(refused.length, 0);
  await works();
  await world.as(other, "/v1/web-session", { method: "DELETE" });
  await world.check();
  await works();
  await world.logIn(browser);
  await world.oidc.stop();
  await due(world);
  await world.check();
  await sql`update web_sessions set expires_at = now() - interval '1 second'`.execute(
    world.plane.db.query,
  );
  await world.check();
  await works();
});

test("the last owner stays one when the provider's groups do not say so any more", async (t) => {
  const world = await signIn(t, { provider: { defaultRole: "member" } });
  const { plane } = world;
  const { client, subject } = plane.admin;
  await client.providers.setGroups(world.provider.id, {
    groups: [{ group: "engineers", role: "owner" }],
  });
  const alice = world.person("alice");
  await world.logIn(alice);
  const { id } = await whoIs(world, alice);
  const rolesNow = async () => {
    await due(world);
    await world.check();
    return (await client.members.get(id)).roles;
  };
  await sql`delete from grants where user_id = ${subject.userId} and role = 'owner'`.execute(
    plane.db.query,
  );
  await sql`insert into grants (id, org_id, user_id, role, scope, scope_id)
    values ('gr_admin', ${subject.orgId}, ${subject.userId}, 'admin', 'org', ${subject.orgId})`.execute(
    plane.db.query,
  );
  await plane.identity.clock.sleep(1100);
  await world.oidc.setAccount("alice", { ...ALICE, groups: [] });
  assert.deepEqual(await rolesNow(), ["member", "owner"]);
  // Told once, not with every check.
  assert.deepEqual(await rolesNow(), ["member", "owner"]);
  const { rows: told } = await sql<{ message: string }>`
    select message from events where message like '%last owner%'`.execute(plane.db.query);
  assert.equal(told.length, 1);
  const { rows: kept } = await sql`select 1 from audit_entries where verb = 'grants.keep'`.execute(
    plane.db.query,
  );
  assert.equal(kept.length, 1);
  assert.deepEqual((await client.members.get(id)).managedRoles, ["member"]);
  // Where there is another owner, the provider's word holds.
  await world.oidc.setAccount("alice", ALICE);
  await rolesNow();
  await sql`update grants set role = 'owner' where id = 'gr_admin'`.execute(plane.db.query);
  await sql`delete from grants where user_id = ${id} and role = 'owner' and source = 'direct'`.execute(
    plane.db.query,
  );
  await world.oidc.setAccount("alice", { ...ALICE, groups: [] });
  assert.deepEqual(await rolesNow(), ["member"]);
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
