// What a page in one preview can do to the dashboard and to other previews: nothing. In real Chromium, with the real API
// and gateway under two registrable domains; previews are siblings there, so that the browser itself keeps little apart.
// Each defence of the gateway is switched off once, and the attack then gets through.

import assert from "node:assert/strict";
import type { RequestListener } from "node:http";
import { before, beforeEach, test } from "node:test";
import type { Page } from "playwright-core";
import { until } from "#test/harness/doors.ts";
import {
  type App,
  DASHBOARD,
  type PreviewWorld,
  previewWorld,
} from "#test/harness/preview-world.ts";

let world: PreviewWorld;
/** Somebody's private app, and an app that means them ill: ports of one box, as siblings of one domain. */
let victim: App;
let evil: App;
let evilAnswer: RequestListener;

const plainPage: RequestListener = (_, response) =>
  response.setHeader("content-type", "text/html").end("<!doctype html><title>app</title><body>");

before(async (scope) => {
  world = await previewWorld(scope as never);
  victim = await world.app(3000, (request, response) => {
    if (request.url === "/secret.js") response.end("window.secret = 1");
    else plainPage(request, response);
  });
  evilAnswer = plainPage;
  evil = await world.app(4000, (request, response) => evilAnswer(request, response));
});

beforeEach(() => {
  world.setDefences({});
  evilAnswer = plainPage;
  victim.requests.length = 0;
});

/** Somebody who is logged in, may see both previews, and is at the evil one. */
async function lured(): Promise<Page> {
  const page = await world.person();
  await world.logIn(page, world.plane.admin.token);
  await page.goto(await world.link(victim));
  await page.goto(await world.link(evil));
  assert.equal(page.url(), `${evil.origin}/`);
  victim.requests.length = 0;
  return page;
}

/** Runs in the page; what it throws is what it gives, and what never ends is given up. */
function attack(page: Page, script: string): Promise<unknown> {
  const run = `(async () => { try { ${script} } catch (error) { return String(error); } })()`;
  return page.evaluate(
    `Promise.race([${run}, new Promise((done) => setTimeout(done, 15_000, "it never ends"))])`,
  );
}

const PAGE = `${DASHBOARD}/login`;

test("a private preview sends to the dashboard, and back to where the person was going", async () => {
  const page = await world.person();
  await page.goto(`${victim.origin}/deep?x=1#part`);
  const login = new URL(page.url());
  assert.equal(login.origin, DASHBOARD);
  assert.equal(login.pathname, "/login");
  assert.equal(victim.requests.length, 0);
  await world.logIn(page, world.plane.admin.token);
  await page.goto(new URL(login.searchParams.get("next") ?? "", DASHBOARD).href);
  assert.equal(page.url().split("#")[0], `${victim.origin}/deep?x=1`);
  assert.equal(await page.title(), "app");
  // The next one needs no login, and nothing of it is seen.
  await page.goto(`${evil.origin}/there`);
  assert.equal(page.url(), `${evil.origin}/there`);
  await page.context().close();
});

test("who may not see it gets no further than the dashboard", async () => {
  const page = await world.person();
  await world.logIn(page, world.plane.stranger.token);
  victim.requests.length = 0;
  const answer = await page.goto(victim.origin);
  assert.equal(new URL(page.url()).origin, DASHBOARD);
  // Of another organization: there is no such preview.
  assert.equal(answer?.status(), 404);
  assert.equal(victim.requests.length, 0);
  await page.context().close();
});

test("whatever is asked of it, the dashboard sends a browser to a preview or nowhere", async () => {
  const page = await world.person();
  await world.logIn(page, world.plane.admin.token);
  const [, label = ""] = /-(\w+)\./.exec(victim.origin) ?? [];
  const nonce = "n".repeat(43);
  const query = `label=${label}&port=3000&nonce=${nonce}`;
  for (const extra of [
    ...[
      "",
      "&path=//evil.test",
      "&path=https://evil.test",
      "&next=//evil.test",
      "&redirect_uri=//evil.test",
    ],
    ...[
      "&label=evil.test/",
      "&port=3000@evil.test",
      "&label=x.evil.test%23",
      "&nonce=%0d%0aLocation:%20x",
    ],
    ...[
      "&label=%2f%2fevil.test",
      "&port=80%2f",
      `&label=${label}\\@evil.test`,
      "&label=\u3002evil.test",
    ],
  ]) {
    await page.goto(`${DASHBOARD}/v1/preview-authorize?${query}${extra}`);
    const { origin } = new URL(page.url());
    assert.ok([DASHBOARD, victim.origin].includes(origin), `${extra} led to ${page.url()}`);
  }
  await page.context().close();
});

const CROSS_ORIGIN: Record<string, string> = {
  "a fetch": `await fetch(V + "/x", { credentials: "include", mode: "no-cors" })`,
  "a fetch that posts": `await fetch(V + "/x", { method: "POST", credentials: "include", mode: "no-cors", body: "a=b" })`,
  "a beacon": `navigator.sendBeacon(V + "/x", "a=b"); await new Promise((done) => setTimeout(done, 300))`,
  "an image": `await new Promise((done) => { const one = new Image(); one.onload = one.onerror = done; one.src = V + "/x"; })`,
  "a script": `await new Promise((done) => { const one = document.createElement("script"); one.onload = one.onerror = done; one.src = V + "/secret.js"; document.body.append(one); })`,
  "a frame": `await new Promise((done) => { const one = document.createElement("iframe"); one.onload = done; one.src = V + "/x"; document.body.append(one); })`,
  "a form": `await new Promise((done) => { const frame = document.createElement("iframe"); frame.name = "f"; document.body.append(frame); frame.onload = done;
     const one = document.createElement("form"); one.method = "post"; one.target = "f"; one.action = V + "/x"; document.body.append(one); one.submit(); })`,
  "a WebSocket": `await new Promise((done) => { const one = new WebSocket(V.replace("http", "ws") + "/x"); one.onopen = one.onerror = done; })`,
};

test("a sibling's page gets nothing to a private preview", async (t) => {
  const page = await lured();
  const run = async (script: string) => {
    victim.requests.length = 0;
    await attack(page, `const V = ${JSON.stringify(victim.origin)}; ${script}`);
    return victim.requests.length;
  };
  for (const [name, script] of Object.entries(CROSS_ORIGIN))
    await t.test(name, async () => {
      assert.equal(await run(script), 0);
      world.setDefences({ ownOriginOnly: false });
      await until(async () => (await run(script)) > 0, "it gets through without the defence");
      world.setDefences({});
    });
  await t.test("a link that is followed is no attack", async () => {
    victim.requests.length = 0;
    await page.goto(`${victim.origin}/`);
    assert.equal(victim.requests.length, 1);
  });
  await page.context().close();
});

/** 40 of them. */
const TOSSED = [
  ...[
    "",
    "; Domain=preview.test",
    "; Domain=.preview.test",
    "; Domain=test",
    "; Domain=berth.test",
  ].flatMap((domain) => [
    `__Host-berth=evil${domain}; Path=/; Secure`,
    `__Host-berth-preview=evil${domain}; Path=/; Secure`,
    `__Host-berth-preview-nonce=evil${domain}; Path=/; Secure`,
    `__host-BERTH-preview=evil${domain}; Path=/; Secure`,
    `=__Host-berth-preview=evil${domain}; Path=/; Secure`,
    `session=evil${domain}; Path=/`,
    `long=${"x".repeat(3000)}${domain}; Path=/`,
  ]),
  ...[
    "; Path=/x",
    "; Path=/.berth",
    "; SameSite=None; Secure; Partitioned",
    "; Max-Age=0",
    "; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
  ].map((attributes) => `__Host-berth-preview=evil; Domain=preview.test${attributes}`),
];

test("40 tossed cookies disturb neither the dashboard nor another preview", async () => {
  assert.equal(TOSSED.length, 40);
  const page = await lured();
  const toss = async () => {
    evilAnswer = (request, response) => {
      response.setHeader("set-cookie", ["wide=by-header; Domain=preview.test; Path=/", ...TOSSED]);
      plainPage(request, response);
    };
    await page.goto(`${evil.origin}/`);
    for (const cookie of TOSSED) await attack(page, `document.cookie = ${JSON.stringify(cookie)}`);
    evilAnswer = plainPage;
    await page.goto(`${evil.origin}/`);
    victim.requests.length = 0;
    await page.goto(`${victim.origin}/`);
    return victim.requests[0]?.headers.get("cookie") ?? "";
  };
  const seen = await toss();
  assert.doesNotMatch(seen, /__host-berth/i);
  assert.doesNotMatch(seen, /by-header/);
  // What it was given by script for the whole domain does arrive: that takes the Public Suffix List.
  assert.match(seen, /session=evil/);
  for (const path of ["/v1/boxes", "/v1/tokens"]) {
    await page.goto(PAGE);
    const status = await page.evaluate(
      `fetch(${JSON.stringify(path)}).then((answer) => answer.status)`,
    );
    assert.equal(status, 200);
  }
  world.setDefences({ hostCookies: false });
  assert.match(await toss(), /by-header/);
  world.setDefences({ platformSecrets: false });
  assert.match(await toss(), /__Host-berth-preview=ey/);
  world.setDefences({});
  await page.context().close();
});

test("a page in a preview changes nothing at the API, with the person's cookie or without", async (t) => {
  const page = await lured();
  const { boxes } = world.plane.admin.client;
  const [box] = (await boxes.list()).items;
  const stop = `${DASHBOARD}/v1/boxes/${box?.id}/stop`;
  const wanted = async () => (await boxes.get(box?.id ?? "")).desired;
  const before = await wanted();
  for (const type of ["text/plain", "application/json", "application/x-www-form-urlencoded"])
    for (const mode of ["cors", "no-cors"])
      await t.test(`a fetch, ${type}, ${mode}`, async () => {
        await attack(
          page,
          `await fetch(${JSON.stringify(stop)}, { method: "POST", credentials: "include", mode: "${mode}", headers: { "content-type": "${type}" }, body: "{}" })`,
        );
        assert.equal(await wanted(), before);
      });
  await t.test("a form, as a navigation", async () => {
    const answered = page.waitForResponse((answer) => answer.url() === stop);
    await attack(
      page,
      `const one = document.createElement("form"); one.method = "post"; one.action = ${JSON.stringify(stop)}; document.body.append(one); one.submit()`,
    );
    assert.ok([401, 403].includes((await answered).status()));
    await page.waitForURL(stop);
    assert.equal(await wanted(), before);
  });
  await t.test("the dashboard's own page may", async () => {
    await page.goto(PAGE);
    const status = await page.evaluate(
      `fetch(${JSON.stringify(stop)}, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }).then((answer) => answer.status)`,
    );
    assert.equal(status, 202);
  });
  await page.context().close();
});

test("a page in a preview opens no stream of the gateway's", async () => {
  const page = await lured();
  const open = `return await new Promise((done) => { const one = new WebSocket("wss://gateway.test/v1/stream", "berth.v1"); one.onopen = () => done("open"); one.onerror = () => done("refused"); })`;
  assert.equal(await attack(page, open), "refused");
  await page.goto(PAGE);
  assert.equal(await attack(page, open), "open");
  await page.context().close();
});

test("a service worker has the pages of its own preview, in its own scope", async () => {
  const page = await lured();
  evilAnswer = (request, response) => {
    if (!request.url?.endsWith("sw.js")) return plainPage(request, response);
    response.setHeader("content-type", "text/javascript").setHeader("service-worker-allowed", "/");
    response.end(`self.onfetch = (event) => event.respondWith(new Response("taken over"));
      self.onactivate = (event) => event.waitUntil(clients.claim())`);
  };
  const register = (scope: string) =>
    attack(
      page,
      `await navigator.serviceWorker.register("/sub/sw.js", { scope: "${scope}" }); await navigator.serviceWorker.ready; return "registered"`,
    );
  assert.match(String(await register("/")), /SecurityError|not under the max scope/);
  world.setDefences({ answerReach: false });
  assert.equal(await register("/"), "registered");
  world.setDefences({});
  await page.goto(`${evil.origin}/x`);
  assert.equal(await page.textContent("body"), "taken over");
  await page.goto(`${victim.origin}/x`);
  assert.equal(await page.title(), "app");
  evilAnswer = plainPage;
  await page.context().close();
});

test("neither a page of Berth nor a private preview can be framed, and a popup has no way back", async () => {
  const page = await lured();
  const frame = (url: string) =>
    attack(
      page,
      `const one = document.createElement("iframe"); one.src = ${JSON.stringify(url)}; document.body.append(one);
       await new Promise((done) => { one.onload = done; }); return one.contentWindow.length`,
    );
  for (const url of [`${victim.origin}/`, `${victim.origin}/.berth/x`, PAGE]) {
    await frame(url);
    const inner = page.frames().find((one) => one !== page.mainFrame());
    const title = await inner?.title().catch(() => "");
    assert.notEqual(title, "app");
    await attack(page, `document.querySelector("iframe").remove()`);
  }
  assert.equal(victim.requests.length, 0);
  await page.goto(PAGE);
  const popup = page.waitForEvent("popup");
  await attack(page, `window.open(${JSON.stringify(`${evil.origin}/`)})`);
  const opened = await popup;
  await opened.waitForURL(`${evil.origin}/`);
  assert.equal(await opened.evaluate("window.opener"), null);
  // A page that does not say so has a window that its popup can move.
  await page.goto(`${victim.origin}/`);
  const second = page.waitForEvent("popup");
  await attack(page, `window.open(${JSON.stringify(`${evil.origin}/`)})`);
  const again = await second;
  await again.waitForURL(`${evil.origin}/`);
  assert.notEqual(await again.evaluate("window.opener && 1"), null);
  await page.context().close();
});

test("no address with a code or a link in it is told to anybody", async () => {
  const page = await world.person();
  evil.requests.length = 0;
  const told = `<a href="${evil.origin}/clicked">away</a><img src="${evil.origin}/image">`;
  const [app] = [
    await world.app(5000, (_, response) =>
      response
        .setHeader("content-type", "text/html")
        .setHeader("referrer-policy", "unsafe-url")
        .end(`<!doctype html>${told}`),
    ),
  ];
  const link = await world.link(app);
  await page.goto(link);
  assert.equal(page.url(), `${app.origin}/`);
  await page.goto(await world.link(evil));
  await page.goto(link);
  await page.getByText("away").click();
  await page.waitForURL(/clicked/);
  const referers = evil.requests.map(({ headers }) => headers.get("referer") ?? "");
  assert.ok(referers.includes(`${app.origin}/`), referers.join());
  for (const referer of referers) assert.doesNotMatch(referer, /berth_link|code=|eyJ/);
  for (const { url } of [...evil.requests, ...app.requests])
    assert.doesNotMatch(url, /berth_link|code=|eyJ/);
  await page.context().close();
});

test("a preview that is closed ends what is open in the browser, and its address is gone for good", async () => {
  const page = await world.person();
  const app = await world.app(6000, (request, response) => {
    if (request.url !== "/events") return plainPage(request, response);
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("data: 1\n\n");
  });
  await page.goto(await world.link(app));
  await attack(
    page,
    `const events = new EventSource("/events"); window.heard = 0; events.onmessage = () => { window.heard += 1; };
     events.onerror = () => { window.isOver = true; };`,
  );
  await page.waitForFunction("window.heard > 0");
  const startedMs = performance.now();
  await world.plane.admin.client.previews.close(app.previewId);
  await page.waitForFunction("window.isOver");
  assert.ok(performance.now() - startedMs < 5000);
  await until(async () => (await page.goto(app.origin))?.status() === 410, "the address is gone");
  const again = await world.app(6000, plainPage);
  assert.notEqual(again.origin, app.origin);
  assert.equal((await page.goto(app.origin))?.status(), 410);
  await page.context().close();
});
