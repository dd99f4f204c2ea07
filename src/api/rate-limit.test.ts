// How often one may ask, at the front door without a database.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ROUTES } from "#contract/routes.ts";
import { frontDoor } from "#test/harness/front-door.ts";
import { laneOf, networkOf } from "./rate-limit.ts";

const REVOKED = { id: "tok_1", name: "t", createdAt: "2026-01-01T00:00:00.000Z" };

async function limited(requestsPerMinute: number, failedLoginsPerMinute: number) {
  const app = await frontDoor(
    {
      "boxes.list": async () => ({ items: [], nextCursor: null }),
      "tokens.delete": async () => ({
        ...{ ...REVOKED, expiresAt: null, lastUsedAt: null },
        ...{ isCurrent: false, scopes: null, user: null },
      }),
    },
    { rateLimits: { requestsPerMinute, failedLoginsPerMinute } },
  );
  const ask = (
    token: string | null,
    options: { readonly from?: string; readonly url?: string } = {},
  ) =>
    app.inject({
      url: options.url ?? "/v1/boxes",
      headers: token === null ? {} : { authorization: `Bearer ${token}` },
      remoteAddress: options.from ?? "192.0.2.1",
    });
  const revoke = (token: string) =>
    app.inject({
      method: "DELETE",
      url: "/v1/tokens/tok_1",
      headers: { authorization: `Bearer ${token}` },
    });
  return { app, ask, revoke };
}

test("an answer tells what is left, and the first one over it when to come back", async () => {
  const { ask } = await limited(3, 0);
  const first = await ask("member");
  assert.equal(first.statusCode, 200);
  assert.equal(first.headers["ratelimit-policy"], '"requests";q=3;w=60');
  assert.match(String(first.headers.ratelimit), /^"requests";r=2;t=(60|5\d)$/);
  await ask("member");
  assert.match(String((await ask("member")).headers.ratelimit), /;r=0;/);
  const over = await ask("member");
  assert.equal(over.statusCode, 429);
  const problem = over.json();
  assert.equal(problem.code, "rate_limited");
  assert.equal(problem.retryable, true);
  assert.match(problem.detail, /more than 3 requests in a minute/);
  const retryAfterS = Number(over.headers["retry-after"]);
  assert.ok(retryAfterS > 1 && retryAfterS <= 60, `retry after ${retryAfterS}`);
});

test("each user has their own budget, by whatever credential and from wherever", async () => {
  const { ask } = await limited(2, 0);
  await ask("member");
  await ask("member", { from: "192.0.2.7" });
  assert.equal((await ask("member", { from: "192.0.2.8" })).statusCode, 429);
  assert.equal((await ask("admin")).statusCode, 200);
});

test("who is no user yet has the budget of their address, and takes nothing from others", async () => {
  const { app, ask } = await limited(2, 0);
  const body = { invitation: `brt_${"a".repeat(43)}`, name: "Ada" };
  const register = (remoteAddress: string) =>
    app.inject({ method: "POST", url: "/v1/invitations/register", body, remoteAddress });
  const login = (remoteAddress: string) =>
    app.inject({
      method: "POST",
      url: "/v1/web-session",
      body: { token: "member" },
      remoteAddress,
    });
  await register("192.0.2.7");
  await login("192.0.2.7");
  assert.equal((await register("192.0.2.7")).statusCode, 429);
  assert.equal((await login("192.0.2.7")).statusCode, 429);
  assert.notEqual((await register("192.0.2.8")).statusCode, 429);
  assert.equal((await ask("member", { from: "192.0.2.7" })).statusCode, 200);
});

test("whoever is over it can still take rights back, and be probed", async () => {
  const { app, ask, revoke } = await limited(1, 0);
  await ask("member");
  assert.equal((await ask("member")).statusCode, 429);
  const revoked = await revoke("member");
  assert.notEqual(revoked.statusCode, 429, revoked.body);
  assert.equal(revoked.headers["ratelimit-policy"], '"revocations";q=1;w=60');
  assert.equal((await revoke("member")).statusCode, 429, "that lane has an end too");
  for (let i = 0; i < 5; i += 1)
    assert.equal((await app.inject({ url: "/healthz" })).statusCode, 200);
});

test("every DELETE of what lets somebody in is in the lane of revocations", () => {
  const lanes = ROUTES.filter((route) => laneOf(route) === "revocations").map(({ name }) => name);
  for (const name of [
    ...(["tokens.delete", "keys.delete", "webSessions.delete"] as const),
    ...(["previews.close", "previews.deleteLink"] as const),
  ])
    assert.ok((lanes as string[]).includes(name), `${name} is not among ${lanes}`);
  assert.ok(!(lanes as string[]).includes("boxes.delete"));
});

test("failed logins of an address end its tries, and not those who were let in before", async () => {
  const { ask } = await limited(0, 3);
  assert.equal((await ask("member")).statusCode, 200);
  for (let i = 0; i < 3; i += 1) assert.equal((await ask(`guess-${i}`)).statusCode, 401);
  const over = await ask("guess-4");
  assert.equal(over.statusCode, 429);
  assert.match(over.json().detail, /failed logins from 192\.0\.2\.1/);
  assert.equal((await ask(null)).statusCode, 429);
  assert.equal((await ask("admin")).statusCode, 429, "a right guess is not told apart");
  assert.equal((await ask("member")).statusCode, 200);
  assert.equal((await ask("admin", { from: "192.0.2.2" })).statusCode, 200);
});

test("an IPv6 network counts as one address", async () => {
  const { ask } = await limited(0, 1);
  assert.equal((await ask("guess", { from: "2001:db8:0:1::5" })).statusCode, 401);
  assert.equal((await ask("guess", { from: "2001:db8:0:1:ffff::6" })).statusCode, 429);
  assert.equal((await ask("guess", { from: "2001:db8:0:2::5" })).statusCode, 401);
  for (const [address, network] of [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.1"],
    ["::1", "0:0:0:0::/64"],
    ["2001:db8::", "2001:db8:0:0::/64"],
    ["1:2:3:4:5:6:7:8", "1:2:3:4::/64"],
  ])
    assert.equal(networkOf(address as string), network);
});

test("behind a proxy that is trusted the client's address counts, else the proxy's", async () => {
  for (const trustedProxies of [["192.0.2.1"], []]) {
    const app = await frontDoor(
      {},
      { rateLimits: { requestsPerMinute: 0, failedLoginsPerMinute: 1 }, trustedProxies },
    );
    const from = (client: string) =>
      app.inject({
        url: "/v1/boxes",
        remoteAddress: "192.0.2.1",
        headers: { authorization: "Bearer guess", "x-forwarded-for": client },
      });
    assert.equal((await from("198.51.100.1")).statusCode, 401);
    const other = await from("198.51.100.2");
    assert.equal(other.statusCode, trustedProxies.length > 0 ? 401 : 429);
  }
});

test("without limits nothing is told and nothing refused", async () => {
  const { ask } = await limited(0, 0);
  const { statusCode, headers } = await ask("member");
  assert.equal(statusCode, 200);
  assert.equal(headers.ratelimit, undefined);
});
