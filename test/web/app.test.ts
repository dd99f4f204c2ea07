// The web app as a person has it: `./berth up` with the fake driver, and real Chromium.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { keepScreenshot, launchBrowser, logIn, type Visit, visit } from "#test/harness/browser.ts";
import { TestInstallation, until } from "#test/harness/installation.ts";

interface Shown {
  readonly phase: string;
  readonly generation: number;
  readonly observedGeneration: number;
}

let berth: TestInstallation;
let browser: Browser;
let url: string;
let token: string;
let me: Visit;
let page: Page;

before(async () => {
  berth = await TestInstallation.make("fake");
  await berth.ok(["up", "--detach"]);
  ({ url, token } = await berth.webApp());
  browser = await launchBrowser();
  me = await visit(browser);
  page = me.page;
});
after(async () => {
  await browser?.close();
  await berth?.close();
});

const row = (name: string) => page.getByRole("row", { name, exact: true });
async function phaseOf(name: string, phase: string): Promise<void> {
  const label = row(name).getByText(phase, { exact: true });
  await label.waitFor().catch(async (error) => {
    const said = await page.locator(".mantine-Notification-root").allInnerTexts();
    throw new Error(`${name} is not ${phase}; the page says: ${said.join(" | ")}`, {
      cause: error,
    });
  });
}

async function showList(): Promise<void> {
  await page.goto(`${url}/boxes`);
  await page.getByText("Live", { exact: true }).waitFor();
}

async function act(name: string, action: string): Promise<void> {
  await row(name)
    .getByRole("button", { name: `Actions for ${name}` })
    .click();
  await page.getByRole("menuitem", { name: action }).click();
}

test("nobody is let in without a token, and the token is left nowhere", async () => {
  await page.goto(`${url}/boxes`);
  await page.waitForURL(/\/login\?next=/);
  await page.getByLabel("Access token").fill("berth_wrong");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByText(/token/i).nth(1).waitFor();
  await logIn(page, url, token);
  const kept = await page.evaluate(
    "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])",
  );
  assert.ok(!String(kept).includes(token));
  const cookies = await me.context.cookies();
  const session = cookies.find((cookie) => cookie.name === "__Host-berth");
  assert.deepEqual([session?.httpOnly, session?.secure, session?.sameSite], [true, true, "Lax"]);
  assert.ok(!session?.value.includes(token));
});

test("a box is created, and is seen to run without a reload", async () => {
  await page.keyboard.press("c");
  await page.getByRole("dialog").getByLabel("Name").fill("web");
  await page.getByRole("button", { name: "Create box" }).click();
  await page.waitForURL(`${url}/boxes/web/terminal`);
  await page.getByRole("main").getByText("running", { exact: true }).waitFor();
  await showList();
  await phaseOf("web", "running");
});

test("what others do is shown at once", async () => {
  await showList();
  await berth.ok(["create", "other"]);
  await phaseOf("other", "running");
  await berth.ok(["pause", "other"]);
  await phaseOf("other", "paused");
  await berth.ok(["delete", "other", "--yes"]);
  await row("other").waitFor({ state: "detached" });
});

test("pause, resume, fork, stop, start, delete", async () => {
  await showList();
  await row("web").getByRole("button", { name: "Pause web" }).click();
  await phaseOf("web", "paused");
  await row("web").getByRole("button", { name: "Resume web" }).click();
  await phaseOf("web", "running");
  await act("web", "Fork");
  const fork = page.getByRole("row").filter({ hasText: "from web" });
  await fork.getByText("running", { exact: true }).waitFor();
  await act("web", "Stop");
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await act("web", "Stop");
  await page.getByRole("dialog").getByRole("button", { name: "Stop" }).click();
  await phaseOf("web", "stopped");
  await act("web", "Start");
  await phaseOf("web", "running");
  const name = (await fork.getAttribute("aria-label")) ?? "";
  await act(name, "Delete");
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await row(name).waitFor({ state: "detached" });
});

test("the keyboard: search, move, open, select; and many at once", async () => {
  await berth.ok(["create", "api"]);
  await showList();
  await row("api").waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("api");
  await row("web").waitFor({ state: "detached" });
  await page.keyboard.press("Escape");
  await row("web").waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL(`${url}/boxes/api/terminal`);
  await page.goBack();
  await row("api").waitFor();
  for (const name of ["api", "web"])
    await page.getByLabel(`Select ${name}`, { exact: true }).check();
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await phaseOf("api", "paused");
  await phaseOf("web", "paused");
  await page.keyboard.press("Control+k");
  await page.getByPlaceholder(/^Search pages/).fill("resume web");
  await page.keyboard.press("Enter");
  await phaseOf("web", "running");
  await keepScreenshot(page, "boxes");
});

test("the list goes on after the server was killed", async () => {
  await showList();
  await berth.kill("server");
  await until("the API answers", async () => (await berth.berth(["list"])).code === 0);
  await berth.ok(["create", "late"]);
  await phaseOf("late", "running");
});

test("checkpoints are made, restored and deleted", async () => {
  await page.goto(`${url}/boxes/web/snapshots`);
  await page.getByRole("button", { name: "Checkpoint" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("before");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  const cell = page.getByRole("cell", { name: "before", exact: true });
  const line = page.getByRole("row").filter({ has: cell });
  await line.getByText(/durable/).waitFor();
  await line.getByRole("button", { name: "Restore before", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Restore" }).click();
  // Its present state is kept, and then it is what it was.
  await page.getByRole("cell", { name: /^before going back/ }).waitFor();
  await until("restored", async () => {
    const box = await berth.json<Shown>(["show", "web"]);
    return box.phase === "running" && box.observedGeneration === box.generation;
  });
  // What it was restored from is in use; what it was before is not.
  await line.getByRole("button", { name: "Delete before", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByText(/is needed by the box web/).waitFor();
  const kept = page.getByRole("row").filter({ hasText: "before going back" });
  await kept.getByRole("button", { name: /^Delete/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await kept.waitFor({ state: "detached" });
});

test("keys and tokens are made and revoked; a revoked token logs its browser out", async () => {
  await page.goto(`${url}/keys`);
  await page.getByRole("button", { name: "Add key" }).click();
  await page
    .getByLabel("Public key")
    .fill(
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGjFt4vWqbGGd7pJ5xqJQJ0Y5n8nO6FfL0c1q2w3e4r5 ann@laptop",
    );
  await page.getByRole("dialog").getByRole("button", { name: "Add key" }).click();
  await page.getByRole("cell", { name: "ann@laptop", exact: true }).waitFor();
  await page.getByRole("button", { name: "Remove ann@laptop" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByRole("cell", { name: "ann@laptop", exact: true }).waitFor({ state: "detached" });
  await page.goto(`${url}/tokens`);
  await page.getByRole("button", { name: "New token" }).click();
  await page.getByLabel("What it is for").fill("laptop");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  const made =
    (await page
      .getByRole("dialog")
      .getByText(/^berth_/)
      .textContent()) ?? "";
  await page.getByRole("button", { name: "Done" }).click();
  const guest = await visit(browser);
  await logIn(guest.page, url, made);
  await page.getByRole("button", { name: "Revoke laptop" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("cell", { name: "laptop", exact: true }).waitFor({ state: "detached" });
  // Without anybody's doing: the page notices.
  await guest.page.waitForURL(/\/login/);
  await guest.context.close();
});

test("every page is shown without an error, in both themes and on a small screen", async () => {
  const paths = ["/boxes", "/templates", "/templates/default", "/nodes", "/keys", "/tokens"];
  const tabs = ["terminal", "ports", "events", "logs", "snapshots", "info"];
  const all = [...paths, ...tabs.map((tab) => `/boxes/web/${tab}`), "/nowhere"];
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 800 });
    for (const path of all) {
      await page.goto(`${url}${path}`);
      await page.getByRole("main").waitFor();
      await until(
        `${path} is loaded`,
        async () => (await page.getByRole("status", { name: "Loading" }).count()) === 0,
      );
      const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
      assert.ok(Number(overflow) <= 0, `${path} is wider than ${width}`);
    }
  }
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.goto(`${url}/boxes`);
  const scheme = () => page.evaluate("document.documentElement.dataset.mantineColorScheme");
  const first = await scheme();
  await page.getByRole("button", { name: /theme/ }).click();
  await until("the theme is another", async () => (await scheme()) !== first);
  assert.deepEqual(me.complaints, []);
});

test("logging out ends the session on the server too", async () => {
  const [cookie] = (await me.context.cookies()).filter((one) => one.name === "__Host-berth");
  await page.getByRole("button", { name: "Account" }).click();
  await page.getByRole("menuitem", { name: "Log out" }).click();
  await page.waitForURL(/\/login/);
  const headers = { cookie: `${cookie?.name}=${cookie?.value}` };
  // Servers remember who somebody is for a second.
  await until("the cookie is worth nothing", async () => {
    return (await fetch(`${url}/v1/system`, { headers })).status === 401;
  });
});
