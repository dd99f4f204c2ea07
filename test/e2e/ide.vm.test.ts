// VS Code in a box as its user sees it, in Chromium through the preview: the folder, two language servers, a terminal, and
// all of it where it was after the box rested: in the same tab, and in one that is loaded again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { keepScreenshot, launchBrowser, visit } from "#test/harness/browser.ts";
import { CodeEditor } from "#test/harness/code-editor.ts";
import { createCodeServerBox } from "#test/harness/code-server-box.ts";
import { TestInstallation, until } from "#test/harness/installation.ts";

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
    await pause();
    await berth.ok(["start", "ide"]);
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
});
