// Terminals in real Chromium, in boxes of the fake driver: what they show and what they send survives whatever dies
// between, and what a program prints can do nothing but be seen.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { keepScreenshot, launchBrowser, logIn, type Visit, visit } from "#test/harness/browser.ts";
import { freePorts } from "#test/harness/free-ports.ts";
import { TestInstallation, until } from "#test/harness/installation.ts";

const root = resolve(import.meta.dirname, "../..");
/** A line each 10 ms, for hours. */
const COUNTING = ["count", "1000000", "10"];

let berth: TestInstallation;
let browser: Browser;
let url: string;
let me: Visit;
let page: Page;

before(async () => {
  berth = await TestInstallation.make("fake");
  await berth.ok(["up", "--detach"]);
  const app = await berth.webApp();
  url = app.url;
  browser = await launchBrowser();
  me = await visit(browser, { permissions: ["clipboard-read", "clipboard-write"] });
  page = me.page;
  await logIn(page, url, app.token);
});
after(async () => {
  await browser?.close();
  await berth?.close();
});

const screen = () => page.locator(".xterm-rows:visible");
const connected = () => page.getByText("Connected", { exact: true }).first().waitFor();

async function open(session: string, mode: "read" | "write"): Promise<void> {
  await page.evaluate("localStorage.clear()");
  await page.goto(`${url}/boxes/first/terminal?session=${session}&mode=${mode}`);
  await connected();
}

async function allOutput(session: string): Promise<string> {
  await page.getByRole("button", { name: `Copy all output of ${session}` }).click();
  await page.getByText("Copied", { exact: true }).first().waitFor();
  return String(await page.evaluate("navigator.clipboard.readText()"));
}

const numbersIn = (text: string) => text.match(/\d+/g)?.map(Number) ?? [];
/** Each row is a line. */
const lastShown = async () =>
  numbersIn((await screen().locator("> div").allTextContents()).join("\n")).at(-1) ?? 0;

/** Until so many more lines were shown. */
async function goesOn(lines = 50): Promise<void> {
  const before = await lastShown();
  await until(`${lines} lines after ${before}`, async () => (await lastShown()) >= before + lines);
}

/** Every number that the terminal has got, each once, in order. */
async function checkNumbers(session: string): Promise<void> {
  // The last may be half of one.
  const numbers = numbersIn(await allOutput(session)).slice(0, -1);
  assert.ok(numbers.length > 100);
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => index + 1),
  );
}

test("a new terminal echoes, and after a reload shows what it showed", async () => {
  await page.goto(`${url}/boxes/first/terminal`);
  await page.getByRole("main").getByRole("button", { name: "New terminal" }).last().click();
  await connected();
  await page.keyboard.type("hello berth\n");
  await screen().getByText("hello berth").first().waitFor();
  await page.reload();
  await connected();
  await screen().getByText("hello berth").first().waitFor();
  await page.locator(".xterm:visible").click();
  await page.keyboard.type("and again\n");
  await screen().getByText("and again").first().waitFor();
  await keepScreenshot(page, "terminal");
});

test("a terminal that is paused says so, and goes on when resumed", async () => {
  await berth.ok(["pause", "first"]);
  await page.getByText("first is paused", { exact: true }).waitFor();
  await page.getByRole("main").getByRole("button", { name: "Resume" }).last().click();
  await connected();
  await page.locator(".xterm:visible").click();
  await page.keyboard.type("still here\n");
  await screen().getByText("still here").first().waitFor();
});

test("what is typed while the gateway is dead arrives once", async () => {
  await berth.kill("gateway");
  await page.locator(".xterm:visible").click();
  await page.keyboard.type("typed in the dark\n");
  await screen().getByText("typed in the dark").first().waitFor();
  await connected();
  await page.keyboard.type("after\n");
  await screen().getByText("after", { exact: true }).first().waitFor();
  const session = (await page.locator("[aria-label^='Copy all output']").getAttribute("aria-label"))
    ?.split(" ")
    .at(-1);
  const text = await allOutput(session ?? "");
  assert.equal(text.match(/typed in the dark/g)?.length, 1, text);
});

test("every number once: gateways are killed, the box is paused and resumed meanwhile", async () => {
  await berth.ok(["exec", "-d", "-s", "numbers", "first", "--", ...COUNTING]);
  await open("numbers", "write");
  await berth.kill("gateway");
  await goesOn();
  await berth.ok(["pause", "first"]);
  await berth.ok(["resume", "first"]);
  await goesOn();
  await berth.kill("gateway");
  await goesOn();
  await checkNumbers("numbers");
});

test("with one of two gateways gone for good the other is taken", async (context) => {
  const second = await startSecondGateway();
  context.after(() => second.kill("SIGKILL"));
  await until("both are known", async () => {
    const answer = await page.evaluate("fetch('/v1/system').then((one) => one.json())");
    return (answer as { gatewayUrls: string[] }).gatewayUrls.length === 2;
  });
  await berth.ok(["exec", "-d", "-s", "failover", "first", "--", ...COUNTING]);
  await open("failover", "write");
  // Whichever it is connected to: first this one dies, and comes back; then the other, for good.
  for (const die of [() => berth.kill("gateway"), async () => void second.kill("SIGKILL")]) {
    const connectedMs = await timeToReconnect(die);
    context.diagnostic(`connected ${Math.round(connectedMs)} ms after a gateway was killed`);
  }
  await checkNumbers("failover");
});

async function timeToReconnect(die: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await die();
  await goesOn();
  await connected();
  return performance.now() - startedMs;
}

async function startSecondGateway(): Promise<ChildProcess> {
  const [client, node, ssh] = await freePorts(3);
  const stateDir = join(berth.stateDir, "second");
  await mkdir(stateDir, { recursive: true });
  const said = await berth.ok(["node", "join-token"]);
  const [joinToken = ""] = /\S{30,}/.exec(said) ?? [];
  return spawn(join(root, "berth"), ["gateway"], {
    stdio: "ignore",
    env: {
      ...berth.env,
      BERTH_STATE_DIR: stateDir,
      BERTH_NODE_NAME: "second",
      BERTH_GATEWAY_LISTEN: `127.0.0.1:${client}`,
      BERTH_GATEWAY_NODE_LISTEN: `127.0.0.1:${node}`,
      BERTH_SSH_LISTEN: `127.0.0.1:${ssh}`,
      BERTH_CA_FILE: join(berth.stateDir, "ca/ca.pem"),
      BERTH_JOIN_TOKEN: joinToken,
    },
  });
}

test("whoever only watches sees everything and sends nothing", async () => {
  await berth.ok(["exec", "-d", "-s", "counter", "first", "--", "count", "100000", "50"]);
  await open("counter", "read");
  await page.getByText("read only").waitFor();
  await page.locator(".xterm:visible").click();
  await page.keyboard.type("nothing of this\n");
  await page.keyboard.press("Control+c");
  await goesOn(40);
  assert.ok(!(await allOutput("counter")).includes("nothing"));
});

const ESC = "\x1b";
const EVIL = [
  `${ESC}]52;c;${Buffer.from("stolen").toString("base64")}\x07`,
  `${ESC}]0;<img src=x onerror=alert(1)>\x07`,
  `${ESC}[21t${ESC}[20t${ESC}[8;5;5t${ESC}[6n${ESC}[c`,
  `${ESC}]8;;javascript:alert(1)\x07click-here${ESC}]8;;\x07`,
  "https://example.invalid/a-link",
].join(" ");

test("what a program prints cannot reach the clipboard, the window, or the input", async () => {
  await page.evaluate("navigator.clipboard.writeText('mine')");
  await berth.ok(["exec", "-d", "-s", "evil", "first", "--", "echo", EVIL]);
  const opened: string[] = [];
  me.context.on("page", (one) => opened.push(one.url()));
  page.on("dialog", (dialog) => {
    opened.push(dialog.message());
    void dialog.dismiss();
  });
  await page.evaluate("localStorage.clear()");
  await page.goto(`${url}/boxes/first/terminal?session=evil&mode=write`);
  await screen().getByText("click-here").first().waitFor();
  assert.equal(await page.evaluate("navigator.clipboard.readText()"), "mine");
  // What is drawn lies below the layer that takes the mouse.
  await screen().getByText("click-here").first().click({ force: true });
  // A link is one once the pointer has been on it.
  const link = screen().getByText("https://example.invalid/a-link").first();
  await link.hover({ force: true });
  await page.locator(".xterm-cursor-pointer").waitFor();
  await link.click({ force: true });
  const asked = page.getByRole("dialog");
  await asked.getByText("https://example.invalid/a-link").waitFor();
  await asked.getByRole("button", { name: "Cancel" }).click();
  assert.deepEqual(opened, []);
  assert.ok(!(await page.title()).includes("<img"), "the page's own title is not the program's");
  assert.deepEqual(me.complaints, []);
});
