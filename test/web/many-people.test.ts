// A company of hundreds and an installation of hundreds of organizations, in real Chromium: whoever is looked for is found,
// an address says what was asked for, what is exported is what matches, and a node is drained with what is left in sight.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import pg from "pg";
import type { Browser, Locator, Page } from "playwright-core";
import { postgresUrl } from "#main/postgres.ts";
import { createClient } from "#sdk/client.ts";
import { hands, keepScreenshot, launchBrowser, logIn, visit } from "#test/harness/browser.ts";
import { TestInstallation, until } from "#test/harness/installation.ts";

/** More than two pages of the API. */
const COUNT = 450;

let berth: TestInstallation;
let browser: Browser;
let page: Page;
let dialog: Locator;
let url: string;
let admin: ReturnType<typeof createClient>;

before(async () => {
  berth = await TestInstallation.make("fake");
  await berth.ok(["up", "--detach"]);
  const app = await berth.webApp();
  url = app.url;
  admin = createClient({ url, token: app.token });
  await fill((await admin.system.get()).user.org.id);
  browser = await launchBrowser();
  ({ page } = await visit(browser, { acceptDownloads: true }));
  dialog = page.getByRole("dialog");
  await logIn(page, url, app.token);
});
after(async () => {
  await browser?.close();
  await berth?.close();
});

/** As requests would have left them. */
async function fill(orgId: string): Promise<void> {
  const db = new pg.Client({ connectionString: postgresUrl(join(berth.stateDir, "postgres")) });
  await db.connect();
  await db.query("set session_replication_role = replica");
  await db.query(
    `insert into users (id, name, email, home_org_id)
    select 'usr_many' || n, 'person-' || n, 'p' || n || '@example.com', $1 from generate_series(1, ${COUNT}) n`,
    [orgId],
  );
  await db.query(
    `insert into grants (id, org_id, user_id, role, scope, scope_id)
    select 'gr_many' || n, $1, 'usr_many' || n, 'member', 'org', $1 from generate_series(1, ${COUNT}) n`,
    [orgId],
  );
  await db.query(
    `insert into orgs (id, name) select 'org_many' || n, 'crowd-' || n from generate_series(1, ${COUNT}) n`,
  );
  await db.end();
}

const { open, press, choose } = hands(() => ({ page, url }));
const rows = () => page.locator("tbody tr").count();
const asked = (name: string) => new URL(page.url()).searchParams.get(name);
/** How many there are, and that they are all read. */
const says = (words: string) => page.getByText(words, { exact: true }).waitFor();

async function savedBy(act: () => Promise<void>): Promise<string> {
  const [file] = await Promise.all([page.waitForEvent("download"), act()]);
  return await readFile(await file.path(), "utf8");
}

test("a member is found among hundreds, and the address says who was looked for", async () => {
  await open("/org/members", "Members");
  await says(`${COUNT + 1} members`);
  assert.equal(await rows(), 50);
  await page.getByLabel("Search members").fill(`P${COUNT}@example`);
  await says(`1 of ${COUNT + 1} members`);
  await page.getByRole("row", { name: `person-${COUNT}` }).waitFor();
  assert.equal(asked("q"), `P${COUNT}@example`);
  await page.reload();
  await page.getByRole("row", { name: `person-${COUNT}` }).waitFor();
  assert.equal(await rows(), 1);
  await page.getByLabel("Search members").fill("nobody at all");
  await page.getByText("No members match “nobody at all”").waitFor();
  await press("Show all");
  await says(`${COUNT + 1} members`);
  await choose(page.getByRole("combobox", { name: "Order" }), "Most boxes");
  await until("whoever has boxes is first", async () =>
    ((await page.locator("tbody tr").first().getAttribute("aria-label")) ?? "").startsWith("admin"),
  );
  assert.equal(asked("sort"), "Most boxes");
});

test("whoever is not among the first is offered too, where one is chosen", async () => {
  await admin.teams.create({ name: "web" });
  await open("/org/teams", "Teams");
  await press("Members of web");
  const field = dialog.getByLabel("Add a member");
  await field.fill(`person-${COUNT}`);
  await page.getByRole("option", { name: `person-${COUNT}`, exact: true }).click();
  await press("Add", dialog);
  await dialog.getByRole("row", { name: `person-${COUNT}` }).waitFor();
});

test("an organization is found among hundreds, and has prices that its operator sees", async () => {
  await admin.prices.set({ currency: "EUR", prices: { vcpu: "0.5" } });
  await open(`/installation/organizations?q=crowd-${COUNT}`, "Organizations");
  await says(`1 of ${COUNT + 1} organizations`);
  await press(`Limits and prices of crowd-${COUNT}`);
  const line = dialog.getByRole("row", { name: /vCPUs of running boxes/ });
  await line.getByText("€0.50").waitFor();
  assert.equal(await line.getByText("its own").count(), 0);
  await press(`Set prices of crowd-${COUNT}`, dialog);
  const form = page.getByRole("dialog", { name: /^Prices of/ });
  await form.getByLabel("vCPUs of running boxes").fill("0.25");
  await press("Save", form);
  await line.getByText("€0.25").waitFor();
  await line.getByText("its own").waitFor();
  // Of the installation nothing has changed, and one's own shows what holds for it.
  await open("/installation/prices", "Prices");
  await page
    .getByRole("row", { name: /vCPUs of running boxes/ })
    .getByText("€0.50")
    .waitFor();
});

test("the trail's filter is in the address, and what matches is exported", async () => {
  await admin.tokens.create({ name: "=cmd" });
  await open("/org/audit?verb=tokens.&outcome=ok", "Audit");
  const table = page.getByRole("table", { name: "Audit entries" });
  await table.getByRole("button", { name: "tokens.create" }).first().waitFor();
  assert.equal(await table.getByRole("button", { name: "teams.create" }).count(), 0);
  await press("Export");
  const text = await savedBy(() => page.getByRole("menuitem", { name: /CSV/ }).click());
  const lines = text.split("\r\n").slice(0, -1);
  assert.match(lines[0] ?? "", /^\uFEFFat,who,user,as,verb,on,touched,outcome,/);
  assert.ok(lines.length > 1 && lines.slice(1).every((line) => line.includes(",tokens.create,")));
  await choose(page.getByRole("combobox", { name: "Since" }), /From day/);
  await page.getByLabel("Last day").fill("2020-01-01");
  await page.getByText("No entry matches").waitFor();
  assert.deepEqual([asked("since"), asked("to"), asked("verb")], ["days", "2020-01-01", "tokens."]);
  await page.reload();
  await page.getByText("No entry matches").waitFor();
  await page.getByLabel("Last day").fill("");
  await table.getByRole("button", { name: "tokens.create" }).first().waitFor();
});

test("usage is of the time in the address, and is exported", async () => {
  await open("/org/usage?time=this&by=box", "Usage & cost");
  await page.getByRole("figure", { name: /by box$/ }).waitFor();
  const text = await savedBy(() => press("Export CSV"));
  assert.match(text, /^\uFEFFat,box,id,resource,amount,unit,cost,currency\r\n.*,first,box_/);
  await page.getByText("24 hours", { exact: true }).click();
  await until("the address says so", async () => asked("time") === "day" && asked("by") === "box");
});

test("whoever takes most comes first, and what is full says what frees it", async () => {
  await admin.quotas.setOrg("default", { boxes: 1 });
  await open("/org/quotas", "Quotas");
  await page.getByText(/^Boxes: full, so more is refused\. To free it, delete boxes/).waitFor();
  await says(`${COUNT + 1} users`);
  const first = page.locator("tbody tr", { has: page.getByRole("button", { name: /limits of/ }) });
  assert.match((await first.first().getAttribute("aria-label")) ?? "", /^admin/);
});

test("a node is drained: what will happen is said, what is left is shown, and it ends", async () => {
  const node = (await admin.nodes.list({})).items[0]?.name ?? "";
  await open("/installation/nodes", "Nodes");
  await press(`Drain ${node}`);
  await dialog.getByText(/^1 box is paused, of whatever organization/).waitFor();
  await press("Cancel", dialog);
  assert.equal((await admin.nodes.get(node)).schedulable, true);
  await press(`Drain ${node}`);
  await press("Drain", dialog);
  await page.getByRole("dialog", { name: `Draining ${node}` }).waitFor();
  await dialog.getByText("Every box is at rest and in the object store").waitFor();
  await keepScreenshot(page, "drained");
  await press("Done", dialog);
  assert.equal((await admin.boxes.get("first")).phase, "paused");
  assert.equal((await admin.nodes.get(node)).schedulable, false);
  await page
    .getByRole("row", { name: node })
    .getByText(/^Takes no new boxes/)
    .waitFor();
  await press(`Let new boxes come to ${node}`);
  await until("it takes boxes", async () => (await admin.nodes.get(node)).schedulable);
});

test("a token that lets a node join is shown once", async () => {
  await open("/installation/nodes", "Nodes");
  await press("New node");
  await dialog.getByLabel("Only for a node of this name").fill("host-2");
  await press("Create token", dialog);
  await dialog.getByText("Copy it now: it is not shown again").waitFor();
  await dialog.getByRole("button", { name: "Copy the token" }).waitFor();
  await press("Done", dialog);
});
