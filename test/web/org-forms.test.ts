// Every form about an organization that a person fills in, in real Chromium: what it did is asked of the API, and what
// was refused is said beside the form, with what was typed still in it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Locator, Page } from "playwright-core";
import { createClient } from "#sdk/client.ts";
import { hands, launchBrowser, logIn, type Visit, visit } from "#test/harness/browser.ts";
import { TestInstallation, until } from "#test/harness/installation.ts";

type Client = ReturnType<typeof createClient>;

const DAY_MS = 86_400_000;
let berth: TestInstallation;
let browser: Browser;
let url: string;
let admin: Client;
let me: Visit;
let page: Page;
let dialog: Locator;
let ada: { readonly id: string; readonly client: Client };

before(async () => {
  berth = await TestInstallation.make("fake");
  await berth.ok(["up", "--detach"]);
  const app = await berth.webApp();
  url = app.url;
  admin = createClient({ url, token: app.token });
  const { secret } = await admin.invitations.create({});
  const { user, token } = await createClient({ url }).invitations.register({ secret, name: "Ada" });
  ada = { id: user.id, client: createClient({ url, token }) };
  browser = await launchBrowser();
  me = await visit(browser);
  page = me.page;
  dialog = page.getByRole("dialog");
  await logIn(page, url, app.token);
});
after(async () => {
  await browser?.close();
  await berth?.close();
});

const { open, press, choose } = hands(() => ({ page, url }));
/** Waits until a dialog is gone: what it sent is done then. */
const closed = (title: string | RegExp) =>
  page.getByRole("dialog", { name: title }).waitFor({ state: "detached" });
const status = async (token: string, path: string) =>
  (await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } })).status;

test("teams: what is refused is said in the form; renamed, peopled, emptied, deleted", async () => {
  await admin.teams.create({ name: "ops" });
  await open("/org/teams", "Teams");
  await press("New team");
  await dialog.getByLabel("Name").fill("Web Team");
  await press("Create", dialog);
  await dialog
    .getByRole("alert")
    .getByText(/^Name must be 1 to 40 lowercase/)
    .waitFor();
  assert.equal(await dialog.getByLabel("Name").inputValue(), "Web Team");
  await dialog.getByLabel("Name").fill("ops");
  await press("Create", dialog);
  await dialog
    .getByRole("alert")
    .getByText(/already a team named 'ops'/)
    .waitFor();
  await dialog.getByLabel("Name").fill("web");
  await page.keyboard.press("Enter");
  await closed("New team");
  await press("Rename web");
  await dialog.getByLabel("Name").fill("frontend");
  await press("Rename", dialog);
  await page.getByRole("row", { name: "frontend" }).waitFor();
  const { items } = await admin.teams.list({});
  assert.deepEqual(items.map(({ name }) => name).sort(), ["frontend", "ops"]);

  await press("Members of frontend");
  const person = dialog.getByRole("combobox", { name: "Add a member" });
  await person.fill("nobody-here");
  await press("Add", dialog);
  await dialog
    .getByRole("alert")
    .getByText(/nobody-here/)
    .waitFor();
  assert.equal(await person.inputValue(), "nobody-here");
  await person.fill("Ada");
  await page.keyboard.press("Escape");
  await press("Add", dialog);
  await choose(dialog.getByRole("combobox", { name: "Role of Ada" }), /^admin/);
  const membersOf = async () => (await admin.teams.members("frontend", {})).items;
  await until("Ada manages it", async () => (await membersOf())[0]?.role === "admin");
  await press(/^Take out of the team: Ada/, dialog);
  await dialog.getByText("Nobody is in it yet").waitFor();
  assert.deepEqual(await membersOf(), []);
  await page.keyboard.press("Escape");
  await closed(/^Team frontend/);

  await press("Delete frontend");
  await press("Delete", dialog);
  await page.getByRole("row", { name: "frontend" }).waitFor({ state: "detached" });
  assert.deepEqual(
    (await admin.teams.list({})).items.map(({ name }) => name),
    ["ops"],
  );
});

test("rules: a name that is refused stays typed; the limit of previews and the trail's days hold", async () => {
  await open("/org/rules", "Rules");
  const rule = (title: string) => page.locator("section").filter({ hasText: title });
  const name = page.getByLabel("Name of the organization");
  await name.fill("Not A Name");
  await press("Save", rule("What the organization is called"));
  await page
    .getByRole("alert")
    .getByText(/^Name must be/)
    .waitFor();
  assert.equal(await name.inputValue(), "Not A Name");
  await name.fill("acme");
  await press("Save", rule("What the organization is called"));
  await page.getByRole("navigation", { name: "Organization acme" }).waitFor();
  assert.equal((await admin.org.get()).name, "acme");

  const previews = rule("No preview of a port");
  await choose(previews.getByLabel("Previews are open at most to"), /^Members/);
  await press("Save", previews);
  await until("they are limited", async () => (await admin.org.get()).maxVisibility === "org");

  const trail = rule("For how many days");
  const days = trail.getByLabel("Days that the audit trail is kept");
  await days.fill("30");
  await press("Save", trail);
  await trail.getByRole("alert").waitFor();
  assert.match((await trail.getByRole("alert").textContent()) ?? "", /90/);
  assert.match(await days.inputValue(), /^30/);
  await days.fill("400");
  await press("Save", trail);
  await until("it is kept", async () => (await admin.audit.getPolicy()).keepDays === 400);
  await trail.getByRole("alert").waitFor({ state: "detached" });
});

test("a token for one thing and one day can that and no more", async () => {
  await open("/tokens", "Tokens");
  await press("New token");
  await dialog.getByLabel("What it is for").fill("look");
  await choose(dialog.getByRole("combobox", { name: "Works for" }), "1 day");
  await dialog.getByLabel("Only for some things").check();
  await choose(dialog.getByLabel("What it may do"), "box.read");
  await page.keyboard.press("Escape");
  await press("Create", dialog);
  const token = (await dialog.getByText(/^berth_/).textContent()) ?? "";
  await press("Done", dialog);
  assert.equal(await status(token, "/v1/boxes"), 200);
  const narrow = createClient({ url, token, retries: 0 });
  await assert.rejects(narrow.boxes.create({ template: "default" }), { status: 403 });
  const made = (await admin.tokens.list({})).items.find(({ name }) => name === "look");
  assert.deepEqual(made?.scopes, ["box.read"]);
  const leftMs = Date.parse(made?.expiresAt ?? "") - Date.now();
  assert.ok(leftMs > DAY_MS - 600_000 && leftMs <= DAY_MS, `${leftMs}`);
  await press("Revoke look");
  await press("Revoke", dialog);
  await until("it is worth nothing", async () => (await status(token, "/v1/boxes")) === 401);
});

test("what was made with a token says so, and ends with it", async () => {
  const root = await admin.tokens.create({ name: "root" });
  const made = await createClient({ url, token: root.token, retries: 0 }).tokens.create({
    name: "branch",
  });
  await open("/tokens", "Tokens");
  await page
    .getByRole("row", { name: /^branch/ })
    .getByText("with root")
    .waitFor();
  await press("Revoke root");
  await dialog.getByText("made with it end too").waitFor();
  await press("Revoke", dialog);
  await page.getByText("1 token and 0 SSH keys ended with it").waitFor();
  await until("it is worth nothing", async () => (await status(made.token, "/v1/boxes")) === 401);
});

test("a service account has roles and tokens, and both end with it", async () => {
  await open("/org/service-accounts", "Service accounts");
  await press("New service account");
  await dialog.getByLabel("Name").fill("CI bot");
  await press("Create", dialog);
  await dialog
    .getByRole("alert")
    .getByText(/^Name must be/)
    .waitFor();
  assert.equal(await dialog.getByLabel("Name").inputValue(), "CI bot");
  await dialog.getByLabel("Name").fill("ci");
  await dialog.getByLabel("Viewer", { exact: true }).check();
  await press("Create", dialog);
  await press("New token", page.getByRole("dialog", { name: "Tokens of ci" }));
  await page.getByLabel("What it is for").fill("nightly");
  await press("Create");
  const token = (await page.getByText(/^berth_/).textContent()) ?? "";
  await press("Done");
  assert.equal(await status(token, "/v1/boxes"), 200);
  const [account] = (await admin.serviceAccounts.list({})).items;
  assert.deepEqual([account?.name, account?.roles.toSorted()], ["ci", ["member", "viewer"]]);
  await press("Revoke nightly");
  // Escape answers the question alone.
  await page.getByRole("dialog", { name: "Revoke nightly?" }).waitFor();
  await page.keyboard.press("Escape");
  await closed("Revoke nightly?");
  await press("Revoke nightly");
  await press("Revoke", page.getByRole("dialog", { name: "Revoke nightly?" }));
  await until("it is worth nothing", async () => (await status(token, "/v1/boxes")) === 401);
  await page.keyboard.press("Escape");
  await closed("Tokens of ci");
  await press("Delete ci");
  await press("Delete", dialog);
  await page.getByRole("row", { name: "ci" }).waitFor({ state: "detached" });
  assert.deepEqual((await admin.serviceAccounts.list({})).items, []);
});

test("a budget of a team: refused with its reason, set, changed, deleted", async () => {
  await admin.prices.set({ currency: "EUR", prices: {} });
  await open("/org/budgets", "Budgets");
  await press("New budget");
  await choose(dialog.getByRole("combobox", { name: "Of" }), "Team ops");
  const amount = dialog.getByLabel("For each month");
  await amount.fill("plenty");
  await press("Save", dialog);
  await dialog
    .getByRole("alert")
    .getByText(/^Amount/)
    .waitFor();
  assert.equal(await amount.inputValue(), "plenty");
  await amount.fill("250,50");
  await choose(dialog.getByRole("combobox", { name: "When it is spent" }), /^Let nothing start/);
  await press("Save", dialog);
  await closed("New budget");
  const budget = async () => (await admin.budgets.list()).items[0];
  const first = await budget();
  assert.deepEqual(
    [first?.team?.name, Number(first?.amount), first?.policy],
    ["ops", 250.5, "refuse"],
  );
  await press("Change the budget: Team ops");
  await dialog.getByLabel("For each month").fill("300");
  await press("Save", dialog);
  await until("it is more", async () => Number((await budget())?.amount) === 300);
  await closed(/^Budget: Team ops/);
  await press("Delete the budget: Team ops");
  await press("Delete", dialog);
  await page.getByText("No budgets yet").waitFor();
  assert.equal(await budget(), undefined);
});

test("a box is shared as view, then as admin, is taken back, and is handed over", async () => {
  await page.goto(`${url}/boxes/first/share`);
  const person = page.getByRole("combobox", { name: "Member" });
  await person.fill("somebody-else");
  await press("Share");
  await page
    .getByRole("alert")
    .getByText(/somebody-else/)
    .waitFor();
  assert.equal(await person.inputValue(), "somebody-else");
  const shares = async () => (await admin.shares.list("first")).items.map(({ role }) => role);
  for (const [words, role] of [
    ["Can view", "view"],
    ["Can run", "admin"],
  ] as const) {
    await person.fill("Ada");
    await page.keyboard.press("Escape");
    await choose(page.getByRole("combobox", { name: "As", exact: true }), new RegExp(`^${words}`));
    await press("Share");
    await page.getByRole("row", { name: "Ada" }).getByText(words).waitFor();
    assert.deepEqual(await shares(), [role]);
  }
  await press("Take back from Ada");
  await press("Take it back", dialog);
  await page.getByText("With nobody yet").waitFor();
  assert.deepEqual(await shares(), []);

  await press("Hand over");
  const owner = dialog.getByRole("combobox", { name: "New owner" });
  await owner.fill("nobody-here");
  await press("Hand over", dialog);
  await dialog
    .getByRole("alert")
    .getByText(/nobody-here/)
    .waitFor();
  assert.equal(await owner.inputValue(), "nobody-here");
  await owner.fill("Ada");
  await page.keyboard.press("Escape");
  await press("Hand over", dialog);
  await closed(/^Hand first over/);
  assert.equal((await admin.boxes.get("first")).owner, ada.id);
  await page.locator("section").filter({ hasText: "Whose it is" }).getByText("Ada").waitFor();
});

test("a directory's token works until it is revoked", async () => {
  await open("/org/providers", "Sign-in providers");
  await press("New SCIM token");
  await dialog.getByLabel("Which directory").fill("Okta");
  await press("Create", dialog);
  const secrets = dialog.locator("span[title]");
  await secrets.nth(1).waitFor();
  const [base, token] = await secrets.allTextContents();
  await press("Done", dialog);
  const people = async () =>
    (await fetch(`${base}/Users`, { headers: { authorization: `Bearer ${token}` } })).status;
  assert.equal(await people(), 200);
  assert.equal((await admin.scimTokens.list({})).items[0]?.name, "Okta");
  await press("Revoke Okta");
  await press("Revoke", dialog);
  await page.getByText("No directory yet").waitFor();
  await until("the directory is not heard", async () => (await people()) === 401);
});

test("the last owner does not leave, and is told why", async () => {
  await open("/org/members", "Members");
  await press(/^Leave as/);
  await press("Leave", dialog);
  await page
    .getByRole("alert")
    .getByText(/last owner/i)
    .waitFor();
  const owners = (await admin.members.list({})).items.filter(({ roles }) =>
    roles.includes("owner"),
  );
  assert.equal(owners.length, 1);
});

test("by keyboard: Escape closes, Enter sends, and the focus comes back", async () => {
  await open("/org/teams", "Teams");
  const button = page.getByRole("button", { name: "New team", exact: true });
  await button.focus();
  await page.keyboard.press("Enter");
  await dialog.getByLabel("Name").and(page.locator(":focus")).waitFor();
  await page.keyboard.press("Escape");
  await closed("New team");
  await button.and(page.locator(":focus")).waitFor();
  assert.deepEqual(me.complaints, []);
});
