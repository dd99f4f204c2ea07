// `berth up` as an operator has it, in real processes, with the fake driver: everything but virtual machines.

import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { TestInstallation, until } from "#test/harness/installation.ts";

interface Box {
  readonly id: string;
  readonly name: string;
  readonly phase: string;
  readonly snapshot: { readonly durable: boolean } | null;
  readonly source: { readonly forkedFrom: { readonly name: string } | null };
}

interface Status {
  readonly processes: readonly { readonly name: string; readonly pid: number | null }[];
  readonly nodes: readonly { readonly reachable: boolean; readonly driver: string }[];
  readonly boxes: readonly Box[];
  readonly apiError: string | null;
}

const PROCESSES = ["supervisor", "node", "gateway", "server", "postgres"];
let berth: TestInstallation;

before(async () => {
  berth = await TestInstallation.make("fake");
});
after(() => berth.close());

test("before `up`, commands say what to do", async () => {
  const list = await berth.berth(["list"]);
  assert.equal(list.code, 4);
  assert.match(list.stderr, /berth up/);
  const down = await berth.berth(["down"]);
  assert.equal(down.code, 1);
  assert.match(down.stderr, /there is no Berth in/);
  const status = await berth.berth(["status"]);
  assert.equal(status.code, 1);
  assert.match(status.stdout, /`berth up` starts it/);
});

test("`up --detach` brings everything up with a first box, and says how to enter it", async () => {
  const out = await berth.ok(["up", "--detach"]);
  assert.match(out, /Berth is up\./);
  assert.match(out, /Box `first` is running\./);
  assert.match(out, /berth ssh first/);
  const status = await berth.json<Status>(["status"]);
  assert.deepEqual(status.processes.map((one) => one.name).sort(), [...PROCESSES].sort());
  for (const one of status.processes) assert.ok(one.pid, `${one.name} runs`);
  assert.equal(status.apiError, null);
  assert.deepEqual(
    status.nodes.map((node) => [node.reachable, node.driver]),
    [[true, "fake"]],
  );
  assert.deepEqual(
    status.boxes.map((box) => [box.name, box.phase]),
    [["first", "running"]],
  );
});

test("secrets in the state directory are for the owner only", async () => {
  for (const file of [
    "credentials.json",
    "settings.json",
    "agent/identity.json",
    "gateway/identity.json",
  ])
    assert.equal(statSync(join(berth.stateDir, file)).mode & 0o077, 0, file);
  const { token } = JSON.parse(await readFile(join(berth.stateDir, "credentials.json"), "utf8"));
  for (const name of ["server", "node", "gateway", "supervisor"]) {
    const log = await readFile(join(berth.stateDir, "logs", `${name}.log`), "utf8");
    assert.ok(!log.includes(token), `the token is in the log of ${name}`);
  }
});

test("`up` again changes nothing", async () => {
  const before = await Promise.all(PROCESSES.map((name) => berth.pidOf(name)));
  const out = await berth.ok(["up", "--detach"]);
  assert.match(out, /Box `first` is running\./);
  assert.deepEqual(await Promise.all(PROCESSES.map((name) => berth.pidOf(name))), before);
  assert.equal((await berth.json<Box[]>(["list"])).length, 1);
});

test("`up` with other settings, or another driver, is refused while it runs", async () => {
  const settings = await berth.berth(["up", "--detach", "--api-listen", "127.0.0.1:9"]);
  assert.equal(settings.code, 2);
  assert.match(settings.stderr.replaceAll("\n", " "), /BERTH_API_LISTEN.*down --keep-boxes/);
  const driver = await berth.berth(["up", "--detach", "--driver", "qemu"]);
  assert.equal(driver.code, 2);
  assert.match(driver.stderr, /driver fake/);
});

test("a process that cannot listen where it should says where, and ends", async () => {
  for (const role of ["server", "gateway"]) {
    const { code, stderr } = await berth.berth([role]);
    assert.equal(code, 1, role);
    assert.match(stderr.replaceAll("\n", " "), /cannot be used: another program listens there/);
    assert.doesNotMatch(stderr, /fault in Berth's own code/, "no stack");
  }
});

test("boxes go through their life", async () => {
  await berth.ok(["create", "web", "--env", "PORT=1"]);
  await berth.ok(["pause", "web"]);
  const paused = await berth.json<Box>(["wait", "web", "--for", "durable"]);
  assert.equal(paused.phase, "paused");
  assert.equal(paused.snapshot?.durable, true);
  await berth.ok(["resume", "web"]);
  const fork = await berth.json<Box>(["fork", "web", "--name", "twin"]);
  assert.equal(fork.phase, "running");
  assert.equal(fork.source.forkedFrom?.name, "web");
  await berth.ok(["checkpoint", "create", "web", "--name", "mark"]);
  await berth.ok(["checkpoint", "restore", "web", "mark"]);
  await berth.ok(["stop", "web"]);
  assert.equal((await berth.json<Box>(["start", "web"])).phase, "running");
  assert.equal((await berth.json<Box>(["restart", "web"])).phase, "running");
  await berth.ok(["delete", "twin", "web"]);
  assert.deepEqual(
    (await berth.json<Box[]>(["list"])).map((box) => box.name),
    ["first"],
  );
});

for (const name of ["node", "server", "gateway", "postgres", "supervisor"])
  test(`kill -9 of ${name}: it is there again, and boxes can be changed`, async () => {
    const pid = await berth.pidOf(name);
    await berth.kill(name);
    // Nothing watches the supervisor; the next `up` starts another, which takes the processes over.
    if (name === "supervisor") {
      const kept = await berth.pidOf("server");
      await berth.ok(["up", "--detach"]);
      assert.equal(await berth.pidOf("server"), kept, "the server was taken over, not replaced");
    }
    await until(`${name} runs again`, async () => {
      const status = await berth.berth(["status", "-o", "json"]);
      const found = JSON.parse(status.stdout) as Status;
      const now = found.processes.find((one) => one.name === name)?.pid;
      return status.code === 0 && now !== null && now !== pid;
    });
    await berth.ok(["pause", "first"]);
    await berth.ok(["resume", "first"]);
  });

test("kill -9 of everything at once: `up` has it all back", async () => {
  await Promise.all(PROCESSES.map((name) => berth.kill(name)));
  await berth.ok(["up", "--detach"]);
  assert.equal((await berth.json<Box>(["show", "first"])).phase, "running");
});

test("`node drain` pauses what a node has and keeps new boxes away, until it is uncordoned", async () => {
  const [node] = await berth.json<{ name: string }[]>(["node", "list"]);
  assert.ok(node);
  const drained = await berth.json<object>(["node", "drain", node.name]);
  assert.deepEqual(drained, { node: node.name, paused: 1, endedBuilds: 0 });
  assert.equal((await berth.json<Box>(["show", "first"])).phase, "paused");
  await until("it says why it waits", async () => {
    const waits = await berth.berth(["resume", "first", "--timeout", "1s"]);
    assert.equal(waits.code, 1);
    return /takes no new boxes/.test(waits.stderr.replaceAll("\n", " "));
  });
  await berth.ok(["node", "uncordon", node.name]);
  await berth.ok(["wait", "first", "--for", "running"]);
});

test("`down --keep-boxes` leaves boxes running, and `up` finds them so", async () => {
  await berth.ok(["down", "--keep-boxes"]);
  const status = await berth.berth(["status"]);
  assert.equal(status.code, 1);
  await berth.ok(["up", "--detach"]);
  assert.equal((await berth.json<Box>(["show", "first"])).phase, "running");
});

test("`down` pauses every box until it is durable, and `up` finds them so", async () => {
  await berth.ok(["down"]);
  for (const name of ["supervisor", "node", "gateway", "server"])
    assert.ok(!existsSync(join(berth.stateDir, "run", `${name}.json`)), `${name} is stopped`);
  const again = await berth.berth(["down"]);
  assert.equal(again.code, 0);
  assert.match(again.stderr, /not running/);
  assert.match(await berth.ok(["up", "--detach"]), /Box `first` is paused\./);
  const box = await berth.json<Box>(["show", "first"]);
  assert.deepEqual([box.phase, box.snapshot?.durable], ["paused", true]);
  await berth.ok(["resume", "first"]);
});

test("`down` ends a build that runs, and leaves nothing of it", async () => {
  const faults = join(berth.stateDir, "node/faults.json");
  // It takes a minute, in six parts, of which the first is waited for.
  await writeFile(faults, JSON.stringify({ latencyMs: { exec: 10_000 } }));
  const file = join(berth.stateDir, "slow.yaml");
  await writeFile(file, "name: slow\nsetup: 'true'\n");
  const boxes = async () =>
    (await readdir(join(berth.stateDir, "node/boxes"))).filter((name) => name.endsWith(".json"));
  const before = (await boxes()).length;
  await berth.ok(["template", "create", "--no-wait", "-f", file]);
  await until("its builder runs", async () => (await boxes()).length > before);
  const down = await berth.berth(["down"]);
  assert.equal(down.code, 0, down.stderr);
  assert.match(down.stderr, /Ended 1 build; `berth template build`/);
  assert.deepEqual(await boxes(), [], "no box is left to run without Berth");
  await rm(faults);
  await berth.ok(["up", "--detach"]);
  await berth.ok(["template", "build", "slow", "--version", "1"]);
  await berth.ok(["resume", "first"]);
});

test("`doctor` finds nothing wrong", async () => {
  const findings = await berth.json<{ check: string; result: string }[]>(["doctor"]);
  assert.deepEqual(
    findings.filter((finding) => finding.result === "fault"),
    [],
  );
});
