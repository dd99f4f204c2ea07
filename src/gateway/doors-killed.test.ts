// What a client sees when a gateway or an agent is killed, and that the way in comes back by itself.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { after, before, test } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { GatewayLinks } from "#node/gateway-link.ts";
import { openStream, StreamBroken } from "#sdk/stream.ts";
import {
  BOX,
  DoorDriver,
  type Doors,
  emptyFeed,
  makeAuthority,
  nodeTls,
  openDoors,
  serverTls,
  until,
} from "#test/harness/doors.ts";
import { freePort } from "#test/harness/free-ports.ts";
import { makeTicketKey, ticketSigner } from "#trust/tickets.ts";

const ECHO = 7;
/** No time-out of anything is so short; a busy machine is not so slow. */
const AT_ONCE_MS = 10_000;
let directory = "";
let echo: Server;
let echoPort = 0;
const children = new Set<ChildProcess>();

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "berth-doors-"));
  echo = createServer((socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((done) => echo.listen(0, "127.0.0.1", done));
  echoPort = (echo.address() as { port: number }).port;
});

after(async () => {
  for (const child of children) child.kill("SIGKILL");
  echo.close();
  await rm(directory, { recursive: true, force: true });
});

async function startProcess(role: "gateway" | "agent", config: object): Promise<ChildProcess> {
  const path = join(directory, `${role}.json`);
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  const program = join(import.meta.dirname, "../../test/harness/door-process.ts");
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", program, role, path],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  children.add(child);
  await new Promise<void>((done, fail) => {
    child.stdout.once("data", () => done());
    child.once("exit", () => fail(new Error(`${role} did not start`)));
  });
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = new Promise((done) => child.once("exit", done));
  child.kill("SIGKILL");
  await ended;
}

async function talk(stream: Duplex, word: string): Promise<void> {
  const heard = new Promise<string>((done, fail) => {
    stream.once("data", (bytes) => done(String(bytes)));
    stream.once("error", fail);
  });
  stream.write(word);
  assert.equal(await heard, word);
}

const breakOf = (stream: Duplex) => new Promise<Error>((done) => stream.once("error", done));

test("a gateway that is killed breaks its streams; the node finds the next one by itself", async () => {
  const authority = await makeAuthority();
  const key = makeTicketKey();
  const [nodePort, clientPort] = [await freePort(), await freePort()];
  const config = {
    nodeDoor: { host: "127.0.0.1", port: nodePort, tls: await serverTls(authority, "gateway") },
    clientDoor: { host: "127.0.0.1", port: clientPort },
    feed: emptyFeed(key.publicKeyPem),
  };
  const driver = new DoorDriver();
  driver.boxes.set(BOX, { epoch: 1, state: "ready" });
  driver.ports.set(ECHO, echoPort);
  // Before there is any gateway: the link keeps trying.
  const links = new GatewayLinks({
    driver,
    tls: await nodeTls(authority),
    clock: systemClock,
    log: silentLog,
    times: { backoffMaxMs: 500 },
  });
  try {
    links.setGateways([`https://127.0.0.1:${nodePort}`]);
    const { ticket } = await ticketSigner(key.privateKeyPem)(
      {
        userId: "usr_test",
        orgId: "org_test",
        boxId: BOX,
        epoch: 1,
        ports: [ECHO],
        kinds: ["port"],
        session: null,
        credentialId: "token_test",
        origin: null,
        gatewayUrl: null,
      },
      Date.now(),
    );
    const enter = () =>
      openStream({
        gatewayUrl: `http://127.0.0.1:${clientPort}`,
        ticket,
        boxId: BOX,
        door: { port: ECHO },
      });
    const first = await startProcess("gateway", config);
    await until(() => links.connected.length === 1, "connected");
    const stream = await entered(enter);
    await talk(stream, "one");
    const broken = breakOf(stream);
    await kill(first);
    assert.ok((await broken) instanceof StreamBroken);
    assert.match((await broken).message, /connection was lost/);
    await until(() => driver.opened.every((one) => one.destroyed), "the box's side is closed");
    await until(() => links.connected.length === 0, "the node noticed");

    await startProcess("gateway", config);
    const again = await entered(enter);
    await talk(again, "two");
    again.destroy();
  } finally {
    await links.close();
  }
});

test("of two gateways one is killed: its streams break at once, and the other serves at once", async () => {
  const authority = await makeAuthority();
  const key = makeTicketKey();
  const driver = new DoorDriver();
  driver.boxes.set(BOX, { epoch: 1, state: "ready" });
  driver.ports.set(ECHO, echoPort);
  const tls = await nodeTls(authority);
  const links = new GatewayLinks({ driver, tls, clock: systemClock, log: silentLog });
  try {
    const gateways = [];
    for (const name of ["one", "two"]) {
      const [nodePort, clientPort] = [await freePort(), await freePort()];
      const config = {
        nodeDoor: { host: "127.0.0.1", port: nodePort, tls: await serverTls(authority, "gateway") },
        clientDoor: { host: "127.0.0.1", port: clientPort },
        feed: emptyFeed(key.publicKeyPem),
      };
      const process = await startProcess("gateway", config);
      gateways.push({ name, process, nodePort, clientPort });
    }
    const [one, two] = gateways as [(typeof gateways)[0], (typeof gateways)[0]];
    links.setGateways(gateways.map(({ nodePort }) => `https://127.0.0.1:${nodePort}`));
    await until(() => links.connected.length === 2, "the node is at both");
    const { ticket } = await ticketSigner(key.privateKeyPem)(
      {
        ...{ userId: "usr_test", orgId: "org_test", boxId: BOX, epoch: 1, ports: [ECHO] },
        ...{
          kinds: ["port"],
          session: null,
          credentialId: "token_test",
          origin: null,
          gatewayUrl: null,
        },
      },
      Date.now(),
    );
    const enter = ({ clientPort }: { clientPort: number }) =>
      openStream({
        gatewayUrl: `http://127.0.0.1:${clientPort}`,
        ticket,
        boxId: BOX,
        door: { port: ECHO },
      });
    const kept = await entered(() => enter(two));
    const streams = await Promise.all(Array.from({ length: 50 }, () => entered(() => enter(one))));
    const breaks = streams.map(breakOf);
    const sinceMs = performance.now();
    await kill(one.process);
    for (const error of await Promise.all(breaks)) assert.ok(error instanceof StreamBroken);
    // With the same ticket, and without a second try.
    const next = await enter(two);
    await talk(next, "at the other");
    assert.ok(performance.now() - sinceMs < AT_ONCE_MS, "at once");
    await talk(kept, "not disturbed");
    await until(() => links.connected.length === 1, "the node noticed");
    for (const stream of [next, kept]) stream.destroy();
  } finally {
    await links.close();
  }
});

test("an agent that is killed breaks its streams with the reason; its successor takes over", async () => {
  const doors = await openDoors();
  try {
    await doors.links.close();
    const config = await agentConfig(doors);
    const first = await startProcess("agent", config);
    const enter = async () =>
      openStream({
        gatewayUrl: doors.gatewayUrl,
        ticket: await doors.mint(),
        boxId: BOX,
        door: { port: ECHO },
      });
    const stream = await entered(enter);
    await talk(stream, "one");
    const broken = breakOf(stream);
    await kill(first);
    const error = (await broken) as StreamBroken;
    assert.equal(error.closeCode, 4503);
    assert.match(error.message, /^node_away: the connection to the box's node was lost/);
    assert.deepEqual(doors.gateway.status(), { nodes: 0, boxes: 0, streams: 0 });
    await assert.rejects(enter(), { code: "node_away", status: 503, retryable: true });

    await startProcess("agent", config);
    const again = await entered(enter);
    await talk(again, "two");
    again.destroy();
  } finally {
    await doors.close();
  }
});

async function agentConfig(doors: Doors): Promise<object> {
  return {
    tls: await nodeTls(doors.authority),
    gatewayUrl: `https://127.0.0.1:${doors.gateway.nodePort}`,
    ports: [[ECHO, echoPort]],
  };
}

/** Enters as soon as the box is announced. */
async function entered(enter: () => Promise<Duplex>): Promise<Duplex> {
  let stream: Duplex | null = null;
  await until(async () => {
    stream = await enter().catch(() => null);
    return stream !== null;
  }, "the box can be entered");
  return stream as unknown as Duplex;
}

test("a gateway that stops tells its clients, and the box notices nothing but the end", async () => {
  const doors = await openDoors();
  doors.driver.ports.set(ECHO, echoPort);
  try {
    const stream = await openStream({
      gatewayUrl: doors.gatewayUrl,
      ticket: await doors.mint(),
      boxId: BOX,
      door: { port: ECHO },
    });
    await talk(stream, "one");
    const broken = breakOf(stream);
    await doors.gateway.close();
    assert.match((await broken).message, /node_away: the gateway is stopping/);
    const next = await doors.restartGateway();
    await until(() => next.status().boxes === 1, "announced to the next gateway");
  } finally {
    await doors.close();
  }
});
