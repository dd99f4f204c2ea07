// Ways into a box beside plain OpenSSH: logins through the gateway's SSH door, the echo of a keystroke, and bulk output.
// The box's end is this machine (the guest's own exec server and a real sshd), so that what is measured is the doors
// and not an emulated processor. Gateway, agent and our client share one process, which is no help to us.

import { spawn } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { sshBoxes } from "#gateway/ssh-boxes.ts";
import { openSshDoor } from "#gateway/ssh-door.ts";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { run as runProgram } from "#lib/run.ts";
import { makeHostKey, makeSshKey } from "#lib/ssh-keys.ts";
import { openStream } from "#sdk/stream.ts";
import { type Pair, type Row, rowOf } from "#test/bench/row.ts";
import { BOX, type Doors, NODE, openDoors, USER } from "#test/harness/doors.ts";
import { type ExecHost, execDoor, startExecHost } from "#test/harness/exec-host.ts";
import { type Sshd, startSshd } from "#test/harness/sshd.ts";
import {
  knownHostsLine,
  loadSshAuthority,
  makeSshAuthorityKey,
  signHostCertificate,
  signUserCertificate,
} from "#trust/ssh-certificates.ts";
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

export async function run(): Promise<Row[]> {
  const rig = await Rig.open();
  try {
    return [...(await loginRows(rig)), ...(await echoRows(rig)), await bulkRow(rig)];
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
    stop();
    const beside = flooders ? `, beside ${flooders} sessions that flood` : "";
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

class Rig {
  readonly #folder: string;
  readonly #doors: Doors;
  readonly #box: ExecHost;
  readonly #opener: Server;
  readonly #sshd: Sshd;
  #sessions = 0;

  private constructor(parts: [string, Doors, ExecHost, Server, Sshd]) {
    [this.#folder, this.#doors, this.#box, this.#opener, this.#sshd] = parts;
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
    const { privateKeyOpenssh, certificate } = hostKey("gateway");
    const doors = await openDoors({
      ssh: (base) =>
        openSshDoor({
          ...{ host: HOST, port: 0, clock: systemClock, log: silentLog, boxUser: "root" },
          hostKey: { privateKeyOpenssh, certificateLine: () => certificate },
          boxes: sshBoxes(base),
        }),
    });
    const box = await startExecHost(["-O2"]);
    const opener = await execDoor(box.port);
    const sshdKey = hostKey("jumped.berth");
    const sshd = await startSshd({
      ...{ userCaLine: users.publicKeyLine, principals: [BOX] },
      ...{ hostPrivateKeyOpenssh: sshdKey.privateKeyOpenssh, hostCertificate: sshdKey.certificate },
    });
    doors.driver.ports.set(EXEC_PORT, (opener.address() as { port: number }).port);
    doors.driver.ports.set(22, sshd.port);
    doors.known.apply(
      {
        kind: "change",
        settings: { ...doors.known.settings, sshUserCa: users.publicKeyLine },
        boxes: [
          {
            boxId: BOX,
            name: "jumped",
            orgId: "org",
            ownerId: USER,
            phase: "running",
            reason: null,
            epoch: 1,
            nodeId: NODE,
          },
        ],
        ...{
          goneBoxes: [],
          previews: [],
          gonePreviews: [],
          keys: [],
          goneKeys: [],
          revocations: [],
        },
      },
      Date.now(),
    );
    await writeClient(folder, doors.gateway.sshPort ?? 0, sshd.port, {
      knownHosts: knownHostsLine(hosts.publicKeyLine, "gateway,jumped.berth"),
      certify: (publicKeyLine) =>
        signUserCertificate(users, {
          ...{ publicKeyLine, keyId: `${USER}@${BOX}#token_bench`, principals: [BOX], ...during },
        }),
    });
    return new Rig([folder, doors, box, opener, sshd]);
  }

  async login(host: string): Promise<number> {
    const startedMs = performance.now();
    await runProgram(["ssh", "-F", join(this.#folder, "config"), host, "true"]);
    return performance.now() - startedMs;
  }

  /** A terminal in the box, through client door, gateway and agent. */
  async #terminal(argv: readonly string[]): Promise<Duplex> {
    const stream = await openStream({
      ...{ gatewayUrl: this.#doors.gatewayUrl, ticket: await this.#doors.mint(), boxId: BOX },
      door: { port: EXEC_PORT },
    });
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
    const child = spawn("ssh", ["-tt", "-F", join(this.#folder, "config"), "direct", "cat"]);
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

  /** Sessions whose output is taken and dropped; returns what ends them. */
  async flood(count: number): Promise<() => void> {
    const streams = await Promise.all(
      Array.from({ length: count }, () => this.#terminal(["cat", "/dev/zero"])),
    );
    for (const stream of streams) stream.resume();
    return () => {
      for (const stream of streams) stream.destroy();
    };
  }

  async bulkMbs(): Promise<number> {
    const stream = await openStream({
      ...{ gatewayUrl: this.#doors.gatewayUrl, ticket: await this.#doors.mint(), boxId: BOX },
      door: { port: EXEC_PORT },
    });
    this.#sessions += 1;
    const argv = ["head", "-c", String(BULK_BYTES), "/dev/zero"];
    const startedMs = performance.now();
    stream.write(
      encodeExecFrame({ kind: "start", argv, user: "root", session: `bench-${this.#sessions}` }),
    );
    let bytes = 0;
    for await (const chunk of stream) {
      bytes += (chunk as Buffer).length;
      if (bytes >= BULK_BYTES) break;
    }
    return BULK_BYTES / MIB / ((performance.now() - startedMs) / 1000);
  }

  async close(): Promise<void> {
    await this.#sshd.stop();
    await this.#doors.close();
    this.#opener.close();
    await this.#box.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
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
