// VS Code in the browser: its template builds, boxes of it come up with the editor running, its language server
// works without the internet, and it outlives pause and resume.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type CodeServerBox, codeServerBox } from "#test/harness/code-server-box.ts";
import { TestInstallation } from "#test/harness/installation.ts";

/** Asks the editor's own TypeScript for what it would underline in a file. */
const LANGUAGE_SERVER = `
const { spawn } = require("node:child_process");
const server = spawn(process.execPath, [
  "/opt/code-server/lib/vscode/extensions/node_modules/typescript/lib/tsserver.js",
  "--disableAutomaticTypingAcquisition",
]);
const file = "/home/dev/project/src/main.ts";
let seq = 0;
const say = (command, args) =>
  server.stdin.write(JSON.stringify({ seq: ++seq, type: "request", command, arguments: args }) + "\\n");
say("open", { file });
say("semanticDiagnosticsSync", { file });
say("quickinfo", { file, line: 4, offset: 13 });
require("node:readline").createInterface({ input: server.stdout }).on("line", (line) => {
  if (!line.startsWith("{")) return;
  const message = JSON.parse(line);
  if (message.type !== "response") return;
  if (message.command === "semanticDiagnosticsSync") for (const { text } of message.body) console.log(text);
  if (message.command === "quickinfo") {
    console.log(message.body.displayString, message.body.documentation);
    server.kill();
  }
});
`;

const UNTIL_HEALTHY =
  "curl -fsS --retry 300 --retry-delay 1 --retry-all-errors http://127.0.0.1:8080/healthz";

test("VS Code in a box", async (t) => {
  const berth = await TestInstallation.make("qemu");
  t.after(() => berth.close());
  const step = async (name: string, body: () => Promise<void>) => {
    const passed = await t.test(name, async () => {
      await body().catch(async (error) => {
        throw new Error(`${error.message}\n${await berth.logTails()}`, { cause: error });
      });
    });
    return passed;
  };
  let ide: CodeServerBox | null = null;
  t.after(() => ide?.close());
  const inBox = (script: string) => berth.ok(["exec", "ide", "--", "bash", "-c", script]);
  const page = async (path: string) => {
    const answer = await fetch(`${ide?.url}${path}`, { signal: AbortSignal.timeout(5 * 60_000) });
    assert.equal(answer.status, 200, path);
    return `${answer.url}\n${await answer.text()}`;
  };
  const who = () => inBox("systemctl show -p MainPID -p NRestarts -p ActiveState code-server");

  await step("a box of the template comes up with the editor running", async () => {
    await berth.ok(["up", "--detach"]);
    await berth.ok(["delete", "first", "--yes"]);
    ide = await codeServerBox(berth);
    assert.match(await page("/healthz"), /"status":"(alive|expired)"/);
    const html = await page("/");
    assert.match(html, /id="vscode-workbench-web-configuration"/);
    assert.match(html, /^\S+folder=\/home\/dev\/project\n/, "it opens the project");
    assert.match(await who(), /NRestarts=0\nActiveState=active/);
  });

  await step("it asks nobody on the internet", async () => {
    const html = await page("/");
    assert.match(html, /extensionsGallery&quot;:{}/);
    assert.match(html, /enableTelemetry&quot;:false/);
    assert.match(html, /enableWorkspaceTrust&quot;:false/);
    const settings = await inBox("cat ~/.local/share/code-server/User/settings.json");
    assert.match(settings, /"telemetry.telemetryLevel": "off"/);
  });

  await step("its language server has something to say", async () => {
    const said = await berth.ok(["exec", "ide", "--", "node", "-"], LANGUAGE_SERVER);
    assert.match(said, /Property 'languages' is missing/);
    assert.match(said, /greet\(person: Person\): string/);
    assert.match(said, /Says hello/);
  });

  await step("it is the same process after pause and resume", async () => {
    const before = await who();
    await berth.ok(["pause", "ide"]);
    assert.deepEqual(await berth.vmms(), []);
    await berth.ok(["resume", "ide"]);
    assert.match(await page("/healthz"), /"status"/);
    assert.match(await page("/"), /id="vscode-workbench-web-configuration"/);
    assert.equal(await who(), before);
  });

  await step("it comes back by itself when it dies, and when the box boots", async () => {
    await inBox("sudo systemctl kill --signal=KILL code-server");
    await inBox(UNTIL_HEALTHY);
    await berth.ok(["restart", "ide"]);
    await inBox(UNTIL_HEALTHY);
    assert.match(await page("/"), /id="vscode-workbench-web-configuration"/);
  });
});
