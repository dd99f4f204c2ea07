// Real Chromium, driven by Playwright: what a page does is tried where people will see it.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import {
  type Browser,
  type BrowserContext,
  chromium,
  type Locator,
  type Page,
} from "playwright-core";

/** No sandbox: tests run as root. The others keep it from calling home, which would be refused here, many times. */
const FLAGS = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
];
const WAIT_MS = 120_000;
const SCREENSHOTS = resolve(import.meta.dirname, "../../.berth/screenshots");

/** Without WebGL terminals draw text that a test can find. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [...FLAGS, "--disable-3d-apis"],
  });
}

export interface Visit {
  readonly context: BrowserContext;
  readonly page: Page;
  /** What the page or its policy complained about. */
  readonly complaints: string[];
}

/** A person with a fresh profile. Waits are generous: the machine may be busy. */
export async function visit(
  browser: Browser,
  options: Parameters<Browser["newContext"]>[0] = {},
): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (/Content.Security.Policy|violates/i.test(message.text())) complaints.push(message.text());
  });
  return { context, page, complaints };
}

export async function logIn(page: Page, url: string, token: string): Promise<void> {
  await page.goto(`${url}/login`);
  await page.getByLabel("Access token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "Boxes" }).waitFor();
}

/** For people to look at; nothing compares them. */
export async function keepScreenshot(page: Page, name: string): Promise<void> {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

const LOOKS = 5;
/** Whether something moves or changes colour, and will have done so. */
const IS_CHANGING = `document.getAnimations().some((one) =>
  one.playState === "running" && one.effect.getTiming().iterations !== Infinity)`;
const LOOK_AGAIN_MS = 1000;
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

interface Flaw {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly {
    readonly html: string;
    readonly target: readonly string[];
    readonly failureSummary: string;
  }[];
}

/** The choices of a field scroll as its arrow keys go through them. */
const isChoices = (id: string, html: string) =>
  id === "scrollable-region-focusable" && html.includes("data-scrollarea-viewport");

/** What keeps somebody from using the page as it is shown, in both themes: by keyboard, by ear, with weak eyes. */
export async function seriousFlaws(page: Page): Promise<string[]> {
  await page.evaluate(readFileSync(AXE, "utf8"));
  const found = await lookAgain(page);
  for (const colorScheme of ["dark", "light"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.locator(`html[data-mantine-color-scheme=${colorScheme}]`).waitFor();
    // The other theme has other colours, and is else the same.
    if (colorScheme === "dark") found.push(...(await lookAgain(page, ["color-contrast"])));
  }
  return found;
}

/** What changes colour, as a button that is being enabled does, has for a moment those of neither. */
async function lookAgain(page: Page, rules?: readonly string[]): Promise<string[]> {
  let found = await lookForFlaws(page, rules);
  for (let look = 1; look < LOOKS && found.length > 0; look += 1) {
    await page.waitForTimeout(LOOK_AGAIN_MS);
    found = await lookForFlaws(page, rules);
  }
  return found;
}

async function lookForFlaws(page: Page, rules?: readonly string[]): Promise<string[]> {
  while (await page.evaluate(IS_CHANGING)) await page.waitForTimeout(50);
  const options = { resultTypes: ["violations"], ...(rules ? { runOnly: rules } : {}) };
  const { violations } = (await page.evaluate(`axe.run(document, ${JSON.stringify(options)})`)) as {
    violations: readonly Flaw[];
  };
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) =>
      nodes
        .filter(({ html }) => !isChoices(id, html))
        .map(
          ({ target, html, failureSummary }) => `${id} at ${target}: ${html}: ${failureSummary}`,
        ),
    );
}

/** What a person does on most pages. */
export function hands(at: () => { readonly page: Page; readonly url: string }) {
  return {
    open: async (path: string, title: string): Promise<void> => {
      const { page, url } = at();
      await page.goto(`${url}${path}`);
      await page.getByRole("heading", { name: title, exact: true }).waitFor();
    },
    press: (name: string | RegExp, where: Page | Locator = at().page) =>
      where
        .getByRole("button", typeof name === "string" ? { name, exact: true } : { name })
        .click(),
    choose: async (field: Locator, option: string | RegExp): Promise<void> => {
      await field.click();
      await at().page.getByRole("option", { name: option }).click();
    },
  };
}
