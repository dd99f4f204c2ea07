// What somebody meets who uses the app every day: a box that is held up, a link to a box, a phone, a slow or broken line.

import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type BerthClient, createClient } from "#sdk/client.ts";
import { launchBrowser, logIn, visit } from "#test/harness/browser.ts";
import { TestInstallation, until } from "#test/harness/installation.ts";

type Browser = Awaited<ReturnType<typeof launchBrowser>>;
type Page = Awaited<ReturnType<typeof visit>>["page"];

let berth: TestInstallation;
let browser: Browser;
let page: Page;
let url: string;
let token: string;
let admin: BerthClient;

before(async () => {
  berth = await TestInstallation.make("fake");
  await berth.ok(["up", "--detach"]);
  ({ url, token } = await berth.webApp());
  admin = createClient({ url, token });
  browser = await launchBrowser();
  ({ page } = await visit(browser, { reducedMotion: "reduce" }));
  await logIn(page, url, token);
});
after(async () => {
  await browser?.close();
  await berth?.close();
});

/** Another browser of the same person: who it is, and nothing else that the first one keeps. */
async function alsoOn(options: Parameters<typeof visit>[1]): Promise<Page> {
  const { cookies } = await page.context().storageState();
  const storageState = { cookies, origins: [] };
  return (await visit(browser, { ...options, storageState })).page;
}

const PHONE = { hasTouch: true, isMobile: true, viewport: { width: 390, height: 844 } };
const screen = (where: Page) => where.locator(".xterm-rows:visible");

test("what is long comes compressed from the real control plane, the app's files too", async () => {
  const html = await (await fetch(url)).text();
  const assets = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+\.(?:js|css))"/g)];
  assert.ok(assets.length >= 3, html);
  for (const [, path] of assets) {
    const headers = { "accept-encoding": "br, gzip" };
    const answer = await fetch(`${url}${path}`, { headers });
    const bytes = (await answer.arrayBuffer()).byteLength;
    if (bytes >= 2048) assert.equal(answer.headers.get("content-encoding"), "br", path);
  }
  const headers = { authorization: `Bearer ${token}`, "accept-encoding": "gzip" };
  const listed = await fetch(`${url}/v1/events?limit=200`, { headers });
  assert.equal(listed.headers.get("content-encoding"), "gzip");
  assert.ok(((await listed.json()) as { items: unknown[] }).items.length > 5);
});

test("the menu of a row is opened and left by keyboard", async () => {
  await page.goto(`${url}/boxes`);
  const button = page.getByRole("button", { name: "Actions for first" });
  await button.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("menuitem", { name: "Pause" }).waitFor();
  await page.keyboard.press("ArrowDown");
  await until("an entry has the focus", () =>
    page.evaluate("document.activeElement?.getAttribute('role') === 'menuitem'"),
  );
  await page.keyboard.press("Escape");
  await page.getByRole("menu").waitFor({ state: "detached" });
  await until("the button has the focus", () =>
    button.evaluate((element) => element === element.ownerDocument.activeElement),
  );
});

test("what a box costs is told before it is made, and of one that is there", async () => {
  await admin.prices.set({ currency: "EUR", prices: { vcpu: "0.02", memory: "0.004" } });
  await page.goto(`${url}/boxes`);
  await page.getByRole("button", { name: "New box" }).click();
  await page
    .getByRole("dialog")
    .getByText(/€0\.\d+ an hour/)
    .waitFor();
  await page.keyboard.press("Escape");
  await page.goto(`${url}/boxes/first/info`);
  await page
    .getByRole("banner")
    .or(page.getByRole("main"))
    .getByText(/€0\.\d+ an hour/)
    .waitFor();
  await page.getByText(/^Running €0\.\d+\. Paused €/).waitFor();
});

test("a box that does not start says why, since when, and when it is tried again", async () => {
  const path = join(berth.stateDir, "node/faults.json");
  const rule = { op: "start", times: 1000, code: "start_failed", retryable: true };
  await writeFile(path, JSON.stringify({ rules: [rule] }));
  const { box } = await admin.boxes.create({ template: "default", name: "faulty" });
  await page.goto(`${url}/boxes/faulty/events`);
  const held = page.getByRole("region", { name: "What holds it" });
  await held.getByText(/fake fault/i).waitFor();
  await held.getByText(/Tried (?:once|\d+ times); again /).waitFor();
  await held.getByText(/^for \d+ seconds?|^for \d+ minutes?/).waitFor();
  await rm(path);
  await admin.boxes.wait(box.id, { for: "running" });
  await held.waitFor({ state: "detached" });
  await admin.boxes.delete(box.id);
});

test("a box that no node takes says what is in the way", async () => {
  const [node] = (await admin.nodes.list()).items;
  assert.ok(node);
  await admin.nodes.update(node.id, { schedulable: false });
  const { box } = await admin.boxes.create({ template: "default", name: "homeless" });
  await page.goto(`${url}/boxes/homeless/events`);
  const held = page.getByRole("region", { name: "What holds it" });
  await held.getByText(/cordoned/).waitFor();
  await held.getByText("It is placed when a node fits.").waitFor();
  await admin.nodes.update(node.id, { schedulable: true });
  await held.waitFor({ state: "detached" });
  await admin.boxes.delete(box.id);
});

test("a box that is linked to is shown while the list of all is still on its way", async () => {
  const guest = await alsoOn({});
  let release = () => {};
  const held = new Promise<void>((go) => {
    release = go;
  });
  await guest.route(/\/v1\/boxes\?/, async (route) => {
    await held;
    await route.continue();
  });
  await guest.goto(`${url}/boxes/first/events`);
  await guest.getByRole("heading", { name: "first", exact: true }).waitFor();
  await guest.getByText("first was created").waitFor();
  release();
  await guest.unrouteAll({ behavior: "ignoreErrors" });
  await guest.context().close();
});

test("the sessions of a box are seen by whoever comes from elsewhere", async () => {
  await page.goto(`${url}/boxes/first/terminal`);
  await page.getByRole("main").getByRole("button", { name: "New terminal" }).last().click();
  await page.getByText("Connected", { exact: true }).first().waitFor();
  await page.keyboard.type("hello from the desk\n");
  await screen(page).getByText("hello from the desk").first().waitFor();
  const other = await alsoOn({});
  await other.goto(`${url}/boxes/first/terminal`);
  const sessions = other.getByRole("region", { name: "Sessions in the box" });
  await sessions.getByText(/1 viewer/).waitFor();
  await sessions.getByRole("button", { name: "Watch" }).click();
  await screen(other).getByText("hello from the desk").first().waitFor();
  await other.getByText("read only", { exact: true }).waitFor();
  await other.context().close();
});

test("on a phone: a heading for whoever hears it, the tab one is at in sight, keys that it has not", async () => {
  const phone = await alsoOn(PHONE);
  await phone.goto(`${url}/boxes`);
  await phone.getByRole("heading", { name: "Boxes" }).waitFor();
  await phone.goto(`${url}/boxes/first/info`);
  const tab = phone.getByRole("link", { name: "Info" });
  await tab.waitFor();
  await until("the tab is in sight", async () => {
    const box = await tab.boundingBox();
    return box !== null && box.x >= 0 && box.x + box.width <= 390;
  });
  await phone.goto(`${url}/boxes/first/terminal`);
  const sessions = phone.getByRole("region", { name: "Sessions in the box" });
  await sessions.getByRole("button", { name: "Attach" }).tap();
  await phone.getByText("Connected", { exact: true }).first().waitFor();
  const control = phone.getByRole("button", { name: "Control, with the next letter" });
  await control.tap();
  assert.equal(await control.getAttribute("aria-pressed"), "true");
  // Ctrl-I is a tab: what comes after it stands further right.
  await phone.keyboard.press("i");
  await phone.keyboard.type("end\n");
  await screen(phone)
    .getByText(/^\s{6,}end/)
    .first()
    .waitFor();
  assert.equal(await control.getAttribute("aria-pressed"), "false");
  await phone.context().close();
});

test("a page that hears nothing says so on every screen, until it hears again", async () => {
  const phone = await alsoOn(PHONE);
  await phone.goto(`${url}/boxes`);
  await phone.getByRole("link", { name: "first", exact: true }).waitFor();
  let isCut = true;
  await phone.route(/\/v1\/watch/, (route) => (isCut ? route.abort() : route.continue()));
  await phone.reload();
  const said = phone.getByRole("main").getByText(/may be old/);
  await said.waitFor();
  isCut = false;
  await said.waitFor({ state: "detached" });
  await phone.getByRole("link", { name: "first", exact: true }).waitFor();
  await phone.unrouteAll({ behavior: "ignoreErrors" });
  await phone.context().close();
});
