// The whole chain: the real CLI, the real ssh, a real gateway and agent link, a real sshd as the box.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { makeHostKey } from "#lib/ssh-keys.ts";
import { type DoorApi, openDoorApi } from "#test/harness/door-api.ts";
import { BOX, type Doors, openDoors, until } from "#test/harness/doors.ts";
import { serveExec } from "#test/harness/exec-server.ts";
import { freePort } from "#test/harness/free-ports.ts";
import { type Sshd, startSshd } from "#test/harness/sshd.ts";
import type { ExecStart } from "#wire/exec-frames.ts";
import { newPart } from "./logs.ts";
import { parseForward } from "./port-forward.ts";
import { selfCommand } from "./ssh.ts";
import { splitSshWords } from "./ssh-words.ts";

let doors: Doors;
let api: DoorApi;
let sshd: Sshd;
let home = "";
const servers: Server[] = [];

before(async () => {
  doors = await openDoors();
  api = await openDoorApi(doors);
  const hostKey = makeHostKey();
  sshd = await startSshd({
    userCaLine: api.userCaLine,
    principals: [BOX],
    hostPrivateKeyOpenssh: hostKey.privateKeyOpenssh,
    hostCertificate: api.hostCertificate(hostKey.publicKeyLine),
  });
  doors.driver.ports.set(22, sshd.port);
  home = await mkdtemp(join(tmpdir(), "berth-home-"));
});

after(async () => {
  await sshd?.stop();
  await api?.close();
  await doors?.close();
  for (const server of servers) server.close();
  await rm(home, { recursive: true, force: true });
});

interface Ran {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

function environment(): Record<string, string> {
  return {
    PATH: process.env.PATH ?? "",
    HOME: home,
    BERTH_URL: api.url,
    BERTH_TOKEN: api.token,
    NODE_COMPILE_CACHE: join(home, "compile-cache"),
  };
}

function start(argv: readonly string[]) {
  const [program = "", ...args] = argv;
  return spawn(program, args, { env: environment(), stdio: ["pipe", "pipe", "pipe"] });
}

function runProgram(argv: readonly string[], input: string | Buffer = ""): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = start(argv);
    const stdout: Buffer[] = [];
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout: Buffer.concat(stdout), stderr }));
  });
}

const berth = (args: readonly string[], input?: string | Buffer) =>
  runProgram([...selfCommand(), ...args], input);

test("berth ssh enters as dev without a question, and passes command, input and exit code", async () => {
  const ran = await berth(["ssh", "web", "--", "id -un; cat; echo trouble >&2; exit 7"], "given\n");
  assert.equal(ran.stdout.toString(), "dev\ngiven\n", ran.stderr);
  assert.equal(ran.stderr, "trouble\n");
  assert.equal(ran.code, 7);
});

test("a box at rest is woken, with progress on stderr only", async () => {
  api.phase = "paused";
  const ran = await berth(["ssh", "web", "--", "echo", "awake"]);
  assert.deepEqual([ran.code, ran.stdout.toString()], [0, "awake\n"], ran.stderr);
  assert.deepEqual(api.asked, ["resume"]);
  assert.match(ran.stderr, /web: running/);
});

test("8 MiB go through ssh there and back unchanged", async () => {
  const bytes = randomBytes(8 * 1024 * 1024);
  const ran = await berth(["ssh", "web", "--", "cat"], bytes);
  assert.ok(ran.stdout.equals(bytes), ran.stderr);
});

test("options of ssh stand before the box: -L forwards a port", async () => {
  const server = createServer((socket) => socket.end("from the far side"));
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const far = (server.address() as { port: number }).port;
  const near = await freePort();
  const child = start([
    ...selfCommand(),
    ...["ssh", "-N", "-o", "ExitOnForwardFailure=yes", "-L", `${near}:127.0.0.1:${far}`, "web"],
  ]);
  const ended = new Promise((done) => child.on("close", done));
  try {
    let text = "";
    await until(async () => {
      text = await readPort(near);
      return text !== "" || child.exitCode !== null;
    }, "the forward stands");
    assert.equal(text, "from the far side");
  } finally {
    child.kill("SIGTERM");
    await ended;
  }
});

/** What a port of this machine says; empty when nobody listens. */
function readPort(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
}

test("plain ssh, scp and sftp reach BOX.berth through the installed ssh_config", async () => {
  const installed = await berth(["ssh-config", "--install"]);
  assert.equal(installed.code, 0, installed.stderr);
  const again = await berth(["ssh-config", "--install"]);
  assert.match(again.stdout.toString(), /is up to date and included/);
  const config = join(home, ".ssh/config");
  assert.equal((await readFile(config, "utf8")).split("Include").length, 2);
  const plain = (program: string, ...args: string[]) =>
    runProgram([program, "-F", config, ...args]);

  const ran = await plain("ssh", "web.berth", "id -un; exit 3");
  assert.deepEqual([ran.stdout.toString(), ran.code], ["dev\n", 3], ran.stderr);

  const bytes = randomBytes(1024 * 1024);
  await writeFile(join(home, "up"), bytes);
  const copied = await plain("scp", "-q", join(home, "up"), "web.berth:copied");
  assert.equal(copied.code, 0, copied.stderr);
  assert.ok((await readFile(join(sshd.home, "copied"))).equals(bytes));

  await writeFile(join(home, "batch"), "get copied fetched\n");
  const fetched = await runProgram([
    "sh",
    "-c",
    `cd ${home} && sftp -q -F ${config} -b batch web.berth`,
  ]);
  assert.equal(fetched.code, 0, fetched.stderr);
  assert.ok((await readFile(join(home, "fetched"))).equals(bytes));
});

test("while the control plane is away ssh enters by what it was given last, for as long as that lasts", async (t) => {
  const config = join(home, ".ssh/config");
  const plain = () => runProgram(["ssh", "-F", config, "web.berth", "echo in"]);
  for (const enter of [() => berth(["ssh", "web", "--", "echo in"]), plain])
    assert.equal((await enter()).stdout.toString(), "in\n");
  api.isAway = true;
  t.after(() => {
    api.isAway = false;
  });
  for (const enter of [() => berth(["ssh", "web", "--", "echo in"]), plain]) {
    const { stdout, stderr } = await enter();
    assert.equal(stdout.toString(), "in\n", stderr);
    assert.match(
      stderr,
      /The control plane does not answer: entering web by the ticket of last time/,
    );
  }
  const ways = join(home, ".cache/berth/ssh");
  for (const ref of ["web", BOX]) {
    const way = await readFile(join(ways, `${ref}.way`), "utf8");
    assert.equal((await stat(join(ways, `${ref}.way`))).mode & 0o077, 0, "others may not read it");
    const old = way.replace(/"expiresAt":"[^"]*"/, '"expiresAt":"2001-01-01T00:00:00.000Z"');
    await writeFile(join(ways, `${ref}.way`), old);
  }
  const late = await berth(["ssh", "web", "--", "true"]);
  assert.deepEqual([late.code, late.stdout.toString()], [1, ""]);
  assert.match(late.stderr, /cannot be reached|does not answer|unreachable/i);
});

test("a host key that is not certified for the box is refused, not asked about", async () => {
  const impostor = makeHostKey();
  const other = await startSshd({
    userCaLine: api.userCaLine,
    principals: [BOX],
    hostPrivateKeyOpenssh: impostor.privateKeyOpenssh,
    hostCertificate: api.hostCertificate(makeHostKey().publicKeyLine), // Of another key: sshd drops it.
  });
  doors.driver.ports.set(22, other.port);
  try {
    const ran = await berth(["ssh", "web", "--", "true"]);
    assert.equal(ran.code, 255);
    assert.match(ran.stderr, /Host key verification failed/);
  } finally {
    doors.driver.ports.set(22, sshd.port);
    await other.stop();
  }
});

test("an unknown box is one clear paragraph", async () => {
  const ran = await berth(["ssh", "nobody", "--", "true"]);
  assert.equal(ran.code, 1);
  assert.match(ran.stderr, /^berth: It is not_found\./);
});

const programs: ExecStart[] = [];

test("berth exec passes input, both outputs and the exit code", async () => {
  const server = await serveExec((one) => programs.push(one));
  servers.push(server);
  doors.driver.ports.set(1, (server.address() as { port: number }).port);
  const ran = await berth(
    ["exec", "-e", "WHO=me", "web", "--", "sh", "-c", 'cat; echo "$WHO" >&2; exit 9'],
    "given\n",
  );
  assert.deepEqual([ran.stdout.toString(), ran.stderr, ran.code], ["given\n", "me\n", 9]);

  const bytes = randomBytes(4 * 1024 * 1024);
  const echoed = await berth(["exec", "web", "--", "cat"], bytes);
  assert.ok(echoed.stdout.equals(bytes), echoed.stderr);

  const missing = await berth(["exec", "web", "--", "no-such-program"]);
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /no-such-program cannot be started in web/);
});

test("berth exec gives the program a terminal when it has one itself", async () => {
  assert.equal(programs.at(-1)?.pty, undefined); // The one before had pipes.
  const command = [...selfCommand(), "exec", "web", "--", "sh", "-c", "'echo $TERM; exit 5'"].join(
    " ",
  );
  const ran = await runProgram([
    "env",
    "TERM=vt100",
    "script",
    "-qec",
    `stty rows 33 cols 77; ${command}`,
    "/dev/null",
  ]);
  assert.deepEqual(programs.at(-1)?.pty, { rows: 33, cols: 77 }, ran.stdout.toString());
  assert.match(ran.stdout.toString(), /vt100/);
  assert.equal(ran.code, 5);
});

test("a signal to berth exec reaches the program, whose exit code comes back", async () => {
  const child = start([
    ...selfCommand(),
    ...[
      "exec",
      "web",
      "--",
      "sh",
      "-c",
      'trap "exit 42" TERM; echo ready; while :; do sleep 0.1; done',
    ],
  ]);
  const ended = new Promise<number | null>((done) => child.on("close", (code) => done(code)));
  child.stdout.once("data", () => child.kill("SIGTERM"));
  assert.equal(await ended, 42);
});

test("berth logs shows the console", async () => {
  doors.driver.consoleText = "[    0.000000] Linux version\r\nlogin: ";
  const ran = await berth(["logs", "web"]);
  assert.deepEqual([ran.code, ran.stdout.toString()], [0, doors.driver.consoleText], ran.stderr);
});

test("berth port forward serves a port of the box on loopback", async () => {
  const server = createServer((socket) => socket.pipe(socket));
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  doors.driver.ports.set(8080, (server.address() as { port: number }).port);
  const child = start([...selfCommand(), "port", "forward", "web", ":8080"]);
  const ended = new Promise((done) => child.on("close", done));
  try {
    const line = await new Promise<string>((done) =>
      child.stdout.once("data", (d) => done(`${d}`)),
    );
    const [, port] = /^127\.0\.0\.1:(\d+) -> web port 8080\n$/.exec(line) ?? [];
    const talk = `exec 3<>/dev/tcp/127.0.0.1/${port}; echo hello >&3; head -n 1 <&3`;
    assert.equal((await runProgram(["bash", "-c", talk])).stdout.toString(), "hello\n");
    // Without a control plane: by the ticket that it has.
    api.isAway = true;
    assert.equal((await runProgram(["bash", "-c", talk])).stdout.toString(), "hello\n");
  } finally {
    api.isAway = false;
    child.kill("SIGINT");
    await ended;
  }
  assert.equal(child.exitCode, 0);
});

test("the words of berth ssh", () => {
  const split = (line: string) => splitSshWords(line.split(" "));
  assert.deepEqual(split("web"), { sshArguments: [], box: "web", command: [] });
  assert.deepEqual(split("web uname -a").command, ["uname", "-a"]);
  assert.deepEqual(split("web -- uname -a").command, ["uname", "-a"]);
  assert.deepEqual(split("-A -vL 1:h:2 -p22 web -- ls"), {
    sshArguments: ["-A", "-vL", "1:h:2", "-p22"],
    box: "web",
    command: ["ls"],
  });
  assert.throws(() => split("-L"), /no box was given/);
});

test("forwards are read strictly", () => {
  assert.deepEqual(parseForward("8080"), { local: 8080, remote: 8080 });
  assert.deepEqual(parseForward("3000:80"), { local: 3000, remote: 80 });
  assert.deepEqual(parseForward(":80"), { local: 0, remote: 80 });
  for (const text of ["", "x", "0", "80:", "80:0", "70000", "1:2:3", "-1"])
    assert.throws(() => parseForward(text), /is not a forward/, text);
});

test("following a console prints only what is new", () => {
  assert.equal(newPart("", "abc"), "abc");
  assert.equal(newPart("abc", "abcdef"), "def");
  assert.equal(newPart("abcdef", "defghi".replace("def", "abcdef")), "ghi");
  assert.equal(newPart("abc", "xyz"), "xyz");
  assert.equal(newPart("abc", "abc"), "");
});
