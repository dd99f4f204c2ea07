// Signing in as people do: a whole installation, a real OpenID provider, real Chromium and the real command line. And
// that somebody whom the directory lets go is out of every open session within seconds.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { createClient } from "#sdk/client.ts";
import { keepScreenshot, launchBrowser, visit } from "#test/harness/browser.ts";
import { TestInstallation, until } from "#test/harness/installation.ts";
import { type OidcProvider, oidcProvider } from "#test/harness/oidc.ts";

/** Generous: what it took is printed. */
const OUT_MS = 60_000;
const root = resolve(import.meta.dirname, "../..");
let berth: TestInstallation;
let browser: Browser;
let oidc: OidcProvider;
let url = "";
let admin: ReturnType<typeof createClient>;

before(async () => {
  berth = await TestInstallation.make("fake");
  await berth.ok(["up", "--detach"]);
  const app = await berth.webApp();
  url = app.url;
  admin = createClient({ url, token: app.token });
  oidc = await oidcProvider(
    // A hook of a hook would run when that ends.
    { after: () => {} },
    {
      accounts: {
        alice: { name: "Alice", email: "alice@corp.test", email_verified: true, groups: ["dev"] },
      },
    },
  );
  browser = await launchBrowser();
});
after(async () => {
  await browser?.close();
  await oidc?.stop();
  await berth?.close();
});

async function atProvider(page: Page): Promise<void> {
  await page.waitForURL((one) => one.origin === oidc.issuer);
  await page.locator("input[name=login]").fill("alice");
  await page.locator("input[name=password]").fill("any");
  await page.getByRole("button", { name: /sign-in/i }).click();
}

/** The command line of somebody who has no part in the state directory. */
function asPerson(argv: string[]) {
  const { PATH = "", HOME = "" } = berth.env;
  const env = { PATH, HOME: join(HOME, "alice"), BERTH_STATE_DIR: "", BERTH_URL: url };
  const child = spawn(join(root, "berth"), argv, { env, stdio: ["ignore", "pipe", "pipe"] });
  const said = { out: "", err: "" };
  child.stdout.on("data", (text) => {
    said.out += text;
  });
  child.stderr.on("data", (text) => {
    said.err += text;
  });
  const ended = new Promise<number | null>((done) => child.once("exit", done));
  return { said, ended, kill: () => child.kill("SIGKILL") };
}

test("a person signs in with a browser and the command line, and is out of both in seconds", async (t) => {
  const provider = await admin.providers.create({
    ...{ name: "corp", label: "Corp", issuer: oidc.issuer, clientId: "later" },
    ...{ isOfInstallation: true, defaultRole: "member" },
  });
  const client = await oidc.registerClient({
    redirectUri: provider.redirectUri,
    afterLogoutUri: `${url}/login`,
  });
  await admin.providers.update(provider.id, client);
  const { token: scimToken } = await admin.scimTokens.create({ name: "directory" });
  const scim = async (method: string, path: string, body: object) => {
    const answer = await fetch(`${url}/scim/v2${path}`, {
      method,
      headers: { authorization: `Bearer ${scimToken}`, "content-type": "application/scim+json" },
      body: JSON.stringify(body),
    });
    return (await answer.json()) as { id: string };
  };
  const entry = await scim("POST", "/Users", { userName: "alice@corp.test", active: true });

  const { page, complaints } = await visit(browser);
  await page.goto(`${url}/boxes`);
  await page.waitForURL(/\/login\?next=/);
  await page.getByRole("link", { name: "Log in with Corp" }).waitFor();
  await keepScreenshot(page, "sign-in");
  await page.getByRole("link", { name: "Log in with Corp" }).click();
  await atProvider(page);
  await page.getByRole("button", { name: /continue/i }).click();
  await page.waitForURL(`${url}/boxes`);
  await page.getByRole("heading", { name: "Boxes" }).waitFor();

  // The command line, confirmed in the browser that is signed in there.
  const login = asPerson(["login"]);
  t.after(() => login.kill());
  await until("the code is shown", async () => /^ {2}http\S+$/m.test(login.said.err));
  const second = await page.context().newPage();
  await second.goto(/^ {2}(http\S+)$/m.exec(login.said.err)?.[1] ?? "");
  // She has agreed before.
  await second.getByRole("button", { name: "Continue" }).click();
  await second.getByText("Sign-in Success").first().waitFor();
  // A page in the background hears nothing of its own accord.
  await second.close();
  assert.equal(await login.ended, 0, login.said.err);
  assert.equal(login.said.out, "Logged in to default as Alice.\n");

  const made = asPerson(["create", "web"]);
  assert.equal(await made.ended, 0, made.said.err);
  await page.goto(`${url}/boxes/web/terminal`);
  await page.getByRole("button", { name: "New terminal" }).first().click();
  await page.getByText("Connected", { exact: true }).first().waitFor();
  const counting = asPerson(["exec", "-s", "numbers", "web", "--", "count", "1000000", "20"]);
  t.after(() => counting.kill());
  const running = await Promise.race([
    until("it counts", async () => counting.said.out.length > 0).then(() => true),
    counting.ended.then(() => false),
  ]);
  assert.ok(running, counting.said.err);

  const sinceMs = performance.now();
  await scim("PATCH", `/Users/${entry.id}`, {
    Operations: [{ op: "Replace", path: "active", value: "False" }],
  });
  const isOut = (what: string) => () => {
    const tookMs = performance.now() - sinceMs;
    t.diagnostic(`${what} was out after ${Math.round(tookMs)} ms`);
    return tookMs;
  };
  const [browserMs, streamMs] = await Promise.all([
    page.waitForURL(/\/login/).then(isOut("the browser")),
    counting.ended.then(isOut("the stream")),
  ]);
  assert.ok(streamMs < OUT_MS, `the stream: ${streamMs} ms`);
  assert.ok(browserMs < OUT_MS, `the browser: ${browserMs} ms`);
  const refused = asPerson(["list"]);
  assert.equal(await refused.ended, 4, refused.said.out);
  assert.deepEqual(complaints, []);
});
