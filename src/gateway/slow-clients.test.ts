// Slow-loris: thousands of sockets that say little or nothing, at each door of a gateway in a process of its own.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { SshLimits } from "#gateway/ssh-door.ts";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { GatewayLinks } from "#node/gateway-link.ts";
import { openStream } from "#sdk/stream.ts";
import {
  BOX,
  DASHBOARD,
  DoorDriver,
  emptyFeed,
  makeAuthority,
  nodeTls,
  serverTls,
  until,
} from "#test/harness/doors.ts";
import { freePort } from "#test/harness/free-ports.ts";
import { type SshWorld, startSshWorld } from "#test/harness/ssh-world.ts";
import { makeTicketKey, ticketSigner } from "#trust/tickets.ts";
import type { CertificateAuthority } from "#trust/x509.ts";

const SLOW = 2000;
const LIMIT_MS = 1000;
/** Of RSS for each slow socket: TLS state, parser, buffers. */
const LIMIT_BYTES_EACH = 100 * 1024;
const BASE_BYTES = 200 * 1024 * 1024;
const ECHO = 7;

const key = makeTicketKey();
const echo = createServer((socket) => {
  socket.on("error", () => {});
  socket.pipe(socket);
});
let directory = "";
let authority: CertificateAuthority;

before(async () => {
  authority = await makeAuthority();
  directory = await mkdtemp(join(tmpdir(), "berth-slow-"));
  await new Promise<void>((done) => echo.listen(0, "127.0.0.1", done));
});
after(async () => {
  echo.close();
  await rm(directory, { recursive: true, force: true });
});

interface World {
  readonly child: ChildProcess;
  readonly clientPort: number;
  readonly nodePort: number;
  open(): Promise<number>;
  rssBytes(): Promise<number>;
  close(): Promise<void>;
}

/** A gateway with a node that has one box. */
async function startWorld(limits: object): Promise<World> {
  const [nodePort, clientPort] = [await freePort(), await freePort()];
  const config = {
    nodeDoor: { host: "127.0.0.1", port: nodePort, tls: await serverTls(authority, "gateway") },
    clientDoor: { host: "127.0.0.1", port: clientPort },
    feed: emptyFeed(key.publicKeyPem, { previewOrigin: "http://*.preview.test" }),
    limits,
  };
  const path = join(directory, `${nodePort}.json`);
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  const program = join(import.meta.dirname, "../../test/harness/door-process.ts");
  const args = ["--disable-warning=ExperimentalWarning", program, "gateway", path];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((done) => child.stdout.once("data", done));
  const driver = new DoorDriver();
  driver.boxes.set(BOX, { epoch: 1, state: "ready" });
  driver.ports.set(ECHO, (echo.address() as { port: number }).port);
  const tls = await nodeTls(authority);
  const links = new GatewayLinks({ driver, tls, clock: systemClock, log: silentLog });
  links.setGateways([`https://127.0.0.1:${nodePort}`]);
  const world: World = {
    child,
    clientPort,
    nodePort,
    open: async () => {
      const { ticket } = await ticketSigner(key.privateKeyPem)(
        {
          ...{ userId: "usr_a", orgId: "org_a", boxId: BOX, epoch: null, ports: [ECHO] },
          ...{
            kinds: ["port"],
            session: null,
            credentialId: "token_a",
            origin: null,
            gatewayUrl: null,
          },
        },
        Date.now(),
      );
      const sinceMs = performance.now();
      const gatewayUrl = `http://127.0.0.1:${clientPort}`;
      const stream = await openStream({ gatewayUrl, ticket, boxId: BOX, door: { port: ECHO } });
      const heard = new Promise((done) => stream.once("data", done));
      stream.write("x");
      await heard;
      stream.destroy();
      return performance.now() - sinceMs;
    },
    rssBytes: async () => {
      const status = await readFile(`/proc/${child.pid}/status`, "utf8");
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
    },
    close: async () => {
      await links.close();
      const ended = new Promise((done) => child.once("exit", done));
      child.kill("SIGKILL");
      await ended;
    },
  };
  try {
    await until(() => world.open().then(Boolean, () => false), "the box can be entered");
  } catch (error) {
    await world.close();
    throw error;
  }
  return world;
}

/** Slow sockets in a process of their own, so that they cost the one that measures nothing. */
class SlowSockets {
  readonly #child: ChildProcess;
  connected = 0;
  /** Closed by the gateway, and dialled again. */
  closed = 0;

  constructor(port: number, pieces: readonly string[]) {
    const program = join(import.meta.dirname, "../../test/harness/slow-sockets.ts");
    const words = pieces.map((piece) => JSON.stringify(piece));
    this.#child = spawn(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", program, String(SLOW), String(port), ...words],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    this.#child.stdout?.on("data", (text) => {
      const [connected = 0, closed = 0] = String(text)
        .trim()
        .split("\n")
        .at(-1)!
        .split(" ")
        .map(Number);
      this.connected = connected;
      this.closed = closed;
    });
  }

  close(): void {
    this.#child.kill("SIGKILL");
  }
}

const UPGRADE =
  "GET /v1/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n";
const PREVIEW_HEAD = `GET / HTTP/1.1\r\nHost: 3000-abcdefghijklmnop.preview.test\r\n`;
const CLIENT_PIECES = [
  "~",
  `GET /v1/stream?${"x".repeat(2000)}`,
  `GET / HTTP/1.1\r\nHost: x\r\n~X-Slow: ${"x".repeat(2000)}`,
  `${PREVIEW_HEAD}~X-Slow: ${"x".repeat(2000)}`,
  // A page that never shows a ticket: a frame whose bytes do not come.
  `${UPGRADE}Origin: ${DASHBOARD}\r\nSec-WebSocket-Protocol: berth.v1\r\n\r\n~${"x".repeat(2000)}`,
];
const SSH_PIECES = [
  ...["~", "SSH-2.0-slow\r\n~", `SSH-2.0-~${"x".repeat(200)}`],
  // The beginning of a key exchange that is never whole.
  `SSH-2.0-slow\r\n\0\0\x05\xdc\x04\x14~${"x".repeat(1400)}`,
];
const NODE_PIECES = ["~", "\x16\x03\x01\x02~\x00\x01"];

async function withSlow(
  limits: object,
  check: (world: World, slow: SlowSockets[]) => Promise<void>,
) {
  const world = await startWorld(limits);
  const slow: SlowSockets[] = [];
  try {
    slow.push(new SlowSockets(world.clientPort, CLIENT_PIECES));
    slow.push(new SlowSockets(world.nodePort, NODE_PIECES));
    await check(world, slow);
  } finally {
    for (const one of slow) one.close();
    await world.close();
  }
}

async function withSlowSsh(
  limits: Partial<SshLimits>,
  check: (world: SshWorld, slow: SlowSockets) => Promise<void>,
) {
  const world = await startSshWorld(limits);
  const slow = new SlowSockets(world.port, SSH_PIECES);
  try {
    await check(world, slow);
  } finally {
    slow.close();
    await world.close();
  }
}

/** Three times; what else the machine does may make some slow. */
async function quickly(open: () => Promise<number>): Promise<void> {
  const tookMs: number[] = [];
  while (tookMs.filter((ms) => ms < LIMIT_MS).length < 3) {
    assert.ok(tookMs.length < 30, `a new one took ${tookMs.map(Math.round)} ms`);
    tookMs.push(await open());
    await systemClock.sleep(300);
  }
}

async function logIn(world: SshWorld): Promise<number> {
  const sinceMs = performance.now();
  assert.equal(await world.login(), "in\n");
  return performance.now() - sinceMs;
}

test("2,000 slow sockets at each door: a new stream opens within 1 s, and memory is bounded", async () => {
  await withSlow({}, async (world, slow) => {
    const all = () => slow.every(({ connected }) => connected > SLOW * 0.8);
    await until(all, "they are there");
    await quickly(world.open);
    const rss = await world.rssBytes();
    assert.ok(rss < BASE_BYTES + 2 * SLOW * LIMIT_BYTES_EACH, `${rss >> 20} MiB`);
  });
});

test("2,000 at the SSH port: a login is done within 1 s, and memory is bounded", async () => {
  await withSlowSsh({}, async (world, slow) => {
    await until(() => slow.connected > SLOW * 0.8, "they are there");
    await quickly(() => logIn(world));
    const rss = await world.rssBytes();
    assert.ok(rss < BASE_BYTES + SLOW * LIMIT_BYTES_EACH, `${rss >> 20} MiB`);
  });
});

const PATIENT = { requestTimeoutMs: 600_000, handshakeTimeoutMs: 600_000 };

test("when there are more than there is room for, the oldest go and a new stream still opens", async () => {
  await withSlow({ lobby: 300, nodeLobby: 300, ...PATIENT }, async (world, slow) => {
    await until(() => slow.every(({ closed }) => closed > SLOW), "the oldest were dropped");
    const isIn = () => world.open().then(Boolean, () => false);
    await until(isIn, "a new stream before its place is taken");
  });
  await withSlowSsh({ strangers: 1700, loginTimeoutMs: 600_000 }, async (world, slow) => {
    await until(() => slow.closed > SLOW, "the oldest were dropped");
    const isIn = () => logIn(world).then(Boolean, () => false);
    await until(isIn, "a login before its place is taken");
  });
});

/** Now and then one of theirs ends, and its place is free until the next of them takes it. */
async function isKeptOut(enter: () => Promise<unknown>): Promise<void> {
  let refused = 0;
  for (let n = 0; n < 9; n += 1)
    await enter().catch(() => {
      refused += 1;
    });
  assert.ok(refused > 4, `${refused} of 9 refused`);
}

test("without a lobby they keep everybody out", async () => {
  await withSlow({ connections: 300, lobby: 100_000, ...PATIENT }, async (world, [slow]) => {
    await until(() => (slow?.closed ?? 0) > SLOW, "more are there than the door takes");
    await isKeptOut(world.open);
  });
  const open = { connections: 300, strangers: 100_000, loginTimeoutMs: 600_000 };
  await withSlowSsh(open, async (world, slow) => {
    await until(() => slow.closed > SLOW, "more are there than the door takes");
    await isKeptOut(() => logIn(world));
  });
});
