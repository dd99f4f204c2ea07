// Ways into a box beside plain OpenSSH: logins through the gateway's SSH door, the echo of a keystroke, and bulk output.
// The box's end is this machine (the guest's own exec server and a real sshd), so that what is measured is the doors
// and not an emulated processor. Gateway, agent, our client and the clients that flood are processes of their own.

import { type ChildProcess, spawn } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { FeedBox } from "#contract/gateway-feed.ts";
import { run as runProgram } from "#lib/run.ts";
import { makeHostKey, makeSshKey } from "#lib/ssh-keys.ts";
import { nodeFlags } from "#main/node-flags.ts";
import { openStream } from "#sdk/stream.ts";
import { type Pair, type Row, rowOf } from "#test/bench/row.ts";
import { StandIns } from "#test/bench/stand-ins.ts";
import {
  BOX,
  emptyFeed,
  makeAuthority,
  NODE,
  nodeTls,
  serverTls,
  USER,
  until,
} from "#test/harness/doors.ts";
import { TOKEN } from "#test/harness/exec-host.ts";
import { freePort } from "#test/harness/free-ports.ts";
import { type Sshd, startSshd } from "#test/harness/sshd.ts";
import {
  knownHostsLine,
  loadSshAuthority,
  makeSshAuthorityKey,
  signHostCertificate,
  signUserCertificate,
} from "#trust/ssh-certificates.ts";
import { makeTicketKey, type TicketSigner, ticketSigner } from "#trust/tickets.ts";
import { ExecFrameDecoder, encodeExecFrame } from "#wire/exec-frames.ts";

const HOST = "127.0.0.1";
const EXEC_PORT = 1;
const HOUR_MS = 3_600_000;
const LOGINS = 15;
const KEYS = 300;
const ECHO_ROUNDS = 5;
const FLOODERS = 8;
const BULK_BYTES = 256 * 1024 * 1024;
const MIB = 1024 * 1024;
/** What one web terminal of Coder was reported to carry (its issue 8556): MB/s, of another machine. */
const CODER_MBS = 15;

const FEED_BOX: FeedBox = {
  ...{ boxId: BOX, name: "jumped", orgId: "org", ownerId: USER, teamId: null, shares: [] },
  ...{ phase: "running", reason: null, epoch: 1, nodeId: NODE },
};

export async function run(): Promise<Row[]> {
  const rig = await Rig.open();
  try {
    // Floods come last: their programs outlive those who read them.
    return [...(await loginRows(rig)), await bulkRow(rig), ...(await echoRows(rig))];
  } finally {
    await rig.close();
  }
}

async function loginRows(rig: Rig): Promise<Row[]> {
  const direct: Pair[] = [];
  const jump: Pair[] = [];
  for (let n = 0; n <= LOGINS; n += 1) {
    const oursMs = await rig.login("box");
    const directMs = await rig.login("direct");
    const jumpMs = await rig.login("jumped.berth");
    if (n === 0) continue;
    direct.push({ ours: oursMs, theirs: directMs });
    jump.push({ ours: oursMs, theirs: jumpMs });
  }
  const what = "`ssh BOX@gateway true`, a new connection each; same key exchange and cipher";
  return [
    rowOf(
      "T14 SSH login: direct to a sshd ÷ through the gateway",
      "ms",
      direct,
      `${what}; aim: 0.91`,
    ),
    rowOf("T14 SSH login: `ssh -J gateway` ÷ `ssh BOX@gateway`", "ms", jump, `${what}; aim: 1.43`),
  ];
}

async function echoRows(rig: Rig): Promise<Row[]> {
  const rows: Row[] = [];
  for (const flooders of [0, FLOODERS]) {
    const stop = await rig.flood(flooders);
    const [p50, p99]: Pair[][] = [[], []];
    for (let round = 0; round < ECHO_ROUNDS; round += 1) {
      const ours = await rig.echoMs();
      const theirs = await rig.sshEchoMs();
      p50?.push({ ours: quantile(ours, 0.5), theirs: quantile(theirs, 0.5) });
      p99?.push({ ours: quantile(ours, 0.99), theirs: quantile(theirs, 0.99) });
    }
    await stop();
    const beside = flooders ? `, beside ${flooders} boxes that flood` : "";
    const note = `a byte typed until its echo is back, ${KEYS} a round; theirs: plain ssh -tt to a sshd`;
    rows.push(rowOf(`T15 terminal echo p50${beside}`, "ms", p50 ?? [], `${note}; aim: 0.83`));
    rows.push(rowOf(`T15 terminal echo p99${beside}`, "ms", p99 ?? [], note));
  }
  return rows;
}

async function bulkRow(rig: Rig): Promise<Row> {
  const pairs: Pair[] = [];
  for (let round = 0; round < 3; round += 1)
    pairs.push({ ours: await rig.bulkMbs(), theirs: CODER_MBS });
  const name = "T16 bulk output of one session ÷ 15 MB/s";
  const row = rowOf(
    name,
    "MB/s",
    pairs,
    "theirs: what Coder's issue 8556 reports, elsewhere; aim: 10",
  );
  return { ...row, ratio: 1 / row.ratio, spread: [1 / row.spread[1], 1 / row.spread[0]] };
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

interface Parts {
  readonly folder: string;
  readonly gateway: ChildProcess;
  readonly agent: ChildProcess;
  readonly gatewayUrl: string;
  readonly sign: TicketSigner;
  readonly boxes: StandIns;
  readonly sshd: Sshd;
}

class Rig {
  readonly #parts: Parts;
  #sessions = 0;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  static async open(): Promise<Rig> {
    const folder = await mkdtemp(join(tmpdir(), "berth-bench-doors-"));
    const users = loadSshAuthority(makeSshAuthorityKey(), "users");
    const hosts = loadSshAuthority(makeSshAuthorityKey(), "hosts");
    const during = { notBeforeMs: Date.now() - HOUR_MS, notAfterMs: Date.now() + HOUR_MS };
    const hostKey = (principal: string) => {
      const { privateKeyOpenssh, publicKeyLine } = makeHostKey();
      const certificate = signHostCertificate(hosts, {
        ...{ publicKeyLine, keyId: principal, principals: [principal], ...during },
      });
      return { privateKeyOpenssh, certificate };
    };
    const boxes = await StandIns.open();
    const box = await boxes.start("box");
    const loud: [number, number][] = [];
    for (let n = 1; n <= FLOODERS; n += 1)
      loud.push([EXEC_PORT + n, (await boxes.start(`loud-${n}`)).port]);
    const sshdKey = hostKey("jumped.berth");
    const sshd = await startSshd({
      ...{ userCaLine: users.publicKeyLine, principals: [BOX] },
      ...{ hostPrivateKeyOpenssh: sshdKey.privateKeyOpenssh, hostCertificate: sshdKey.certificate },
    });
    await boxes.enter("box", sshd.pid);
    const authority = await makeAuthority();
    const ticketKey = makeTicketKey();
    const [nodePort, clientPort, sshPort] = [await freePort(), await freePort(), await freePort()];
    const gatewayUrl = `http://${HOST}:${clientPort}`;
    const feed = emptyFeed(ticketKey.publicKeyPem, { sshUserCa: users.publicKeyLine });
    const gateway = await startPart(folder, "gateway", {
      nodeDoor: { host: HOST, port: nodePort, tls: await serverTls(authority, "gateway") },
      clientDoor: { host: HOST, port: clientPort, url: gatewayUrl },
      ssh: { port: sshPort, ...hostKey("gateway") },
      feed: { ...feed, boxes: [FEED_BOX] },
    });
    const agent = await startPart(folder, "agent", {
      ...{ tls: await nodeTls(authority), gatewayUrl: `https://${HOST}:${nodePort}` },
      execToken: TOKEN,
      ports: [[EXEC_PORT, box.port], [22, sshd.port], ...loud],
    });
    await writeClient(folder, sshPort, sshd.port, {
      knownHosts: knownHostsLine(hosts.publicKeyLine, "gateway,jumped.berth"),
      certify: (publicKeyLine) =>
        signUserCertificate(users, {
          ...{ publicKeyLine, keyId: `${USER}@${BOX}#token_bench`, principals: [BOX], ...during },
        }),
    });
    await until(async () => {
      const health = await fetch(`${gatewayUrl}/healthz`);
      return ((await health.json()) as { boxes: number }).boxes === 1;
    }, "the box is announced");
    const sign = ticketSigner(ticketKey.privateKeyPem);
    return new Rig({ folder, gateway, agent, gatewayUrl, sign, boxes, sshd });
  }

  async #ticket(): Promise<string> {
    const ticket = {
      ...{ userId: USER, orgId: FEED_BOX.orgId, boxId: BOX, epoch: null, ports: "any" as const },
      ...{ kinds: ["port" as const], session: null, credentialId: "token_bench" },
      ...{ origin: null, gatewayUrl: null },
    };
    return (await this.#parts.sign(ticket, Date.now())).ticket;
  }

  async #open(): Promise<Duplex> {
    const { gatewayUrl } = this.#parts;
    const ticket = await this.#ticket();
    return openStream({ gatewayUrl, ticket, boxId: BOX, door: { port: EXEC_PORT } });
  }

  async login(host: string): Promise<number> {
    const startedMs = performance.now();
    await runProgram(["ssh", "-F", join(this.#parts.folder, "config"), host, "true"]);
    return performance.now() - startedMs;
  }

  /** A terminal in the box, through client door, gateway and agent. */
  async #terminal(argv: readonly string[]): Promise<Duplex> {
    const stream = await this.#open();
    this.#sessions += 1;
    const start = { kind: "start", argv, user: "root", pty: { rows: 24, cols: 80 } } as const;
    stream.write(encodeExecFrame({ ...start, session: `bench-${this.#sessions}` }));
    return stream;
  }

  async echoMs(): Promise<number[]> {
    const stream = await this.#terminal(["cat"]);
    const decoder = new ExecFrameDecoder();
    let heard = () => {};
    stream.on("data", (chunk: Buffer) => {
      for (const frame of decoder.push(chunk))
        if (frame.kind === "attached" || frame.kind === "stdout") heard();
    });
    await new Promise<void>((done) => {
      heard = done;
    });
    const key = encodeExecFrame({ kind: "stdin", data: Buffer.from("x") });
    const times = await typed(
      () => stream.write(key),
      (listener) => {
        heard = listener;
      },
    );
    stream.destroy();
    return times;
  }

  async sshEchoMs(): Promise<number[]> {
    const child = spawn("ssh", ["-tt", "-F", join(this.#parts.folder, "config"), "direct", "cat"]);
    let heard = () => {};
    child.stdout.on("data", () => heard());
    // The first byte may be echoed by the terminal before `cat` runs; either way it is there.
    child.stdin.write("x");
    await new Promise<void>((done) => {
      heard = done;
    });
    const times = await typed(
      () => child.stdin.write("x"),
      (listener) => {
        heard = listener;
      },
    );
    const closed = new Promise((done) => child.once("close", done));
    child.kill();
    await closed;
    return times;
  }

  /** A session in each of so many other boxes, whose output another process takes and drops; returns what ends them. */
  async flood(count: number): Promise<() => Promise<void>> {
    if (count === 0) return async () => {};
    const { folder, gatewayUrl } = this.#parts;
    const argv = ["cat", "/dev/zero"];
    const ticket = await this.#ticket();
    const ports = Array.from({ length: count }, (_, n) => EXEC_PORT + 1 + n);
    const config = { gatewayUrl, ticket, ports, token: TOKEN, argv };
    const clients = await startPart(folder, "flood", config);
    return async () => stopPart(clients);
  }

  async bulkMbs(): Promise<number> {
    const stream = await this.#open();
    this.#sessions += 1;
    const argv = ["head", "-c", String(BULK_BYTES), "/dev/zero"];
    const startedMs = performance.now();
    stream.write(
      encodeExecFrame({ kind: "start", argv, user: "root", session: `bench-${this.#sessions}` }),
    );
    let bytes = 0;
    await new Promise<void>((done, fail) => {
      stream.on("error", fail);
      stream.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes >= BULK_BYTES) done();
      });
    });
    stream.destroy();
    return BULK_BYTES / MIB / ((performance.now() - startedMs) / 1000);
  }

  async close(): Promise<void> {
    const { sshd, gateway, agent, boxes, folder } = this.#parts;
    await sshd.stop();
    await Promise.all([stopPart(gateway), stopPart(agent)]);
    await boxes.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Resolves when it serves. */
async function startPart(
  folder: string,
  role: "gateway" | "agent" | "flood",
  config: object,
): Promise<ChildProcess> {
  const path = join(folder, `${role}.json`);
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  const program = join(import.meta.dirname, "../harness/door-process.ts");
  const profiling = process.env.BENCH_PROFILE === role ? ["--cpu-prof", "--cpu-prof-dir=/tmp"] : [];
  const flags = nodeFlags(role === "agent" ? "node" : role);
  const child = spawn(process.execPath, [...flags, ...profiling, program, role, path], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true, // As the supervisor starts them: the kernel shares the CPUs among sessions first.
  });
  await new Promise<void>((done, fail) => {
    child.stdout?.once("data", () => done());
    child.once("exit", () => fail(new Error(`the ${role} did not start`)));
  });
  return child;
}

async function stopPart(child: ChildProcess): Promise<void> {
  const ended = new Promise((done) => child.once("exit", done));
  child.kill(process.env.BENCH_PROFILE ? "SIGINT" : "SIGKILL");
  await ended;
}

async function typed(press: () => void, listen: (listener: () => void) => void): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < KEYS; n += 1) {
    const startedMs = performance.now();
    await new Promise<void>((done) => {
      listen(done);
      press();
    });
    times.push(performance.now() - startedMs);
  }
  return times;
}

async function writeClient(
  folder: string,
  gatewayPort: number,
  sshdPort: number,
  trust: { readonly knownHosts: string; readonly certify: (publicKeyLine: string) => string },
): Promise<void> {
  const key = makeSshKey("bench");
  const path = (name: string) => join(folder, name);
  await writeFile(path("id"), key.privateKeyOpenssh);
  await chmod(path("id"), 0o600);
  await writeFile(path("id-cert.pub"), `${trust.certify(key.publicKeyLine)}\n`);
  await writeFile(path("known_hosts"), `${trust.knownHosts}\n`);
  await writeFile(
    path("config"),
    `Host box gateway
  HostName ${HOST}
  Port ${gatewayPort}
  User jumped
  HostKeyAlias gateway
Host direct
  HostName ${HOST}
  Port ${sshdPort}
  User dev
  HostKeyAlias jumped.berth
Host jumped.berth
  User dev
  ProxyJump gateway
Host *
  BatchMode yes
  LogLevel ERROR
  KexAlgorithms curve25519-sha256
  Ciphers aes128-gcm@openssh.com
  IdentitiesOnly yes
  IdentityFile ${path("id")}
  UserKnownHostsFile ${path("known_hosts")}
  StrictHostKeyChecking yes
`,
  );
}
