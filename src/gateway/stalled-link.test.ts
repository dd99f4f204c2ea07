// The way between an agent and a gateway stops in the middle of a flood, as when a machine vanishes. Whoever stops must
// stop all the same, and who waits for answers must let go.

import assert from "node:assert/strict";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type TestContext, test } from "node:test";
import { createServer as createTlsServer, type TLSSocket, connect as tlsConnect } from "node:tls";
import { ANNOUNCEMENTS_PATH, LINK_PROTOCOL, streamPath } from "#contract/gateway-protocol.ts";
import { systemClock } from "#lib/clock.ts";
import { openStream } from "#sdk/stream.ts";
import { BOX, type Doors, nodeTls, openDoors, serverTls, until } from "#test/harness/doors.ts";
import { Link } from "#wire/link.ts";

const HOST = "127.0.0.1";
const FLOOD = 19;
const STREAMS = 4;
const MIB = 1024 * 1024;
const PINGS = { pingIntervalMs: 500, pingTimeoutMs: 5000 };
/** No ping in the time of a test. */
const NO_PINGS = { pingIntervalMs: 3_600_000, pingTimeoutMs: 3_600_000 };

/** Writes as fast as it is taken. */
function flood(stream: Duplex): void {
  const bytes = Buffer.alloc(64 * 1024);
  const more = () => {
    while (!stream.destroyed && stream.write(bytes));
  };
  stream.on("drain", more);
  more();
}

class Rig {
  readonly #closing: (() => unknown)[] = [];
  readonly doors: Doors;
  dials = 0;
  readonly #sockets: Socket[] = [];

  private constructor(doors: Doors) {
    this.doors = doors;
  }

  static async open(t: TestContext, times: typeof PINGS): Promise<Rig> {
    const rig = new Rig(await openDoors({ limits: times }));
    t.after(async () => {
      for (const close of rig.#closing.reverse()) await close();
      for (const socket of rig.#sockets) socket.destroy();
      await rig.doors.close();
    });
    await rig.doors.links.close();
    return rig;
  }

  onEnd(close: () => unknown): void {
    this.#closing.push(close);
  }

  async listen(server: Server): Promise<number> {
    this.onEnd(() => server.close());
    server.on("connection", (socket: Socket) => this.#sockets.push(socket.on("error", () => {})));
    await new Promise<void>((done) => server.listen(0, HOST, done));
    return (server.address() as { port: number }).port;
  }

  /** A way to that port; `stall` stops it. */
  async way(port: number): Promise<{ port: number; stall(): Promise<void> }> {
    const ends: Socket[] = [];
    const server = createServer((from) => {
      this.dials += 1;
      const to = connect(port, HOST).on("error", () => {});
      ends.push(from, to);
      this.#sockets.push(to);
      from.pipe(to).pipe(from);
      from.on("close", () => to.destroy());
      to.on("close", () => from.destroy());
    });
    return {
      port: await this.listen(server),
      stall: async () => {
        for (const end of ends) end.unpipe().pause();
      },
    };
  }
}

/** An agent that has written more to a gateway than the way takes. */
async function stalledAgent(t: TestContext, times: typeof PINGS) {
  const rig = await Rig.open(t, times);
  const { doors } = rig;
  doors.driver.ports.set(FLOOD, await rig.listen(createServer(flood)));
  const {
    caPem: ca,
    certificatePem: cert,
    privateKeyPem: key,
  } = await serverTls(doors.authority, "gateway");
  const peer = createTlsServer({
    ca,
    cert,
    key,
    requestCert: true,
    ALPNProtocols: [LINK_PROTOCOL],
  });
  let bytes = 0;
  peer.on("secureConnection", (socket) => {
    const link = new Link(
      socket.on("error", () => {}),
      systemClock,
    );
    link.open(ANNOUNCEMENTS_PATH, () => {}).resume();
    for (let n = 0; n < STREAMS; n += 1) {
      const path = streamPath({ boxId: BOX, epoch: 1, door: { port: FLOOD } });
      link
        .open(path, () => {})
        .on("data", (chunk: Buffer) => {
          bytes += chunk.length;
        });
    }
  });
  const way = await rig.way(await rig.listen(peer));
  const links = doors.newLinks({ times: { backoffMinMs: 20, backoffMaxMs: 200, ...times } });
  links.setGateways([`https://${HOST}:${way.port}`]);
  await until(() => bytes > 16 * MIB, "it floods");
  await way.stall();
  // What the box sends is not taken any more: everything on the way is full.
  await until(() => doors.driver.opened.every((box) => box.isPaused()), "the way is full");
  return { rig, links };
}

/** A gateway that has written more to a node than the way takes. */
async function stalledGateway(t: TestContext, times: typeof PINGS) {
  const rig = await Rig.open(t, times);
  const { doors } = rig;
  const way = await rig.way(doors.gateway.nodePort);
  const { caPem: ca, certificatePem: cert, privateKeyPem: key } = await nodeTls(doors.authority);
  const socket: TLSSocket = tlsConnect({
    host: HOST,
    port: way.port,
    ca,
    cert,
    key,
    ALPNProtocols: [LINK_PROTOCOL],
  });
  rig.onEnd(() => socket.destroy());
  await new Promise((done) => socket.once("secureConnect", done));
  let bytes = 0;
  new Link(socket, {
    monotonicMs: systemClock.monotonicMs,
    maxStreams: STREAMS + 1,
    onOpen: (stream, name) => {
      stream.accept();
      if (name === ANNOUNCEMENTS_PATH)
        stream.write(`${JSON.stringify({ boxes: [{ boxId: BOX, epoch: 1 }] })}\n`);
      stream.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
    },
  });
  await until(() => doors.gateway.status().boxes === 1, "the box is announced");
  const ticket = await doors.mint();
  const givers: Duplex[] = [];
  for (let n = 0; n < STREAMS; n += 1) {
    const { gatewayUrl } = doors;
    const giver = await openStream({ gatewayUrl, ticket, boxId: BOX, door: { port: FLOOD } });
    givers.push(giver.on("error", () => {}));
    rig.onEnd(() => giver.destroy());
    flood(giver);
  }
  await until(() => bytes > 16 * MIB, "it floods");
  await way.stall();
  await until(() => givers.every((giver) => giver.writableNeedDrain), "the way is full");
  return rig;
}

async function isOver(closing: Promise<void>, what: string): Promise<void> {
  let isDone = false;
  closing.then(() => {
    isDone = true;
  });
  await until(() => isDone, what);
}

test("an agent that stops then stops", async (t) => {
  const { rig, links } = await stalledAgent(t, NO_PINGS);
  await isOver(links.close(), "the links are closed");
  await until(() => rig.doors.driver.opened.every((box) => box.closed), "nothing is left open");
});

test("an agent that hears nothing dials again, and ends the streams of before", async (t) => {
  const { rig } = await stalledAgent(t, PINGS);
  const before = [...rig.doors.driver.opened];
  await until(() => rig.dials >= 2, "dialled again");
  await until(() => before.every((box) => box.closed), "nothing is left open");
});

test("a gateway that stops then stops", async (t) => {
  const { doors } = await stalledGateway(t, NO_PINGS);
  await isOver(doors.gateway.close(), "the gateway is closed");
  assert.equal(doors.gateway.status().streams, 0);
});

test("a gateway that hears nothing from a node lets go of it", async (t) => {
  const { doors } = await stalledGateway(t, PINGS);
  await until(() => doors.gateway.status().nodes === 0, "the node is away");
  await until(() => doors.gateway.status().streams === 0, "nothing is left open");
});
