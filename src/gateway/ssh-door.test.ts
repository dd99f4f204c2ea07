// The SSH door against the system's own OpenSSH client.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import ssh2, { type ClientChannel } from "ssh2";
import { systemClock } from "#lib/clock.ts";
import { until } from "#test/harness/doors.ts";
import {
  BOX,
  CREDENTIAL,
  HOST,
  listening,
  MINUTE_MS,
  OTHERS,
  rig,
  runSsh,
} from "#test/harness/ssh-rig.ts";
import { WarpClock } from "#test/harness/warp-clock.ts";
import {
  knownHostsLine,
  loadSshAuthority,
  makeSshAuthorityKey,
  type SshAuthority,
  type UserCertificateOptions,
} from "#trust/ssh-certificates.ts";
import { encodeExecFrame } from "#wire/exec-frames.ts";

const run = promisify(execFile);

test("a certificate opens its box: output, exit code, stdin, and no question about the host", async (t) => {
  const { certify, ssh } = await rig(t);
  await certify();
  assert.deepEqual(await ssh([`web@${HOST}`, "echo out; echo err >&2; exit 7"]), {
    ...{ code: 7, stdout: "out\n", stderr: "err\n" },
  });
  assert.equal((await ssh([`${BOX.boxId}@${HOST}`, "cat | rev"], "abc\n")).stdout, "cba\n");
  assert.equal(
    (await ssh([`web@${HOST}`], "echo from the shell\nexit 3\n")).stdout,
    "from the shell\n",
  );
});

test("a host without the certificate is refused by ssh itself", async (t) => {
  const { certify, ssh, folder } = await rig(t);
  await certify();
  const stranger = loadSshAuthority(makeSshAuthorityKey(), "other");
  await writeFile(
    join(folder, "known_hosts"),
    `${knownHostsLine(stranger.publicKeyLine, "gw.berth")}\n`,
  );
  const { code, stderr } = await ssh([`web@${HOST}`, "true"]);
  assert.equal(code, 255);
  assert.match(stderr, /Host key verification failed/);
});

test("a registered key opens its owner's boxes and no other's, until it is removed", async (t) => {
  const { register, ssh, change } = await rig(t);
  await register();
  assert.equal((await ssh([`web@${HOST}`, "echo in"])).stdout, "in\n");
  for (const name of ["theirs", "nowhere"]) {
    const { code, stdout, stderr } = await ssh([`${name}@${HOST}`, "echo in"]);
    assert.deepEqual([code, stdout], [255, ""]);
    assert.match(stderr, /berth: you have no box/);
  }
  change({ goneKeys: ["key_1"] });
  assert.match((await ssh([`web@${HOST}`, "echo in"])).stderr, /Permission denied \(publickey\)/);
});

test("certificates that do not hold are refused at login", async (t) => {
  const { certify, ssh, change } = await rig(t);
  const other = loadSshAuthority(makeSshAuthorityKey(), "other");
  const past = { notBeforeMs: Date.now() - 9 * MINUTE_MS, notAfterMs: Date.now() - MINUTE_MS };
  const cases: [string, Partial<UserCertificateOptions>, SshAuthority?][] = [
    ["expired", past],
    ["another authority's", {}, other],
    ["for another box than it says", { principals: [OTHERS.boxId] }],
    ["of no box", { keyId: "somebody" }],
  ];
  for (const [what, wrong, authority] of cases) {
    await certify(wrong, authority);
    const { code, stdout, stderr } = await ssh([`web@${HOST}`, "echo in"]);
    assert.deepEqual([code, stdout], [255, ""], what);
    assert.match(stderr, /Permission denied/, what);
  }
  await certify();
  assert.match((await ssh([`theirs@${HOST}`, "echo in"])).stderr, /you have no box "theirs"/);
  change({ revocations: [{ credentialId: CREDENTIAL, untilMs: Date.now() + MINUTE_MS }] });
  assert.match((await ssh([`web@${HOST}`, "echo in"])).stderr, /Permission denied/);
});

test("revoking what a login came by ends its open session", async (t) => {
  const { certify, options, change } = await rig(t);
  await certify();
  const child = spawn("ssh", [...options(), `web@${HOST}`, "echo ready; sleep 600"]);
  const ended = new Promise<number | null>((done) => child.once("close", done));
  let told = "";
  child.stderr.on("data", (data) => {
    told += data;
  });
  await new Promise((done) => child.stdout.once("data", done));
  change({ revocations: [{ credentialId: CREDENTIAL, untilMs: Date.now() + MINUTE_MS }] });
  assert.equal(await ended, 255);
  assert.match(told, /certificate that you came in by does not hold any more/);
});

test("a login counts as let in while it has no stream open", async (t) => {
  const { certify, options, known } = await rig(t);
  await certify();
  const child = spawn("ssh", [...options(), "-N", `web@${HOST}`]);
  const ended = new Promise((done) => child.once("close", done));
  await until(() => known.inUse.includes(CREDENTIAL), "let in");
  child.kill();
  await ended;
  await until(() => known.inUse.length === 0, "gone");
});

test("a box at rest is woken while the client waits, and says so", async (t) => {
  const { certify, ssh, change, woken } = await rig(t);
  await certify();
  change({ boxes: [{ ...BOX, phase: "paused" }] });
  const { stdout, stderr } = await ssh([`web@${HOST}`, "echo in"]);
  assert.equal(stdout, "in\n");
  assert.match(stderr, /berth: web is resuming: restoring memory/);
  assert.deepEqual(woken, ["web"]);
});

test("whoever shows too many keys, or says too much at once, is told what to do", async (t) => {
  const { certify, ssh, folder } = await rig(t);
  await certify();
  const long = await ssh(["-o", "SetEnv=LANG=x", `web@${HOST}`, `: ${"x".repeat(40_000)}`]);
  assert.equal(long.code, 255);
  assert.match(long.stderr, /more than 34 KB as input/);
  const keys: string[] = [];
  for (let n = 0; n < 9; n += 1) {
    const path = join(folder, `key${n}`);
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path]);
    keys.push("-i", path);
  }
  await rm(join(folder, "id-cert.pub"));
  const { stderr } = await ssh([...keys, `web@${HOST}`, "true"]);
  assert.match(stderr, /too many keys .* `berth key list`/);
});

test("no password, no empty login", async (t) => {
  const { options } = await rig(t);
  const tries = ["-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password"];
  const { stderr } = await runSsh([...options(), ...tries, `web@${HOST}`, "true"]);
  assert.match(stderr, /Permission denied \(publickey\)/);
});

/** Until the door has closed them all. */
const strangers = (...sockets: Socket[]) =>
  Promise.all(sockets.map((socket) => new Promise((done) => socket.resume().once("close", done))));

test("strangers are shown the door in time, and those who logged in stay", async (t) => {
  const clock = new WarpClock();
  const { certify, options, port } = await rig(t, { loginTimeoutMs: 600_000 }, clock);
  await certify();
  const silent = connect(port, HOST);
  const halfway = connect(port, HOST, () => halfway.write("SSH-2.0-half\r\n"));
  const child = spawn("ssh", [...options(), `web@${HOST}`, "echo ready; cat"]);
  t.after(() => child.kill());
  const shown = strangers(silent, halfway);
  await new Promise((done) => child.stdout.once("data", done));
  clock.advance(600_000);
  await shown;
  clock.advance(600_000);
  child.stdin.write("still here\n");
  assert.equal(
    String(await new Promise((done) => child.stdout.once("data", done))),
    "still here\n",
  );
});

test("large output arrives whole, and a client that does not read holds little memory", async (t) => {
  const { certify, ssh, options } = await rig(t);
  await certify();
  const { stdout } = await ssh([`web@${HOST}`, "seq 1 300000 | md5sum; seq 1 300000"]);
  const [sum, ...rest] = stdout.split("\n");
  const { stdout: expected } = await run("sh", ["-c", "seq 1 300000 | md5sum"]);
  assert.equal(sum, expected.trim());
  assert.equal(rest.length, 300_001);
  const before = process.memoryUsage().rss;
  const child = spawn("ssh", [...options(), `web@${HOST}`, "cat /dev/zero"]);
  t.after(() => child.kill());
  await new Promise((done) => child.stdout.once("readable", done));
  await systemClock.sleep(3000);
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 64 * 1024 * 1024, `${grown} bytes`);
});

test("a terminal has the size of the window, follows it, and its shell is a login shell", async (t) => {
  const { certify, options } = await rig(t);
  await certify();
  const script =
    "stty size; stty -echo; read line; stty size; shopt -q login_shell && echo login; exit 5\n";
  // `script` gives ssh a terminal whose size the test can change.
  const ssh = ["ssh", "-tt", ...options(), `web@${HOST}`].join(" ");
  const child = spawn("script", ["-qfec", `stty rows 33 cols 101; ${ssh}`, "/dev/null"], {
    stdio: "pipe",
  });
  let shown = "";
  child.stdout.on("data", (data) => {
    shown += data;
  });
  const ended = new Promise<number | null>((done) => child.once("close", done));
  child.stdin.write(script);
  while (!/33 101/.test(shown)) await systemClock.sleep(20);
  const { stdout: tty } = await run("sh", [
    "-c",
    `ps -o tty= -p $(pgrep -P ${child.pid} | head -1)`,
  ]);
  await run("stty", ["-F", `/dev/${tty.trim()}`, "rows", "20", "cols", "77"]);
  await run("sh", ["-c", `pkill -WINCH -t ${tty.trim()} ssh`]);
  child.stdin.write("\n");
  assert.equal(await ended, 5, shown);
  assert.match(shown, /20 77/);
});

test("a window that changes while its box is woken is the one that the program begins with", async (t) => {
  const doors = await rig(t);
  const { register, change, folder, port } = doors;
  await register();
  change({ boxes: [{ ...BOX, phase: "paused" }] });
  const waking = Promise.withResolvers<void>();
  doors.resting = waking.promise;
  const client = new ssh2.Client();
  client.on("error", () => {}); // When the door closes.
  t.after(() => client.end());
  const ready = once(client, "ready");
  client.connect({
    ...{ host: HOST, port, username: "web" },
    privateKey: await readFile(join(folder, "id")),
  });
  await ready;
  const program = await new Promise<ClientChannel>((done, fail) =>
    client.exec("stty size", { pty: { rows: 33, cols: 101 } }, (error, channel) =>
      error ? fail(error) : done(channel),
    ),
  );
  program.setWindow(20, 77, 0, 0);
  // What is answered after it has come after it.
  await new Promise<void>((done) => client.exec("true", () => done()));
  let shown = "";
  program.on("data", (data: Buffer) => {
    shown += data;
  });
  waking.resolve();
  await once(program, "close");
  assert.match(shown, /20 77/);
});

test("an ssh that is suspended for a while goes on where it was", async (t) => {
  const { certify, options } = await rig(t, { keepaliveMs: 1000 });
  await certify();
  const child = spawn("ssh", [...options(), `web@${HOST}`, "echo ready; cat"]);
  t.after(() => child.kill("SIGKILL"));
  await once(child.stdout, "data");
  child.kill("SIGSTOP");
  // Six times it is asked whether it is there, as it would be in a minute and a half.
  await systemClock.sleep(6000);
  child.kill("SIGCONT");
  child.stdin.write("still here\n");
  const said = once(child.stdout, "data").then(([data]) => String(data));
  const ended = once(child, "close").then(() => "it ended");
  assert.equal(await Promise.race([said, ended]), "still here\n");
});

test("the agent is forwarded when asked for, and only then", async (t) => {
  const { certify, options, folder } = await rig(t);
  await certify();
  const socket = join(folder, "agent");
  const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
  t.after(() => agent.kill());
  const env = { ...process.env, SSH_AUTH_SOCK: socket };
  const add = () => run("ssh-add", ["-q", join(folder, "id")], { env });
  while (
    !(await add().then(
      () => true,
      () => false,
    ))
  )
    await systemClock.sleep(50);
  const list = async (...flags: string[]) =>
    await runSsh(
      [...flags, ...options(), `web@${HOST}`, "ssh-add -l; echo SOCK=$" + "{SSH_AUTH_SOCK:-none}"],
      "",
      env,
    );
  const forwarded = await list("-A");
  assert.match(forwarded.stdout, /ED25519/, forwarded.stderr);
  assert.match((await list()).stdout, /SOCK=none/);
});

test("a program runs without the agent when the box has no place for its socket", async (t) => {
  const { certify, options, ports, folder } = await rig(t);
  await certify();
  const exec = ports.get(1) as number;
  let count = 0;
  const full = createServer((socket) => {
    socket.on("error", () => {});
    count += 1;
    // The program's own stream comes first.
    if (count === 1) return void socket.pipe(connect(exec, HOST)).pipe(socket);
    socket.resume().end(encodeExecFrame({ kind: "error", code: "cannot_listen", message: "full" }));
  });
  t.after(() => full.close());
  ports.set(1, await listening(full));
  const agent = createServer((socket) => socket.destroy());
  t.after(() => agent.close());
  const path = join(folder, "agent");
  await new Promise<void>((done) => agent.listen(path, done));
  const { code, stdout, stderr } = await runSsh(
    ["-A", ...options(), `web@${HOST}`, "echo $" + "{SSH_AUTH_SOCK:-none}"],
    "",
    { ...process.env, SSH_AUTH_SOCK: path },
  );
  assert.deepEqual([code, stdout], [0, "none\n"], stderr);
  assert.match(stderr, /your agent is not forwarded: full/);
});

test("BOX+SESSION is a terminal that outlives its connection", async (t) => {
  const { certify, options } = await rig(t);
  await certify();
  const name = `s${process.pid}`;
  const first = spawn("ssh", ["-tt", ...options(), `web+${name}@${HOST}`], { stdio: "pipe" });
  let shown = "";
  first.stdout.on("data", (data) => {
    shown += data;
  });
  first.stdin.write("V=kept; echo set$V\n");
  while (!/setkept/.test(shown)) await systemClock.sleep(20);
  first.kill("SIGKILL");
  const second = spawn("ssh", ["-tt", ...options(), `web+${name}@${HOST}`], { stdio: "pipe" });
  const ended = new Promise<number | null>((done) => second.once("close", done));
  let later = "";
  second.stdout.on("data", (data) => {
    later += data;
  });
  second.stdin.write("echo again$V; exit 4\n");
  assert.equal(await ended, 4, later);
  assert.match(later, /setkept/, "what was shown before is shown again");
  assert.match(later, /againkept/);
});
