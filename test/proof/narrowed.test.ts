// What is given is never more than the giver has: by narrowed tokens, by what was made before a role was taken, by a
// directory.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { ORG_RIGHTS, type Permission, TEAM_RIGHTS } from "#domain/permission.ts";
import { systemClock } from "#lib/clock.ts";
import { makeSshKey } from "#lib/ssh-keys.ts";
import { createClient } from "#sdk/client.ts";
import { transact } from "#store/db.ts";
import { keepDirectoryGrants } from "#store/directory.ts";
import { insertEvents, keepSeen, listEvents } from "#store/events.ts";
import { acceptInvitation } from "#store/invitations.ts";
import { createToken, identifyToken } from "#store/tokens.ts";
import { type Caller, type ControlPlane, controlPlane } from "#test/harness/control-plane.ts";
import { hashToken } from "#trust/token-hash.ts";

const FORBIDDEN = { code: "forbidden" };

async function narrowed(
  plane: ControlPlane,
  by: Caller,
  scopes: Permission[],
  lifetimeMs?: number,
) {
  const { token } = await by.client.tokens.create({
    ...{ name: "narrow", scopes },
    ...(lifetimeMs ? { expiresInMs: lifetimeMs } : {}),
  });
  return createClient({ url: plane.url, token, retries: 0 });
}

test("a narrowed token gives no more than it has: roles, keys, shares, teams, directories", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const { client } = plane.admin;
  const { userId } = (await plane.addMember("mia")).subject;
  await client.boxes.create({ template: "default", name: "one" });
  const team = await client.teams.create({ name: "web" });
  const reads: Permission[] = ["member.read", "team.read", "box.read", "operation.read"];
  const narrow = await narrowed(plane, plane.admin, [
    ...reads,
    ...(["member.manage", "team.manage", "box.share", "key.manage", "provider.manage"] as const),
  ]);
  const publicKey = makeSshKey("laptop").publicKeyLine;
  await assert.rejects(narrow.members.update(userId, { roles: ["member", "owner"] }), FORBIDDEN);
  await assert.rejects(narrow.invitations.create({ roles: ["owner"] }), FORBIDDEN);
  await assert.rejects(narrow.keys.create({ name: "k", publicKey }), FORBIDDEN);
  await assert.rejects(narrow.shares.create("one", { user: userId, role: "use" }), FORBIDDEN);
  await assert.rejects(narrow.boxes.update("one", { owner: userId }), FORBIDDEN);
  await assert.rejects(narrow.teams.setMember(team.id, { user: userId, role: "admin" }), FORBIDDEN);
  await assert.rejects(narrow.scimTokens.create({ name: "okta" }), FORBIDDEN);
  // With what it takes, it may.
  const wide = await narrowed(plane, plane.admin, ["key.manage", "box.enter"]);
  assert.equal((await wide.keys.create({ name: "k", publicKey })).name, "k");
  await client.shares.create("one", { user: userId, role: "use" });
});

test("a narrowed token invites into a team only with what managing the team and being in it takes", async (t) => {
  const plane = await controlPlane(t);
  await plane.admin.client.teams.create({ name: "web" });
  const invite = async (scopes: Permission[]) => {
    const all: Permission[] = ["team.read", "member.manage", ...ORG_RIGHTS.viewer.own, ...scopes];
    const { invitations } = await narrowed(plane, plane.admin, [...new Set(all)]);
    return invitations.create({ roles: ["viewer"], team: "web" });
  };
  const inIt = [...TEAM_RIGHTS.member];
  await assert.rejects(invite(inIt), FORBIDDEN);
  await assert.rejects(invite(["team.manage"]), FORBIDDEN);
  assert.ok((await invite(["team.manage", ...inIt])).team);
});

test("a token of a service account lasts no longer than the token that made it", async (t) => {
  const plane = await controlPlane(t);
  const { client } = plane.admin;
  await client.serviceAccounts.create({ name: "ci", roles: ["viewer"] });
  const hour = await narrowed(
    plane,
    plane.admin,
    ["service.manage", "member.manage", "system.read"],
    3_600_000,
  );
  await assert.rejects(createClient({ url: plane.url, token: "x", retries: 0 }).org.get(), {
    code: "unauthenticated",
  });
  const short = await client.tokens.create({ name: "short", expiresInMs: 3_600_000 });
  const by = createClient({ url: plane.url, token: short.token, retries: 0 });
  const made = await by.serviceAccounts.createToken("ci", { name: "nightly" });
  assert.equal(made.expiresAt, short.expiresAt);
  await assert.rejects(hour.serviceAccounts.createToken("ci", { name: "n" }), FORBIDDEN);
  const account = await client.members.get("ci");
  await assert.rejects(client.members.update(account.id, { roles: ["owner"] }), FORBIDDEN);
});

test("an invitation holds as long as whoever made it could still make it", async (t) => {
  const plane = await controlPlane(t);
  const { client } = plane.admin;
  const helper = await plane.addMember("helper", ["admin"]);
  const { userId } = helper.subject;
  const [one, two] = [
    await helper.client.invitations.create({ roles: ["admin"] }),
    await helper.client.invitations.create({ roles: ["member"] }),
  ];
  await client.members.update(userId, { roles: ["member"] });
  const invalid = { code: "invitation_invalid" };
  await assert.rejects(acceptInvitation(plane.db, userId, hashToken(one.secret)), invalid);
  await client.members.remove(userId);
  await assert.rejects(acceptInvitation(plane.db, userId, hashToken(two.secret)), invalid);
  const { invitation } = await client.orgs.create({ name: "second", inviteOwner: true });
  await acceptInvitation(plane.db, userId, hashToken(invitation?.secret ?? ""));
  // It is theirs now: its operator invites nobody into it any more.
  await sql`update invitations set accepted_at = null where id = ${invitation?.id}`.execute(
    plane.db.query,
  );
  const mia = await plane.addMember("mia");
  await assert.rejects(
    acceptInvitation(plane.db, mia.subject.userId, hashToken(invitation?.secret ?? "")),
    invalid,
  );
});

test("no group of a directory makes an owner", async (t) => {
  const plane = await controlPlane(t);
  const { db, admin } = plane;
  const { orgId } = admin.subject;
  const { userId } = (await plane.addMember("mia")).subject;
  const provider = await admin.client.providers.create({
    ...{ name: "corp", label: "Corp", issuer: "https://idp.test", clientId: "berth" },
  });
  await admin.client.providers.setGroups(provider.id, {
    groups: [
      { group: "bosses", role: "owner" },
      { group: "bosses", role: "auditor" },
    ],
  });
  await transact(db, "test.directory", async (tx) => {
    await sql`insert into scim_users (id, org_id, user_id, user_name, is_active, attributes)
      values ('scu_1', ${orgId}, ${userId}, 'mia', true, '{}')`.execute(tx.query);
    await sql`insert into scim_groups (id, org_id, display_name) values ('scg_1', ${orgId}, 'bosses')`.execute(
      tx.query,
    );
    await sql`insert into scim_members (group_id, member_id, org_id) values ('scg_1', 'scu_1', ${orgId})`.execute(
      tx.query,
    );
    await keepDirectoryGrants(tx, orgId, userId);
  });
  assert.deepEqual((await admin.client.members.get(userId)).roles, ["auditor", "member"]);
});

test("nobody keeps endless tokens", async (t) => {
  const plane = await controlPlane(t);
  const { subject, token } = plane.admin;
  await sql`insert into tokens (id, hash, org_id, user_id, name)
    select 'tok_' || n, 'hash' || n, ${subject.orgId}, ${subject.userId}, 'many'
    from generate_series(1, 998) n`.execute(plane.db.query);
  const by = await identifyToken(plane.db, hashToken(token));
  assert.ok(by);
  await createToken(plane.db, by, { hash: "last", name: "last", expiresInMs: null });
  await assert.rejects(createToken(plane.db, by, { hash: "more", name: "m", expiresInMs: null }), {
    code: "in_use",
  });
});

test("a narrowed token of an operator's sees no events of the installation", async (t) => {
  const { db, admin } = await controlPlane(t);
  const event = { orgId: null, kind: "node.updated", subjectKind: "node" as const };
  await transact(db, "test.event", (tx) =>
    insertEvents(tx, [{ ...event, subjectId: "node_x", actor: null, message: "told" }]),
  );
  const { subject } = admin;
  const all = await listEvents(db, subject, systemClock, { after: 0, limit: 100 });
  const seen = async (scopes: Permission[] | null) =>
    (await keepSeen(db, { ...subject, scopes }, all)).filter(({ orgId }) => orgId === null).length;
  assert.ok((await seen(null)) > 0);
  assert.equal(await seen(["event.read"]), 0);
});
