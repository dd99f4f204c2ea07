import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ApiError } from "#sdk/api-error.ts";
import { recordedTerminal, runBerth } from "#test/harness/terminal.ts";
import { findCredentials } from "./credentials.ts";
import { CliError, EXIT } from "./exit.ts";
import { report } from "./main.ts";
import { createProgram, finish } from "./program.ts";
import { Session } from "./session.ts";

const NOWHERE = { BERTH_URL: "http://127.0.0.1:9", BERTH_TOKEN: "none" };

async function runArgs(argv: readonly string[], env: Record<string, string> = NOWHERE) {
  const terminal = recordedTerminal({ env });
  const code = await runBerth(terminal, argv);
  return { code, ...terminal.written };
}

async function temporary(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "berth-cli-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

test("what is written wrongly is a usage error: exit code 2, and how to get help", async () => {
  for (const argv of [
    ["lst"],
    ["show"],
    ["create", "a", "b"],
    ["create", "--timeout", "soon"],
    ["create", "--env", "NOVALUE"],
    ["fork", "web", "--count", "0"],
    ["fork", "web", "--count", "2", "--name", "one"],
    ["wait", "web", "--for", "happiness"],
    ["list", "-o", "xml"],
    ["template", "create"],
    ["template", "create", "-f", "/nonexistent.yaml"],
    ["completion", "tcsh"],
    ["exec", "web", "--user", "root", "true"],
    [],
  ]) {
    const { code, out, err } = await runArgs(argv);
    assert.equal(code, EXIT.usage, `berth ${argv.join(" ")}`);
    assert.equal(out, "", `berth ${argv.join(" ")} prints results`);
    assert.notEqual(err, "");
  }
  assert.match((await runArgs(["lst"])).err, /Did you mean.*list/);
});

test("help goes to standard output with exit code 0, and every command has it with an example", async () => {
  const program = createProgram(new Session(recordedTerminal()));
  const leaves: string[][] = [];
  const walk = (command: typeof program, path: string[]) => {
    for (const child of command.commands)
      if (child.name() !== "help" && !child.name().startsWith("__")) {
        if (child.commands.length > 0) walk(child, [...path, child.name()]);
        else leaves.push([...path, child.name()]);
      }
  };
  walk(program, []);
  assert.ok(leaves.length >= 24, `${leaves.length} commands`);
  for (const path of leaves) {
    const { code, out, err } = await runArgs([...path, "--help"]);
    assert.equal(code, EXIT.ok);
    assert.equal(err, "");
    assert.match(out, /Examples?:\n {2}\$ /, `berth ${path.join(" ")} --help has no example`);
    assert.match(
      out,
      /^Usage: .*\n\n[A-Z]/,
      `berth ${path.join(" ")} --help does not say what it does`,
    );
  }
});

test("the same things are called the same in every command", async () => {
  const program = createProgram(new Session(recordedTerminal()));
  finish(program);
  const walk = (command: typeof program, path: string) => {
    const has = (long: string) => command.options.some((one) => one.long === long);
    assert.equal(has("--json"), has("--output"), `${path}: --json is -o json`);
    assert.equal(has("--quiet") || !has("--no-wait"), true, `${path}: what waits can be quiet`);
    const names = command.commands.map((one) => one.name());
    const shorts = command.commands.flatMap((one) => one.aliases());
    if (names.includes("list")) assert.ok(shorts.includes("ls"), `${path} ls`);
    if (names.includes("delete") || names.includes("remove"))
      assert.ok(shorts.includes("rm"), `${path} rm`);
    for (const child of command.commands) walk(child, `${path} ${child.name()}`);
  };
  walk(program, "berth");
});

test("--version prints the version of this command", async () => {
  const { code, out } = await runArgs(["--version"]);
  assert.equal(code, EXIT.ok);
  assert.match(out, /^\d+\.\d+\.\d+\n$/);
});

test("Ctrl-C ends whatever waits, with its own exit code and no stack", async (t) => {
  const server = createServer(() => {}); // Never answers.
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as { port: number };
  const terminal = recordedTerminal({
    env: { BERTH_URL: `http://127.0.0.1:${port}`, BERTH_TOKEN: "t" },
  });
  const asked = new Promise((done) => server.once("request", done));
  const ended = runBerth(terminal, ["list"]);
  await asked;
  terminal.interrupt();
  assert.equal(await ended, EXIT.interrupted);
  assert.match(terminal.written.err, /^berth: interrupted\. What you asked for stays asked/);
});

test("an API that does not answer is one paragraph with the next step, and exit code 1", async () => {
  const { code, err } = await runArgs(["list"]);
  assert.equal(code, EXIT.failed);
  assert.match(
    err.replaceAll("\n", " "),
    /^berth: Berth does not answer at http:\/\/127\.0\.0\.1:9 .*berth up/,
  );
  assert.doesNotMatch(err, /at .*\.ts:\d+/, "no stack");
});

test("problems of the API become messages and exit codes", () => {
  const problem = (status: number, code: "forbidden" | "internal" | "invalid_request") =>
    new ApiError({
      code,
      status,
      detail: "What happened\u001b[2J",
      retryable: false,
      requestId: "req_1",
      errors: [{ path: "body.name", message: "must be a name" }],
    });
  for (const [status, code, exit] of [
    [403, "forbidden", EXIT.notAllowed],
    [401, "forbidden", EXIT.notAllowed],
    [500, "internal", EXIT.failed],
    [400, "invalid_request", EXIT.failed],
  ] as const) {
    const terminal = recordedTerminal();
    assert.equal(report(problem(status, code), terminal), exit);
    assert.match(terminal.written.err, /What happened\\u001b\[2J\. body\.name must be a name\./);
    assert.equal(/req_1/.test(terminal.written.err), status === 500);
  }
});

test("a fault of our own says so, with its stack", () => {
  const terminal = recordedTerminal();
  assert.equal(report(new TypeError("oops"), terminal), EXIT.failed);
  assert.match(terminal.written.err, /fault in Berth's own code: TypeError: oops\s+at /);
});

test("credentials: the environment, the user's file, the state directory, in this order", async (t) => {
  const dir = await temporary(t);
  const env = { XDG_CONFIG_HOME: join(dir, "config"), BERTH_STATE_DIR: "" };
  assert.deepEqual(await findCredentials({ BERTH_URL: "http://a", BERTH_TOKEN: "t" }), {
    ...{ url: "http://a", token: "t", from: "BERTH_TOKEN" },
  });
  await mkdir(join(dir, "config/berth"), { recursive: true });
  await writeFile(join(dir, "config/berth/credentials.json"), '{"url":"http://user","token":"u"}');
  assert.equal((await findCredentials(env)).url, "http://user");
  const state = join(dir, "state");
  await mkdir(state);
  await writeFile(join(state, "credentials.json"), '{"url":"http://state","token":"s"}');
  assert.equal((await findCredentials({ ...env, BERTH_STATE_DIR: state })).url, "http://state");
  assert.deepEqual(
    await findCredentials({ ...env, BERTH_STATE_DIR: state, BERTH_URL: "http://elsewhere" }),
    { url: "http://elsewhere", token: "s", from: join(state, "credentials.json") },
  );
});

test("credentials that are missing, damaged or not ours are explained", async (t) => {
  const dir = await temporary(t);
  const path = join(dir, "credentials.json");
  const refused = async (pattern: RegExp, exitCode: number) =>
    await assert.rejects(findCredentials({ BERTH_STATE_DIR: dir }), (error: unknown) => {
      assert.ok(error instanceof CliError);
      assert.match(error.message, pattern);
      assert.equal(error.exitCode, exitCode);
      assert.ok(error.next);
      return true;
    });
  await refused(/no token/, EXIT.notAllowed);
  await writeFile(path, "{");
  await refused(/damaged/, EXIT.failed);
  await chmod(path, 0o000);
  if (process.getuid?.() !== 0) await refused(/only by the user/, EXIT.notAllowed);
});
