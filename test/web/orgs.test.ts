// Organizations as people have them in the web app: somebody is invited, joins with a browser of their own, gets a
// colleague's box to use, sees no more than they may, and is out within seconds of being removed.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { keepScreenshot, launchBrowser, logIn, type Visit, visit } from "#test/harness/browser.ts";
import { TestInstallation, until } from "#test/harness/installation.ts";

/** Runs if a page ever takes a name for markup. */
const HOSTILE = "<img src=x onerror=window.ran=1>";

let berth: TestInstallation;
let browser: Browser;
let url: string;
let owner: Visit;
let page: Page;
let guest: Visit;
let invitation: string;

before(async () => {
  berth = await TestInstallation.make("fake");
  await berth.ok(["up", "--detach"]);
  const app = await berth.webApp();
  url = app.url;
  browser = await launchBrowser();
  owner = await visit(browser);
  page = owner.page;
  await logIn(page, url, app.token);
});
after(async () => {
  await browser?.close();
  await berth?.close();
});

const open = (where: Page, section: string, title: string) =>
  where
    .goto(`${url}/org/${section}`)
    .then(() => where.getByRole("heading", { name: title, exact: true }).waitFor());
const dialogOf = (where: Page) => where.getByRole("dialog");

async function makeInvitation(role?: string): Promise<string> {
  await open(page, "invitations", "Invitations");
  await page.getByRole("button", { name: "Invite somebody" }).click();
  if (role) {
    await dialogOf(page).getByLabel("Member", { exact: true }).uncheck();
    await dialogOf(page).getByLabel(role, { exact: true }).check();
  }
  await dialogOf(page).getByRole("button", { name: "Create link" }).click();
  const link = await dialogOf(page)
    .getByTitle(/\/invitation#/)
    .textContent();
  await dialogOf(page).getByRole("button", { name: "Done" }).click();
  return (link ?? "").trim();
}

async function register(name: string, link: string): Promise<Visit> {
  const person = await visit(browser);
  await person.page.goto(link);
  await person.page.getByLabel("Your name").fill(name);
  await person.page.getByRole("button", { name: "Join", exact: true }).click();
  await person.page.getByRole("heading", { name: "Boxes" }).waitFor();
  return person;
}

test("an invitation is a link that makes a new browser a member, once", async () => {
  invitation = await makeInvitation();
  await page.getByText("whoever has the link").waitFor();
  guest = await register(HOSTILE, invitation);
  await open(page, "members", "Members");
  await page.getByRole("row", { name: HOSTILE }).getByText("Member", { exact: true }).waitFor();
  const third = await visit(browser);
  await third.page.goto(invitation);
  await third.page.getByLabel("Your name").fill("Too late");
  await third.page.getByRole("button", { name: "Join", exact: true }).click();
  await third.page
    .getByRole("alert")
    .getByText(/was used/)
    .waitFor();
  await third.context.close();
});

test("a member is not shown what a member may not do", async () => {
  await guest.page.goto(`${url}/org`);
  await guest.page.getByRole("heading", { name: "Members", exact: true }).waitFor();
  const nav = guest.page.getByRole("navigation", { name: /^Organization/ });
  assert.deepEqual(await nav.getByRole("link").allInnerTexts(), [
    ...["Members", "Teams", "Quotas", "Usage & cost", "Budgets"],
  ]);
  await guest.page.getByRole("row", { name: HOSTILE }).waitFor();
  assert.equal(
    await guest.page.getByRole("button", { name: /^Remove|^Change the roles/ }).count(),
    0,
  );
  assert.equal(await guest.page.getByRole("link", { name: "Nodes" }).count(), 0);
  await guest.page.goto(`${url}/org/audit`);
  await guest.page.getByText(/needs the permission audit.read/).waitFor();
  await open(guest.page, "teams", "Teams");
  assert.equal(await guest.page.getByRole("button", { name: "New team" }).count(), 0);
});

test("the last owner stays, and the page says what to do", async () => {
  await open(page, "members", "Members");
  await page.getByRole("button", { name: /^Change the roles of (?!<img)/ }).click();
  await dialogOf(page).getByLabel("Admin", { exact: true }).check();
  await dialogOf(page).getByLabel("Owner", { exact: true }).uncheck();
  await dialogOf(page).getByRole("button", { name: "Save" }).click();
  await dialogOf(page)
    .getByText(/The last owner stays/)
    .waitFor();
  await dialogOf(page).getByRole("button", { name: "Cancel" }).click();
});

test("a team is made, and somebody is in it with a role", async () => {
  await open(page, "teams", "Teams");
  await page.getByRole("button", { name: "New team" }).click();
  await dialogOf(page).getByLabel("Name").fill("web");
  await dialogOf(page).getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("button", { name: "Members of web" }).click();
  await dialogOf(page).getByRole("combobox", { name: "Add a member" }).fill("<img");
  await page.getByRole("option", { name: HOSTILE }).click();
  await dialogOf(page).getByRole("button", { name: "Add", exact: true }).click();
  const line = dialogOf(page).getByRole("row", { name: HOSTILE });
  await line
    .getByRole("combobox", { name: `Role of ${HOSTILE}` })
    .or(line.getByLabel(`Role of ${HOSTILE}`))
    .first()
    .waitFor();
  await keepScreenshot(page, "team-members");
  await page.keyboard.press("Escape");
  await page.getByRole("row", { name: "web" }).getByRole("cell", { name: "1" }).waitFor();
});

test("a shared box is seen by whom it is shared with, who opens a terminal in it and cannot stop it", async () => {
  const rows = guest.page.getByRole("row", { name: "first", exact: true });
  await guest.page.goto(`${url}/boxes`);
  await guest.page.getByText("Live", { exact: true }).waitFor();
  assert.equal(await rows.count(), 0);
  await page.goto(`${url}/boxes/first/share`);
  await page.getByRole("combobox", { name: "Member" }).fill("<img");
  await page.getByRole("option", { name: HOSTILE }).click();
  await page.getByRole("button", { name: "Share", exact: true }).click();
  await page.getByRole("row", { name: HOSTILE }).getByText("Can use").waitFor();
  await keepScreenshot(page, "share");
  // Nobody reloads anything.
  await rows.waitFor();
  await guest.page.goto(`${url}/boxes/first/terminal`);
  await guest.page.getByRole("main").getByRole("button", { name: "New terminal" }).last().click();
  await guest.page.getByText("Connected", { exact: true }).first().waitFor();
  await guest.page.keyboard.type("hello from a colleague\n");
  await guest.page
    .locator(".xterm-rows:visible")
    .getByText("hello from a colleague")
    .first()
    .waitFor();
  assert.equal(await guest.page.getByRole("button", { name: "Pause" }).count(), 0);
  await guest.page.getByRole("button", { name: "Actions for first" }).click();
  assert.deepEqual(await guest.page.getByRole("menuitem").allInnerTexts(), ["Fork"]);
  await guest.page.keyboard.press("Escape");
  await guest.page.goto(`${url}/boxes/first/share`);
  await guest.page.getByRole("row", { name: HOSTILE }).waitFor();
  assert.equal(await guest.page.getByRole("button", { name: "Share", exact: true }).count(), 0);
  assert.equal(await guest.page.getByRole("button", { name: "Hand over" }).count(), 0);
});

test("a limit is set, and a create that it refuses says which, and what to do", async () => {
  await open(page, "quotas", "Quotas");
  await page.getByRole("button", { name: `Set the limits of ${HOSTILE}` }).click();
  await dialogOf(page).getByLabel("Boxes", { exact: true }).fill("0");
  await dialogOf(page).getByRole("button", { name: "Save" }).click();
  await page.getByRole("row", { name: HOSTILE }).getByText("/ 0").waitFor();
  await guest.page.goto(`${url}/boxes`);
  await guest.page.getByRole("button", { name: "New box" }).click();
  await dialogOf(guest.page).getByRole("button", { name: "Create box" }).click();
  const alert = dialogOf(guest.page).getByRole("alert");
  await alert.getByText(/boxes/).waitFor();
  assert.match((await alert.textContent()) ?? "", /0/);
  await keepScreenshot(guest.page, "quota-refused");
  await open(guest.page, "quotas", "Quotas");
  await guest.page
    .getByText("of 0", { exact: true })
    .or(guest.page.getByText(/of 0/))
    .first()
    .waitFor();
});

test("the trail tells the story, is searched, and grows while it is followed", async () => {
  await open(page, "audit", "Audit");
  const table = page.getByRole("table", { name: "Audit entries" });
  for (const verb of [
    "invitations.create",
    "invitations.register",
    "shares.create",
    "teams.create",
  ])
    await table.getByRole("button", { name: verb }).first().waitFor();
  await page.getByRole("combobox", { name: "Outcome" }).click();
  await page.getByRole("option", { name: "Refused" }).click();
  await table.getByText("quota_exceeded").first().waitFor();
  await table.getByRole("button", { name: "teams.create" }).waitFor({ state: "detached" });
  await table.getByRole("button", { name: "boxes.create" }).first().click();
  await dialogOf(page).getByText(HOSTILE).first().waitFor();
  await keepScreenshot(page, "audit-entry");
  await page.keyboard.press("Escape");
  await open(page, "audit", "Audit");
  await page.getByRole("switch", { name: "Follow" }).check();
  await berth.ok(["team", "create", "late"]);
  await table.getByText("late", { exact: true }).first().waitFor();
});

test("a budget is set; usage and prices are shown", async () => {
  await open(page, "usage", "Usage & cost");
  await page.getByRole("button", { name: "Set prices" }).click();
  await dialogOf(page).getByLabel("vCPUs of running boxes").fill("0.02");
  await dialogOf(page).getByRole("button", { name: "Save" }).click();
  await page.getByText(/0\.02/).first().waitFor();
  await page.getByRole("figure").waitFor();
  await open(page, "budgets", "Budgets");
  await page.getByRole("button", { name: "New budget" }).click();
  await dialogOf(page).getByLabel("For each month").fill("250");
  await dialogOf(page).getByRole("button", { name: "Save" }).click();
  await page.getByText(/250/).first().waitFor();
  await page.goto(`${url}/boxes`);
  await page.getByRole("button", { name: "New box" }).click();
  await dialogOf(page)
    .getByText(/an hour/)
    .waitFor();
});

test("a service account's token is shown once, and works", async () => {
  await open(page, "service-accounts", "Service accounts");
  await page.getByRole("button", { name: "New service account" }).click();
  await dialogOf(page).getByLabel("Name").fill("ci");
  await dialogOf(page).getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("button", { name: "New token" }).click();
  await page.getByLabel("What it is for").fill("nightly");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  const token = (await page.getByText(/^berth_/).textContent()) ?? "";
  const headers = { authorization: `Bearer ${token}` };
  const answer = await fetch(`${url}/v1/system`, { headers });
  const { user } = (await answer.json()) as { user: { name: string } };
  assert.equal(user.name, "ci");
  await page.getByRole("button", { name: "Done" }).click();
  await page.reload();
  assert.equal(await page.getByText(token).count(), 0);
});

test("another organization is offered, and a login by token is told how to get there", async () => {
  await berth.ok(["org", "create", "second"]);
  await page.goto(`${url}/boxes`);
  await page.getByRole("button", { name: "Organization" }).click();
  await page.getByRole("menuitem", { name: "second" }).click();
  await dialogOf(page)
    .getByText(/log in with a token of that organization/)
    .waitFor();
  await page.keyboard.press("Escape");
});

test("every page of the organization is shown whole, in both themes and on a small screen", async () => {
  const sections = [
    ...["members", "teams", "invitations", "service-accounts", "quotas", "usage", "budgets"],
    ...["audit", "providers", "rules"],
  ];
  const paths = [...sections.map((section) => `/org/${section}`), "/boxes/first/share", "/tokens"];
  for (const width of [1280, 400]) {
    await page.setViewportSize({ width, height: 800 });
    for (const path of paths) {
      await page.goto(`${url}${path}`);
      await page.getByRole("main").waitFor();
      await until(
        `${path} is loaded`,
        async () => (await page.getByRole("status", { name: "Loading" }).count()) === 0,
      );
      await page.locator("h1").first().waitFor();
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        await page.locator(`html[data-mantine-color-scheme=${colorScheme}]`).waitFor();
        const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
        assert.ok(Number(overflow) <= 0, `${path} is wider than ${width}`);
        if (path !== "/tokens")
          await keepScreenshot(
            page,
            `${path.slice(1).replaceAll("/", "-")}-${colorScheme}-${width}`,
          );
      }
    }
  }
  await page.setViewportSize({ width: 1280, height: 800 });
});

test("whoever is removed is out within seconds, with what they had open", async () => {
  await guest.page.goto(`${url}/boxes/first/terminal`);
  await guest.page.getByText("Connected", { exact: true }).first().waitFor();
  await open(page, "members", "Members");
  await page.getByRole("button", { name: `Remove ${HOSTILE}` }).click();
  await dialogOf(page).getByRole("button", { name: "Remove" }).click();
  const removedMs = performance.now();
  await guest.page.waitForURL(/\/login/);
  assert.ok(performance.now() - removedMs < 60_000);
  await page.getByRole("row", { name: HOSTILE }).waitFor({ state: "detached" });
  for (const { page: seen, complaints } of [owner, guest]) {
    assert.equal(await seen.evaluate("window.ran ?? null"), null);
    assert.deepEqual(complaints, []);
  }
});
