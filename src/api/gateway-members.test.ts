// What gateways hear of who is what: whoever takes a role away, and by whatever way, they know it soon. What they do not
// hear of stays open there.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { makeSshKey } from "#lib/ssh-keys.ts";
import { transact } from "#store/db.ts";
import { acceptInvitation } from "#store/invitations.ts";
import { keepGrants } from "#store/kept-grants.ts";
import { createProvider, setGroupRoles, sourceOf } from "#store/providers.ts";
import { identifyToken } from "#store/tokens.ts";
import { type ControlPlane, controlPlane } from "#test/harness/control-plane.ts";
import { gatewayPeer } from "#test/harness/gateway-peer.ts";
import { hashToken } from "#trust/token-hash.ts";

async function feedOf(t: Parameters<typeof controlPlane>[0], plane: ControlPlane) {
  const feed = await (await gatewayPeer(plane)).openFeed();
  t.after(async () => feed.close());
  return feed;
}

async function aProvider({ db, admin }: ControlPlane) {
  const settings = {
    ...{ name: "corp", label: "Corp", issuer: "https://idp.test", clientId: "berth" },
    ...{ clientSecret: null, scopes: ["openid"], parameters: {}, isTrusted: false },
    ...{ admitsNewUsers: true, emailDomains: [], groupsClaim: "groups", defaultRole: null },
    ...{ sessionMaxMs: 3_600_000, checkEveryMs: 300_000, memberMaxAgeMs: null },
  };
  return createProvider(db, admin.subject, settings, false);
}

test("a role in a team that a provider takes away is told to gateways", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const { client, subject } = plane.admin;
  const { orgId } = subject;
  const member = await plane.addMember("mia", ["member"]);
  const { userId } = member.subject;
  const team = await client.teams.create({ name: "web" });
  const { box } = await client.boxes.create({ template: "default", name: "one", team: "web" });
  const provider = await aProvider(plane);
  const feed = await feedOf(t, plane);
  const keep = (role: string | null) =>
    transact(plane.db, "test.keep", (tx) =>
      keepGrants(
        tx,
        userId,
        sourceOf(provider.id),
        role === null ? [] : [{ orgId, scope: "team", scopeId: team.id, role }],
      ),
    );
  await keep("member");
  await feed.until("in the team", (known) => known.mayEnter(userId, box.id));
  await keep("viewer");
  await feed.until("only a viewer", (known) => !known.mayEnter(userId, box.id));
  await keep("member");
  await feed.until("in the team again", (known) => known.mayEnter(userId, box.id));
  await keep(null);
  await feed.until("out of the team", (known) => !known.mayEnter(userId, box.id));
});

test("a provider that is removed takes along whoever was in by it alone: keys, tokens, and at gateways", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const { orgId } = plane.admin.subject;
  const member = await plane.addMember("mia", ["member"]);
  const { userId } = member.subject;
  const { box } = await member.client.boxes.create({ template: "default", name: "one" });
  const key = await member.client.keys.create({
    name: "laptop",
    publicKey: makeSshKey("laptop").publicKeyLine,
  });
  const provider = await aProvider(plane);
  const wanted = [{ orgId, scope: "org" as const, scopeId: orgId, role: "member" }];
  await transact(plane.db, "test.keep", async (tx) => {
    await keepGrants(tx, userId, sourceOf(provider.id), wanted);
    await sql`delete from grants where user_id = ${userId} and source = 'direct'`.execute(tx.query);
  });
  const feed = await feedOf(t, plane);
  assert.ok(feed.known.mayEnter(userId, box.id));
  await plane.admin.client.providers.delete(provider.id);
  await feed.until("no member", (known) => !known.isMember(orgId, userId));
  await feed.until("key revoked", (known) => known.isRevoked(key.id));
  assert.equal(feed.known.keys(key.fingerprint).length, 0);
  // Back as a member, it is a beginning from nothing.
  await transact(plane.db, "test.keep", (tx) => keepGrants(tx, userId, "scim:x", wanted));
  assert.equal(await identifyToken(plane.db, hashToken(member.token)), null);
});

test("an owner's provider goes only by an owner, and never with the last one", async (t) => {
  const plane = await controlPlane(t);
  const { subject } = plane.admin;
  const { orgId } = subject;
  const provider = await aProvider(plane);
  const boss = await plane.addMember("boss", ["member"]);
  const helper = await plane.addMember("helper", ["admin"]);
  await setGroupRoles(plane.db, subject, provider.id, [
    { group: "bosses", teamId: null, role: "owner" },
  ]);
  await transact(plane.db, "test.keep", (tx) =>
    keepGrants(tx, boss.subject.userId, sourceOf(provider.id), [
      { orgId, scope: "org", scopeId: orgId, role: "owner" },
    ]),
  );
  const forbidden = { code: "forbidden" };
  const { providers } = helper.client;
  await assert.rejects(providers.delete(provider.id), forbidden);
  // Whoever says what the claim is says who is an owner.
  await assert.rejects(providers.update(provider.id, { groupsClaim: "name" }), forbidden);
  await assert.rejects(providers.setGroups(provider.id, { groups: [] }), forbidden);
  const { id } = await plane.admin.client.providers.create({
    ...{
      name: "all",
      label: "All",
      issuer: "https://all.test",
      clientId: "c",
      defaultRole: "owner",
    },
  });
  await assert.rejects(providers.update(id, { groupsClaim: "name" }), forbidden);
  await assert.rejects(providers.delete(id), forbidden);
  const bosses = { group: "bosses", role: "owner" as const };
  await providers.setGroups(provider.id, {
    groups: [bosses, { group: "all", role: "viewer" }],
  });
  await boss.client.members.update(subject.userId, { roles: ["member"] });
  await assert.rejects(boss.client.providers.delete(provider.id), { code: "in_use" });
  await boss.client.members.update(subject.userId, { roles: ["owner"] });
  await plane.admin.client.providers.delete(provider.id);
});

test("who is removed and comes back finds no share at gateways that was theirs before", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const { client, subject } = plane.admin;
  const member = await plane.addMember("mia", ["member"]);
  const { userId } = member.subject;
  const { box } = await client.boxes.create({ template: "default", name: "one" });
  const feed = await feedOf(t, plane);
  await client.shares.create("one", { user: userId, role: "use" });
  await feed.until("shared", (known) => known.mayEnter(userId, box.id));
  await client.members.remove(userId);
  await feed.until("out", (known) => !known.isMember(subject.orgId, userId));
  const made = await client.invitations.create({ roles: ["member"] });
  await acceptInvitation(plane.db, userId, hashToken(made.secret));
  await feed.until("back", (known) => known.isMember(subject.orgId, userId));
  assert.equal(feed.known.mayEnter(userId, box.id), false);
});

test("gateways hear of members of every kind: service accounts, and the owner of a new organization", async (t) => {
  const plane = await controlPlane(t);
  const { client, subject } = plane.admin;
  const feed = await feedOf(t, plane);
  const account = await client.serviceAccounts.create({ name: "ci", roles: ["member"] });
  await feed.until("the account", (known) => known.isMember(subject.orgId, account.id));
  await client.serviceAccounts.delete(account.id);
  await feed.until("no account", (known) => !known.isMember(subject.orgId, account.id));
  const org = await client.orgs.create({ name: "second" });
  await feed.until("its owner", (known) => known.isMember(org.id, subject.userId));
});
