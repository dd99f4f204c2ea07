// No page and no dialog of the web app has a serious flaw that axe-core finds: contrast, names of buttons and fields,
// order of headings, what is said to whoever hears the page. Empty and with content, in both themes.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { createClient } from "#sdk/client.ts";
import { launchBrowser, logIn, seriousFlaws, visit } from "#test/harness/browser.ts";
import { TestInstallation, until } from "#test/harness/installation.ts";

let berth: TestInstallation;
let browser: Browser;
let url: string;
let admin: ReturnType<typeof createClient>;
let page: Page;

before(async () => {
  berth = await TestInstallation.make("fake");
  await berth.ok(["up", "--detach"]);
  const app = await berth.webApp();
  url = app.url;
  admin = createClient({ url, token: app.token });
  browser = await launchBrowser();
  ({ page } = await visit(browser, { reducedMotion: "reduce" }));
  await logIn(page, url, app.token);
});
after(async () => {
  await browser?.close();
  await berth?.close();
});

const ORG = ["members", "teams", "invitations", "service-accounts", "quotas", "usage", "budgets"];
const MORE = ["audit", "providers", "rules"];
const INSTALLATION = [
  ...["organizations", "nodes", "gateways", "providers", "limits", "prices", "audit"],
];
const BOX = ["terminal", "ports", "events", "logs", "snapshots", "share", "info"];
const PAGES = [
  ...["/boxes", "/templates", "/templates/default", "/keys", "/tokens", "/nowhere"],
  ...[...ORG, ...MORE].map((section) => `/org/${section}`),
  ...INSTALLATION.map((section) => `/installation/${section}`),
  ...BOX.map((tab) => `/boxes/first/${tab}`),
];
/** Pages, and what opens a dialog on each. */
const DIALOGS: readonly (readonly [path: string, button: string | RegExp])[] = [
  ["/boxes", "New box"],
  ["/boxes", /^Go to/],
  ["/boxes", "Actions for first"],
  ["/keys", "Add key"],
  ["/tokens", "New token"],
  ["/boxes/first/share", "Hand over"],
  ["/org/members", /^Change the roles of/],
  ["/org/teams", "New team"],
  ["/org/teams", "Members of web"],
  ["/org/teams", "Delete web"],
  ["/org/invitations", "Invite somebody"],
  ["/org/service-accounts", "New service account"],
  ["/org/quotas", "Set the limits: Yours"],
  ["/org/budgets", "New budget"],
  ["/org/providers", "New provider"],
  ["/org/providers", "New SCIM token"],
  ["/installation/organizations", "New organization"],
  ["/installation/organizations", "Limits and prices of default"],
  ["/installation/prices", "Set prices"],
  ["/installation/nodes", /^Drain/],
  ["/installation/nodes", "New node"],
  ["/org/audit", "Export"],
];

async function show(path: string): Promise<void> {
  await page.goto(`${url}${path}`);
  await page.getByRole("main").waitFor();
  const loading = page.getByRole("status", { name: "Loading" });
  await until(`${path} is loaded`, async () => (await loading.count()) === 0);
}

async function flawsOf(paths: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const path of paths) {
    await show(path);
    for (const flaw of await seriousFlaws(page)) found.add(`${path}: ${flaw}`);
  }
  return [...found];
}

test("empty pages", async () => {
  assert.deepEqual(await flawsOf(PAGES), []);
});

test("pages with content, and dialogs", async () => {
  await admin.teams.create({ name: "web" });
  await admin.invitations.create({ email: "ada@example.com" });
  await admin.serviceAccounts.create({ name: "ci" });
  await admin.scimTokens.create({ name: "Okta" });
  await admin.prices.set({ currency: "EUR", prices: { vcpu: "0.02" } });
  await admin.budgets.set({ amount: "100" });
  await admin.shares.create("first", { team: "web", role: "use" });
  await admin.providers.create({
    ...{ name: "corp", label: "Corp", issuer: "https://login.example.com", clientId: "berth" },
  });
  assert.deepEqual(await flawsOf(PAGES.filter((path) => /org|share|tokens/.test(path))), []);
  const found: string[] = [];
  for (const [path, button] of DIALOGS) {
    await show(path);
    await page.getByRole("button", { name: button }).first().click();
    await page.getByRole("dialog").or(page.getByRole("menu")).first().waitFor();
    for (const flaw of await seriousFlaws(page)) found.push(`${path}: ${button}: ${flaw}`);
    await page.keyboard.press("Escape");
  }
  assert.deepEqual(found, []);
});

test("whoever is not logged in", async () => {
  const { page: stranger } = await visit(browser, { reducedMotion: "reduce" });
  for (const path of ["/login", "/invitation#berth_none"]) {
    await stranger.goto(`${url}${path}`);
    await stranger.getByRole("button").first().waitFor();
    assert.deepEqual(await seriousFlaws(stranger), [], path);
  }
});
