// Logging in by a real provider, in a browser: the way there and back, who it makes of somebody, and who is not let in.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { DASHBOARD } from "#test/harness/control-plane.ts";
import { ALICE, assertPage, clientOf, signIn, whoIs } from "#test/harness/sign-in.ts";

test("a person logs in by a provider, and is the same user the next time", async (t) => {
  const world = await signIn(t);
  const alice = world.person("alice");
  const page = await world.logIn(alice, "?next=/boxes?q=1");
  assert.equal(page.url.href, `${DASHBOARD}/boxes?q=1`);
  const who = await whoIs(world, alice);
  assert.deepEqual([who.name, who.email, who.roles], ["Alice", "alice@corp.test", ["member"]]);
  assert.equal(who.org.id, world.plane.admin.subject.orgId);
  // The cookie of the attempt is gone, that of the session is one that no script reads.
  const set = alice.visited.find((url) => url.pathname.startsWith("/v1/login/callback/"));
  assert.ok(set);
  const again = world.person("alice");
  await world.logIn(again);
  assert.equal((await whoIs(world, again)).id, who.id);
  // Another name or address at the provider is no other person.
  await world.oidc.setAccount("alice", { ...ALICE, email: "new@corp.test" });
  await world.logIn(again);
  const renamed = await whoIs(world, again);
  assert.deepEqual([renamed.id, renamed.email], [who.id, "new@corp.test"]);
  // The person is nobody for whom the administrator's word counts.
  const refused = await world.as(alice, "/v1/providers");
  assert.equal(refused.status, 403);
  assert.match(refused.text, /provider\.manage/);
});

test("an answer works once, in the browser that asked, at the provider that was asked", async (t) => {
  const world = await signIn(t);
  const alice = world.person("alice");
  const isCallback = (url: URL) => url.pathname.startsWith("/v1/login/callback/");
  const start = `${DASHBOARD}/v1/login/${world.provider.id}`;
  const { url: answer } = await alice.visit(start, isCallback);
  const isEmpty = async () => {
    const { rows } = await sql`select 1 from web_sessions`.execute(world.plane.db.query);
    return rows.length === 0;
  };
  // Somebody else's browser, to which the address was sent.
  assertPage(await world.person("bob").ask(answer), 401, /no answer to a login that was started/);
  // Another provider's address.
  const other = await world.addProvider(world.plane.admin, {
    name: "other",
    isOfInstallation: true,
  });
  const elsewhere = new URL(answer.href.replace(world.provider.id, other.id));
  const cookies = cookiesOf(alice);
  assertPage(await alice.ask(elsewhere), 401, /of another provider than was asked/);
  // Another state than the browser's own, and none.
  const own = answer.searchParams.get("state") ?? "";
  for (const state of ["", "x".repeat(43), `${own.slice(0, -1)}x`, `${own}x`]) {
    const changed = new URL(answer);
    changed.searchParams.set("state", state);
    assertPage(await withCookies(world, cookies).ask(changed), 401, /no answer to a login/);
  }
  assert.ok(await isEmpty(), "nothing has changed");
  const done = await withCookies(world, cookies).ask(answer);
  assert.deepEqual([done.status, done.headers.get("location")], [302, "/"]);
  assert.match(
    done.headers.getSetCookie().at(-1) ?? "",
    /^__Host-berth=berth_[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax; Secure$/,
  );
  assertPage(await withCookies(world, cookies).ask(answer), 401, /answered already/);
});

/** The cookies of the dashboard that a person has now. */
function cookiesOf(person: { cookies(origin: string): string }): string {
  return person.cookies(DASHBOARD);
}

function withCookies(world: Awaited<ReturnType<typeof signIn>>, cookie: string) {
  return {
    ask: (url: URL) => world.person("alice").ask(url, { headers: { cookie } }),
  };
}

test("an attempt is over after ten minutes", async (t) => {
  const world = await signIn(t);
  const { clock } = world.plane.identity;
  const alice = world.person("alice");
  const start = `${DASHBOARD}/v1/login/${world.provider.id}`;
  const { url: answer } = await alice.visit(start, (url) => url.pathname.includes("/callback/"));
  const now = clock.nowMs();
  t.mock.method(clock, "nowMs", () => now + 10 * 60_000 + 1000);
  assertPage(await alice.ask(answer), 401, /longer than 10 minutes/);
});

test("the way back is never to another site", async (t) => {
  const world = await signIn(t);
  const hostile = [
    ...["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)", "boxes"],
    ...["\\\\evil.test", "/\t/evil.test", "https:evil.test", "%2F%2Fevil.test", "@evil.test"],
    // No cookie would hold it.
    `/${"ü".repeat(500)}`,
  ];
  const start = (next: string) =>
    world
      .person("alice")
      .ask(new URL(`${DASHBOARD}/v1/login/${world.provider.id}?next=${encodeURIComponent(next)}`));
  for (const next of hostile) assertPage(await start(next), 400, /query\.next/);
  // A path of ours that a browser would take for another host, were it said back as it is.
  const alice = world.person("alice");
  await world.logIn(alice, `?next=${encodeURIComponent("/.//evil.test/..")}`);
  const { status, headers } = await withCookies(world, cookiesOf(alice)).ask(
    new URL(
      `${DASHBOARD}/v1/login/${world.provider.id}?next=${encodeURIComponent("/.//evil.test")}`,
    ),
  );
  assert.equal(status, 302);
  assert.equal(new URL(headers.get("location") ?? "").origin, world.oidc.issuer);
  assert.equal(alice.visited.at(-1)?.origin, DASHBOARD);
});

test("unknown providers, providers that are down, and what is asked wrongly", async (t) => {
  const world = await signIn(t);
  const ask = (path: string) => world.person("alice").ask(new URL(`${DASHBOARD}/v1/login/${path}`));
  assertPage(await ask("nobody"), 404, /no identity provider 'nobody'/);
  assertPage(await ask("callback/nobody?state=x&code=y"), 404, /no identity provider/);
  assertPage(await ask(`${world.provider.id}?org=NOT%20ONE`), 400, /query\.org/);
  assertPage(await ask(`${world.provider.id}?invitation=x`), 410, /no invitation/);
  // A person who says no at the provider.
  const back = new URL(`${DASHBOARD}/v1/login/callback/${world.provider.id}`);
  const alice = world.person("alice");
  const { url } = await alice.visit(
    `${DASHBOARD}/v1/login/${world.provider.id}`,
    (one) => one.origin === DASHBOARD,
  );
  back.search = `?error=access_denied&state=${url.searchParams.get("state")}&iss=${world.oidc.issuer}`;
  assertPage(await alice.ask(back), 401, /Corp refused it: it said access_denied/);
  await world.oidc.stop();
  const fresh = await world.plane.addReplica();
  const down = await fetch(`${fresh}/v1/login/${world.provider.id}`, { redirect: "manual" });
  // This replica has found the provider before; what is kept of it does not help to log in.
  assert.ok([302, 503].includes(down.status));
  const device = await fetch(`${fresh}/v1/login/device`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  const problem = (await device.json()) as { code: string; detail: string };
  assert.deepEqual([device.status, problem.code], [503, "provider_unavailable"]);
  assert.match(problem.detail, /^Corp does not answer: /);
});

test("who may come in is the provider's settings' to say", async (t) => {
  const world = await signIn(t, {
    provider: { emailDomains: ["corp.test"], admitsNewUsers: true },
    accounts: {
      eve: { email: "eve@evil.test", email_verified: true, name: "Eve" },
      unproven: { email: "x@corp.test", email_verified: false, name: "Unproven" },
      careless: { email: "y@corp.test", email_verified: "true", name: "Careless" },
      bare: { name: "Bare" },
      bob: { email: "bob@CORP.test", email_verified: true, name: "Bob" },
    },
  });
  const { client } = world.plane.admin;
  const users = async () => {
    const { rows } = await sql`select 1 from users`.execute(world.plane.db.query);
    return rows.length;
  };
  const before = await users();
  for (const [name, words] of [
    ["eve", /Addresses at evil\.test are not let in by Corp/],
    ["unproven", /has not verified your e-mail address/],
    ["careless", /has not verified your e-mail address/],
    ["bare", /has not verified your e-mail address/],
  ] as const)
    assertPage(await world.logIn(world.person(name)), 403, words);
  assert.equal(await users(), before, "nobody was made a user");
  // Known people stay in; new ones do not come.
  const alice = world.person("alice");
  await world.logIn(alice);
  await client.providers.update(world.provider.id, { admitsNewUsers: false });
  await world.logIn(alice);
  assert.ok(await whoIs(world, alice));
  assertPage(
    await world.logIn(world.person("bob")),
    403,
    /lets in nobody who was not made a member/,
  );
  // Without a role anywhere nobody gets further than the door.
  await client.providers.update(world.provider.id, { admitsNewUsers: true, defaultRole: null });
  assertPage(await world.logIn(world.person("bob")), 403, /Bob belongs to no organization/);
  assert.equal(await users(), before + 1, "and is no user for having tried");
  const denied = (await client.events.list({ limit: 200 })).items.filter(
    (event) => event.kind === "provider.denied",
  );
  assert.ok(denied.length >= 6);
});

test("a disabled user is out, whatever the provider says", async (t) => {
  const world = await signIn(t);
  const alice = world.person("alice");
  await world.logIn(alice);
  await sql`update users set disabled_at = now() where name = 'Alice'`.execute(
    world.plane.db.query,
  );
  assertPage(await world.logIn(alice), 403, /Alice is disabled/);
});

test("a verified address makes one person of two issuers; an unverified or untrusted one finds nobody", async (t) => {
  const world = await signIn(t, {
    accounts: { mallory: { ...ALICE, name: "Mallory", email_verified: false } },
  });
  const alice = world.person("alice");
  await world.logIn(alice);
  const who = await whoIs(world, alice);
  // The same issuer, another subject, the same address that nobody has verified.
  const mallory = world.person("mallory");
  await world.logIn(mallory);
  const other = await whoIs(world, mallory);
  assert.notEqual(other.id, who.id);
  assert.equal(other.email, null);
  // A provider that an organization's own administrator has set up, and that has "verified" the address.
  const { plane } = world;
  await sql`update providers set is_trusted = false where id = ${world.provider.id}`.execute(
    plane.db.query,
  );
  await sql`update users set name = 'Alice the first' where id = ${who.id}`.execute(plane.db.query);
  const { findProvider } = await import("#store/providers.ts");
  const { admitPerson } = await import("#store/identities.ts");
  const untrusted = await findProvider(plane.db, world.provider.id);
  assert.ok(untrusted);
  const vouched = { issuer: "https://evil.test", sub: "1", name: "A", groups: [] };
  const claim = { ...vouched, email: ALICE.email, isEmailVerified: true };
  const wanted = { org: null, invitation: null };
  const admitted = await admitPerson(plane.db, untrusted, claim, wanted);
  assert.notEqual(admitted.userId, who.id);
  // A trusted one's word counts.
  const trusted = { ...untrusted, isTrusted: true };
  const linked = await admitPerson(plane.db, trusted, { ...claim, sub: "2" }, wanted);
  assert.equal(linked.userId, who.id);
});

test("an organization's own provider lets in to it alone, and makes nobody an operator", async (t) => {
  const world = await signIn(t);
  const { stranger, admin, db } = world.plane;
  // A loopback address is for operators to allow.
  await assert.rejects(world.addProvider(stranger, { name: "own", isTrusted: true }), {
    code: "forbidden",
  });
  const own = await stranger.client.providers.create({
    ...{ name: "own", label: "Own", issuer: world.oidc.issuer, clientId: "c" },
    defaultRole: "viewer",
  });
  const direct = await world.person("alice").ask(new URL(own.loginUrl));
  assertPage(direct, 503, /is not https|not a public address/);
  await assert.rejects(admin.client.providers.get(own.id), { code: "not_found" });
  // As if it were at a public address.
  const client = await world.oidc.registerClient({ redirectUri: own.redirectUri });
  await stranger.client.providers.update(own.id, client);
  await sql`update providers set is_trusted = true where id = ${own.id}`.execute(db.query);
  const alice = world.person("alice");
  await world.logIn(alice, "", own.id);
  const there = await whoIs(world, alice);
  assert.deepEqual([there.org.id, there.roles], [stranger.subject.orgId, ["viewer"]]);
  // The same person by the installation's provider has both, and may switch.
  await world.logIn(alice);
  const here = await whoIs(world, alice);
  assert.deepEqual([here.id, here.org.id], [there.id, admin.subject.orgId]);
  await world.logIn(alice, `?org=${stranger.subject.orgId}`);
  assert.equal((await whoIs(world, alice)).org.id, stranger.subject.orgId);
  // But not by the one organization's provider, nor out of a session that it stands behind.
  const elsewhere = await world.logIn(alice, `?org=${admin.subject.orgId}`, own.id);
  assertPage(elsewhere, 403, /no member of/);
  await world.logIn(alice, "", own.id);
  const { rows } = await sql<{ hash: string; id: string }>`
    select id, hash from web_sessions order by created_at desc limit 1`.execute(db.query);
  const { identifySession } = await import("#store/tokens.ts");
  const { switchOrg } = await import("#store/orgs.ts");
  const session = await identifySession(db, rows[0]?.hash ?? "", "web");
  assert.ok(session);
  await assert.rejects(switchOrg(db, session, admin.subject.orgId), { code: "not_now" });
  // Operators log in by what operators answer for.
  await sql`update users set is_operator = true where id = ${there.id}`.execute(db.query);
  await world.logIn(alice, "", own.id);
  await sql`update providers set is_trusted = false, issuer = 'https://own.test' where id = ${own.id}`.execute(
    db.query,
  );
  const { findProvider } = await import("#store/providers.ts");
  const { admitPerson } = await import("#store/identities.ts");
  const provider = await findProvider(db, own.id);
  assert.ok(provider);
  const claims = { issuer: world.oidc.issuer, sub: "alice", name: "A", groups: [] };
  await assert.rejects(
    admitPerson(
      db,
      provider,
      { ...claims, email: null, isEmailVerified: false },
      { org: null, invitation: null },
    ),
    { code: "login_denied" },
  );
});

test("groups are roles and teams, and only the provider's own roles come and go", async (t) => {
  const world = await signIn(t);
  const { client } = world.plane.admin;
  const team = await client.teams.create({ name: "platform" });
  await client.providers.setGroups(world.provider.id, {
    groups: [
      { group: "engineers", role: "template_author" },
      { group: "engineers", team: team.id, role: "member" },
      { group: "leads", team: "platform", role: "admin" },
      { group: "auditors", role: "auditor" },
    ],
  });
  const alice = world.person("alice");
  await world.logIn(alice);
  const who = await whoIs(world, alice);
  assert.deepEqual(who.roles, ["template_author"]);
  assert.deepEqual(who.teams, [{ id: team.id, role: "member" }]);
  // Given by hand, it stays.
  await client.members.update(who.id, { roles: ["template_author", "billing"] });
  await world.oidc.setAccount("alice", { ...ALICE, groups: ["leads", "auditors", "nobody knows"] });
  await world.logIn(alice);
  const moved = await whoIs(world, alice);
  assert.deepEqual([...moved.roles].sort(), ["auditor", "billing"]);
  assert.deepEqual(moved.teams, [{ id: team.id, role: "admin" }]);
  // No group at all is no claim at all with most providers.
  const { groups: _none, ...groupless } = ALICE;
  await world.oidc.setAccount("alice", groupless);
  await world.logIn(alice);
  const left = await whoIs(world, alice);
  assert.deepEqual([[...left.roles].sort(), left.teams], [["billing", "member"], []]);
});

test("nobody gives by a provider what they could not give by hand", async (t) => {
  const world = await signIn(t);
  const { admin, db, url } = world.plane;
  const { createUser, addUser } = await import("#store/access.ts");
  const { orgId } = await createUser(db, { orgName: "third", name: "owner" });
  const helper = await addUser(db, orgId, { name: "helper", roles: ["admin"] });
  const member = await addUser(db, orgId, { name: "member", roles: ["member"] });
  const { addToken } = await import("#store/access.ts");
  const { hashToken, makeToken } = await import("#trust/token-hash.ts");
  const clientFor = async (subject: typeof helper) => {
    const token = makeToken();
    await addToken(db, subject, { hash: hashToken(token), name: "t" });
    return clientOf(world, token);
  };
  const client = await clientFor(helper);
  const base = { name: "p", label: "P", issuer: "https://p.test", clientId: "c" };
  await assert.rejects(client.providers.create({ ...base, defaultRole: "owner" }), {
    code: "forbidden",
  });
  await assert.rejects(client.providers.create({ ...base, isOfInstallation: true }), {
    code: "forbidden",
  });
  const made = await client.providers.create(base);
  await assert.rejects(client.providers.update(made.id, { defaultRole: "owner" }), {
    code: "forbidden",
  });
  await assert.rejects(
    client.providers.setGroups(made.id, { groups: [{ group: "g", role: "owner" }] }),
    { code: "forbidden" },
  );
  // The installation's provider: what its groups mean here is theirs to say, the rest is not.
  await client.providers.setGroups(world.provider.id, { groups: [{ group: "g", role: "admin" }] });
  await assert.rejects(client.providers.update(world.provider.id, { label: "Mine" }), {
    code: "forbidden",
  });
  await assert.rejects(client.providers.delete(world.provider.id), { code: "forbidden" });
  assert.deepEqual((await admin.client.providers.groups(world.provider.id)).groups, []);
  await assert.rejects((await clientFor(member)).providers.list(), { code: "forbidden" });
  assert.ok(url);
  for (const issuer of ["http://p.test", "https://u:p@p.test", "https://p.test/?q", "ftp://p.test"])
    await assert.rejects(client.providers.create({ ...base, name: "q", issuer }), {
      code: "invalid_request",
    });
  await assert.rejects(
    client.providers.create({ ...base, name: "q", parameters: { redirect_uri: "https://evil" } }),
    { code: "invalid_request" },
  );
});

test("logins are in the audit trail: who, from where, by what, and who was not let in", async (t) => {
  const world = await signIn(t, { provider: { emailDomains: ["corp.test"] } });
  await world.oidc.setAccount("eve", { name: "Eve", email: "e@evil.test", email_verified: true });
  const alice = world.person("alice");
  await world.logIn(alice);
  assertPage(await world.logIn(world.person("eve")), 403, /evil\.test/);
  const who = await whoIs(world, alice);
  const { rows } = await sql<Record<string, unknown>>`
    select verb, outcome, actor_id as actor, address, credential_id as credential, data, org_id as org
    from audit_entries where verb like 'login.%' or verb like 'grants.%' order by id`.execute(
    world.plane.db.query,
  );
  assert.deepEqual(
    rows.map((row) => [row.verb, row.outcome, row.actor, row.address]),
    [
      ["grants.give", "ok", null, null],
      ["login.web", "ok", who.id, "127.0.0.1"],
      ["login.denied", "refused", null, "127.0.0.1"],
    ],
  );
  assert.match(String(rows[1]?.credential), /^web_/);
  assert.match(JSON.stringify(rows[2]?.data), /"sub":"eve"/);
});

test("an invitation that is taken by logging in stands in the audit trail", async (t) => {
  const world = await signIn(t);
  const { client } = world.plane.admin;
  const { id, secret } = await client.invitations.create({ roles: ["viewer"] });
  // Somebody who has followed a link of another site has not asked for it.
  const start = new URL(`${DASHBOARD}/v1/login/${world.provider.id}?invitation=${secret}`);
  const lured = await world
    .person("mallory")
    .ask(start, { headers: { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" } });
  assertPage(lured, 403, /from the dashboard/);
  await world.logIn(world.person("alice"), `?invitation=${secret}`);
  const { items } = await client.audit.list({ verb: "invitations.accept" });
  assert.equal(items.length, 1);
  assert.ok(items[0]?.touched.includes(id));
});
