// `./berth` itself: how it is found, who may run it, and what it refuses.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm, symlink } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type TestContext, test } from "node:test";
import { TestInstallation, until } from "#test/harness/installation.ts";

const launcher = resolve(import.meta.dirname, "../../berth");
const NOBODY = 65_534;

async function temporary(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "berth-launcher-"));
  await chmod(dir, 0o777);
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

function start(
  program: string,
  argv: readonly string[],
  options: { env: Record<string, string>; asNobody?: boolean; cwd?: string },
) {
  const isRoot = process.getuid?.() === 0;
  const child = spawn(program, [...argv], {
    cwd: options.cwd ?? "/",
    env: { PATH: process.env.PATH ?? "", ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    ...(isRoot && options.asNobody ? { uid: NOBODY, gid: NOBODY } : {}),
  });
  const said = { out: "", err: "" };
  child.stdout.on("data", (chunk) => {
    said.out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    said.err += chunk;
  });
  const ended = new Promise<number | null>((done) => child.on("close", done));
  return { child: child as ChildProcess, said, ended };
}

async function run(program: string, argv: readonly string[], options: Parameters<typeof start>[2]) {
  const { said, ended } = start(program, argv, options);
  const code = await ended;
  return { code, out: said.out, err: said.err.replaceAll("\n", " ") };
}

test("it works through a link, from any folder", async (t) => {
  const dir = await temporary(t);
  await symlink(launcher, join(dir, "b"));
  const { code, out } = await run(join(dir, "b"), ["--help"], { env: { HOME: dir }, cwd: dir });
  assert.equal(code, 0);
  assert.match(out, /Usage: berth/);
});

test("`up` without root says what to do instead", async (t) => {
  const dir = await temporary(t);
  const env = { HOME: dir, BERTH_STATE_DIR: join(dir, "state") };
  const { code, err } = await run(launcher, ["up"], { env, asNobody: true });
  assert.equal(code, 4);
  assert.match(err, /needs root.*sudo \.\/berth up.*--driver fake/);
  assert.ok(!existsSync(join(dir, "state")), "nothing was made");
});

test("a state directory that cannot be written is refused", async (t) => {
  const dir = await temporary(t);
  const env = { HOME: dir };
  const { code, err } = await run(
    launcher,
    ["up", "--driver", "fake", "--state-dir", "/dev/null/berth"],
    { env },
  );
  assert.equal(code, 1);
  assert.match(err, /\/dev\/null\/berth cannot be written.*--state-dir/);
});

test("an unknown BERTH_ variable is refused with the nearest name", async (t) => {
  const dir = await temporary(t);
  const env = { HOME: dir, BERTH_STATE_DIR: join(dir, "state"), BERTH_DRIVE: "fake" };
  const { code, err } = await run(launcher, ["up"], { env });
  assert.equal(code, 1);
  assert.match(err, /BERTH_DRIVE.*did you mean BERTH_DRIVER\?/);
});

test("ports in use are all named, with the options that choose others", async (t) => {
  const berth = await TestInstallation.make("fake");
  t.after(() => berth.close());
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => new Promise((done) => server.close(done)));
  const address = `127.0.0.1:${(server.address() as { port: number }).port}`;
  const env = { ...berth.env, BERTH_GATEWAY_LISTEN: address, BERTH_SSH_LISTEN: address };
  const { code, err } = await run(launcher, ["up", "--detach"], { env });
  assert.equal(code, 1);
  assert.equal(err.split(`${address} cannot be used: another program listens there`).length, 3);
  assert.match(err, /--gateway-listen HOST:PORT --ssh-listen HOST:PORT/);
});

test("in the foreground, `up` stays, and Ctrl-C stops everything but the boxes", async (t) => {
  const berth = await TestInstallation.make("fake");
  t.after(() => berth.close());
  const { child, said, ended } = start(launcher, ["up"], { env: { ...berth.env } });
  t.after(() => void child.kill("SIGKILL"));
  await until("it is up", async () => said.err.includes("Press Ctrl-C"));
  assert.match(said.out, /Box `first` is running/);
  const killed = await berth.pidOf("supervisor");
  await berth.kill("supervisor");
  await until("the supervisor is there again", async () => {
    const { stdout } = await berth.berth(["status", "-o", "json"]);
    const { processes } = JSON.parse(stdout) as { processes: { pid: number | null }[] };
    return processes.every(({ pid }) => pid !== null && pid !== killed);
  });
  child.kill("SIGINT");
  assert.equal(await ended, 0);
  assert.match(said.err, /Boxes go on running/);
  const status = await berth.berth(["status"]);
  assert.equal(status.code, 1);
  assert.match(status.stdout, /does not run here/);
});

test("`berth down` ends an `up` in the foreground", async (t) => {
  const berth = await TestInstallation.make("fake");
  t.after(() => berth.close());
  const { child, said, ended } = start(launcher, ["up", "--no-first-box"], {
    env: { ...berth.env },
  });
  t.after(() => void child.kill("SIGKILL"));
  await until("it is up", async () => said.err.includes("Press Ctrl-C"));
  await berth.ok(["down"]);
  assert.equal(await ended, 0);
});
