// A directory by SCIM, as Okta and Entra speak it: users, groups, and that whoever it lets go is out.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { ALICE, assertPage, type SignIn, signIn, whoIs } from "#test/harness/sign-in.ts";

const TYPE = "application/scim+json";
const GENEROUS_MS = 60_000;

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: bodies of many shapes, looked into by each test.
  readonly body: any;
}

interface Directory {
  (method: string, path: string, body?: object): Promise<Answer>;
  readonly token: string;
}

async function directory({ plane }: SignIn, by = plane.admin): Promise<Directory> {
  const { token } = await by.client.scimTokens.create({ name: "okta" });
  const ask = async (method: string, path: string, body?: object): Promise<Answer> => {
    const answer = await fetch(`${plane.url}/scim/v2${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": TYPE },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await answer.text();
    if (text) assert.match(answer.headers.get("content-type") ?? "", /^application\/scim\+json/);
    return { status: answer.status, body: text ? JSON.parse(text) : null };
  };
  return Object.assign(ask, { token });
}

const USER = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

const okta = {
  schemas: [USER],
  userName: "alice@corp.test",
  name: { givenName: "Alice", familyName: "A" },
  emails: [{ primary: true, value: "alice@corp.test", type: "work" }],
  displayName: "Alice A",
  locale: "en-US",
  externalId: "00u1",
  groups: [],
  password: "never kept",
  active: true,
};

async function grantsOf({ plane }: SignIn, name: string) {
  const { rows } = await sql<{ what: string }>`
    select g.scope || ':' || coalesce(t.name, 'org') || ':' || g.role as what
    from grants g join users u on u.id = g.user_id left join teams t on t.id = g.scope_id
    where u.name = ${name} order by 1`.execute(plane.db.query);
  return rows.map((row) => row.what);
}

test("users are made, found, changed and kept as the directory has them", async (t) => {
  const world = await signIn(t);
  const scim = await directory(world);
  const none = await scim(
    "GET",
    `/Users?filter=${encodeURIComponent('userName eq "alice@corp.test"')}&startIndex=1&count=100`,
  );
  assert.deepEqual([none.status, none.body.totalResults, none.body.Resources], [200, 0, []]);
  const made = await scim("POST", "/Users", okta);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const { id } = made.body;
  assert.match(id, /^scu_/);
  assert.deepEqual(
    [made.body.userName, made.body.externalId, made.body.active, made.body.name.givenName],
    ["alice@corp.test", "00u1", true, "Alice"],
  );
  assert.equal(made.body.password, undefined);
  assert.equal(made.body.meta.resourceType, "User");
  const again = await scim("POST", "/Users", { ...okta, userName: "ALICE@corp.test" });
  assert.deepEqual([again.status, again.body.scimType], [409, "uniqueness"]);
  for (const filter of [
    ...['userName eq "Alice@Corp.test"', 'externalId eq "00u1"', `id eq "${id}"`],
    ...['emails.value eq "alice@corp.test"', 'emails[type eq "work"].value eq "alice@corp.test"'],
    ...[
      'userName eq "alice@corp.test" and active eq true',
      ...['userName eq "alice@corp.test" and active eq "True"', 'emails eq "alice@corp.test"'],
      `${USER}:userName eq "alice@corp.test"`,
    ],
  ]) {
    const found = await scim("GET", `/Users?filter=${encodeURIComponent(filter)}`);
    assert.deepEqual([found.body.totalResults, found.body.Resources[0]?.id], [1, id], filter);
  }
  for (const filter of [
    ...['userName co "a"', 'userName eq "a" or active eq true', "userName eq a", 'nickName eq "x"'],
    ...["userName", '(userName eq "a")', 'userName eq "a" and', 'not userName eq "a"', " "],
    // Never taken for less than it asks, and never a fault of ours.
    ...['active eq "maybe"', 'emails eq "a" and emails.value eq "b"', "userName eq true"],
    ...['userName eq "\\u0000"', 'userName eq "\\ud800"', 'userName eq "a\nb"'],
  ]) {
    const refused = await scim("GET", `/Users?filter=${encodeURIComponent(filter)}`);
    assert.deepEqual([refused.status, refused.body.scimType], [400, "invalidFilter"], filter);
  }
  const active = await scim("GET", `/Users?filter=${encodeURIComponent('active eq "False"')}`);
  assert.equal(active.body.totalResults, 0, "those alone who are not");
  // Okta changes without a path, Entra with paths, capital letters, and text for booleans.
  const entra = await scim("PATCH", `/Users/${id}`, {
    schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    Operations: [
      { op: "Replace", path: "name.givenName", value: "Alicia" },
      { op: "Add", path: 'emails[type eq "work"].value', value: "alicia@corp.test" },
      { op: "Replace", path: `${ENTERPRISE}:department`, value: "R&D" },
      { op: "Add", path: "externalId", value: "e-1" },
    ],
  });
  assert.equal(entra.status, 200, JSON.stringify(entra.body));
  assert.deepEqual(
    [entra.body.name, entra.body.emails[0].value, entra.body[ENTERPRISE], entra.body.externalId],
    [{ givenName: "Alicia", familyName: "A" }, "alicia@corp.test", { department: "R&D" }, "e-1"],
  );
  assert.deepEqual(entra.body.schemas, [USER, ENTERPRISE]);
  const oktaPatch = await scim("PATCH", `/Users/${id}`, {
    Operations: [{ op: "replace", value: { active: false, displayName: "Gone" } }],
  });
  assert.deepEqual([oktaPatch.body.active, oktaPatch.body.displayName], [false, "Gone"]);
  for (const [body, type] of [
    [{}, "invalidSyntax"],
    [{ Operations: [{ op: "move", path: "active" }] }, "invalidSyntax"],
    [{ Operations: [{ op: "remove" }] }, "noTarget"],
    [{ Operations: [{ op: "replace", path: "a b", value: 1 }] }, "invalidPath"],
    [{ Operations: [{ op: "replace", path: "__proto__", value: { x: 1 } }] }, "invalidPath"],
    [{ Operations: [{ op: "replace", path: "active", value: "maybe" }] }, "invalidValue"],
    [{ Operations: [{ op: "remove", path: "userName" }] }, "invalidValue"],
    [{ Operations: [{ op: "replace", path: "userName", value: "a\nb" }] }, "invalidValue"],
  ] as const) {
    const refused = await scim("PATCH", `/Users/${id}`, body);
    assert.deepEqual([refused.status, refused.body.scimType], [400, type], JSON.stringify(body));
  }
  const replaced = await scim("PUT", `/Users/${id}`, { ...okta, displayName: "New" });
  assert.deepEqual([replaced.body.displayName, replaced.body.active], ["New", true]);
  assert.equal(replaced.body[ENTERPRISE], undefined);
  assert.equal((await scim("DELETE", `/Users/${id}`)).status, 204);
  assert.equal((await scim("GET", `/Users/${id}`)).status, 404);
  assert.equal((await scim("DELETE", `/Users/${id}`)).status, 404);
});

test("lists come in pages", async (t) => {
  const world = await signIn(t);
  const scim = await directory(world);
  for (let n = 0; n < 7; n += 1) await scim("POST", "/Users", { userName: `user${n}` });
  const seen: string[] = [];
  for (let start = 1; start <= 7; start += 3) {
    const { body } = await scim("GET", `/Users?startIndex=${start}&count=3`);
    assert.deepEqual([body.totalResults, body.startIndex], [7, start]);
    assert.equal(body.itemsPerPage, body.Resources.length);
    seen.push(...body.Resources.map((one: { userName: string }) => one.userName));
  }
  assert.equal(new Set(seen).size, 7);
  assert.deepEqual((await scim("GET", "/Users?count=0")).body.Resources, []);
  assert.equal((await scim("GET", "/Users?startIndex=-5&count=2")).body.startIndex, 1);
  assert.equal((await scim("GET", "/Users?count=x")).status, 400);
  assert.equal((await scim("GET", "/Users?startIndex=100")).body.totalResults, 7);
});

test("what is in the directory becomes the person's at their first login, with roles and teams by their groups", async (t) => {
  const world = await signIn(t, { provider: { defaultRole: null, admitsNewUsers: false } });
  const scim = await directory(world);
  assertPage(await world.logIn(world.person("alice")), 403, /lets in nobody who was not made/);
  const { id } = (await scim("POST", "/Users", okta)).body;
  const group = await scim("POST", "/Groups", {
    displayName: "Platform Team",
    members: [{ value: id, display: "alice" }],
  });
  assert.equal(group.status, 201, JSON.stringify(group.body));
  const alice = world.person("alice");
  await world.logIn(alice);
  assert.deepEqual(await grantsOf(world, "Alice"), ["org:org:member", "team:platform-team:member"]);
  assert.deepEqual((await scim("GET", `/Users/${id}`)).body.groups[0].display, "Platform Team");
  // Okta takes members out by a filter, Entra by a list.
  const path = `/Groups/${group.body.id}`;
  const out = await scim("PATCH", path, {
    Operations: [{ op: "remove", path: `members[value eq "${id}"]` }],
  });
  assert.deepEqual(out.body.members, []);
  assert.deepEqual(await grantsOf(world, "Alice"), ["org:org:member"]);
  await scim("PATCH", path, {
    Operations: [{ op: "Add", path: "members", value: [{ value: id }] }],
  });
  assert.deepEqual(await grantsOf(world, "Alice"), ["org:org:member", "team:platform-team:member"]);
  const back = await scim("PATCH", path, {
    Operations: [{ op: "Remove", path: "members", value: [{ value: id }] }],
  });
  assert.deepEqual(back.body.members, []);
  await scim("PUT", path, {
    displayName: "Platform Team",
    members: [{ value: id }, { value: id }],
  });
  const without = await scim("GET", `${path}?excludedAttributes=members`);
  assert.equal(without.body.members, undefined);
  assert.equal((await scim("DELETE", path)).status, 204);
  assert.deepEqual(await grantsOf(world, "Alice"), ["org:org:member"]);
  const team = await world.plane.admin.client.teams.get("platform-team");
  assert.equal(team.name, "platform-team");
  const stranger = await scim("POST", "/Groups", {
    displayName: "x",
    members: [{ value: "scu_00000000000000000000" }],
  });
  assert.equal(stranger.status, 404);
});

test("a group is a role when a provider of the organization says so", async (t) => {
  const world = await signIn(t, { provider: { defaultRole: null } });
  const scim = await directory(world);
  const own = await world.plane.admin.client.providers.create({
    ...{ name: "own", label: "Own", issuer: "https://own.test", clientId: "c" },
  });
  await world.plane.admin.client.providers.setGroups(own.id, {
    groups: [{ group: "Auditors", role: "auditor" }],
  });
  const { id } = (await scim("POST", "/Users", okta)).body;
  await scim("POST", "/Groups", { displayName: "Auditors", members: [{ value: id }] });
  await world.logIn(world.person("alice"));
  assert.deepEqual(await grantsOf(world, "Alice"), ["org:org:auditor"]);
  await assert.rejects(world.plane.admin.client.teams.get("auditors"), { code: "not_found" });
});

for (const way of ["active=false (Okta)", "active=False (Entra)", "DELETE"] as const)
  test(`whom the directory lets go is out of everything there: ${way}`, async (t) => {
    const world = await signIn(t);
    const { plane } = world;
    const { orgId } = plane.admin.subject;
    const scim = await directory(world);
    const { id } = (await scim("POST", "/Users", okta)).body;
    const alice = world.person("alice");
    await world.logIn(alice);
    const who = await whoIs(world, alice);
    // More than the directory has given: a role by hand, a token, a key; and something elsewhere.
    await plane.admin.client.members.update(who.id, { roles: ["member", "billing"] });
    await sql`insert into tokens (id, hash, org_id, user_id, name)
      values ('tok_here', 'a', ${orgId}, ${who.id}, 't'),
        ('tok_there', 'b', ${plane.stranger.subject.orgId}, ${who.id}, 't')`.execute(
      plane.db.query,
    );
    await sql`insert into ssh_keys (id, org_id, user_id, name, public_key, fingerprint)
      values ('key_here', ${orgId}, ${who.id}, 'k', 'k', 'f')`.execute(plane.db.query);
    await sql`insert into grants (id, org_id, user_id, role, scope, scope_id)
      values ('gr_there', ${plane.stranger.subject.orgId}, ${who.id}, 'viewer', 'org',
        ${plane.stranger.subject.orgId})`.execute(plane.db.query);
    const startedMs = performance.now();
    if (way === "DELETE") assert.equal((await scim("DELETE", `/Users/${id}`)).status, 204);
    else {
      const operation = way.includes("Okta")
        ? { op: "replace", value: { active: false } }
        : { op: "Replace", path: "active", value: "False" };
      const done = await scim("PATCH", `/Users/${id}`, { Operations: [operation] });
      assert.deepEqual([done.status, done.body.active], [200, false]);
    }
    const { rows: left } = await sql<{ org_id: string }>`
      select org_id from grants where user_id = ${who.id}`.execute(plane.db.query);
    assert.deepEqual(
      left.map((row) => row.org_id),
      [plane.stranger.subject.orgId],
    );
    const { rows: revoked } = await sql<{ id: string }>`
      select credential_id as id from revocations order by 1`.execute(plane.db.query);
    const ids = revoked.map((row) => row.id);
    assert.ok(ids.includes("tok_here") && ids.includes("key_here") && !ids.includes("tok_there"));
    assert.equal(ids.filter((one) => one.startsWith("web_")).length, 1);
    while ((await whoIs(world, alice)) !== null) {
      assert.ok(performance.now() - startedMs < GENEROUS_MS, "out within seconds");
      await plane.identity.clock.sleep(50);
    }
    // And does not come back by the provider's default role.
    if (way === "DELETE") return;
    const back = await world.logIn(alice);
    // The organization is shut to her; she is still a viewer elsewhere.
    assert.equal(back.url.pathname, "/");
    assert.equal((await whoIs(world, alice)).org.id, plane.stranger.subject.orgId);
    assert.deepEqual(await grantsOf(world, "Alice"), ["org:org:viewer"]);
    // Taken back in, she has what the directory gives, and not what was given by hand.
    await scim("PATCH", `/Users/${id}`, {
      Operations: [{ op: "replace", value: { active: true } }],
    });
    const { rows: again } = await sql<{ role: string }>`
      select role from grants where user_id = ${who.id} and org_id = ${orgId}`.execute(
      plane.db.query,
    );
    assert.deepEqual(
      again.map((row) => row.role),
      ["member"],
    );
  });

test("owners are not the directory's to remove, unless an owner has set it up; the last one never", async (t) => {
  const world = await signIn(t);
  const { plane } = world;
  const { addUser, addToken } = await import("#store/access.ts");
  const { hashToken, makeToken } = await import("#trust/token-hash.ts");
  const helper = await addUser(plane.db, plane.admin.subject.orgId, {
    name: "h",
    roles: ["admin"],
  });
  const token = makeToken();
  await addToken(plane.db, helper, { hash: hashToken(token), name: "t" });
  const { createClient } = await import("#sdk/client.ts");
  const client = createClient({ url: plane.url, token, retries: 0 });
  const byAdmin = await directory(world, { ...plane.admin, client });
  const byOwner = await directory(world);
  const { id } = (await byAdmin("POST", "/Users", okta)).body;
  await world.logIn(world.person("alice"));
  const { rows } = await sql<{ id: string }>`select id from users where name = 'Alice'`.execute(
    plane.db.query,
  );
  await plane.admin.client.members.update(rows[0]?.id ?? "", { roles: ["owner"] });
  const gone = { Operations: [{ op: "replace", value: { active: false } }] };
  const refused = await byAdmin("PATCH", `/Users/${id}`, gone);
  assert.equal(refused.status, 403);
  assert.match(refused.body.detail, /an owner has made/);
  assert.equal((await byAdmin("GET", `/Users/${id}`)).body.active, true, "nothing has changed");
  await sql`delete from grants where user_id = ${plane.admin.subject.userId} and role = 'owner'`.execute(
    plane.db.query,
  );
  assert.equal((await byOwner("PATCH", `/Users/${id}`, gone)).status, 403, "no owner any more");
  // Not even by her own directory: she is the last.
  await sql`update scim_tokens set created_by = ${rows[0]?.id}`.execute(plane.db.query);
  const last = await byOwner("PATCH", `/Users/${id}`, gone);
  assert.deepEqual([last.status, last.body.scimType], [409, "mutability"]);
  assert.equal((await byOwner("GET", `/Users/${id}`)).body.active, true);
  await sql`update scim_tokens set created_by = ${plane.admin.subject.userId}`.execute(
    plane.db.query,
  );
  await sql`insert into grants (id, org_id, user_id, role, scope, scope_id) values ('gr_x',
    ${plane.admin.subject.orgId}, ${plane.admin.subject.userId}, 'owner', 'org',
    ${plane.admin.subject.orgId})`.execute(plane.db.query);
  assert.equal((await byOwner("PATCH", `/Users/${id}`, gone)).status, 200);
});

test("a directory that lists somebody's address does not make them a member by it alone", async (t) => {
  const world = await signIn(t);
  const { plane } = world;
  const { stranger } = plane;
  const scim = await directory(world, stranger);
  const { id } = (await scim("POST", "/Users", okta)).body;
  const alice = world.person("alice");
  const isBound = async () => {
    const { rows } = await sql<{ isBound: boolean }>`select user_id is not null as "isBound"
      from scim_users where id = ${id}`.execute(plane.db.query);
    return rows[0]?.isBound;
  };
  await world.logIn(alice);
  assert.deepEqual([await isBound(), await grantsOf(world, "Alice")], [false, ["org:org:member"]]);
  // An untrusted provider for the domain says nothing either; one that an operator trusts with it does.
  const own = await stranger.client.providers.create({
    ...{ name: "own", label: "Own", issuer: "https://own.test", clientId: "c" },
    emailDomains: ["corp.test"],
  });
  await world.logIn(alice);
  assert.equal(await isBound(), false);
  // What she takes herself does too.
  const { secret } = await stranger.client.invitations.create({
    ...{ email: "alice@corp.test", roles: ["viewer"] },
  });
  await world.logIn(alice, `?invitation=${secret}`);
  assert.equal(await isBound(), true);
  assert.deepEqual(await grantsOf(world, "Alice"), [
    ...["org:org:member", "org:org:member", "org:org:viewer"],
  ]);
  await scim("DELETE", `/Users/${id}`);
  assert.deepEqual(await grantsOf(world, "Alice"), ["org:org:member"]);
  const again = await scim("POST", "/Users", okta);
  await world.logIn(alice);
  assert.deepEqual(await grantsOf(world, "Alice"), ["org:org:member"]);
  await sql`update providers set is_trusted = true where id = ${own.id}`.execute(plane.db.query);
  await world.logIn(alice);
  assert.deepEqual(await grantsOf(world, "Alice"), ["org:org:member", "org:org:member"]);
  assert.equal(again.status, 201);
});

test("a directory sees and changes its own organization only, by a token of its own kind", async (t) => {
  const world = await signIn(t);
  const { plane } = world;
  const [mine, theirs] = [await directory(world), await directory(world, plane.stranger)];
  const { id } = (await mine("POST", "/Users", okta)).body;
  const group = (await mine("POST", "/Groups", { displayName: "g" })).body.id;
  for (const [method, path] of [
    ["GET", `/Users/${id}`],
    ["PUT", `/Users/${id}`],
    ["PATCH", `/Users/${id}`],
    ["DELETE", `/Users/${id}`],
    ["GET", `/Groups/${group}`],
    ["PUT", `/Groups/${group}`],
    ["DELETE", `/Groups/${group}`],
  ] as const) {
    const body =
      method === "PATCH"
        ? { Operations: [{ op: "replace", value: { active: false } }] }
        : { userName: "x", displayName: "x" };
    const answer = await theirs(method, path, method === "GET" ? undefined : body);
    assert.equal(answer.status, 404, `${method} ${path}`);
  }
  const adopted = await theirs("POST", "/Groups", { displayName: "h", members: [{ value: id }] });
  assert.equal(adopted.status, 404);
  // The entry of one organization says nothing of a user of another: the verified address finds nobody before a login.
  await world.logIn(world.person("alice"));
  await theirs("POST", "/Users", okta);
  const { rows } = await sql<{ user_id: string | null }>`
    select user_id from scim_users where org_id = ${plane.stranger.subject.orgId}`.execute(
    plane.db.query,
  );
  assert.deepEqual(rows, [{ user_id: null }]);
  const ask = (authorization: string, url = "/scim/v2/Users") =>
    plane.api.app.inject({ url, headers: { authorization } });
  for (const authorization of [
    "",
    "Bearer x",
    `Bearer ${plane.admin.token}`,
    `Basic ${mine.token}`,
  ]) {
    const answer = await ask(authorization);
    assert.deepEqual([answer.statusCode, answer.json().status], [401, "401"], authorization);
  }
  assert.equal((await ask(`Bearer ${mine.token}`, "/v1/system")).statusCode, 401);
  assert.equal((await mine("GET", "/ServiceProviderConfig")).body.patch.supported, true);
  assert.equal((await mine("GET", "/ResourceTypes")).body.totalResults, 2);
  assert.equal((await mine("GET", `/Schemas/${USER}`)).body.name, "User");
  assert.equal((await mine("GET", "/Bulk")).status, 404);
  const [token] = (await plane.admin.client.scimTokens.list()).items;
  await plane.admin.client.scimTokens.delete(token?.id ?? "");
  assert.equal((await mine("GET", "/Users")).status, 401);
  assert.equal(ALICE.name, "Alice");
});
