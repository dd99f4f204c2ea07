// A provider that lies: each lie is found out, by its own check, and nothing is changed by it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SignJWT } from "jose";
import { sql } from "kysely";
import { systemClock } from "#lib/clock.ts";
import { controlPlane, DASHBOARD } from "#test/harness/control-plane.ts";
import { type HostileProvider, hostileProvider, type Lie } from "#test/harness/hostile-oidc.ts";
import { oidcProvider, type Page, Person } from "#test/harness/oidc.ts";
import { OidcClients } from "./oidc.ts";

async function world(scope: Parameters<typeof controlPlane>[0]) {
  const plane = await controlPlane(scope);
  const hostile = await hostileProvider(scope);
  const provider = await plane.admin.client.providers.create({
    ...{ name: "evil", label: "Evil", issuer: hostile.issuer, clientId: "client" },
    ...{ clientSecret: "secret", isOfInstallation: true, defaultRole: "member" },
  });
  const logIn = (): Promise<Page> =>
    new Person("x", { [DASHBOARD]: plane.url }).visit(
      `${DASHBOARD}/v1/login/${provider.id}`,
      (url) => url.origin === DASHBOARD && !url.pathname.startsWith("/v1/"),
    );
  return { plane, hostile, provider, logIn };
}

function unsigned(idToken: string, header: object): string {
  const [, payload = ""] = idToken.split(".");
  return `${Buffer.from(JSON.stringify(header)).toString("base64url")}.${payload}.`;
}

test("no lie of a token is believed", async (t) => {
  const { plane, hostile, logIn } = await world(t);
  const nowS = Math.floor(Date.now() / 1000);
  const hmac = (key: string) => (idToken: string) => {
    const [, payload = ""] = idToken.split(".");
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString());
    return new SignJWT(claims)
      .setProtectedHeader({ alg: "HS256", kid: "k" })
      .sign(Buffer.from(key));
  };
  const published = await (await fetch(`${hostile.issuer}/jwks`)).text();
  const lies: [string, Lie, RegExp][] = [
    ["alg none", { token: (one) => unsigned(one, { alg: "none" }) }, /not valid/],
    ["alg None", { token: (one) => unsigned(one, { alg: "None" }) }, /not valid/],
    ["no algorithm", { token: (one) => unsigned(one, { typ: "JWT" }) }, /not valid/],
    ["another key's signature", { isForged: true }, /not valid/],
    ["a shared key: the client's secret", { token: hmac("secret") }, /not valid/],
    ["a shared key: what is published", { token: hmac(published) }, /not valid/],
    ["no signature", { token: (one) => one.replace(/[^.]*$/, "") }, /not valid/],
    [
      "a changed claim",
      {
        token: (one) => {
          const [head, body = "", signature] = one.split(".");
          const claims = JSON.parse(Buffer.from(body, "base64url").toString());
          const changed = Buffer.from(JSON.stringify({ ...claims, sub: "admin" }));
          return `${head}.${changed.toString("base64url")}.${signature}`;
        },
      },
      /not valid/,
    ],
    ["expired", { claims: { exp: nowS - 600, iat: nowS - 1200 } }, /not valid/],
    ["no expiry", { claims: { exp: undefined } }, /not valid/],
    ["not yet", { claims: { nbf: nowS + 600 } }, /not valid/],
    ["another audience", { claims: { aud: "another" } }, /not valid/],
    ["no audience", { claims: { aud: undefined } }, /not valid/],
    ["many audiences, for another", { claims: { aud: ["client", "b"], azp: "b" } }, /not valid/],
    ["another issuer", { claims: { iss: "https://accounts.example" } }, /not valid/],
    ["no issuer", { claims: { iss: undefined } }, /not valid/],
    ["another nonce", { claims: { nonce: "x" } }, /not valid/],
    ["no nonce", { claims: { nonce: undefined } }, /not valid/],
    ["no subject", { claims: { sub: undefined } }, /not valid/],
    ["no ID token", { noIdToken: true }, /not valid/],
    ["no JWT", { token: () => "x.y.z" }, /not valid/],
    ["another issuer's answer", { answer: { iss: "https://honest.example" } }, /not valid/],
    ["nobody's answer", { answer: { iss: undefined } }, /not valid/],
    ["another state", { answer: { state: "x".repeat(43) } }, /no answer to a login/],
    ["no state", { answer: { state: undefined } }, /no answer to a login/],
    ["no code", { answer: { code: undefined } }, /not valid/],
  ];
  for (const [name, lie, words] of lies) {
    hostile.lie = lie;
    const page = await logIn();
    assert.equal(page.status, 401, `${name}: ${page.status} ${page.text}`);
    assert.match(page.text, words, name);
  }
  const { rows } = await sql<{ users: number; sessions: number }>`
    select (select count(*) from identities) as users, (select count(*) from web_sessions) as sessions`.execute(
    plane.db.query,
  );
  assert.deepEqual(rows[0], { users: 0, sessions: 0 });
  // Without a lie it is a provider like others.
  hostile.lie = {};
  assert.equal((await logIn()).status, 302);
});

test("a code is never sent to another provider than the one that was asked (mix-up)", async (t) => {
  const { plane, hostile, provider } = await world(t);
  const honest = await oidcProvider(t, { accounts: { alice: { name: "Alice" } } });
  const good = await plane.admin.client.providers.create({
    ...{ name: "good", label: "Good", issuer: honest.issuer, clientId: "later" },
    ...{ isOfInstallation: true, defaultRole: "member" },
  });
  const client = await honest.registerClient({ redirectUri: good.redirectUri });
  await plane.admin.client.providers.update(good.id, client);
  const alice = new Person("alice", { [DASHBOARD]: plane.url });
  // She asks the evil provider, which sends her on to the honest one with our client there.
  const start = await alice.ask(new URL(`${DASHBOARD}/v1/login/${provider.id}`));
  const asked = new URL(start.headers.get("location") ?? "");
  const on = new URL(`${honest.issuer}/auth`);
  for (const [name, value] of asked.searchParams) on.searchParams.set(name, value);
  on.searchParams.set("client_id", client.clientId);
  // With the address that the evil one is answered at: the honest one does not know it.
  const refused = await alice.visit(on);
  assert.equal(refused.status, 400);
  on.searchParams.set("redirect_uri", good.redirectUri);
  const { url: answer } = await alice.visit(on, (url) => url.origin === DASHBOARD);
  assert.ok(answer.searchParams.get("code"));
  const page = await alice.ask(answer);
  assert.equal(page.status, 401);
  assert.match(page.text, /another provider than was asked/);
  // And one that only says that it is the honest one.
  const start2 = await alice.ask(new URL(`${DASHBOARD}/v1/login/${provider.id}`));
  const state = new URL(start2.headers.get("location") ?? "").searchParams.get("state");
  const mixed = new URL(`${provider.redirectUri}?code=stolen&state=${state}&iss=${honest.issuer}`);
  assert.equal((await alice.ask(mixed)).status, 401);
  assert.deepEqual(hostile.redeemed, []);
});

test("PKCE: the code is redeemed with the verifier of the browser that asked", async (t) => {
  const { hostile, logIn } = await world(t);
  await logIn();
  const [sent] = hostile.redeemed;
  assert.match(sent?.get("code_verifier") ?? "", /^[\w-]{43}$/);
  await logIn();
  assert.notEqual(hostile.redeemed[1]?.get("code_verifier"), sent?.get("code_verifier"));
});

function settings(hostile: HostileProvider) {
  return {
    ...{ id: "idp_x", label: "X", issuer: hostile.issuer, clientId: "client", clientSecret: null },
    ...{ scopes: ["openid"], parameters: {}, isTrusted: true, groupsClaim: "groups", version: "1" },
  };
}

test("a discovery document about somebody else, or with endpoints that are not https, is refused", async (t) => {
  const hostile = await hostileProvider(t);
  const attempt = {
    redirectUri: "https://x.test",
    state: "s",
    nonce: "n",
    verifier: "v".repeat(43),
  };
  for (const [metadata, reason] of [
    [{ issuer: "https://accounts.example" }, "invalid"],
    [
      { jwks_uri: "http://internal.example/jwks", token_endpoint: "http://169.254.169.254/" },
      "down",
    ],
  ] as const) {
    hostile.lie = { metadata };
    const clients = new OidcClients(systemClock);
    const go = async () => {
      await clients.authorizationUrl(settings(hostile), attempt);
      const answer = new URL(`https://x.test?code=c&state=s&iss=${hostile.issuer}`);
      await clients.redeemCode(settings(hostile), answer, attempt);
    };
    await assert.rejects(go(), { reason });
  }
  for (const status of [500, 404]) {
    hostile.lie = { status };
    const clients = new OidcClients(systemClock);
    await assert.rejects(clients.authorizationUrl(settings(hostile), attempt), { reason: "down" });
  }
  assert.deepEqual(hostile.redeemed, []);
});

test("a notice of log-out is believed only as the provider signs it, now, for us, and once", async (t) => {
  const { plane, hostile, provider } = await world(t);
  const clients = new OidcClients(systemClock);
  await assert.rejects(clients.checkLogoutToken(settings(hostile), "x.y.z"), { reason: "invalid" });
  const answer = await plane.api.app.inject({
    method: "POST",
    url: `/v1/login/logout/${provider.id}`,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    payload: "logout_token=x.y.z",
  });
  assert.deepEqual([answer.statusCode, answer.json().code], [401, "login_failed"]);
  const event = { "http://schemas.openid.net/event/backchannel-logout": {} };
  const nowS = Math.floor(Date.now() / 1000);
  const good = { iss: hostile.issuer, aud: "client", iat: nowS, jti: "1", events: event, sub: "m" };
  const check = async (claims: object, isForged = false) =>
    clients.checkLogoutToken(settings(hostile), await hostile.sign(claims, isForged));
  assert.deepEqual(await check(good), { jti: "1", sub: "m", sid: null });
  for (const [name, claims] of Object.entries({
    issuer: { ...good, iss: "https://x" },
    audience: { ...good, aud: "other" },
    old: { ...good, iat: nowS - 3600 },
    "no time": { ...good, iat: undefined },
    "no event": { ...good, events: {} },
    "an ID token": { ...good, nonce: "n" },
    "about nobody": { ...good, sub: undefined },
    "no name": { ...good, jti: undefined },
  }))
    await assert.rejects(check(claims), { reason: "invalid" }, name);
  await assert.rejects(check(good, true), { reason: "invalid" });
  const send = async () =>
    plane.api.app.inject({
      method: "POST",
      url: `/v1/login/logout/${provider.id}`,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      payload: new URLSearchParams({ logout_token: await hostile.sign(good) }).toString(),
    });
  assert.equal((await send()).statusCode, 200);
  assert.match((await send()).json().detail, /came before/);
});

test("a refresh is about the same person, and as well proven as a login", async (t) => {
  const hostile = await hostileProvider(t);
  const clients = new OidcClients(systemClock);
  const refresh = (sub: string) => clients.refresh(settings(hostile), "token", sub);
  assert.equal((await refresh("mallory")).sub, "mallory");
  await assert.rejects(refresh("alice"), { reason: "invalid" });
  hostile.lie = { isForged: true };
  await assert.rejects(refresh("mallory"), { reason: "invalid" });
  hostile.lie = { token: (one) => unsigned(one, { alg: "none" }) };
  await assert.rejects(refresh("mallory"), { reason: "invalid" });
  // Without an ID token it is whoever the refresh token was given for.
  hostile.lie = { noIdToken: true };
  assert.equal((await refresh("alice")).sub, "alice");
});
