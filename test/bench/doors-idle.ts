// Streams that are open and say nothing: how many one gateway process holds, and what each costs it. Beside it, a
// server that does nothing but hold the same WebSockets.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run as runProgram } from "#lib/run.ts";
import type { Row } from "#test/bench/row.ts";
import { emptyFeed, makeAuthority, nodeTls, serverTls, until } from "#test/harness/doors.ts";
import { freePort } from "#test/harness/free-ports.ts";
import { makeTicketKey, ticketSigner } from "#trust/tickets.ts";

/** Descriptors that the processes need besides their streams. */
const SPARE = 500;
const WANTED = 50_000;
/** A node takes this many streams. */
const PER_NODE = 4000;
const KIB = 1024;
const SETTLE_MS = 5000;
/** Where the machine lets us. */
const RAISE = `ulimit -n ${WANTED + SPARE} 2>/dev/null`;
const harness = join(import.meta.dirname, "../harness");

export async function run(): Promise<Row[]> {
  const most = await descriptors();
  const count = Math.min(WANTED, most - SPARE);
  const directory = await mkdtemp(join(tmpdir(), "berth-idle-"));
  const children: ChildProcess[] = [];
  const start = async (program: string, role: string, config: object) => {
    const path = join(directory, `${role}-${children.length}.json`);
    await writeFile(path, JSON.stringify(config), { mode: 0o600 });
    const args = ["--disable-warning=ExperimentalWarning", join(harness, program), role, path];
    const raised = ["-c", `${RAISE}; exec "$0" "$@"`, process.execPath, ...args];
    const child = spawn("sh", raised, { stdio: ["ignore", "pipe", "inherit"] });
    children.push(child);
    return child;
  };
  try {
    const gateway = await gatewayBytes(count, start);
    const plain = await plainBytes(count, start);
    const [ours, theirs] = [gateway / count / KIB, plain / count / KIB];
    const ratio = theirs / ours;
    const note = `RSS of one process for each of ${count} open streams into boxes of ${nodesFor(count)} nodes; theirs: a ws server that only holds the sockets; the machine lets a process have ${most} descriptors; aim: 16 KiB, 50,000`;
    return [
      { name: "idle stream", ours, theirs, ratio, unit: "KiB", n: 1, spread: [ratio, ratio], note },
    ];
  } finally {
    for (const child of children) child.kill("SIGKILL");
    await rm(directory, { recursive: true, force: true });
  }
}

type Start = (program: string, role: string, config: object) => Promise<ChildProcess>;

async function gatewayBytes(count: number, start: Start): Promise<number> {
  const authority = await makeAuthority();
  const key = makeTicketKey();
  const [nodePort, clientPort] = [await freePort(), await freePort()];
  const gateway = await start("door-process.ts", "gateway", {
    nodeDoor: { host: "127.0.0.1", port: nodePort, tls: await serverTls(authority, "gateway") },
    clientDoor: { host: "127.0.0.1", port: clientPort },
    feed: emptyFeed(key.publicKeyPem),
    limits: { streamsPerUser: 1_000_000 },
  });
  await said(gateway, /ready/);
  const numbers = Array.from({ length: nodesFor(count) }, (_, n) => n);
  const nodes = await Promise.all(
    numbers.map(async (n) => ({ boxId: boxOf(n), tls: await nodeTls(authority, `node_${n}`) })),
  );
  await start("idle-process.ts", "agents", { nodes, gatewayUrl: `https://127.0.0.1:${nodePort}` });
  await until(async () => {
    const health = await fetch(`http://127.0.0.1:${clientPort}/healthz`).then((r) => r.json());
    return (health as { boxes: number }).boxes === numbers.length;
  }, "every node is connected");
  const sign = ticketSigner(key.privateKeyPem, 3_600_000);
  const ways = await Promise.all(
    numbers.map(async (n) => {
      const { ticket } = await sign(
        {
          ...{ userId: "usr_a", orgId: "org_a", boxId: boxOf(n), epoch: null, ports: "any" },
          ...{ kinds: ["port"], session: null, credentialId: "token_a" },
          ...{ origin: null, gatewayUrl: null },
        },
        Date.now(),
      );
      return { path: `/v1/stream?box=${boxOf(n)}&port=1`, ticket };
    }),
  );
  return growth(gateway, start, { count, port: clientPort, ways });
}

async function plainBytes(count: number, start: Start): Promise<number> {
  const port = await freePort();
  const server = await start("idle-process.ts", "plain", { port });
  await said(server, /ready/);
  return growth(server, start, { count, port, ways: [{ path: "/", ticket: "x".repeat(400) }] });
}

interface Clients {
  readonly count: number;
  readonly port: number;
  readonly ways: readonly { readonly path: string; readonly ticket: string }[];
}

async function growth(server: ChildProcess, start: Start, config: Clients) {
  await settled();
  const before = await rssBytes(server);
  const clients = await start("idle-process.ts", "clients", config);
  await said(clients, new RegExp(`^${config.count} 0$`, "m"));
  await settled();
  const after = await rssBytes(server);
  const ended = new Promise((done) => clients.once("exit", done));
  clients.kill("SIGKILL");
  await ended;
  return after - before;
}

function said(child: ChildProcess, what: RegExp): Promise<void> {
  return new Promise((done, fail) => {
    child.stdout?.on("data", (text) => {
      if (what.test(String(text))) done();
    });
    child.once("exit", () => fail(new Error("a part of the bench ended")));
  });
}

function settled(): Promise<void> {
  return new Promise((done) => setTimeout(done, SETTLE_MS));
}

async function rssBytes({ pid }: ChildProcess): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * KIB;
}

async function descriptors(): Promise<number> {
  const { stdout } = await runProgram(["sh", "-c", `${RAISE}; ulimit -n`]);
  return Number(stdout);
}

function nodesFor(count: number): number {
  return Math.ceil(count / PER_NODE);
}

function boxOf(n: number): string {
  return `box_${n}`;
}
