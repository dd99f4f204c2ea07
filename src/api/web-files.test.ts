// The web app's files: served with a policy that lets no other page in, and beside the API without hiding any of it.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { frontDoor } from "#test/harness/front-door.ts";
import { policyOf } from "./web-files.ts";

const PAGE = { accept: "text/html,application/xhtml+xml" };

async function served(t: { after(work: () => Promise<unknown>): void }, isBuilt = true) {
  const folder = await mkdtemp(join(tmpdir(), "berth-web-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const directory = join(folder, "web");
  if (isBuilt) {
    await mkdir(join(directory, "assets"), { recursive: true });
    await writeFile(join(directory, "index.html"), "<p>the app");
    await writeFile(join(directory, "other.html"), "<p>another");
    await writeFile(join(directory, "assets/app-1a2b.js"), "1");
    await writeFile(join(directory, "assets/app-1a2b.js.br"), "1 by brotli");
    await writeFile(join(directory, ".hidden"), "secret");
  }
  await writeFile(join(folder, "outside.txt"), "secret");
  const app = await frontDoor(
    { "boxes.list": () => Promise.resolve({ items: [], nextCursor: null }) },
    { web: { directory, gatewayUrls: async () => ["http://gw.test:7302", "https://b.test/x"] } },
  );
  t.after(() => app.close());
  return app;
}

test("every page of the app is its one page, with its policy", async (t) => {
  const app = await served(t);
  for (const url of ["/", "/boxes/web", "/login?next=%2F", "/nodes", "/index.html"]) {
    const answer = await app.inject({ url, headers: PAGE });
    assert.equal(answer.body, "<p>the app", url);
    assert.equal(answer.headers["x-content-type-options"], "nosniff");
    assert.equal(answer.headers["cross-origin-opener-policy"], "same-origin");
    assert.equal(answer.headers["referrer-policy"], "no-referrer");
    assert.equal(answer.headers["x-frame-options"], "DENY");
    assert.equal(answer.headers["cache-control"], "no-cache");
    assert.match(String(answer.headers["content-type"]), /^text\/html/);
    const policy = String(answer.headers["content-security-policy"]);
    assert.match(policy, /(?:^|; )script-src 'self'(?:;|$)/, url);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.match(
      policy,
      /connect-src 'self' http:\/\/gw\.test:7302 ws:\/\/gw\.test:7302 https:\/\/b\.test wss:\/\/b\.test;/,
    );
  }
  const asset = await app.inject({ url: "/assets/app-1a2b.js" });
  assert.equal(asset.body, "1");
  assert.equal(asset.headers["cache-control"], "max-age=31536000, immutable");
});

test("a file that is there compressed goes out so, under the same policy", async (t) => {
  const app = await served(t);
  for (const [accepted, encoding, body] of [
    ["gzip, deflate, br", "br", "1 by brotli"],
    ["gzip", undefined, "1"],
    ["", undefined, "1"],
  ] as const) {
    const headers = { "accept-encoding": accepted };
    const answer = await app.inject({ url: "/assets/app-1a2b.js", headers });
    assert.equal(answer.body, body);
    assert.equal(answer.headers["content-encoding"], encoding);
    assert.equal(answer.headers.vary, "accept-encoding");
    assert.match(String(answer.headers["content-type"]), /javascript/);
    assert.equal(answer.headers["cache-control"], "max-age=31536000, immutable");
    assert.match(String(answer.headers["content-security-policy"]), /script-src 'self'/);
  }
});

test("any other page among the files runs under the policy as well", async (t) => {
  const app = await served(t);
  const answer = await app.inject({ url: "/other.html" });
  assert.equal(answer.body, "<p>another");
  assert.match(String(answer.headers["content-security-policy"]), /script-src 'self'/);
});

test("what is no page stays what it was: an operation, a problem, or nothing", async (t) => {
  const app = await served(t);
  const boxes = await app.inject({
    url: "/v1/boxes",
    headers: { ...PAGE, authorization: "Bearer admin" },
  });
  assert.deepEqual(boxes.json().items, []);
  for (const url of ["/v1/nothing", "/v1", "/node/v1/report"])
    assert.equal((await app.inject({ url, headers: PAGE })).json().code, "route_not_found", url);
  for (const request of [
    { url: "/assets/gone.js" },
    { url: "/boxes", method: "POST" as const, headers: PAGE },
  ])
    assert.equal((await app.inject(request)).json().code, "route_not_found");
});

test("no file but the app's is served", async (t) => {
  const app = await served(t);
  for (const url of [
    ...["/../outside.txt", "/%2e%2e/outside.txt", "/..%2foutside.txt", "/assets/../../outside.txt"],
    ...["/.hidden", "/%2ehidden", "/assets/..%5c..%5coutside.txt", "//outside.txt", "/assets/%00"],
  ]) {
    const answer = await app.inject({ url });
    assert.ok(answer.statusCode >= 400 && !answer.body.includes("secret"), `${url} ${answer.body}`);
  }
});

test("without a built app a page says what to do", async (t) => {
  const app = await served(t, false);
  const answer = await app.inject({ url: "/", headers: PAGE });
  assert.equal(answer.statusCode, 503);
  assert.match(answer.body, /npm run build:web/);
});

test("what is no address does not reach the policy", () => {
  assert.match(
    policyOf(["nonsense", "javascript:x", "http://a.test; script-src *"]),
    /connect-src 'self'[^;]*; object-src/,
  );
  assert.doesNotMatch(policyOf(["http://a.test; script-src *"]), /script-src \*/);
});
