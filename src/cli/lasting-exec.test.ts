// Sessions by the real CLI, through a real gateway and agent link, to the guest's own exec server.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type DoorApi, openDoorApi } from "#test/harness/door-api.ts";
import { type Doors, openDoors, until } from "#test/harness/doors.ts";
import { type ExecHost, execDoor, startExecHost } from "#test/harness/exec-host.ts";
import { selfCommand } from "./ssh.ts";

let doors: Doors;
let api: DoorApi;
let box: ExecHost;
let opener: Server;
let home = "";
let gateway: Doors["gateway"];
const children: ChildProcess[] = [];

before(async () => {
  doors = await openDoors();
  gateway = doors.gateway;
  api = await openDoorApi(doors);
  box = await startExecHost();
  opener = await execDoor(box.port);
  doors.driver.ports.set(1, (opener.address() as { port: number }).port);
  home = await mkdtemp(join(tmpdir(), "berth-home-"));
});

after(async () => {
  for (const child of children) child.kill("SIGKILL");
  await api?.close();
  await doors?.close();
  opener?.close();
  await box?.stop();
  await rm(home, { recursive: true, force: true });
});

function berth(...args: string[]) {
  const [program = "", ...own] = [...selfCommand(), ...args];
  const env = { PATH: process.env.PATH, HOME: home, BERTH_URL: api.url, BERTH_TOKEN: api.token };
  const child = spawn(program, own, { env, stdio: ["pipe", "pipe", "pipe"] });
  children.push(child);
  const said = { out: "", err: "" };
  child.stdout.on("data", (data) => {
    said.out += data;
  });
  child.stderr.on("data", (data) => {
    said.err += data;
  });
  const ended = new Promise<number | null>((done) => child.once("close", done));
  return { child, said, ended };
}

async function ran(...args: string[]) {
  const { child, said, ended } = berth(...args);
  child.stdin.end();
  return { code: await ended, ...said };
}

const exec = ["exec", "-u", "root", "-T"];

test("a session's output, input and exit code pass through as without one", async () => {
  const { child, said, ended } = berth(
    ...exec,
    "-s",
    "one",
    "web",
    "--",
    "sh",
    "-c",
    "cat; exit 7",
  );
  child.stdin.end("given\n");
  assert.equal(await ended, 7, said.err);
  assert.equal(said.out, "given\n");
  assert.match((await ran("session", "list", "web")).out, /^SESSION/);
});

test("it goes on when nothing is connected to stdin", async () => {
  const { child, said, ended } = berth(...exec, "-s", "quiet", "web", "--", "echo", "said");
  child.stdin.destroy();
  assert.equal(await ended, 0, said.err);
  assert.equal(said.out, "said\n");
});

test("every line is shown once over two deaths of the gateway, without a control plane", async () => {
  const count = 600;
  const script = `n=0; while [ $n -lt ${count} ]; do n=$((n+1)); echo $n; sleep 0.01; done`;
  const { child, said, ended } = berth(...exec, "-s", "lines", "web", "--", "sh", "-c", script);
  child.stdin.end();
  const lines = () => said.out.split("\n").slice(0, -1);
  for (const at of [100, 300]) {
    await until(() => lines().length >= at, `line ${at}`);
    api.isAway = true;
    await gateway.close();
    gateway = await doors.restartGateway();
  }
  await until(() => lines().length === count, "the last line");
  api.isAway = false;
  assert.equal(await ended, 0, said.err);
  assert.deepEqual(
    lines(),
    Array.from({ length: count }, (_, index) => String(index + 1)),
  );
});

test("a box that is put to rest is not woken by who was in it; the session goes on afterwards", async () => {
  const script = "echo begun; read line; echo got $line";
  const { child, said, ended } = berth(...exec, "-s", "rest", "web", "--", "sh", "-c", script);
  await until(() => said.out.includes("begun"), "it is shown");
  api.phase = "paused";
  await gateway.close();
  await until(() => said.err.includes("web is paused"), "it is told");
  gateway = await doors.restartGateway();
  const looked = await ran("session", "list", "web");
  assert.equal(looked.code, 1);
  assert.match(looked.err, /web is paused.*`berth resume web`/s);
  assert.deepEqual(api.asked, []);
  api.phase = "running";
  child.stdin.end("this\n");
  assert.equal(await ended, 0, said.err);
  assert.equal(said.out, "begun\ngot this\n");
});

test("while the way to the box is lost, Ctrl-C leaves and the program goes on", async () => {
  const { child, said, ended } = berth(
    ...[...exec, "-s", "left", "web", "--", "sh", "-c", "echo begun; sleep 600"],
  );
  await until(() => said.out.includes("begun"), "it is shown");
  api.phase = "paused";
  await gateway.close();
  await until(() => said.err.includes("web is paused"), "it is told");
  child.kill("SIGINT");
  assert.equal(await ended, 0, said.err);
  assert.match(said.err, /it goes on: berth session attach web left/);
  api.phase = "running";
  gateway = await doors.restartGateway();
  assert.match((await ran("session", "list", "web")).out, /left\s+running/);
});

test("a detached program is listed, attached to later, and ended", async () => {
  const script = "echo begun; read line; echo got $line; sleep 600";
  const started = await ran(...exec, "-d", "-s", "later", "web", "--", "sh", "-c", script);
  assert.deepEqual([started.code, started.out], [0, "later\n"], started.err);
  assert.match((await ran("session", "list", "web")).out, /later\s+running/);
  const looking = berth("session", "attach", "web", "later");
  await until(() => looking.said.out.includes("begun"), "it is shown");
  looking.child.stdin.write("this\n");
  await until(() => looking.said.out.includes("got this"), "input arrives");
  looking.child.kill("SIGKILL");
  assert.equal((await ran("session", "end", "web", "later")).code, 0);
  assert.doesNotMatch((await ran("session", "list", "web")).out, /later/);
  const gone = await ran("session", "attach", "web", "later");
  assert.equal(gone.code, 1);
  assert.match(gone.err, /session later of web/);
});

test("without -u the user is dev, of whom this machine has none: said once, not tried for ever", async () => {
  const { code, err } = await ran("exec", "-T", "-s", "nobody", "web", "--", "true");
  assert.equal(code, 1);
  assert.match(err, /no such user/);
});

test("--timeout ends the program with 124, with a session and without", async () => {
  for (const session of [[], ["-s", "slow"]]) {
    const { code, err } = await ran(
      ...[...exec, ...session, "--timeout", "300ms", "web", "--", "sleep", "600"],
    );
    assert.equal(code, 124, err);
  }
});
