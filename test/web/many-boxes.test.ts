// Two thousand boxes in one list: only those in sight are drawn, wherever one scrolls, and all of them are there for keys,
// for search and for what is done to many.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { createClient } from "#sdk/client.ts";
import { launchBrowser, logIn, visit } from "#test/harness/browser.ts";
import { TestInstallation, until } from "#test/harness/installation.ts";
import { pretendBoxes } from "#test/harness/many-boxes.ts";

const COUNT = 2000;
/** A screenful, and what is drawn around it. */
const MAX_DRAWN = 60;

let berth: TestInstallation;
let browser: Browser;
let page: Page;
let url: string;

before(async () => {
  berth = await TestInstallation.make("fake");
  await berth.ok(["up", "--detach"]);
  const app = await berth.webApp();
  url = app.url;
  const first = await createClient({ url, token: app.token }).boxes.get("first");
  browser = await launchBrowser();
  ({ page } = await visit(browser));
  await pretendBoxes(page, first, COUNT);
  await logIn(page, url, app.token);
  await row(COUNT - 1).waitFor();
  await page.getByRole("tab", { name: `All ${COUNT}` }).waitFor();
});
after(async () => {
  await browser?.close();
  await berth?.close();
});

const row = (index: number) =>
  page.getByRole("row", { name: `many-${String(index).padStart(4, "0")}`, exact: true });
const drawn = () => page.locator("tbody tr").count();
const scrollTo = (share: number) =>
  page.getByRole("main").evaluate((main, at) => {
    main.scrollTop = (main.scrollHeight - main.clientHeight) * at;
  }, share);

/** What is at the middle of the list as it is on the screen. */
async function isRowInTheMiddle(): Promise<boolean> {
  const box = await page.getByRole("main").boundingBox();
  const [x, y] = [(box?.x ?? 0) + 300, (box?.y ?? 0) + (box?.height ?? 0) / 2];
  const there = `document.elementFromPoint(${x}, ${y})?.closest("tbody tr") != null`;
  return Boolean(await page.evaluate(there));
}

test("wherever one scrolls there are rows, and never many", async () => {
  for (const share of [0, 0.31, 1, 0.5, 0.9, 0.02]) {
    await scrollTo(share);
    await until(`rows at ${share}`, isRowInTheMiddle);
    assert.ok((await drawn()) <= MAX_DRAWN, `${await drawn()} rows are drawn`);
  }
  await scrollTo(1);
  await row(0).waitFor();
  assert.equal(await row(0).getAttribute("aria-rowindex"), String(COUNT + 1));
  assert.equal(await page.getByRole("table").getAttribute("aria-rowcount"), String(COUNT + 1));
});

test("what the columns mean stays in sight", async () => {
  await scrollTo(0.5);
  const head = await page.getByRole("columnheader", { name: "Template" }).boundingBox();
  assert.ok(head && head.y >= 0 && head.y < 100, JSON.stringify(head));
});

test("keys go from row to row, and each is brought into sight", async () => {
  await scrollTo(0);
  await row(COUNT - 1).waitFor();
  for (let step = 0; step < 40; step += 1) await page.keyboard.press("j");
  const at = row(COUNT - 40).and(page.locator('[data-cursor="true"]'));
  await at.waitFor();
  await until("it is in sight", async () => {
    const box = await at.boundingBox();
    return box !== null && box.y > 0 && box.y + box.height <= 800;
  });
});

test("a search begins at its top, and all that it finds is chosen at once", async () => {
  await scrollTo(1);
  await page.getByLabel("Search boxes").fill("many-19");
  await row(1999).waitFor();
  await page.getByLabel("Select all").check();
  await page.getByText("100 boxes selected").waitFor();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("many-1999, ").waitFor();
  await dialog.getByText(/and 80 more/).waitFor();
  await dialog.getByRole("button", { name: "Cancel" }).click();
});

test("going back from a box leads to where one was", async () => {
  await page.goto(`${url}/boxes`);
  await row(COUNT - 1).waitFor();
  await page.getByRole("tab", { name: `All ${COUNT}` }).waitFor();
  await scrollTo(0.5);
  await until("rows in the middle", isRowInTheMiddle);
  const middle = page.locator("tbody tr").nth(20);
  const name = (await middle.getAttribute("aria-label")) ?? "";
  await page.getByRole("link", { name, exact: true }).click();
  await page.waitForURL(/\/boxes\/many-/);
  await page.goBack();
  await page.getByRole("row", { name, exact: true }).waitFor();
});
