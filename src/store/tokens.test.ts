// Tokens, web sessions and revocations in the database: what ends together, what is forgotten when, and no sooner.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { StoreRefusal } from "#domain/refusal.ts";
import { testDatabase } from "#test/harness/database.ts";
import { PaperWorld } from "#test/harness/world.ts";
import { addToken, addUser, createUser } from "./access.ts";
import { createBoxOnce } from "./boxes.ts";
import type { Db } from "./db.ts";
import { endExpired } from "./ended-credentials.ts";
import { closeFeed, keepFeed, listGateways, openFeed, trimGateways } from "./gateways.ts";
import { createInvitation, registerByInvitation } from "./invitations.ts";
import { removeMember } from "./members.ts";
import { openPreview } from "./preview-changes.ts";
import { createPreviewLink, listPreviewLinks } from "./preview-links.ts";
import { isRevoked, revoke, trimRevocations } from "./revocations.ts";
import { createScimToken, identifyScim, listScimTokens } from "./scim.ts";
import { createSshKey, listSshKeys } from "./ssh-keys.ts";
import {
  createToken,
  createWebSession,
  deleteToken,
  endWebSession,
  type Identified,
  identifyAgain,
  identifySession,
  identifyToken,
  trimWebSessions,
} from "./tokens.ts";

const HOUR_MS = 3_600_000;

async function user(t: Parameters<typeof testDatabase>[0]) {
  const { db } = await testDatabase(t);
  const subject = await createUser(db, { orgName: "o", name: "u" });
  const known = (hash: string) => identifyToken(db, hash);
  return { db, subject, known };
}

test("no web session outlives its token, even one made while the token is revoked", async (t) => {
  const { db, subject, known } = await user(t);
  for (let round = 0; round < 20; round += 1) {
    await addToken(db, subject, { hash: `h${round}`, name: "t" });
    const identity = await known(`h${round}`);
    assert.ok(identity);
    const make = (hash: string) =>
      createWebSession(db, identity, { hash, lifetimeMs: HOUR_MS }).catch((error: unknown) => {
        assert.ok(error instanceof StoreRefusal && error.code === "revoked");
      });
    await Promise.all([
      make(`a${round}`),
      deleteToken(db, { subject, tokenId: null }, identity.credentialId),
      make(`b${round}`),
    ]);
    for (const hash of [`a${round}`, `b${round}`])
      assert.equal(await identifySession(db, hash, "web"), null);
    assert.equal(await identifyAgain(db, identity), null);
  }
  const { rows } = await sql`
    select 1 from web_sessions s where not exists (
      select 1 from revocations r where r.credential_id = s.id)`.execute(db.query);
  assert.equal(rows.length, 0, "gateways hear of each");
});

test("a token that has expired is nobody's, and its use is noted to the minute", async (t) => {
  const { db, subject, known } = await user(t);
  const made = await createToken(
    db,
    { subject, tokenId: null },
    { hash: "h", name: "t", expiresInMs: HOUR_MS },
  );
  assert.equal(made.lastUsedAt, null);
  const at = async () => {
    const { rows } = await sql<{ at: Date }>`select last_used_at as at from tokens`.execute(
      db.query,
    );
    return rows[0]?.at?.getTime();
  };
  assert.ok(await known("h"));
  const first = await at();
  await known("h");
  assert.equal(await at(), first, "not with every request");
  await sql`update tokens set last_used_at = now() - interval '2 minutes'`.execute(db.query);
  await known("h");
  assert.ok(((await at()) ?? 0) >= (first ?? 0));
  await sql`update tokens set expires_at = now()`.execute(db.query);
  assert.equal(await known("h"), null);
});

test("a revocation is kept for a day, and as long as what was signed holds", async (t) => {
  const { db } = await user(t);
  await revoke(db, ["tok_a"]);
  await revoke(db, ["lnk_b"], new Date(Date.now() + 100 * HOUR_MS));
  // Again, and sooner: nothing is taken back.
  await revoke(db, ["lnk_b"]);
  assert.equal(await trimRevocations(db, 100), 0);
  await sql`update revocations set until = until - interval '25 hours'`.execute(db.query);
  assert.equal(await trimRevocations(db, 100), 1);
  assert.deepEqual([await isRevoked(db, "tok_a"), await isRevoked(db, "lnk_b")], [false, true]);
});

test("web sessions and gateways are forgotten some time after their end", async (t) => {
  const { db, subject, known } = await user(t);
  await addToken(db, subject, { hash: "h", name: "t" });
  const identity = await known("h");
  assert.ok(identity);
  await createWebSession(db, identity, { hash: "s", lifetimeMs: HOUR_MS });
  await sql`update web_sessions set expires_at = now() - interval '1 hour'`.execute(db.query);
  assert.equal(await trimWebSessions(db, 2 * HOUR_MS, 10), 0);
  assert.equal(await trimWebSessions(db, HOUR_MS / 2, 10), 1);

  const gateway = { clientUrl: "http://g", nodeUrl: "https://g", sshAddress: null };
  for (const name of ["a", "b"]) await openFeed(db, { ...gateway, name, feed: `${name}1` });
  const live = async () => (await listGateways(db)).filter((one) => one.isLive).map((g) => g.name);
  await sql`update gateways set seen_at = now() - interval '1 hour'`.execute(db.query);
  assert.deepEqual(await live(), []);
  await keepFeed(db, "a", "a0");
  assert.deepEqual(await live(), [], "an older feed says nothing of the one that is open");
  await keepFeed(db, "a", "a1");
  assert.deepEqual(await live(), ["a"]);
  await closeFeed(db, "a", "a0");
  assert.deepEqual(await live(), ["a"]);
  await closeFeed(db, "a", "a1");
  assert.deepEqual(await live(), []);
  assert.equal((await listGateways(db)).length, 2, "nodes go on dialling it");
  assert.equal(await trimGateways(db, HOUR_MS / 2), 1);
});

const HOLDERS = ["tokens", "web_sessions", "ssh_keys", "scim_tokens", "invitations"] as const;
const NONE = { tokens: 0, sessions: 0, keys: 0, scimTokens: 0, invitations: 0, links: 0 };
const CALLER = { requestId: "r", address: "a", userAgent: null };

async function living(db: Db): Promise<string[]> {
  const all = await Promise.all(
    HOLDERS.map((table) =>
      sql<{ id: string }>`select id from ${sql.table(table)} where revoked_at is null`.execute(
        db.query,
      ),
    ),
  );
  return all.flatMap(({ rows }) => rows.map(({ id }) => id)).sort();
}

test("all that was made with a token ends with it, and nothing else", async (t) => {
  const { db, subject, known } = await user(t);
  const make = async (hash: string, maker: string | null) => {
    const tokenId = maker && (await known(maker))?.tokenId;
    return createToken(
      db,
      { subject, tokenId: tokenId ?? null },
      { hash, name: hash, expiresInMs: null },
    );
  };
  const key = async (name: string, maker: string) =>
    createSshKey(db, (await known(maker)) as Identified, {
      name,
      publicKey: name,
      fingerprint: name,
    });
  const [own, stolen] = [await make("own", null), await make("stolen", null)];
  const first = await make("first", "stolen");
  const second = await make("second", "first");
  const mine = await make("mine", "own");
  const [lasting, kept] = [await key("lasting", "second"), await key("kept", "own")];
  assert.deepEqual(second.madeWith, { id: first.id, name: "first" });
  assert.deepEqual(lasting.madeWith, { id: second.id, name: "second" });
  assert.equal(own.madeWith, null);
  const session = await createWebSession(db, (await known("second")) as Identified, {
    ...{ hash: "s", lifetimeMs: HOUR_MS },
  });
  const others = async (maker: string) => {
    const by = (await known(maker)) as Identified;
    const invitation = { email: null, roles: ["member"] as const, team: null, lifetimeMs: HOUR_MS };
    return {
      scim: (await createScimToken(db, by, { hash: `scim ${maker}`, name: maker })).id,
      open: (await createInvitation(db, by, { ...invitation, hash: `open ${maker}` })).id,
      taken: (await createInvitation(db, by, { ...invitation, hash: `taken ${maker}` })).id,
    };
  };
  const [theirs, ours] = [await others("second"), await others("own")];
  await registerByInvitation(db, "guest", "taken second");
  const by = (await known("first")) as Identified;
  await assert.rejects(deleteToken(db, by, stolen.id), { code: "in_use" });
  // Replaced by what it has made.
  const { ended: none } = await deleteToken(db, by, stolen.id, { keep: "made" });
  assert.deepEqual(none, NONE);
  assert.ok(await known("second"));
  // By way of one that has ended, too.
  await sql`update tokens set revoked_at = null where id = ${stolen.id}`.execute(db.query);
  await deleteToken(db, by, first.id, { keep: "made" });
  const { ended } = await deleteToken(db, { subject, tokenId: own.id }, stolen.id);
  const made = { tokens: 1, sessions: 1, keys: 1, scimTokens: 1, invitations: 1 };
  assert.deepEqual(ended, { ...NONE, ...made });
  assert.deepEqual(
    await living(db),
    [own.id, mine.id, kept.id, theirs.taken, ...Object.values(ours)].sort(),
  );
  assert.equal(await identifyScim(db, "scim second", CALLER), null);
  assert.ok(await identifyScim(db, "scim own", CALLER));
  await assert.rejects(registerByInvitation(db, "thief", "open second"), {
    code: "invitation_invalid",
  });
  for (const id of [stolen.id, first.id, second.id, lasting.id, session.id])
    assert.ok(await isRevoked(db, id), "gateways hear of each");
  const { rows } = await sql<{ kind: string }>`
    select kind from events where subject_id in (${second.id}, ${lasting.id}, ${session.id},
      ${theirs.scim}, ${theirs.open}, ${theirs.taken})
      and kind like '%.deleted' order by kind`.execute(db.query);
  assert.deepEqual(
    rows.map((row) => row.kind),
    [
      ...["invitation.deleted", "key.deleted", "scim_token.deleted", "token.deleted"],
      "web_session.deleted",
    ],
  );
});

test("nothing is made with a token while it is revoked that outlives it", async (t) => {
  const { db, subject, known } = await user(t);
  const owner = { subject, tokenId: null };
  for (let round = 0; round < 20; round += 1) {
    await addToken(db, subject, { hash: `h${round}`, name: "t" });
    const thief = (await known(`h${round}`)) as Identified;
    const isRefused = (error: unknown) =>
      assert.ok(error instanceof StoreRefusal && error.code === "revoked");
    const chain = async (name: string) => {
      const made = { hash: `${name}${round}`, name, expiresInMs: null };
      const { id } = await createToken(db, thief, made);
      const next = { hash: `${name}-next${round}`, name, expiresInMs: null };
      await createToken(db, { subject, tokenId: id }, next);
    };
    await Promise.all([
      chain("a").catch(isRefused),
      deleteToken(db, owner, thief.credentialId),
      chain("b").catch(isRefused),
    ]);
    assert.deepEqual(await living(db), []);
  }
});

test("a browser that logs out ends nothing that was made in it", async (t) => {
  const { db, subject, known } = await user(t);
  await addToken(db, subject, { hash: "h", name: "t" });
  const identity = (await known("h")) as Identified;
  await createWebSession(db, identity, { hash: "s", lifetimeMs: HOUR_MS });
  const browser = (await identifySession(db, "s", "web")) as Identified;
  await createToken(db, browser, { hash: "made", name: "made", expiresInMs: null });
  assert.equal(await endWebSession(db, subject, browser.credentialId), true);
  assert.ok(await known("made"));
  await deleteToken(db, { subject, tokenId: null }, identity.credentialId);
  assert.equal(await known("made"), null, "with the token behind the browser it ends");
});

test("what an expiring token makes ends when it does; what is made in a login, or with a lasting one, goes on", async (t) => {
  const { db, subject, known } = await user(t);
  const owner = { subject, tokenId: null };
  const hourly = { hash: "hourly", name: "hourly", expiresInMs: HOUR_MS };
  const { id: hourlyId, expiresAt } = await createToken(db, owner, hourly);
  assert.ok(expiresAt);
  const by = (await known("hourly")) as Identified;
  const key = (maker: Pick<Identified, "subject" | "tokenId">, name: string) =>
    createSshKey(db, maker, { name, publicKey: name, fingerprint: name });
  // By way of a browser that was logged in by it, too.
  await createWebSession(db, by, { hash: "s", lifetimeMs: 12 * HOUR_MS });
  const browser = (await identifySession(db, "s", "web")) as Identified;
  const bounded = [await key(by, "one"), await key(browser, "two")];
  for (const one of bounded) assert.deepEqual(one.expiresAt, expiresAt);
  await createToken(db, owner, { hash: "lasting", name: "lasting", expiresInMs: null });
  const lasting = (await known("lasting")) as Identified;
  const login = { ...by, tokenId: null };
  const free = [await key(login, "three"), await key(lasting, "four")];
  for (const one of free) assert.equal(one.expiresAt, null);
  const invitation = { hash: "i", email: null, roles: ["member"] as const, team: null };
  const invited = await createInvitation(db, by, { ...invitation, lifetimeMs: 12 * HOUR_MS });
  assert.deepEqual(invited.expiresAt, expiresAt);
  const scim = await createScimToken(db, by, { hash: "scim", name: "scim" });
  assert.deepEqual(scim.expiresAt, expiresAt);
  assert.ok(await identifyScim(db, "scim", CALLER));
  assert.equal(await endExpired(db, 100), 0, "nothing is over");

  for (const table of HOLDERS)
    await sql`update ${sql.table(table)} set expires_at = now()
      where expires_at is not null`.execute(db.query);
  assert.equal(await identifyScim(db, "scim", CALLER), null);
  assert.deepEqual(await listScimTokens(db, subject, { after: null, limit: 9 }), []);
  assert.equal(await endExpired(db, 100), 4, "the token, the browser and the keys");
  assert.equal(await endExpired(db, 100), 0, "once");
  for (const id of [hourlyId, browser.credentialId, ...bounded.map((one) => one.id)])
    assert.ok(await isRevoked(db, id), "gateways end what was opened with each");
  const left = await listSshKeys(db, subject, { after: null, limit: 9 });
  assert.deepEqual(left.map(({ name }) => name).sort(), ["four", "three"]);
  const { rows } = await sql<{ kind: string }>`
    select kind from events where message = 'it has expired' order by kind`.execute(db.query);
  assert.deepEqual(
    rows.map((row) => row.kind),
    ["key.deleted", "key.deleted", "token.deleted", "web_session.deleted"],
  );
});

test("links to previews are among what ends with a token", async (t) => {
  const { db } = await testDatabase(t);
  const { admin: subject } = await PaperWorld.make(db);
  const owner = { subject, tokenId: null };
  const box = { name: "one", template: "base", version: null, env: {} };
  await createBoxOnce(db, subject, null, box, () => null);
  const { id } = await openPreview(db, subject, "one", { port: 3000, visibility: null });
  const hourly = { hash: "hourly", name: "hourly", expiresInMs: HOUR_MS };
  const token = await createToken(db, owner, hourly);
  const by = (await identifyToken(db, "hourly")) as Identified;
  const { link } = await createPreviewLink(db, by, id, 12 * HOUR_MS);
  assert.ok(token.expiresAt && link.expiresAt <= token.expiresAt, "and it lasts no longer");
  const { link: other } = await createPreviewLink(db, owner, id, 100 * HOUR_MS);
  const { ended } = await deleteToken(db, owner, token.id);
  assert.deepEqual(ended, { ...NONE, links: 1 });
  const left = await listPreviewLinks(db, subject, id, { after: null, limit: 9 });
  assert.deepEqual(
    left.map((one) => one.id),
    [other.id],
  );
  assert.ok(await isRevoked(db, link.id));
});

test("an expiring token that is revoked with what it made kept gives that no longer a life", async (t) => {
  const { db, subject, known } = await user(t);
  const hourly = { hash: "hourly", name: "hourly", expiresInMs: HOUR_MS };
  const { id, expiresAt } = await createToken(db, { subject, tokenId: null }, hourly);
  const by = (await known("hourly")) as Identified;
  await createSshKey(db, by, { name: "k", publicKey: "k", fingerprint: "k" });
  await deleteToken(db, by, id, { keep: "made" });
  const [key] = await listSshKeys(db, subject, { after: null, limit: 9 });
  assert.deepEqual(key?.expiresAt, expiresAt);
});

test("nothing of a member's is made while they are removed that lasts", async (t) => {
  const { db, subject } = await user(t);
  for (let round = 0; round < 20; round += 1) {
    const member = await addUser(db, subject.orgId, { name: `m${round}`, roles: ["member"] });
    const login = { subject: member, tokenId: null };
    const isRefused = (error: unknown) =>
      assert.ok(error instanceof StoreRefusal && error.code === "revoked");
    const make = (hash: string) =>
      createToken(db, login, { hash, name: "t", expiresInMs: null }).catch(isRefused);
    const key = { name: "k", publicKey: "k", fingerprint: `k${round}` };
    await Promise.all([
      make(`a${round}`),
      createSshKey(db, login, key).catch(isRefused),
      removeMember(db, subject, member.userId),
      make(`b${round}`),
    ]);
    assert.deepEqual(await living(db), []);
  }
});
