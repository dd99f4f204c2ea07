// The Ports page as a person uses it, in real Chromium with two registrable domains: what listens appears, its preview is
// opened, widened, narrowed, shared by a link and closed, and each time other people's browsers see what they should.

import assert from "node:assert/strict";
import type { RequestListener } from "node:http";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { keepScreenshot } from "#test/harness/browser.ts";
import type { Caller } from "#test/harness/control-plane.ts";
import { until } from "#test/harness/installation.ts";
import { DASHBOARD, type PreviewWorld, previewWorld } from "#test/harness/preview-world.ts";

let world: PreviewWorld;
let member: Caller;
/** The owner, at the page. */
let page: Page;
const errors: string[] = [];

const app: RequestListener = (_, response) =>
  response.setHeader("content-type", "text/html").end("<!doctype html><title>my app</title>hello");

before(async (scope) => {
  world = await previewWorld(scope as never);
  const { plane } = world;
  await listen();
  member = await plane.addMember("ann");
  page = await world.person();
  page.on("pageerror", (error) => errors.push(error.message));
  await world.logIn(page, plane.admin.token);
  await page.goto(`${DASHBOARD}/boxes/web/ports`);
});
after(() => assert.deepEqual(errors, []));

/** The guest is asked, and the node reports. */
async function listen(...ports: { port: number; isLoopback: boolean; program: string | null }[]) {
  world.node.ports.set(world.boxId, ports);
  await world.node.step();
}

const VITE = { port: 3000, isLoopback: true, program: "vite" };
const row = (port: number) =>
  page
    .getByRole("row")
    .filter({ has: page.getByRole("cell", { name: String(port), exact: true }) });
const choice = (port: number) => row(port).getByRole("combobox");
const answer = (name: string) => page.getByRole("dialog").getByRole("button", { name }).click();

async function address(port: number): Promise<string> {
  const text = row(port).getByText(/^https:\/\/\d+-\w+\.preview\.test\/$/);
  return (await text.textContent()) ?? "";
}

async function show(port: number, whom: string): Promise<void> {
  await choice(port).click();
  await page.getByRole("option", { name: whom, exact: true }).click();
}

async function isShownTo(port: number, whom: string): Promise<void> {
  await until(
    `port ${port} is for: ${whom}`,
    async () => (await choice(port).inputValue()) === whom,
  );
}

/** What somebody else's browser gets at an address, once it is that. */
async function gets(who: Caller | null, url: string, wanted: "app" | "login" | number) {
  const other = await world.person();
  if (who) await world.logIn(other, who.token);
  let seen: string | number | undefined;
  await until(`${who ? "a person" : "nobody"} gets ${wanted} at ${url}`, async () => {
    const status = (await other.goto(url))?.status();
    const isLogin = new URL(other.url()).pathname === "/login";
    seen = isLogin ? "login" : status === 200 ? "app" : status;
    if (seen === "app") assert.equal(await other.title(), "my app");
    return seen === wanted;
  });
  await other.context().close();
}

test("a server that begins to listen is there by itself", async () => {
  await page.getByText("Nothing listens").waitFor();
  await world.serve(3000, app);
  await listen(VITE);
  await row(3000).getByText("vite").waitFor();
  await row(3000).getByText("loopback").waitFor();
  await page.getByRole("link", { name: /^Ports\s*1$/ }).waitFor();
});

test("its preview is opened, and shows the app to those who may enter the box", async () => {
  await page.getByRole("button", { name: "Open a preview of port 3000" }).click();
  const url = await address(3000);
  await isShownTo(3000, "Who may enter it");
  const tab = page.context().waitForEvent("page");
  await row(3000).getByRole("link", { name: "Open port 3000 in a new tab" }).click();
  const opened = await tab;
  await opened.waitForURL(url);
  assert.equal(await opened.title(), "my app");
  assert.equal(await opened.evaluate("window.opener"), null);
  await opened.close();
  await gets(null, url, "login");
  await gets(member, url, 403);
});

test("widened to the organization, then to everybody", async () => {
  const url = await address(3000);
  await show(3000, "Organization");
  await isShownTo(3000, "Organization");
  await gets(member, url, "app");
  await gets(world.plane.stranger, url, 404);
  await show(3000, "Everybody");
  await page.getByRole("dialog").getByText(url).waitFor();
  await answer("Cancel");
  await isShownTo(3000, "Organization");
  await gets(null, url, "login");
  await show(3000, "Everybody");
  await answer("Make it public");
  await isShownTo(3000, "Everybody");
  assert.equal(await address(3000), url);
  await gets(null, url, "app");
});

test("narrowed it moves, and the old address is gone", async () => {
  const old = await address(3000);
  await show(3000, "Who may enter it");
  await answer("Narrow it");
  await isShownTo(3000, "Who may enter it");
  await page.getByText("Port 3000 has a new address now").waitFor();
  await until("it is another", async () => (await address(3000)) !== old);
  const url = await address(3000);
  await gets(null, old, 410);
  await gets(member, url, 403);
});

test("a link opens it for whoever has it, until it is taken back", async () => {
  await page.getByRole("button", { name: "Links to port 3000" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("None yet").waitFor();
  await dialog.getByRole("combobox").click();
  await page.getByRole("option", { name: "1 hour" }).click();
  await dialog.getByRole("button", { name: "Create link" }).click();
  const link = (await dialog.getByText(/berth_link=/).textContent()) ?? "";
  await dialog.getByText("expires in 59 minutes").waitFor();
  // What is copied is the whole link, of which the page shows as much as fits.
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await dialog.getByRole("button", { name: "Copy the link" }).click();
  assert.equal(await page.evaluate("navigator.clipboard.readText()"), link);
  await keepScreenshot(page, "links");
  const guest = await world.person();
  await guest.goto(link);
  assert.equal(await guest.title(), "my app");
  assert.ok(!guest.url().includes("berth_link"));
  await dialog.getByRole("button", { name: "Take the link back" }).click();
  await dialog.getByText("None yet").waitFor();
  assert.equal(await dialog.getByText(/berth_link=/).count(), 0);
  // Both what was got by it, and the link itself.
  await until("the guest is out", async () => {
    await guest.goto(guest.url());
    return new URL(guest.url()).origin === DASHBOARD;
  });
  assert.equal((await guest.goto(link))?.status(), 403);
  await guest.context().close();
  await page.keyboard.press("Escape");
});

test("closed it is gone, here and in every browser; what listens goes on", async () => {
  const url = await address(3000);
  await row(3000).getByRole("button", { name: "Close port 3000" }).click();
  await answer("Close it");
  await page.getByRole("button", { name: "Open a preview of port 3000" }).waitFor();
  await gets(world.plane.admin, url, 410);
  await gets(null, url, 410);
  await page.getByRole("button", { name: "Open a preview of port 3000" }).click();
  assert.notEqual(await address(3000), url);
});

test("a port that nothing listens on yet has an address too, and it says so", async () => {
  await page.getByLabel("Other port").fill("9000");
  await page.keyboard.press("Enter");
  await row(9000).getByText("nothing listens now").waitFor();
  assert.equal(await page.getByLabel("Other port").inputValue(), "");
  const tab = page.context().waitForEvent("page");
  await row(9000).getByRole("link", { name: "Open port 9000 in a new tab" }).click();
  const opened = await tab;
  await opened.getByText(/9000/).first().waitFor();
  await opened.close();
  await page.getByLabel("Other port").fill("99999");
  await page.keyboard.press("Enter");
  assert.equal(await row(99_999).count(), 0);
  await page.getByLabel("Other port").fill("");
});

test("what others change is shown at once: the command line's doings, and the organization's limit", async () => {
  const { previews, org } = world.plane.admin.client;
  const made = await previews.open(world.boxId, { port: 8080, visibility: "public" });
  await isShownTo(8080, "Everybody");
  assert.equal(await address(8080), made.url);
  await org.update({ maxVisibility: "org" });
  await isShownTo(8080, "Organization");
  await choice(3000).click();
  const option = page.getByRole("option", { name: "Everybody" });
  assert.equal(await option.getAttribute("data-combobox-disabled"), "true");
  await page.keyboard.press("Escape");
  await org.update({ maxVisibility: "public" });
  await previews.close(made.id);
  await row(8080).waitFor({ state: "detached" });
  await listen();
  await row(3000).getByText("nothing listens now").waitFor();
  await listen(VITE);
  await row(3000).getByText("vite").waitFor();
});

test("on a small screen everything is in reach", async () => {
  await keepScreenshot(page, "ports");
  await page.setViewportSize({ width: 390, height: 800 });
  await row(3000).waitFor();
  assert.ok(Number(await page.evaluate("document.documentElement.scrollWidth - innerWidth")) <= 0);
  for (const name of ["Links to port 3000", "Close port 3000"]) {
    const place = await page.getByRole("button", { name }).boundingBox();
    assert.ok(place && place.x >= 0 && place.x + place.width <= 390, name);
  }
  await keepScreenshot(page, "ports-small");
  await page.setViewportSize({ width: 1280, height: 800 });
});

test("a box at rest says that opening wakes it", async () => {
  await world.plane.admin.client.boxes.pause("web");
  await world.node.step();
  await page.getByRole("main").getByText("paused", { exact: true }).waitFor();
  await row(3000).getByText("opening it wakes the box").waitFor();
});
