// What pages of other sites can make the dashboard do in the browser of somebody who is logged in: nothing. In real
// Chromium, from a preview's origin, from another host of the dashboard's own domain, and from a name that is rebound to
// us. Defences that stand in a row are switched off one by one: each holds alone, and without them the attack succeeds.

import assert from "node:assert/strict";
import { afterEach, before, test } from "node:test";
import type { Page } from "playwright-core";
import type { Loose } from "#test/harness/loose-proxy.ts";
import {
  type App,
  DASHBOARD,
  type PreviewWorld,
  previewWorld,
} from "#test/harness/preview-world.ts";

const SIBLING = "https://evil.berth.test";
const REBOUND = "https://rebind.test";

let world: PreviewWorld;
/** An app of a box that means ill. */
let evil: App;

before(async (scope) => {
  world = await previewWorld(scope as never);
  evil = await world.app(4000, (_, response) => response.end("<!doctype html>kittens"));
  world.setElsewhere((_, response) =>
    response.setHeader("content-type", "text/html").end("<!doctype html><title>elsewhere</title>"),
  );
});
afterEach(() => {
  world.loosen({});
  world.rebind(null);
});

/** Somebody who is logged in, by a browser that got its cookie while these defences were off. */
async function victim(loose: Partial<Loose> = {}): Promise<Page> {
  world.loosen(loose);
  const page = await world.person();
  await world.logIn(page, world.plane.admin.token);
  return page;
}

/** Runs in the page; what it throws is what it gives. */
function run(page: Page, script: string): Promise<unknown> {
  return page.evaluate(
    `(async () => { try { ${script} } catch (error) { return String(error); } })()`,
  );
}

const desired = async () => (await world.plane.admin.client.boxes.get(world.boxId)).desired;

/** The status of a form that a page of the app sends to the API. */
async function sendForm(page: Page): Promise<number> {
  const stop = `${DASHBOARD}/v1/boxes/${world.boxId}/stop`;
  await page.goto(await world.link(evil));
  const answered = page.waitForResponse((answer) => answer.url() === stop);
  await page.evaluate(`{
    const form = document.createElement("form");
    form.method = "post";
    form.action = ${JSON.stringify(stop)};
    document.body.append(form);
    form.submit();
  }`);
  return (await answered).status();
}

test("a form of another site changes nothing", async (t) => {
  const before = await desired();
  const holds: Record<string, [Partial<Loose>, number]> = {
    "with both defences": [{}, 401],
    "the cookie alone does not go along": [{ sender: true }, 401],
    "the sender alone is refused": [{ sameSite: true }, 403],
  };
  for (const [name, [loose, status]] of Object.entries(holds))
    await t.test(name, async () => {
      const page = await victim(loose);
      assert.equal(await sendForm(page), status);
      assert.equal(await desired(), before);
      await page.context().close();
    });
  await t.test("without either it does", async () => {
    const page = await victim({ sender: true, sameSite: true });
    assert.equal(await sendForm(page), 202);
    assert.equal(await desired(), "stopped");
    await page.context().close();
  });
});

/** How the gateway ends or opens a page's WebSocket that shows this ticket. */
function openStream(page: Page, ticket: string): Promise<unknown> {
  const first = JSON.stringify({ ticket, box: world.boxId, console: "1" });
  return run(
    page,
    `return await new Promise((done) => {
      const stream = new WebSocket("wss://gateway.test/v1/stream", "berth.v1");
      let isIn = false;
      stream.onopen = () => { isIn = true; stream.send(${JSON.stringify(first)}); };
      stream.onmessage = ({ data }) => typeof data === "string" && done(data);
      stream.onclose = ({ code }) => done(isIn ? code : "refused");
    })`,
  );
}

/** A ticket as the dashboard's page gets it. */
async function getTicket(page: Page): Promise<string> {
  const { status, body } = (await run(
    page,
    `const answer = await fetch("${DASHBOARD}/v1/boxes/${world.boxId}/tickets", {
      method: "POST", credentials: "include", headers: { "content-type": "application/json" },
      body: JSON.stringify({ forBrowser: true }),
    });
    return { status: answer.status, body: await answer.json() };`,
  )) as { status: number; body: { ticket: string } };
  assert.equal(status, 201, JSON.stringify(body));
  return body.ticket;
}

test("a page of another site opens no stream", async () => {
  const page = await victim();
  const ticket = await getTicket(page);
  const unused = await getTicket(page);
  await page.goto(await world.link(evil));
  // It gets none, and with one that was stolen it is refused for what it is.
  await assert.rejects(getTicket(page));
  assert.equal(await openStream(page, ticket), "refused");
  world.loosen({ sender: true });
  assert.equal(await openStream(page, "x.y.z"), 4401);
  assert.equal(await openStream(page, unused), '{"opened":true}');
  await page.context().close();
});

async function whoAmI(page: Page): Promise<unknown> {
  await page.goto(`${DASHBOARD}/login`);
  return run(
    page,
    `const answer = await fetch("/v1/system");
     return answer.ok ? (await answer.json()).user.id : answer.status`,
  );
}

/** The session of somebody who wants the victim to work in it unawares. */
async function sessionOf(token: string, name: string): Promise<string> {
  const page = await world.person();
  await world.logIn(page, token);
  const cookies = await page.context().cookies(DASHBOARD);
  await page.context().close();
  return cookies.find((cookie) => cookie.name === name)?.value ?? "";
}

async function toss(page: Page, name: string, value: string): Promise<void> {
  assert.notEqual(value, "");
  await page.goto(`${SIBLING}/`);
  for (const path of ["/v1", "/"])
    await run(
      page,
      `document.cookie = "${name}=${value}; Domain=berth.test; Path=${path}; Secure"`,
    );
}

test("a host of the dashboard's own domain makes nobody somebody else", async (t) => {
  const { admin, stranger } = world.plane;
  const { userId } = admin.subject;
  await t.test("no host but the dashboard sets the cookie", async () => {
    const page = await victim();
    await toss(page, "__Host-berth", await sessionOf(stranger.token, "__Host-berth"));
    assert.equal(await whoAmI(page), userId);
    await page.context().close();
  });
  await t.test("of two cookies none counts", async () => {
    const page = await victim({ cookiePrefix: true });
    await toss(page, "berth-plain", await sessionOf(stranger.token, "berth-plain"));
    assert.equal(await whoAmI(page), 401);
    await page.context().close();
  });
  await t.test("without either one works for a stranger", async () => {
    const page = await victim({ cookiePrefix: true, firstCookie: true });
    await toss(page, "berth-plain", await sessionOf(stranger.token, "berth-plain"));
    assert.equal(await whoAmI(page), stranger.subject.userId);
    await page.context().close();
  });
});

test("a name that is rebound to us is not us", async (t) => {
  const page = await victim();
  const load = async () => {
    world.rebind(null);
    await page.goto(`${REBOUND}/`);
    assert.equal(await page.title(), "elsewhere");
  };
  const read = () =>
    run(page, `const one = await fetch("/v1/openapi.json"); return one.status + await one.text()`);
  await t.test("the API", async () => {
    await load();
    world.rebind("dashboard");
    assert.match(String(await read()), /^421.*unknown_host/);
    world.loosen({ host: true });
    assert.match(String(await read()), /^200.*"openapi"/);
    world.loosen({});
  });
  await t.test("the gateway's streams", async () => {
    await load();
    world.rebind("gateway");
    const open = () =>
      run(
        page,
        `return await new Promise((done) => {
          const stream = new WebSocket("${REBOUND.replace("https", "wss")}/v1/stream", "berth.v1");
          stream.onopen = () => done("open");
          stream.onerror = () => done("refused");
        })`,
      );
    assert.equal(await open(), "refused");
    world.loosen({ sender: true });
    assert.equal(await open(), "open");
    world.loosen({});
  });
  await page.context().close();
});

test("from a preview's login nobody is sent anywhere else", async () => {
  const page = await victim();
  const [, label = ""] = /-(\w+)\./.exec(evil.origin) ?? [];
  const query = `label=${label}&port=4000&nonce=${"n".repeat(43)}`;
  const visit = async (next: string) => {
    await page.goto(`${DASHBOARD}/v1/preview-authorize?${query}&next=${encodeURIComponent(next)}`);
    return new URL(page.url()).origin;
  };
  for (const next of [`${SIBLING}/`, "//evil.berth.test/", "/\\evil.berth.test/"])
    assert.equal(await visit(next), evil.origin, next);
  world.loosen({ redirects: true });
  assert.equal(await visit(`${SIBLING}/`), SIBLING);
  await page.context().close();
});

/** In place of the browser's own reading of addresses one to which everything is this origin. */
const CREDULOUS = `window.URL = class extends URL { get origin() { return location.origin; } }`;

test("logging in leads to the dashboard only", async (t) => {
  const { token } = world.plane.admin;
  const visit = async (next: string, isCredulous: boolean) => {
    const page = await world.person();
    if (isCredulous) await page.addInitScript(CREDULOUS);
    await page.goto(`${DASHBOARD}/login?next=${encodeURIComponent(next)}`);
    await page.getByLabel("Access token").fill(token);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.waitForURL((now) => !now.pathname.startsWith("/login"));
    const { origin } = new URL(page.url());
    await page.context().close();
    return origin;
  };
  for (const next of ["//evil.berth.test/", "/\\evil.berth.test/", "/\t/evil.berth.test/"])
    await t.test(JSON.stringify(next), async () => {
      assert.equal(await visit(next, false), DASHBOARD);
      assert.equal(await visit(next, true), SIBLING);
    });
  for (const next of [`${SIBLING}/`, "javascript:alert(1)", "/.//evil.berth.test/"])
    await t.test(next, async () => assert.equal(await visit(next, false), DASHBOARD));
});
