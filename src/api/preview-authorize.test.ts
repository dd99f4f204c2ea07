// From a preview to the dashboard and back: who gets a code, for what, and that nobody is sent anywhere else.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { type Caller, type ControlPlane, controlPlane } from "#test/harness/control-plane.ts";
import { previewCheck } from "#trust/preview-tokens.ts";

const NONCE = createHash("sha256").update("nonce").digest("base64url");

async function world(t: Parameters<typeof controlPlane>[0]) {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const owner = await plane.addMember("owner");
  await owner.client.boxes.create({ template: "default", name: "web" });
  const preview = await owner.client.previews.open("web", { port: 3000 });
  const member = await plane.addMember("member");
  return { plane, owner, member, preview };
}

async function cookieOf(plane: ControlPlane, caller: Caller): Promise<string> {
  const answer = await plane.api.app.inject({
    method: "POST",
    url: "/v1/web-session",
    payload: { token: caller.token },
  });
  return String(answer.headers["set-cookie"]).split(";")[0] ?? "";
}

function labelOf(url: string): string {
  return new URL(url).hostname.split(".")[0]?.split("-")[1] ?? "";
}

function visit(
  plane: ControlPlane,
  query: Record<string, string>,
  headers: Record<string, string> = {},
) {
  return plane.api.app.inject({
    url: `/v1/preview-authorize?${new URLSearchParams(query)}`,
    headers,
  });
}

test("a person who may see it is sent back with a code that only this browser can use", async (t) => {
  const { plane, owner, preview } = await world(t);
  const cookie = await cookieOf(plane, owner);
  const wanted = { label: labelOf(preview.url), port: "3000", nonce: NONCE, path: "/x?y" };
  const answer = await visit(plane, wanted, {
    cookie,
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
  });
  assert.equal(answer.statusCode, 302);
  assert.equal(answer.headers["referrer-policy"], "no-referrer");
  assert.equal(answer.headers["cache-control"], "no-store");
  const to = new URL(String(answer.headers.location));
  assert.equal(`${to.origin}${to.pathname}`, `${preview.url}.berth/enter`);
  const check = previewCheck([plane.ticketPublicKeyPem]);
  const code = await check.code(to.searchParams.get("code") ?? "", Date.now());
  assert.deepEqual([code.previewId, code.nonceHash], [preview.id, NONCE]);
  const pass = await check.pass(code.pass, Date.now());
  assert.deepEqual(
    [pass.previewId, pass.userId, pass.kind, pass.serial],
    [preview.id, owner.subject.userId, "pass", 1],
  );
  assert.match(pass.credentialId, /^web_/);
});

test("private is for the owner, org for the organization; others of it get a page, and no code; elsewhere it is not there", async (t) => {
  const { plane, owner, member, preview } = await world(t);
  const people = { owner, member, admin: plane.admin, stranger: plane.stranger };
  const statuses = async () => {
    const { items } = await owner.client.previews.list();
    const wanted = { label: labelOf(items[0]?.url ?? ""), port: "3000", nonce: NONCE };
    const found: Record<string, number> = {};
    for (const [name, caller] of Object.entries(people)) {
      const answer = await visit(plane, wanted, { cookie: await cookieOf(plane, caller) });
      found[name] = answer.statusCode;
      if (answer.statusCode === 302) continue;
      assert.equal(answer.headers.location, undefined);
      assert.match(
        String(answer.headers["content-security-policy"]),
        /default-src 'none'.*sandbox/,
      );
      assert.ok(!answer.body.includes("eyJ"));
    }
    return found;
  };
  assert.deepEqual(await statuses(), { owner: 302, member: 403, admin: 302, stranger: 404 });
  await owner.client.previews.update(preview.id, { visibility: "org" });
  assert.deepEqual(await statuses(), { owner: 302, member: 302, admin: 302, stranger: 404 });
  await owner.client.previews.update(preview.id, { visibility: "private" });
  assert.deepEqual(await statuses(), { owner: 302, member: 403, admin: 302, stranger: 404 });
  const refusals = { verb: "previews.authorize", outcome: "refused" } as const;
  const endMs = systemClock.monotonicMs() + 60_000;
  for (;;) {
    const { items } = await plane.admin.client.audit.list(refusals);
    if (items.length === 2) {
      for (const { actor, code, touched } of items) {
        assert.deepEqual([actor?.id, code], [member.subject.userId, "forbidden"]);
        assert.ok(touched.includes(preview.id) && touched.includes(preview.box.id));
      }
      break;
    }
    assert.ok(systemClock.monotonicMs() < endMs, `${items.length} refusals in the trail`);
    await systemClock.sleep(20);
  }
});

test("who is not logged in is sent to the login, and from there back here", async (t) => {
  const { plane, preview } = await world(t);
  const label = labelOf(preview.url);
  for (const cookie of ["", "__Host-berth=berth_nonsense", "__Host-berth=a; __Host-berth=b"]) {
    const answer = await visit(plane, { label, port: "3000", nonce: NONCE }, { cookie });
    assert.equal(answer.statusCode, 302);
    const location = String(answer.headers.location);
    assert.match(location, /^\/login\?next=/);
    const next = new URL(location, "https://berth.test").searchParams.get("next");
    assert.equal(next, `/v1/preview-authorize?label=${label}&port=3000&nonce=${NONCE}`);
  }
  // A token in a header is no person at a browser.
  const token = { authorization: `Bearer ${plane.admin.token}` };
  const answer = await visit(plane, { label, port: "3000", nonce: NONCE }, token);
  assert.match(String(answer.headers.location), /^\/login/);
});

test("an address that moved is gone, one that never was is not found", async (t) => {
  const { plane, owner, preview } = await world(t);
  const cookie = await cookieOf(plane, owner);
  const label = labelOf(preview.url);
  const at = (query: object) =>
    visit(plane, { label, port: "3000", nonce: NONCE, ...query }, { cookie });
  assert.equal((await at({ port: "3001" })).statusCode, 404);
  assert.equal((await at({ label: "0".repeat(20) })).statusCode, 404);
  await owner.client.previews.close(preview.id);
  assert.equal((await at({})).statusCode, 410);
});

/** What open redirects are made of. */
const ELSEWHERE = [
  ...["//evil.test", "\\\\evil.test", "/\\evil.test", "/%2f%2fevil.test", "/%5cevil.test"],
  ...[
    "https://evil.test",
    "https:evil.test",
    "@evil.test",
    "/@evil.test",
    ".evil.test",
    "evil.test",
  ],
  ...[
    "/\tevil.test",
    "/\n//evil.test",
    "\u2028//evil.test",
    "／／evil.test",
    "〱evil.test",
    "。evil。test",
  ],
  ...[
    "javascript:alert(1)",
    "data:text/html,x",
    "%0d%0aLocation: https://evil.test",
    "?next=//evil.test",
  ],
  ...[
    "#//evil.test",
    "..//evil.test",
    "%00//evil.test",
    "x@evil.test",
    "x.evil.test/",
    "x%2eevil.test",
  ],
];

test("whatever is sent, nobody is sent elsewhere: each field, logged in or not", async (t) => {
  const { plane, owner, preview } = await world(t);
  const cookie = await cookieOf(plane, owner);
  const label = labelOf(preview.url);
  const good = { label, port: "3000", nonce: NONCE };
  let redirects = 0;
  for (const text of ELSEWHERE)
    for (const headers of [{ cookie }, { cookie: "" }])
      for (const query of [
        { ...good, path: text },
        { ...good, next: text, redirect: text, url: text },
        { ...good, label: text },
        { ...good, label: `${label}${text}` },
        { ...good, port: text },
        { ...good, port: `3000${text}` },
        { ...good, nonce: text },
        { ...good, nonce: `${NONCE}${text}` },
      ]) {
        const answer = await visit(plane, query, headers);
        if (answer.statusCode !== 302) {
          assert.equal(answer.statusCode, 400, JSON.stringify(query));
          assert.equal(answer.headers.location, undefined);
          continue;
        }
        redirects += 1;
        const location = String(answer.headers.location);
        const { origin } = new URL(location, "https://berth.test");
        const allowed = headers.cookie ? new URL(preview.url).origin : "https://berth.test";
        assert.equal(origin, allowed, JSON.stringify(query));
        assert.ok(!decodeURIComponent(location).includes("evil"), location);
      }
  assert.equal(redirects, ELSEWHERE.length * 4);
  // Twice the same name is an array, and no text.
  const twice = await plane.api.app.inject({
    url: `/v1/preview-authorize?label=${label}&label=${label}&port=3000&nonce=${NONCE}`,
    headers: { cookie },
  });
  assert.equal(twice.statusCode, 400);
});

test("a frame or a script in somebody's page cannot go this way", async (t) => {
  const { plane, owner, preview } = await world(t);
  const cookie = await cookieOf(plane, owner);
  const wanted = { label: labelOf(preview.url), port: "3000", nonce: NONCE };
  for (const headers of [
    { "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" },
    { "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" },
    { "sec-fetch-mode": "cors", "sec-fetch-dest": "empty" },
  ])
    assert.equal((await visit(plane, wanted, { cookie, ...headers })).statusCode, 403);
});
