// The SSH door against the system's own OpenSSH client.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { Problem } from "#contract/errors.ts";
import type { FeedBox, FeedChange, FeedFull } from "#contract/gateway-feed.ts";
import { KnownState } from "#gateway/known.ts";
import { openSshDoor, type SshLimits } from "#gateway/ssh-door.ts";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { makeHostKey } from "#lib/ssh-keys.ts";
import { NODE, until } from "#test/harness/doors.ts";
import { type ExecHost, startExecHost, TOKEN } from "#test/harness/exec-host.ts";
import { startSshd } from "#test/harness/sshd.ts";
import {
  knownHostsLine,
  loadSshAuthority,
  makeSshAuthorityKey,
  type SshAuthority,
  signHostCertificate,
  signUserCertificate,
  type UserCertificateOptions,
} from "#trust/ssh-certificates.ts";
import { encodeExecFrame } from "#wire/exec-frames.ts";

const run = promisify(execFile);
const HOST = "127.0.0.1";
const MINUTE_MS = 60_000;
const USER = "usr_0123456789abcdefghjk";
const ORG = "org_0123456789abcdefghjk";
const CREDENTIAL = "token_0123456789abcdefghjk";
const BOX: FeedBox = {
  boxId: "box_0123456789abcdefghjk",
  name: "web",
  orgId: ORG,
  ownerId: USER,
  teamId: null,
  shares: [],
  phase: "running",
  reason: null,
  epoch: 1,
  nodeId: NODE,
};
const OTHERS: FeedBox = {
  ...BOX,
  boxId: "box_theirs000000000000",
  name: "theirs",
  ownerId: "usr_b",
};

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const userAuthority = loadSshAuthority(makeSshAuthorityKey(), "users");
const hostAuthority = loadSshAuthority(makeSshAuthorityKey(), "hosts");

interface Rig {
  readonly known: KnownState;
  /** TCP ports of the box, as ports of this machine. */
  readonly ports: Map<number, number>;
  readonly folder: string;
  readonly port: number;
  /** Boxes that were waited for. */
  readonly woken: string[];
  ssh(args: readonly string[], stdin?: string): Promise<Ended>;
  /** Options of ssh that stand before the host. */
  options(): string[];
  change(change: Partial<FeedChange>): void;
  /** Makes `id` (and `id-cert.pub`) in the folder. */
  certify(change?: Partial<UserCertificateOptions>, authority?: SshAuthority): Promise<void>;
  /** Registers `id`. */
  register(userId?: string): Promise<void>;
}

const FULL: FeedFull = {
  kind: "full",
  settings: {
    ticketKeysPem: [],
    sshUserCa: userAuthority.publicKeyLine,
    sshHostCa: hostAuthority.publicKeyLine,
    dashboardOrigin: "http://localhost:7300",
    previewOrigin: null,
  },
  boxes: [BOX, OTHERS],
  previews: [],
  goneLabels: [],
  keys: [],
  members: [
    { orgId: ORG, userId: USER, roles: ["member"], teams: [] },
    { orgId: ORG, userId: "usr_b", roles: ["member"], teams: [] },
  ],
  revocations: [],
};
const NOTHING: FeedChange = {
  kind: "change",
  ...{ boxes: [], goneBoxes: [], previews: [], gonePreviews: [] },
  ...{ keys: [], goneKeys: [], members: [], goneMembers: [], revocations: [] },
};

async function listening(server: Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, HOST, done));
  return (server.address() as { port: number }).port;
}

let shared: Promise<ExecHost> | null = null;
/** The guest's own exec server, compiled once. */
function execHost(): Promise<ExecHost> {
  shared ??= startExecHost();
  return shared;
}
after(async () => (await shared)?.stop());

async function rig(t: TestContext, limits: Partial<SshLimits> = {}): Promise<Rig> {
  const folder = await mkdtemp(join(tmpdir(), "berth-ssh-door-"));
  const known = new KnownState(FULL, Date.now());
  const ports = new Map<number, number>();
  const woken: string[] = [];
  const hostKey = makeHostKey();
  const certificate = signHostCertificate(hostAuthority, {
    ...{ publicKeyLine: hostKey.publicKeyLine, keyId: "gateway", principals: ["gw.berth"] },
    ...{ notBeforeMs: Date.now() - MINUTE_MS, notAfterMs: Date.now() + 60 * MINUTE_MS },
  });
  const door = await openSshDoor({
    ...{ host: HOST, port: 0, clock: systemClock, log: silentLog, limits, boxUser: "root" },
    hostKey: {
      privateKeyOpenssh: hostKey.privateKeyOpenssh,
      certificateLine: () => certificate,
    },
    boxes: {
      known,
      open: async (_login, box, target, { onPhase }) => {
        if (box.phase !== "running") {
          onPhase?.("resuming", "restoring memory");
          woken.push(box.name);
        }
        const port = "port" in target ? ports.get(target.port) : undefined;
        if (port === undefined) throw new Problem("port_closed", "nothing listens there");
        return await new Promise<Socket>((resolve, reject) => {
          const socket = connect({ port, host: HOST, allowHalfOpen: true, noDelay: true });
          socket.once("error", reject);
          socket.once("connect", () => resolve(socket));
          // As the node does it.
          if ("port" in target && target.port === 1)
            socket.write(encodeExecFrame({ kind: "auth", token: TOKEN }));
        });
      },
    },
  });
  const exec = await execHost();
  ports.set(1, exec.port);
  t.after(async () => {
    await door.close();
    await rm(folder, { recursive: true, force: true });
  });
  await writeFile(
    join(folder, "known_hosts"),
    `${knownHostsLine(hostAuthority.publicKeyLine, "gw.berth,*.berth")}\n`,
  );
  const options = () => [
    ...["-F", "none", "-p", String(door.port), "-i", join(folder, "id")],
    ...["-o", `UserKnownHostsFile=${join(folder, "known_hosts")}`, "-o", "HostKeyAlias=gw.berth"],
    ...["-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"],
    ...["-o", "GlobalKnownHostsFile=none", "-o", "ForwardX11=no"],
  ];
  const keygen = async () => {
    const path = join(folder, "id");
    for (const name of ["id", "id.pub", "id-cert.pub"])
      await rm(join(folder, name), { force: true });
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path]);
    return (await readFile(`${path}.pub`, "utf8")).trim();
  };
  return {
    ...{ known, ports, folder, woken, options, port: door.port },
    ssh: (args, stdin) => runSsh([...options(), ...args], stdin),
    change: (change) => known.apply({ ...NOTHING, ...change }, Date.now()),
    certify: async (change = {}, authority = userAuthority) => {
      const publicKeyLine = await keygen();
      const certificate = signUserCertificate(authority, {
        ...{ publicKeyLine, keyId: `${USER}@${BOX.boxId}#${CREDENTIAL}`, principals: [BOX.boxId] },
        ...{ notBeforeMs: Date.now() - MINUTE_MS, notAfterMs: Date.now() + 5 * MINUTE_MS },
        ...change,
      });
      await writeFile(join(folder, "id-cert.pub"), `${certificate}\n`);
    },
    register: async (userId = USER) => {
      await keygen();
      const { stdout } = await run("ssh-keygen", ["-lf", join(folder, "id.pub")]);
      const key = { keyId: "key_1", fingerprint: stdout.split(" ")[1] ?? "", userId, orgId: ORG };
      known.apply({ ...NOTHING, keys: [key] }, Date.now());
    },
  };
}

function runSsh(
  args: readonly string[],
  stdin = "",
  env: NodeJS.ProcessEnv = process.env,
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn("ssh", args, { stdio: "pipe", env });
    const said = { stdout: "", stderr: "" };
    for (const kind of ["stdout", "stderr"] as const)
      child[kind].on("data", (data) => {
        said[kind] += data;
      });
    child.stdin.on("error", () => {});
    child.stdin.end(stdin);
    child.on("close", (code) => resolve({ code: code ?? 255, ...said }));
  });
}

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
  await new Promise((done) => child.stdout.once("data", done));
  change({ revocations: [{ credentialId: CREDENTIAL, untilMs: Date.now() + MINUTE_MS }] });
  assert.equal(await ended, 255);
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

test("-L reaches a port of the box, what the box can reach, and no other box", async (t) => {
  const { certify, options, ports } = await rig(t);
  await certify();
  const app = createServer((socket) => socket.end("the app"));
  t.after(() => app.close());
  ports.set(8080, await listening(app));
  const via = (target: string) => runSsh([...options(), "-W", target, `web@${HOST}`]);
  assert.equal((await via("localhost:8080")).stdout, "the app");
  assert.equal((await via("web:8080")).stdout, "the app");
  assert.match((await via("localhost:81")).stderr, /forwarding failed|open failed/);
  // An address is dialed from the box, which here is this machine.
  const elsewhere = createServer((socket) => socket.end("elsewhere"));
  t.after(() => elsewhere.close());
  await new Promise<void>((done) => elsewhere.listen(0, "0.0.0.0", done));
  const { port } = elsewhere.address() as { port: number };
  const { stdout: addresses } = await run("hostname", ["-I"]);
  const own = addresses.split(" ").find((address) => /^\d+\./.test(address)) ?? "";
  if (own) assert.equal((await via(`${own}:${port}`)).stdout, "elsewhere");
  assert.match((await via("0.0.0.0:1")).stderr, /forwarding failed|open failed/);
  assert.match((await via("some.name:80")).stderr, /forwarding failed|open failed/);
  assert.match((await via("theirs.berth:8080")).stderr, /forwarding failed|open failed/);
});

test("ssh -J goes end to end to the box's own sshd", async (t) => {
  const { certify, ports, folder, port } = await rig(t);
  await certify();
  const host = makeHostKey();
  const sshd = await startSshd({
    userCaLine: userAuthority.publicKeyLine,
    principals: [BOX.boxId],
    hostPrivateKeyOpenssh: host.privateKeyOpenssh,
    hostCertificate: signHostCertificate(hostAuthority, {
      ...{ publicKeyLine: host.publicKeyLine, keyId: "box", principals: ["web.berth"] },
      ...{ notBeforeMs: Date.now() - MINUTE_MS, notAfterMs: Date.now() + 60 * MINUTE_MS },
    }),
  });
  t.after(() => sshd.stop());
  ports.set(22, sshd.port);
  const config = join(folder, "config");
  await writeFile(
    config,
    `Host gw.berth
  HostName ${HOST}
  Port ${port}
  User anybody
  HostKeyAlias gw.berth
Host *
  IdentityFile ${join(folder, "id")}
  IdentitiesOnly yes
  UserKnownHostsFile ${join(folder, "known_hosts")}
  StrictHostKeyChecking yes
  BatchMode yes
`,
  );
  const { stdout, stderr, code } = await runSsh([
    ...["-F", config, "-J", "gw.berth", "dev@web.berth", "echo inside as $(id -un)"],
  ]);
  assert.equal(stdout, "inside as dev\n", stderr);
  assert.equal(code, 0);
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

test("no password, no empty login", async (t) => {
  const { options } = await rig(t);
  const tries = ["-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password"];
  const { stderr } = await runSsh([...options(), ...tries, `web@${HOST}`, "true"]);
  assert.match(stderr, /Permission denied \(publickey\)/);
});

test("strangers are shown the door in time, and those who logged in stay", async (t) => {
  const { certify, options, port } = await rig(t, { loginTimeoutMs: 1500 });
  await certify();
  const silent = connect(port, HOST);
  const halfway = connect(port, HOST, () => halfway.write("SSH-2.0-half\r\n"));
  const child = spawn("ssh", [...options(), `web@${HOST}`, "echo ready; cat"]);
  t.after(() => child.kill());
  await new Promise((done) => child.stdout.once("data", done));
  for (const stranger of [silent, halfway]) {
    stranger.resume();
    await new Promise((done) => stranger.once("close", done));
  }
  await systemClock.sleep(1500);
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

test("-R: what connects in the box reaches this machine", async (t) => {
  const { certify, ssh } = await rig(t);
  await certify();
  const here = createServer((socket) => socket.end("from home"));
  t.after(() => here.close());
  const port = await listening(here);
  const inBox = 20_000 + Math.floor(process.pid % 20_000);
  const { stdout, stderr } = await ssh([
    ...["-R", `${inBox}:${HOST}:${port}`, "-o", "ExitOnForwardFailure=yes", `web@${HOST}`],
    `exec 3<>/dev/tcp/127.0.0.1/${inBox}; cat <&3`,
  ]);
  assert.equal(stdout, "from home", stderr);
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
