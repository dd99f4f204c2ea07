// A Vite dev server in a box, seen in Chromium through its preview: the page loads, and an edit arrives without a reload.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createServer } from "vite";
import { until } from "#test/harness/doors.ts";
import { launchChromium, newPerson } from "#test/harness/preview-world.ts";
import { openPreviews, PASS, PORT } from "#test/harness/previews.ts";

const PAGE = `<!doctype html><title>Vite</title><h1></h1><script type="module" src="/main.js"></script>`;
const MAIN = `import { text } from "./text.js";
const show = (value) => { document.querySelector("h1").textContent = value; };
show(text);
window.loads = (window.loads ?? 0) + 1;
import.meta.hot.accept("./text.js", (fresh) => show(fresh.text));
`;

test("a page of Vite loads through its preview, and an edit arrives by hot reload", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "berth-vite-"));
  t.after(() => rm(root, { recursive: true, force: true }));
  const say = (text: string) =>
    writeFile(join(root, "text.js"), `export const text = ${JSON.stringify(text)};\n`);
  await writeFile(join(root, "index.html"), PAGE);
  await writeFile(join(root, "main.js"), MAIN);
  await say("before");
  // As in a box: only a port and loopback are set, nothing that knows of Berth.
  const vite = await createServer({
    ...{ root, configFile: false, logLevel: "silent", cacheDir: join(root, ".vite") },
    server: { port: 0, host: "127.0.0.1", watch: { usePolling: true, interval: 50 } },
  });
  await vite.listen();
  t.after(() => vite.close());
  const rig = await openPreviews();
  t.after(() => rig.end());
  const address = vite.httpServer?.address() as { port: number };
  rig.doors.driver.ports.set(PORT, address.port);
  const browser = await launchChromium();
  t.after(() => browser.close());
  const page = await newPerson(browser);
  const pass = { ...PASS, userId: null };
  const link = await rig.signer.link(pass, Date.now(), 3_600_000);

  const messages: string[] = [];
  page.on("console", (message) => messages.push(message.text()));
  await page.goto(`${rig.origin()}/?berth_link=${link}`);
  assert.equal(page.url(), `${rig.origin()}/`);
  await page.getByRole("heading", { name: "before" }).waitFor();
  await until(() => messages.join().includes("[vite] connected"), "Vite's WebSocket is there");
  await page.evaluate("window.isTheSamePage = true");
  await say("after");
  await page.getByRole("heading", { name: "after" }).waitFor();
  assert.equal(await page.evaluate("window.isTheSamePage"), true);
  assert.deepEqual(
    messages.filter((text) => /websocket|\[vite\].*fail/i.test(text)),
    [],
  );
});
