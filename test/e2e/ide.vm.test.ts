// VS Code in a box as its user sees it, in Chromium through the preview: the folder, two language servers without the
// internet, a terminal, and all of it where it was after the box rested: in the same tab, and in one that is loaded again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { keepScreenshot, launchBrowser, visit } from "#test/harness/browser.ts";
import { CodeEditor } from "#test/harness/code-editor.ts";
import { createCodeServerBox, type Forward, forwardEditor } from "#test/harness/code-server-box.ts";
import { TestInstallation, until } from "#test/harness/installation.ts";

const UNTIL_HEALTHY =
  "curl -fsS --retry 300 --retry-delay 1 --retry-all-errors http://127.0.0.1:8080/healthz";

test("VS Code in a browser", async (t) => {
  const berth = await TestInstallation.make("qemu");
  t.after(() => berth.close());
  const browser = await launchBrowser();
  t.after(() => browser.close());
  const { page } = await visit(browser);
  const editor = new CodeEditor(page);
  let broken = false;
  const step = async (name: string, body: () => Promise<void>) => {
    await t.test(name, { skip: broken }, async () => {
      await body().catch(async (error) => {
        broken = true;
        await keepScreenshot(page, `ide-${name.replaceAll(/\W+/g, "-")}`);
        throw new Error(`${error.message}\n${await berth.logTails()}`, { cause: error });
      });
    });
  };
  /** The page is open all the while, and does not wake it. */
  const pause = () => berth.ok(["pause", "ide"]);
  const inBox = (script: string) => berth.ok(["exec", "ide", "--", "bash", "-c", script]);
  const who = () => inBox("systemctl show -p MainPID -p NRestarts -p ActiveState code-server");
  let forward: Forward | null = null;
  t.after(() => forward?.close());
  /** Without a browser, by a port of this machine. */
  const served = async (path: string) => {
    const answer = await fetch(`${forward?.url}${path}`, { signal: AbortSignal.timeout(300_000) });
    assert.equal(answer.status, 200, path);
    return `${answer.url}\n${await answer.text()}`;
  };

  await step("a link to its port opens the project", async () => {
    await berth.ok(["up", "--detach"]);
    await berth.ok(["delete", "first", "--yes"]);
    await createCodeServerBox(berth, "ide");
    await berth.ok(["port", "open", "ide", "8080"]);
    const { url } = await berth.json<{ url: string }>(["port", "share", "ide", "8080"]);
    await editor.open(url);
    assert.equal(new URL(page.url()).host, new URL(url).host);
    assert.deepEqual(await editor.entries(), ["src", "package.json", "tsconfig.json"]);
  });

  await step("it asks nobody on the internet", async () => {
    assert.match(await who(), /NRestarts=0\nActiveState=active/);
    forward = await forwardEditor(berth, "ide");
    assert.match(await served("/healthz"), /"status":"(alive|expired)"/);
    const html = await served("/");
    assert.match(html, /id="vscode-workbench-web-configuration"/);
    assert.match(html, /^\S+folder=\/home\/dev\/project\n/, "it opens the project");
    assert.match(html, /extensionsGallery&quot;:{}/);
    assert.match(html, /enableTelemetry&quot;:false/);
    assert.match(html, /enableWorkspaceTrust&quot;:false/);
    const settings = await inBox("cat ~/.local/share/code-server/User/settings.json");
    assert.match(settings, /"telemetry.telemetryLevel": "off"/);
  });

  await step("a language server underlines what is typed", async () => {
    await editor.openFile("package.json");
    await editor.type("oops");
    await editor.untilUnderlined();
    await editor.erase("oops");
    await editor.untilNotUnderlined();
  });

  await step("its terminal runs programs in the box", async () => {
    await editor.openTerminal();
    await editor.runInTerminal("it=$((6*7)); echo first-$it");
    await editor.untilTerminalSays(/^first-42/m);
  });

  await step("TypeScript knows the project", async () => {
    await editor.openFile("src/main.ts");
    await editor.untilUnderlined();
    assert.match(await editor.problems(), /Property 'languages' is missing/);
  });

  await step("the same tab goes on after pause and resume", async () => {
    await editor.newFile();
    await editor.type("saved nowhere");
    const before = await who();
    await pause();
    assert.deepEqual(await berth.vmms(), []);
    await berth.ok(["start", "ide"]);
    assert.equal(await who(), before, "it is the same process");
    await editor.untilText("saved nowhere");
    await editor.openTerminal();
    await editor.runInTerminal("echo second-$it");
    await editor.untilTerminalSays(/^second-42/m);
    await editor.showTab("package.json");
    await editor.type("oops");
    await editor.untilUnderlined();
    await until("it is saved", async () => {
      const saved = await berth.ok(["exec", "ide", "--", "cat", "/home/dev/project/package.json"]);
      return saved.includes("oops");
    });
  });

  await step("loaded again it wakes the box, and everything is where it was", async () => {
    await pause();
    await editor.reload();
    await editor.showTab("Untitled-1");
    await editor.untilText("saved nowhere");
    await editor.untilTerminalSays(/^second-42/m);
    await editor.untilTerminalSays(/^first-42/m);
    await editor.runInTerminal("echo third-$it");
    await editor.untilTerminalSays(/^third-42/m);
    await editor.showTab("package.json");
    await editor.untilText("oops");
    await editor.untilUnderlined();
    await editor.erase("oops");
    await editor.untilNotUnderlined();
  });

  await step("it comes back by itself when it dies, and when the box boots", async () => {
    await inBox("sudo systemctl kill --signal=KILL code-server");
    await inBox(UNTIL_HEALTHY);
    await berth.ok(["restart", "ide"]);
    await inBox(UNTIL_HEALTHY);
    assert.match(await served("/"), /id="vscode-workbench-web-configuration"/);
  });
});
