// Those who run the installation, in real Chromium with a real OpenID provider: organizations for others, their limits and
// prices, sign-in for everybody, what groups mean, invitations taken by who signs in, and going from one organization to
// the other. What each form did is asked of the API.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Locator, Page } from "playwright-core";
import { createClient } from "#sdk/client.ts";
import { hands, launchBrowser, logIn, type Visit, visit } from "#test/harness/browser.ts";
import { TestInstallation, until } from "#test/harness/installation.ts";
import { type OidcProvider, oidcProvider } from "#test/harness/oidc.ts";

type Client = ReturnType<typeof createClient>;

let berth: TestInstallation;
let browser: Browser;
let oidc: OidcProvider;
let url: string;
let admin: Client;
let page: Page;
let dialog: Locator;
let alice: Visit;
/** Owns `acme`, made by an invitation. */
let owner: Client;

before(async () => {
  berth = await TestInstallation.make("fake");
  await berth.ok(["up", "--detach"]);
  const app = await berth.webApp();
  url = app.url;
  admin = createClient({ url, token: app.token });
  const person = (name: string, groups: readonly string[]) => ({
    ...{ name, email: `${name.toLowerCase()}@corp.test`, email_verified: true, groups },
  });
  oidc = await oidcProvider(
    // A hook of a hook would run when that ends.
    { after: () => {} },
    { accounts: { alice: person("Alice", ["dev"]), bob: person("Bob", []) } },
  );
  browser = await launchBrowser();
  page = (await visit(browser)).page;
  dialog = page.getByRole("dialog");
  await logIn(page, url, app.token);
});
after(async () => {
  await browser?.close();
  await oidc?.stop();
  await berth?.close();
});

const { open, press, choose } = hands(() => ({ page, url }));
const closed = (title: string | RegExp) =>
  page.getByRole("dialog", { name: title }).waitFor({ state: "detached" });

async function signIn(who: Page, account: string): Promise<void> {
  await who.getByRole("link", { name: "Log in with Corp" }).click();
  await who.waitForURL((one) => one.origin === oidc.issuer);
  await who.locator("input[name=login]").fill(account);
  await who.locator("input[name=password]").fill("any");
  await who.getByRole("button", { name: /sign-in/i }).click();
  await who.getByRole("button", { name: /continue/i }).click();
  await who.getByRole("heading", { name: "Boxes" }).waitFor();
}
/** Who a browser is, by the API. */
const whoIs = (who: Page) =>
  who.evaluate(
    async () => ((await (await fetch("/v1/system")).json()) as { user: unknown }).user,
  ) as Promise<{
    readonly name: string;
    readonly org: { readonly name: string };
    readonly roles: readonly string[];
    readonly teams: readonly { readonly role: string }[];
  }>;

test("an organization is made for somebody, who owns it by the link alone", async () => {
  await open("/installation", "Organizations");
  await press("New organization");
  await dialog.getByLabel("Name").fill("Acme Corp");
  await press("Create", dialog);
  await dialog
    .getByRole("alert")
    .getByText(/^Name must be/)
    .waitFor();
  assert.equal(await dialog.getByLabel("Name").inputValue(), "Acme Corp");
  await dialog.getByLabel("Name").fill("acme");
  await press("Create", dialog);
  const link = (await dialog.getByTitle(/\/invitation#/).textContent()) ?? "";
  await press("Done", dialog);
  await page.getByRole("row", { name: "acme" }).waitFor();
  const secret = new URL(link.trim()).hash.slice(1);
  const taken = await createClient({ url }).invitations.register({ secret, name: "Olga" });
  owner = createClient({ url, token: taken.token });
  const { user } = await owner.system.get();
  assert.deepEqual([user.org.name, user.roles, user.isOperator], ["acme", ["owner"], false]);
  await page.reload();
  const row = page.getByRole("row", { name: "acme" });
  await row.getByRole("cell", { name: "1", exact: true }).waitFor();
  const { items } = await admin.orgs.listAll({});
  assert.deepEqual(
    items.map(({ name, members, boxes }) => [name, members, boxes]),
    [
      ["acme", 1, 0],
      ["default", 1, 1],
    ],
  );
});

test("prices and limits of everybody", async () => {
  await open("/installation/prices", "Prices");
  await press("Set prices");
  await dialog.getByLabel("Memory of running boxes").fill("0.01");
  await press("Save", dialog);
  await page
    .getByRole("row", { name: /Memory of running boxes/ })
    .getByText("0.01")
    .waitFor();
  const memory = (await owner.prices.get()).prices.find(({ resource }) => resource === "memory");
  assert.equal(Number(memory?.price), 0.01);
  await open("/installation/limits", "Limits");
  await press("Set the limits: Every user");
  await dialog.getByLabel("Running boxes").fill("3");
  await press("Save", dialog);
  await page.getByRole("row", { name: "Every user" }).getByText("Running boxes 3").waitFor();
  assert.equal((await admin.quotas.getInstallation()).user.running, 3);
  assert.equal((await owner.quotas.get()).user.limits.running, 3);
});

test("its limits and its prices are set, and hold for it alone", async () => {
  await open("/installation/organizations", "Organizations");
  await press("Limits and prices of acme");
  await press("Set the limits: What it takes", dialog);
  const limits = page.getByRole("dialog", { name: "Limits: acme" });
  await limits.getByLabel("Boxes", { exact: true }).fill("7");
  await press("Save", limits);
  await closed("Limits: acme");
  await dialog.getByText("of 7").waitFor();
  assert.equal((await owner.quotas.get()).org?.limits.boxes, 7);
  assert.equal((await admin.quotas.get()).org?.limits.boxes, null);
  await press("Set prices of acme", dialog);
  const prices = page.getByRole("dialog", { name: "Prices of acme" });
  await prices.getByLabel("vCPUs of running boxes").fill("cheap");
  await press("Save", prices);
  await prices.getByRole("alert").waitFor();
  assert.equal(await prices.getByLabel("vCPUs of running boxes").inputValue(), "cheap");
  await prices.getByLabel("vCPUs of running boxes").fill("0.5");
  await press("Save", prices);
  await closed("Prices of acme");
  const vcpuOf = async (client: Client) => {
    const line = (await client.prices.get()).prices.find(({ resource }) => resource === "vcpu");
    return [Number(line?.price), line?.isOwn];
  };
  assert.deepEqual(
    [await vcpuOf(owner), await vcpuOf(admin)],
    [
      [0.5, true],
      [0, false],
    ],
  );
});

test("a provider of everybody: what is wrong is said in the form; made, registered, changed", async () => {
  await open("/installation/providers", "Sign-in providers");
  await press("New provider");
  await dialog.getByLabel("Name").fill("corp");
  await dialog.getByLabel("What people see").fill("Korp");
  await dialog.getByLabel("Issuer").fill("not an address");
  await dialog.getByLabel("Client id").fill("later");
  await press("Create", dialog);
  await dialog
    .getByRole("alert")
    .getByText(/^Issuer/)
    .waitFor();
  assert.equal(await dialog.getByLabel("Issuer").inputValue(), "not an address");
  await dialog.getByLabel("Issuer").fill(oidc.issuer);
  await press("Create", dialog);
  await page.getByRole("dialog", { name: "Register Berth at Korp" }).waitFor();
  const made = await admin.providers.get("corp");
  assert.equal(made.isOfInstallation, true);
  await dialog.getByTitle(made.redirectUri).waitFor();
  await page.keyboard.press("Escape");
  const client = await oidc.registerClient({ redirectUri: made.redirectUri });
  await press("Change corp");
  await dialog.getByLabel("What people see").fill("Corp");
  await dialog.getByLabel("Client id").fill(client.clientId);
  await dialog.getByRole("textbox", { name: "Client secret" }).fill(client.clientSecret);
  await dialog.getByLabel("Only these e-mail domains").fill("Corp.Test");
  await choose(dialog.getByRole("combobox", { name: "Whom no group gives a role" }), "Viewer");
  await dialog.getByLabel("Tokens and SSH keys work without a sign-in for").fill("30");
  await press("Save", dialog);
  await closed(/^Change/);
  const changed = await admin.providers.get("corp");
  assert.deepEqual(
    [
      changed.label,
      changed.clientId,
      changed.hasClientSecret,
      changed.emailDomains,
      changed.defaultRole,
      changed.memberMaxAgeMs,
    ],
    ["Corp", client.clientId, true, ["corp.test"], "viewer", 30 * 86_400_000],
  );
});

test("groups give roles: whoever is in one has it when they sign in", async () => {
  const team = await admin.teams.create({ name: "web" });
  await open("/installation/providers", "Sign-in providers");
  await press("Groups of corp");
  await press("Add a group", dialog);
  await dialog.getByRole("textbox", { name: "Group" }).fill("dev");
  await choose(dialog.getByRole("combobox", { name: "As" }), "Auditor");
  await press("Add a group", dialog);
  await dialog.getByRole("textbox", { name: "Group" }).last().fill("dev");
  await choose(dialog.getByRole("combobox", { name: "Where" }).last(), "In team web");
  await press("Save", dialog);
  await closed(/^Groups/);
  assert.deepEqual((await admin.providers.groups("corp")).groups, [
    { group: "dev", role: "auditor", team: null },
    { group: "dev", role: "member", team: team.id },
  ]);
  alice = await visit(browser);
  await alice.page.goto(`${url}/login`);
  await signIn(alice.page, "alice");
  const who = await whoIs(alice.page);
  assert.deepEqual([who.name, who.roles, who.teams.length], ["Alice", ["auditor"], 1]);
  assert.equal(await alice.page.getByRole("link", { name: "Installation" }).count(), 0);
  await alice.page.goto(`${url}/installation/organizations`);
  await alice.page.getByText("This page is not for you").waitFor();
});

test("an invitation is taken by who is logged in already, who goes from one organization to the other", async () => {
  const { url: link } = await owner.invitations.create({ roles: ["member"] });
  await alice.page.goto(link);
  await alice.page.getByRole("button", { name: "Join as Alice" }).click();
  await alice.page.getByRole("heading", { name: "Boxes" }).waitFor();
  const joined = await whoIs(alice.page);
  assert.deepEqual([joined.org.name, joined.roles], ["acme", ["member"]]);
  const inAcme = (await owner.members.list({})).items.map(({ name }) => name);
  assert.deepEqual(inAcme.sort(), ["Alice", "Olga"]);
  for (const name of ["default", "acme"]) {
    await alice.page.getByRole("button", { name: /^Organization:/ }).click();
    await alice.page.getByRole("menuitem", { name }).click();
    await alice.page
      .getByRole("button", { name: /^Organization:/ })
      .getByText(name)
      .waitFor();
    assert.equal((await whoIs(alice.page)).org.name, name);
  }
});

test("an invitation is taken by who signs in; not twice", async () => {
  const { url: link } = await owner.invitations.create({
    roles: ["billing"],
    email: "bob@corp.test",
  });
  const bob = await visit(browser);
  await bob.page.goto(link);
  await signIn(bob.page, "bob");
  const who = await whoIs(bob.page);
  assert.deepEqual([who.name, who.org.name, who.roles], ["Bob", "acme", ["billing"]]);
  assert.deepEqual((await owner.invitations.list({})).items, []);
  await alice.page.goto(link);
  await alice.page.getByRole("button", { name: "Join as Alice" }).click();
  await alice.page.getByRole("alert").getByText(/used/).waitFor();
  assert.deepEqual([...bob.complaints, ...alice.complaints], []);
});

test("what operators did is in the installation's trail, and gateways and nodes are shown", async () => {
  await open("/installation/audit", "Audit");
  const table = page.getByRole("table", { name: "Audit entries" });
  await table
    .getByRole("row", { name: /orgs\.create.*acme/ })
    .first()
    .waitFor();
  await open("/installation/gateways", "Gateways");
  const { gatewayUrls } = await admin.system.get();
  await page.getByText(gatewayUrls[0] ?? "none").waitFor();
  await page.goto(`${url}/nodes`);
  await page.waitForURL(`${url}/installation/nodes`);
  await press(/^Keep new boxes away from/);
  await until(
    "none come",
    async () => (await admin.nodes.list({})).items[0]?.schedulable === false,
  );
  await press(/^Let new boxes come to/);
  await until("they come", async () => (await admin.nodes.list({})).items[0]?.schedulable === true);
});

test("a provider is deleted, and whoever came by it is out", async () => {
  await alice.page.goto(`${url}/boxes`);
  await alice.page.getByText("Live", { exact: true }).waitFor();
  await open("/installation/providers", "Sign-in providers");
  await press("Delete corp");
  await press("Delete", dialog);
  await page.getByText("No provider yet").waitFor();
  assert.deepEqual((await admin.providers.list({})).items, []);
  await alice.page.waitForURL(/\/login/);
});
