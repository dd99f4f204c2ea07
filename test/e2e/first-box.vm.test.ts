// The story of a new user, with real processes, real VMs and plain OpenSSH; then everything is killed
// while a program in the box goes on counting.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "#lib/run.ts";
import { TestInstallation, until } from "#test/harness/installation.ts";

interface ShownBox {
  readonly id: string;
  readonly name: string;
  readonly phase: string;
  readonly epoch: number;
  readonly notices: readonly { readonly code: string }[];
  readonly snapshot: { readonly durable: boolean } | null;
}

/** A dev server whose state is in its memory only, and which says who it is. */
const COUNTER = `
const http = require("http"); let n = 0;
http.createServer((q, s) => s.end(String(++n))).listen(8080, "127.0.0.1");
`;
/** Appends numbered lines, each fsynced before the next. */
const WRITER = `
import os, time
fd = os.open("/home/dev/lines", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
n = 0
while True:
    n += 1
    os.write(fd, b"%d\\n" % n)
    os.fsync(fd)
    time.sleep(0.05)
`;
const CYCLES = 30;

test("a first box", async (t) => {
  const berth = await TestInstallation.make("qemu");
  t.after(() => berth.close());
  const inBox = (box: string, script: string) =>
    berth.ok(["exec", box, "--", "bash", "-c", script]);
  const count = async (box: string) => Number(await inBox(box, "curl -s http://127.0.0.1:8080/"));
  const show = (box: string) => berth.json<ShownBox>(["show", box]);
  const step = async (name: string, body: () => Promise<void>) => {
    const passed = await t.test(name, async () => {
      await body().catch(async (error) => {
        throw new Error(`${error.message}\n${await berth.logTails()}`, { cause: error });
      });
    });
    return passed;
  };

  await step("up brings a first box, and again takes nothing away", async () => {
    await berth.ok(["up", "--detach"]);
    assert.equal((await show("first")).phase, "running");
    const pids = await berth.vmms();
    assert.equal(pids.length, 1);
    const said = await berth.ok(["up", "--detach"]);
    assert.match(said, /Berth is up/);
    assert.deepEqual(await berth.vmms(), pids);
  });

  await step("a dev server keeps its memory over pause and resume", async () => {
    await berth.ok(["exec", "first", "--", "tee", "/home/dev/counter.js"], COUNTER);
    await inBox("first", "setsid -f node /home/dev/counter.js >/dev/null 2>&1 </dev/null");
    await until("the server answers", async () => (await count("first")) >= 1);
    const before = await count("first");
    await berth.ok(["pause", "first"]);
    assert.deepEqual(await berth.vmms(), []);
    await berth.ok(["resume", "first"]);
    assert.equal(await count("first"), before + 1);
    const driftS = Number(await inBox("first", "date +%s")) - Date.now() / 1000;
    assert.ok(Math.abs(driftS) < 60, `the clock is ${driftS} s off`);
  });

  await step("a fork has the same process and another identity", async () => {
    const before = await count("first");
    const forks = await berth.json<ShownBox | ShownBox[]>(["fork", "first", "--count", "2"]);
    const names = [forks].flat().map(({ name }) => name);
    assert.equal(names.length, 2);
    const who =
      "cat /etc/machine-id; hostname; ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub; head -c 16 /dev/urandom | xxd -p";
    const identities = new Set<string>();
    for (const name of ["first", ...names]) {
      const lines = (await inBox(name, `${who} || true`)).split("\n").filter(Boolean);
      for (const line of lines) {
        assert.ok(!identities.has(line), `${name} shares ${line}`);
        identities.add(line);
      }
      assert.equal(await count(name), before + 1);
    }
    for (const name of names) await berth.ok(["delete", name, "--yes"]);
  });

  await step("plain ssh and scp enter by ssh-config, without a question", async () => {
    const config = join(berth.stateDir, "..", "ssh_config");
    await writeFile(config, await berth.ok(["ssh-config"]));
    const ssh = (argv: string[]) => run(argv, { env: { ...berth.env }, timeoutMs: 5 * 60_000 });
    const { stdout } = await ssh([
      "ssh",
      "-F",
      config,
      "-o",
      "BatchMode=yes",
      "first.berth",
      "id -un; hostname",
    ]);
    assert.equal(stdout, "dev\nfirst\n");
    await ssh(["scp", "-F", config, "-o", "BatchMode=yes", config, "first.berth:copied"]);
    assert.equal(await inBox("first", "cat copied"), await readFile(config, "utf8"));
    assert.equal((await berth.berth(["ssh", "first", "--", "exit 7"])).code, 7);
  });

  await step("a repository is cloned, built and tested inside", async () => {
    await inBox(
      "first",
      `set -e; git config --global user.email dev@box; git config --global user.name dev
       git init -q --bare up.git; git clone -q up.git work 2>/dev/null; cd work
       printf '#include <stdio.h>\\nint main(void){puts("42");return 0;}\\n' > a.c
       printf 'test: a\\n\\t./a | grep -qx 42\\na: a.c\\n\\tcc -O1 -o a a.c\\n' > Makefile
       git add . && git commit -qm first && git push -q origin HEAD
       cd .. && git clone -q up.git again && cd again && make test`,
    );
    assert.match(await inBox("first", "cd again && git log --oneline"), /first/);
  });

  await step("kill -9 of every process of Berth changes nothing in the box", async () => {
    const [vmm] = await berth.vmms();
    assert.ok(vmm);
    let expected = await count("first");
    for (const name of ["node", "server", "gateway", "postgres", "supervisor"]) {
      await berth.kill(name);
      if (name === "supervisor") await berth.ok(["up", "--detach"]);
      await until(
        `the box is entered again after ${name} died`,
        async () => (await berth.berth(["exec", "first", "--", "true"])).code === 0,
      );
      expected += 1;
      assert.equal(await count("first"), expected, name);
      assert.deepEqual(await berth.vmms(), [vmm], name);
    }
    await until("the box is shown running", async () => (await show("first")).phase === "running");
  });

  await step(`${CYCLES} pauses and resumes lose no fsynced byte and no process`, async () => {
    await berth.ok(["exec", "first", "--", "tee", "/home/dev/writer.py"], WRITER);
    await inBox("first", "setsid -f python3 /home/dev/writer.py >/dev/null 2>&1 </dev/null");
    let seen = 0;
    for (let cycle = 0; cycle < CYCLES; cycle += 1) {
      await berth.ok(["pause", "first"]);
      await berth.ok(["resume", "first"]);
      await until("the writer goes on", async () => {
        const last = Number(await inBox("first", "tail -n 1 lines"));
        if (last <= seen) return false;
        seen = last;
        return true;
      });
    }
    const lines = (await inBox("first", "cat lines")).trim().split("\n").map(Number);
    assert.deepEqual(
      lines,
      lines.map((_, index) => index + 1),
    );
  });

  await step("kill -9 of the VMM keeps what was fsynced, and says so", async () => {
    await inBox("first", "echo kept > kept && sync");
    const before = (await inBox("first", "tail -n 1 lines")).trim();
    for (const pid of await berth.vmms()) process.kill(pid, "SIGKILL");
    await until("the box boots again", async () => {
      const box = await show("first");
      return box.phase === "running" && box.notices.some(({ code }) => code === "vmm_died");
    });
    assert.equal(await inBox("first", "cat kept"), "kept\n");
    const lines = (await inBox("first", "cat lines")).trim().split("\n").map(Number);
    assert.ok(lines.length >= Number(before), `${lines.length} lines of ${before}`);
  });

  await step("a checkpoint is restored; stop and start keep the disks", async () => {
    await berth.ok(["checkpoint", "create", "first", "--name", "good"]);
    await inBox("first", "rm kept; echo later > later; sync");
    await berth.ok(["checkpoint", "restore", "first", "good"]);
    assert.equal(await inBox("first", "cat kept; ls later 2>/dev/null || true"), "kept\n");
    await berth.ok(["stop", "first"]);
    assert.equal((await show("first")).phase, "stopped");
    assert.deepEqual(await berth.vmms(), []);
    await berth.ok(["start", "first"]);
    assert.equal(await inBox("first", "cat kept"), "kept\n");
  });

  await step("down pauses the box until it is durable; up finds it", async () => {
    await berth.ok(["down"]);
    assert.deepEqual(await berth.vmms(), []);
    await berth.ok(["up", "--detach"]);
    assert.equal((await show("first")).snapshot?.durable, true);
    await berth.ok(["resume", "first"]);
    assert.equal(await inBox("first", "cat kept"), "kept\n");
    await berth.ok(["delete", "first", "--yes"]);
    assert.deepEqual(await berth.vmms(), []);
    assert.equal((await berth.berth(["show", "first"])).code, 1);
  });
});
