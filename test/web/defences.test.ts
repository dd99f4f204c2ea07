// What people and programs write is shown as text and never runs, and no other page gets hold of the dashboard. Each
// defence is switched off once, to see that the test would notice.

import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { type BerthClient, createClient } from "#sdk/client.ts";
import { launchBrowser, logIn, visit } from "#test/harness/browser.ts";
import { TestInstallation, until } from "#test/harness/installation.ts";

/** Breaks out of elements, attributes, scripts, styles and addresses; each way says so if it runs. */
const POLYGLOT = `"'><img src=x onerror=xss=1><svg onload=xss=2></script><script>xss=3</script>javascript:xss=4`;
const NAME = POLYGLOT.slice(0, 80);

let berth: TestInstallation;
let browser: Browser;
let client: BerthClient;
let url: string;
let token: string;

before(async () => {
  berth = await TestInstallation.make("fake");
  await berth.ok(["up", "--detach"]);
  ({ url, token } = await berth.webApp());
  client = createClient({ url, token });
  browser = await launchBrowser();
});
after(async () => {
  await browser?.close();
  await berth?.close();
});

/** The polyglot in every field that takes free text. */
async function writeEverywhere(): Promise<void> {
  await client.tokens.create({ name: NAME });
  await client.keys.create({
    name: NAME,
    publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGjFt4vWqbGGd7pJ5xqJQJ0Y5n8nO6FfL0c1q2w3e4r5 x",
  });
  await client.templates.create({
    name: "evil",
    base: "debian-12",
    setup: POLYGLOT,
    env: { EVIL: POLYGLOT },
  });
  await until("the template is built", async () => {
    const { ready, latest } = await client.templates.get("evil");
    return ready !== null || latest?.state === "failed";
  });
  const { box } = await client.boxes.create({ template: "default", name: "web" });
  await client.boxes.until(box.id, "running");
  await client.checkpoints.create(box.id, { name: NAME });
  await berth.ok(["exec", "-d", "-s", "evil", "web", "--", "echo", POLYGLOT]);
}

async function ran(page: Page): Promise<unknown> {
  return await page.evaluate("window.xss ?? null");
}

test("what people wrote is shown as text, and nothing of it runs", async () => {
  await writeEverywhere();
  const { context, page, complaints } = await visit(browser);
  page.on("dialog", (dialog) => void dialog.dismiss());
  await logIn(page, url, token);
  const places: readonly (readonly [string, string])[] = [
    ["/tokens", NAME],
    ["/keys", NAME],
    ["/templates/evil", POLYGLOT.slice(40, 70)],
    ["/boxes/web/snapshots", NAME],
    ["/boxes/web/events", "web is running"],
    ["/boxes/web/info", "Danger zone"],
    ["/boxes/web/logs", "Serial console"],
    [`/boxes/${encodeURIComponent(POLYGLOT)}/info`, "There is nothing here"],
    [`/templates/${encodeURIComponent(POLYGLOT)}`, "could not be loaded"],
  ];
  for (const [path, text] of places) {
    await page.goto(`${url}${path}`);
    await page.getByText(text).first().waitFor();
    assert.equal(await ran(page), null, path);
  }
  await page.goto(`${url}/boxes/web/terminal?session=evil&mode=read`);
  await page.locator(".xterm-rows").getByText("onerror").first().waitFor();
  await page.getByRole("button", { name: "Sessions in the box" }).click();
  await page.getByRole("menu").getByText("echo").first().waitFor();
  await page.goto(`${url}/boxes`);
  await page.getByLabel("Search boxes").fill(POLYGLOT);
  await page.getByText("No box matches").waitFor();
  assert.equal(await ran(page), null);
  assert.deepEqual(complaints, []);
  await context.close();
});

const INJECTED = `
  document.body.insertAdjacentHTML("beforeend", "<img src=x onerror=xss=1>");
  const script = document.createElement("script");
  script.textContent = "xss=2";
  document.body.append(script);
`;

test("even markup that got into the page would not run: the policy", async () => {
  for (const bypassCSP of [false, true]) {
    const { context, page } = await visit(browser, { bypassCSP });
    await page.goto(`${url}/login`);
    await page.getByLabel("Access token").waitFor();
    const refused = page.waitForEvent("console", (message) => /violates/.test(message.text()));
    refused.catch(() => {});
    await page.evaluate(INJECTED);
    if (bypassCSP)
      await until("it ran: the policy was off", async () => (await ran(page)) !== null);
    else {
      await refused;
      assert.equal(await ran(page), null);
    }
    await context.close();
  }
});

/** Another site, with the dashboard in a frame. */
async function openEvilSite(): Promise<{ site: Server; address: string }> {
  const site = createServer((_request, response) => {
    response.setHeader("content-type", "text/html");
    response.end(`<h1>kittens</h1><iframe src="${url}/login" style="opacity: 0"></iframe>`);
  });
  await new Promise<void>((done) => site.listen(0, "127.0.0.1", done));
  const { port } = site.address() as AddressInfo;
  return { site, address: `http://127.0.0.1:${port}/` };
}

test("no other page can put the dashboard in a frame", async (context) => {
  const { site, address } = await openEvilSite();
  context.after(() => void site.close());
  for (const isDefended of [true, false]) {
    const { context: profile, page } = await visit(browser);
    if (!isDefended)
      await page.route(`${url}/**`, async (route) => {
        const answer = await route.fetch();
        const headers = { ...answer.headers() };
        delete headers["x-frame-options"];
        delete headers["content-security-policy"];
        await route.fulfill({ response: answer, headers });
      });
    await page.goto(address);
    const framed = page.frameLocator("iframe").getByLabel("Access token");
    if (isDefended) {
      await page.getByText("kittens").waitFor();
      await until("the frame was refused", async () =>
        page.frames().some((frame) => frame.url().startsWith("chrome-error:")),
      );
      assert.equal(await framed.count(), 0);
    } else await framed.waitFor();
    // Parts of the page may still be on their way.
    await page.unrouteAll({ behavior: "ignoreErrors" });
    await profile.close();
  }
});
