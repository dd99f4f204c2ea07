// Bad input about who may do what: each a clear refusal, and nothing changed by it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { BOX_ROLES, ORG_ROLES, TEAM_ROLES } from "#domain/permission.ts";
import { addToken } from "#store/access.ts";
import type { Db } from "#store/db.ts";
import { addGrant } from "#store/grants.ts";
import { type Caller, type ControlPlane, controlPlane } from "#test/harness/control-plane.ts";
import { hashToken, makeToken } from "#trust/token-hash.ts";

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into any answer.
  readonly body: any;
}

async function ask(
  plane: ControlPlane,
  token: string,
  method: "GET" | "POST" | "PATCH" | "DELETE",
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`${plane.url}/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body ? { "content-type": "application/json" } : {}),
      ...headers,
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  return { status: response.status, body: await response.json() };
}

/** Who holds what, and who may still come in. */
async function rights(db: Db): Promise<unknown> {
  const { rows } = await sql`
    select user_id, team_id, role, scope, scope_id from grants
    union all select user_id, null, name, 'token', revoked_at::text from tokens
    union all select id, null, hash, 'invitation', accepted_at::text from invitations
    order by 1, 2, 3, 4, 5`.execute(db.query);
  return rows;
}

async function changesNothing(db: Db, work: () => Promise<void>): Promise<void> {
  const before = await rights(db);
  await work();
  assert.deepEqual(await rights(db), before);
}

function refused({ status, body }: Answer, expected: number, code: string, says: RegExp): void {
  assert.deepEqual([status, body.code], [expected, code], JSON.stringify(body));
  assert.match(`${body.detail} ${JSON.stringify(body.errors ?? [])}`, says);
}

async function aBox(plane: ControlPlane, caller: Caller): Promise<string> {
  await plane.addTemplate();
  return (await caller.client.boxes.create({ name: "one", template: "default" })).box.id;
}

test("roles that there are not are refused wherever a role is named, with those that there are", async (t) => {
  const plane = await controlPlane(t);
  const { token, client } = plane.admin;
  const member = await plane.addMember("mia");
  const team = await client.teams.create({ name: "crew" });
  const box = await aBox(plane, plane.admin);
  const user = member.subject.userId;
  const places: [string, "POST" | "PATCH", string, (role: string) => object, readonly string[]][] =
    [
      ["member", "PATCH", `/members/${user}`, (role) => ({ roles: [role] }), ORG_ROLES],
      ["invitation", "POST", "/invitations", (role) => ({ roles: [role] }), ORG_ROLES],
      ["account", "POST", "/service-accounts", (role) => ({ name: "x", roles: [role] }), ORG_ROLES],
      ["team", "POST", `/teams/${team.id}/members`, (role) => ({ user, role }), TEAM_ROLES],
      ["box", "POST", `/boxes/${box}/shares`, (role) => ({ user, role }), BOX_ROLES],
    ];
  await changesNothing(plane.db, async () => {
    for (const [what, method, path, body, known] of places)
      for (const role of ["emperor", "Owner", "owner ", "", "__proto__", "root\u0000"]) {
        const answer = await ask(plane, token, method, path, body(role));
        refused(answer, 400, "invalid_request", new RegExp(known.join(".*")));
        assert.ok(JSON.stringify(answer.body).includes("role"), what);
      }
  });
});

test("nobody raises themselves, and none gives more than they have", async (t) => {
  const plane = await controlPlane(t);
  const { client } = plane.admin;
  const member = await plane.addMember("mia");
  const admin = await plane.addMember("ada", ["admin"]);
  const biller = await plane.addMember("bill", ["billing"]);
  const team = await client.teams.create({ name: "crew" });
  await client.teams.setMember(team.id, { user: member.subject.userId, role: "member" });
  const box = await aBox(plane, plane.admin);
  await client.shares.create(box, { user: member.subject.userId, role: "use" });
  const scopes = ["token.manage", "org.read"] as const;
  const narrow = await member.client.tokens.create({ name: "narrow", scopes: [...scopes] });
  const me = (caller: Caller) => caller.subject.userId;
  await changesNothing(plane.db, async () => {
    const tries: [string, Caller | { token: string }, "POST" | "PATCH", string, object, RegExp][] =
      [
        [
          "member",
          member,
          "PATCH",
          `/members/${me(member)}`,
          { roles: ["admin"] },
          /member\.manage/,
        ],
        [
          "biller",
          biller,
          "PATCH",
          `/members/${me(biller)}`,
          { roles: ["owner"] },
          /member\.manage/,
        ],
        ["admin", admin, "PATCH", `/members/${me(admin)}`, { roles: ["owner"] }, /owner/],
        ["admin invites", admin, "POST", "/invitations", { roles: ["owner"] }, /owner/],
        [
          "admin's robot",
          admin,
          "POST",
          "/service-accounts",
          { name: "x", roles: ["owner"] },
          /owner/,
        ],
        [
          "team",
          member,
          "POST",
          `/teams/${team.id}/members`,
          { user: me(member), role: "admin" },
          /team\.manage/,
        ],
        [
          "share",
          member,
          "POST",
          `/boxes/${box}/shares`,
          { user: me(member), role: "admin" },
          /box\.share/,
        ],
        ["hand over", member, "PATCH", `/boxes/${box}`, { owner: me(member) }, /box\.share/],
        ["invite", member, "POST", "/invitations", { roles: ["member"] }, /member\.manage/],
        [
          "token",
          narrow,
          "POST",
          "/tokens",
          { name: "wide", scopes: ["box.create"] },
          /box\.create/,
        ],
      ];
    for (const [what, caller, method, path, body, says] of tries) {
      const answer = await ask(plane, caller.token, method, path, body);
      refused(answer, 403, "forbidden", says);
      assert.ok(what);
    }
  });
  // A token made by a narrow one is as narrow, whatever is left out.
  const made = await ask(plane, narrow.token, "POST", "/tokens", { name: "child" });
  assert.deepEqual([...made.body.scopes].sort(), [...scopes].sort());
});

test("the last owner stays: by leaving, by another role, and when two go at once", async (t) => {
  const plane = await controlPlane(t);
  const { token, subject } = plane.admin;
  const self = `/members/${subject.userId}`;
  await changesNothing(plane.db, async () => {
    refused(await ask(plane, token, "DELETE", self), 409, "in_use", /last owner/);
    const roles = { roles: ["member"] };
    refused(await ask(plane, token, "PATCH", self, roles), 409, "in_use", /last owner/);
  });
  const owners = async () => {
    const { rows } =
      await sql`select 1 from grants where scope_id = ${subject.orgId} and role = 'owner'`.execute(
        plane.db.query,
      );
    return rows.length;
  };
  for (let round = 0; round < 10; round += 1) {
    const one = await plane.addOrg(`pair${round}`);
    const { orgId } = one.subject;
    const two = await plane.callerFor({ ...(await plane.addMember(`two${round}`)).subject, orgId });
    const { userId } = two.subject;
    await addGrant(plane.db, {
      scope: "org",
      scopeId: orgId,
      orgId,
      role: "owner",
      holder: { userId },
    });
    const go = (caller: Caller) => {
      const path = `/members/${caller.subject.userId}`;
      if (round % 2 === 0) return ask(plane, caller.token, "DELETE", path);
      return ask(plane, caller.token, "PATCH", path, { roles: ["member"] });
    };
    const codes = (await Promise.all([go(one), go(two)])).map(({ status }) => status);
    assert.deepEqual(codes.sort(), [200, 409]);
    const { rows } = await sql`
      select 1 from grants where scope_id = ${orgId} and role = 'owner'`.execute(plane.db.query);
    assert.equal(rows.length, 1);
  }
  assert.equal(await owners(), 1);
});

test("whoever was removed is out: their tokens, and their service account's when it is deleted", async (t) => {
  const plane = await controlPlane(t);
  const { client } = plane.admin;
  const member = await plane.addMember("mia");
  const account = await client.serviceAccounts.create({ name: "robot" });
  const robot = await client.serviceAccounts.createToken(account.id, { name: "ci" });
  for (const token of [member.token, robot.token])
    assert.equal((await ask(plane, token, "GET", "/boxes")).status, 200);
  await client.members.remove(member.subject.userId);
  await client.serviceAccounts.delete(account.id);
  for (const token of [member.token, robot.token]) {
    // Known identities are remembered for a moment.
    for (let tries = 0; tries < 100; tries += 1) {
      if ((await ask(plane, token, "GET", "/boxes")).status === 401) break;
      await new Promise((done) => setTimeout(done, 50));
    }
    const key = { "idempotency-key": "late" };
    const late = await ask(plane, token, "POST", "/teams", { name: "late" }, key);
    refused(late, 401, "unauthenticated", /./);
  }
  const { rows } = await sql`select 1 from teams where name = 'late'`.execute(plane.db.query);
  assert.equal(rows.length, 0);
});

test("an invitation is taken once, by whom it is for, while it holds", async (t) => {
  const plane = await controlPlane(t);
  const { client, token } = plane.admin;
  const accept = (caller: Caller, secret: string) =>
    ask(plane, caller.token, "POST", "/invitations/accept", { secret });
  const [one, two] = [await plane.addOrg("beta"), await plane.addOrg("gamma")];
  const { secret } = await client.invitations.create({ roles: ["member"] });
  const both = await Promise.all([accept(one, secret), accept(two, secret)]);
  assert.deepEqual(both.map(({ status }) => status).sort(), [
    200,
    both.find((a) => a.status !== 200)?.status,
  ]);
  const isInvalid = /used, taken back, or has expired/;
  await changesNothing(plane.db, async () => {
    for (const caller of [one, two, plane.admin]) {
      const again = await accept(caller, secret);
      assert.equal(again.body.code, "invitation_invalid");
      assert.match(again.body.detail, isInvalid);
    }
    const register = await ask(plane, token, "POST", "/invitations/register", {
      secret,
      name: "eve",
    });
    assert.equal(register.body.code, "invitation_invalid");
    assert.equal((await accept(one, makeToken())).body.code, "invitation_invalid");
  });
  const gone = await client.invitations.create({ roles: ["admin"] });
  await client.invitations.delete(gone.id);
  const old = await client.invitations.create({ roles: ["admin"] });
  await sql`update invitations set expires_at = now() where id = ${old.id}`.execute(plane.db.query);
  const named = await client.invitations.create({ roles: ["admin"], email: "ann@example.test" });
  await changesNothing(plane.db, async () => {
    for (const made of [gone, old])
      assert.equal((await accept(two, made.secret)).body.code, "invitation_invalid");
    refused(await accept(two, named.secret), 403, "forbidden", /another address/);
    const register = { secret: named.secret, name: "ann" };
    const answer = await ask(plane, token, "POST", "/invitations/register", register);
    refused(answer, 403, "forbidden", /provider/);
  });
});

test("an Idempotency-Key means something to one user of one organization only", async (t) => {
  const plane = await controlPlane(t);
  const member = await plane.addMember("mia");
  const { stranger } = plane;
  // The same person in the other organization.
  const { orgId } = stranger.subject;
  const { userId } = member.subject;
  await addGrant(plane.db, {
    scope: "org",
    scopeId: orgId,
    orgId,
    role: "admin",
    holder: { userId },
  });
  const twin = makeToken();
  await addToken(plane.db, { ...member.subject, orgId }, { hash: hashToken(twin), name: "twin" });
  await sql`update grants set role = 'admin' where user_id = ${userId} and scope = 'org'`.execute(
    plane.db.query,
  );
  const create = (token: string, body: object) =>
    ask(plane, token, "POST", "/teams", body, { "idempotency-key": "shared-key" });
  const answers: Answer[] = [];
  for (const token of [plane.admin.token, stranger.token, twin]) {
    const answer = await create(token, { name: `team-${answers.length}` });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    answers.push(answer);
  }
  assert.equal(new Set(answers.map(({ body }) => body.id)).size, 3);
  for (const [n, token] of [plane.admin.token, stranger.token, twin].entries()) {
    // The same again: one's own answer. Another body: refused, without a word of what the key stands for.
    assert.deepEqual((await create(token, { name: `team-${n}` })).body.id, answers[n]?.body.id);
    const other = await create(token, { name: "another" });
    assert.equal(other.body.code, "idempotency_key_reused");
    assert.ok(!JSON.stringify(other.body).includes("team-"));
  }
  const { rows } = await sql`select 1 from teams`.execute(plane.db.query);
  assert.equal(rows.length, 3);
});

test("boxes of a team are made, forked and handed into it by its own people, or by who manages teams", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const outsider = await plane.addMember("outsider");
  const insider = await plane.addMember("insider");
  const { client: admin } = plane.admin;
  const team = await admin.teams.create({ name: "web" });
  await admin.teams.setMember("web", { user: "insider", role: "member" });
  const wanted = (name: string) => ({ template: "default", name, team: "web" });
  await assert.rejects(outsider.client.boxes.create(wanted("a")), { code: "forbidden" });
  const { box: own } = await outsider.client.boxes.create({ template: "default", name: "own" });
  const into = (by: Caller) => by.client.boxes.update(own.id, { team: "web" });
  await assert.rejects(into(outsider), { code: "forbidden" });
  assert.equal((await insider.client.boxes.create(wanted("b"))).box.team, team.id);
  const { box } = await admin.boxes.create(wanted("c"));
  assert.equal((await into(plane.admin)).team, team.id);
  // Who may enter a team's box without being in the team forks it for themselves.
  await admin.shares.create(box.id, { user: "outsider", role: "use" });
  const { forks } = await outsider.client.boxes.fork(box.id);
  assert.deepEqual([forks[0]?.box.team, forks[0]?.box.owner], [null, outsider.subject.userId]);
  const { forks: inside } = await insider.client.boxes.fork(box.id);
  assert.equal(inside[0]?.box.team, team.id);
});

test("a box that is shared is not given away, or taken, by whom it is shared with", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const { client } = plane.admin;
  const [owner, friend, chief] = [
    await plane.addMember("owner"),
    await plane.addMember("friend"),
    await plane.addMember("chief"),
  ];
  await client.teams.create({ name: "web" });
  await client.teams.setMember("web", { user: chief.subject.userId, role: "admin" });
  await owner.client.boxes.create({ template: "default", name: "mine" });
  await owner.client.shares.create("mine", { user: friend.subject.userId, role: "admin" });
  for (const to of [{ owner: friend.subject.userId }, { team: null }])
    refused(
      await ask(plane, friend.token, "PATCH", "/boxes/mine", to),
      ...([403, "forbidden", /box\.share by more than a share/] as const),
    );
  // What an administrator's share is for goes on.
  await friend.client.shares.create("mine", { user: chief.subject.userId, role: "view" });
  const ownerOf = async () => (await client.boxes.get("mine")).owner;
  const give = (by: Caller, to: object) => ask(plane, by.token, "PATCH", "/boxes/mine", to);
  assert.equal(await ownerOf(), owner.subject.userId);
  assert.equal((await give(owner, { owner: friend.subject.userId })).status, 200);
  assert.equal(await ownerOf(), friend.subject.userId);
  assert.equal((await give(plane.admin, { team: "web" })).status, 200);
  assert.equal((await give(chief, { owner: chief.subject.userId })).status, 200);
  assert.equal(await ownerOf(), chief.subject.userId);
});

test("a name that people give themselves is nobody's address, and hides nothing", async (t) => {
  const plane = await controlPlane(t);
  const { client } = plane.admin;
  const { secret } = await client.invitations.create({ roles: ["member"] });
  for (const name of ["ceo@corp.example", "ceo＠corp.example", "A\u202eda", "\u3164", " "])
    refused(
      await ask(plane, "", "POST", "/invitations/register", { secret, name }),
      ...([400, "invalid_request", /body\.name: must be up to 80 letters/] as const),
    );
  const taken = await ask(plane, "", "POST", "/invitations/register", {
    ...{ secret, name: " Ada \u00a0 Ｌovelace" },
  });
  assert.deepEqual([taken.status, taken.body.user?.name], [201, "Ada Lovelace"]);
});
