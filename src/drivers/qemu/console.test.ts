import assert from "node:assert/strict";
import { appendFile, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { cutConsole, readConsole, saidPowerOff } from "./console.ts";

async function temporary(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "console-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

test("the end of the console is read over a cut, and its file stays small", async (t) => {
  const files = await temporary(t);
  const path = join(files, "console.log");
  assert.equal(await readConsole(files, 100), "");
  await writeFile(path, `${"x".repeat(5 * 1024 * 1024)}\nlast before\n`);
  await cutConsole(files);
  await appendFile(path, "first after\n");
  assert.equal((await stat(path)).size, 12);
  assert.equal(await readConsole(files, 24), "last before\nfirst after\n");
  assert.equal(await readConsole(files, 6), "after\n");
  await cutConsole(files);
  assert.equal(await readConsole(files, 12), "first after\n");
});

test("a guest that goes down by itself says so", async (t) => {
  const files = await temporary(t);
  assert.equal(await saidPowerOff(files), false);
  await writeFile(join(files, "console.log"), "login: \n[   12.5] reboot: Power down\n");
  assert.equal(await saidPowerOff(files), true);
});
