// Tokens, web sessions and revocations in the database: what ends together, what is forgotten when, and no sooner.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { StoreRefusal } from "#domain/refusal.ts";
import { testDatabase } from "#test/harness/database.ts";
import { addToken, createUser } from "./access.ts";
import { closeFeed, keepFeed, listGateways, openFeed, trimGateways } from "./gateways.ts";
import { isRevoked, revoke, trimRevocations } from "./revocations.ts";
import {
  createToken,
  createWebSession,
  deleteToken,
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
      deleteToken(db, subject, identity.credentialId),
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
