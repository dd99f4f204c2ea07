// The web session's cookie against pages that would like to use it: for every method and sender, what happens.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DASHBOARD, frontDoor } from "#test/harness/front-door.ts";
import { readCookie, sessionCookie, setCookie } from "./credentials.ts";

const cookie = "__Host-berth=admin-session";

/** What a browser tells of who sent a request. */
const SENDERS = {
  dashboard: { "sec-fetch-site": "same-origin", origin: DASHBOARD },
  "dashboard, old browser": { origin: DASHBOARD },
  "another site": { "sec-fetch-site": "cross-site", origin: "https://evil.test" },
  "another site, old browser": { origin: "https://evil.test" },
  "a preview on a sibling domain": { "sec-fetch-site": "same-site", origin: "https://a.test" },
  "a sandboxed frame": { "sec-fetch-site": "cross-site", origin: "null" },
  "a sandboxed frame, old browser": { origin: "null" },
  "an image of another site": { "sec-fetch-site": "cross-site" },
  "an image of a sibling": { "sec-fetch-site": "same-site" },
  "no word of it": {},
} as const;

const isDashboard = (name: string) => name.startsWith("dashboard");

test("a cookie counts in the dashboard, and nowhere else, for whatever is asked", async (t) => {
  let done = 0;
  const app = await frontDoor({
    "boxes.list": () => Promise.resolve({ items: [], nextCursor: null }),
    "nodes.update": () => {
      done += 1;
      throw new Error("done");
    },
    "events.watch": async function* () {
      done += 1;
      yield* [];
    },
  });
  t.after(() => app.close());
  const ask = (method: "GET" | "PATCH", url: string, headers: object) =>
    app.inject({
      method,
      url,
      headers: { cookie, ...headers },
      ...(method === "PATCH" ? { payload: { schedulable: true } } : {}),
    });
  for (const [name, headers] of Object.entries(SENDERS)) {
    const read = await ask("GET", "/v1/boxes", headers);
    const mayRead = isDashboard(name) || name === "no word of it";
    assert.equal(read.statusCode, mayRead ? 200 : 403, `read: ${name}`);
    for (const [method, url] of [
      ["PATCH", "/v1/nodes/n"],
      ["GET", "/v1/watch"],
    ] as const) {
      done = 0;
      const answer = await ask(method, url, headers);
      assert.equal(done, isDashboard(name) ? 1 : 0, `${method} ${url}: ${name}`);
      if (!isDashboard(name)) assert.equal(answer.json().code, "cross_site");
    }
  }
});

test("a token counts wherever it comes from: no page can add it", async (t) => {
  const app = await frontDoor({
    "boxes.list": () => Promise.resolve({ items: [], nextCursor: null }),
  });
  t.after(() => app.close());
  for (const headers of Object.values(SENDERS)) {
    const token = { authorization: "Bearer admin", ...headers };
    const answer = await app.inject({ url: "/v1/boxes", headers: token });
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.headers["access-control-allow-origin"], undefined);
    assert.equal(answer.headers["cache-control"], "no-store");
  }
  // A wrong token is not saved by a good cookie.
  const both = { authorization: "Bearer wrong", cookie, ...SENDERS.dashboard };
  assert.equal((await app.inject({ url: "/v1/boxes", headers: both })).statusCode, 401);
  // And a token is no session, a session no token.
  for (const headers of [
    { authorization: "Bearer admin-session" },
    { cookie: "__Host-berth=admin", ...SENDERS.dashboard },
  ])
    assert.equal((await app.inject({ url: "/v1/boxes", headers })).statusCode, 401);
});

test("nobody's page logs a person in as somebody else", async (t) => {
  const app = await frontDoor({
    "webSessions.create": () => {
      throw new Error("done");
    },
  });
  t.after(() => app.close());
  for (const [name, headers] of Object.entries(SENDERS)) {
    const answer = await app.inject({
      method: "POST",
      url: "/v1/web-session",
      headers,
      payload: { token: "admin" },
    });
    // 500: the handler was reached.
    const isLetIn = isDashboard(name) || name === "no word of it";
    assert.equal(answer.statusCode, isLetIn ? 500 : 403, name);
  }
  const wrong = await app.inject({
    method: "POST",
    url: "/v1/web-session",
    payload: { token: "wrong" },
  });
  assert.equal(wrong.json().code, "unauthenticated");
  // A form of another site can send this type without asking first.
  const form = await app.inject({
    method: "POST",
    url: "/v1/web-session",
    headers: { "content-type": "text/plain" },
    payload: '{"token":"admin"}',
  });
  assert.equal(form.json().code, "unsupported_media_type");
});

test("a tossed cookie does not count beside the real one", () => {
  const kind = sessionCookie("https://berth.test");
  assert.equal(readCookie("__Host-berth=a", kind), "a");
  assert.equal(readCookie("x=1; __Host-berth=a=b; y=2", kind), "a=b");
  for (const header of [
    undefined,
    "",
    "__Host-berth=",
    "__Host-berth=a; __Host-berth=b",
    "berth=a",
    "__host-berth=a",
    "x__Host-berth=a",
    "__Secure-berth=a",
    "berth-session=a",
  ])
    assert.equal(readCookie(header, kind), null, header);
});

test("the cookie is one that no script, no other host and no plain connection gets", () => {
  for (const origin of [
    "https://berth.example.com",
    "http://localhost:7300",
    "http://127.0.0.1:7300",
    "http://[::1]:7300",
  ])
    assert.equal(
      setCookie(sessionCookie(origin), "x", 60),
      "__Host-berth=x; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure",
      origin,
    );
  for (const origin of ["http://berth.example.com", "http://localhost.evil.test", "http://127.1"])
    assert.doesNotMatch(setCookie(sessionCookie(origin), "x", 60), /Secure|__Host/, origin);
});

test("a request for another host name is answered by nothing but a refusal", async (t) => {
  const app = await frontDoor({
    "boxes.list": () => Promise.resolve({ items: [], nextCursor: null }),
  });
  t.after(() => app.close());
  const headers = { authorization: "Bearer admin" };
  for (const url of ["/v1/boxes", "/v1/openapi.json", "/metrics", "/", "/nothing", "/healthz?x"]) {
    const answer = await app.inject({ url, headers: { ...headers, host: "evil.test" } });
    assert.equal(answer.statusCode, 421, url);
    assert.equal(answer.json().code, "unknown_host");
  }
  for (const host of ["berth.test", "localhost:1", "127.0.0.1:7300"])
    assert.equal(
      (await app.inject({ url: "/v1/boxes", headers: { ...headers, host } })).statusCode,
      200,
    );
  for (const url of ["/healthz", "/readyz"])
    assert.equal((await app.inject({ url, headers: { host: "probe" } })).statusCode, 200);
});
