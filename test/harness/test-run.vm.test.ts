// A run of tests is killed in the middle of everything; the next one finds nothing of it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openHost } from "#drivers/qemu/host.ts";
import { ensureReflinkDirectory } from "#drivers/qemu/reflink-fs.ts";
import { optionsOf } from "#drivers/qemu/vm-test-host.ts";
import { run } from "#lib/run.ts";
import { clearTestRun, openTestRun } from "./test-run.ts";

/** What the run that is killed does; it tells where, and the id of a process that outlives it. */
async function beKilled(parent: string): Promise<void> {
  const directory = await openTestRun(parent);
  const stateDir = join(directory, "test-1", "state");
  await mkdir(stateDir, { recursive: true });
  await ensureReflinkDirectory(stateDir, 1, run);
  const host = await openHost(optionsOf(stateDir));
  const left = spawn("sleep", ["1000"], {
    detached: true,
    stdio: "ignore",
    env: { ...process.env, TMPDIR: directory },
  });
  await host.slots.claim("box");
  await writeFile(join(stateDir, "boxes", "one"), "");
  await writeFile(
    join(parent, "left.json"),
    JSON.stringify({ directory, stateDir, pid: left.pid }),
  );
  process.kill(process.pid, "SIGKILL");
}

const [, , parentOfKilled] = process.argv;
if (parentOfKilled) await beKilled(parentOfKilled);
else
  test("what a killed run left is cleared by the next", async (t) => {
    const parent = await mkdtemp(join(tmpdir(), "runs-"));
    t.after(() => rm(parent, { recursive: true, force: true }));
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), parent], {
      stdio: "inherit",
    });
    const [, signal] = await once(child, "exit");
    assert.equal(signal, "SIGKILL");
    const left = JSON.parse(await readFile(join(parent, "left.json"), "utf8")) as {
      directory: string;
      stateDir: string;
      pid: number;
    };
    const mounts = () => readFile("/proc/self/mounts", "utf8");
    assert.ok((await mounts()).includes(left.stateDir));
    // Of one that has ended and waits for its parent to notice, nothing can be read.
    const commandLine = () => readFile(`/proc/${left.pid}/cmdline`, "utf8").catch(() => "");
    assert.match(await commandLine(), /^sleep/);
    const mine = await openTestRun(parent);
    assert.ok(!(await mounts()).includes(left.directory));
    assert.ok(!existsSync(left.directory));
    assert.equal(await commandLine(), "");
    const other = await openTestRun(parent);
    assert.ok(existsSync(mine), "a run that goes on is left alone");
    await clearTestRun(other);
    await clearTestRun(mine);
  });
