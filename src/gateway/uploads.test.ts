// Bytes towards a node: as many are under way as the way holds, and one upload does not stop another. Counted on a way
// that is stopped, so that a busy machine changes nothing.

import assert from "node:assert/strict";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type TestContext, test } from "node:test";
import { openStream } from "#sdk/stream.ts";
import { BOX, type Doors, openDoors, until } from "#test/harness/doors.ts";

const HOST = "127.0.0.1";
const [SINK, STUCK] = [9, 10];
const KIB = 1024;
const MIB = 1024 * KIB;
/** What HTTP/2 let all uploads to a node have under way. */
const OLD_WINDOW_BYTES = 64 * KIB;
/** What a client, a gateway and an agent may hold of one stream: sockets, windows, messages. */
const MOST_HELD_BYTES = 16 * MIB;

async function listening(t: TestContext, serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    serve(socket);
  });
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await new Promise<void>((done) => server.listen(0, HOST, done));
  return (server.address() as { port: number }).port;
}

async function upload(t: TestContext, doors: Doors, port: number) {
  const ticket = await doors.mint();
  const { gatewayUrl } = doors;
  const stream: Duplex = await openStream({ gatewayUrl, ticket, boxId: BOX, door: { port } });
  t.after(() => stream.destroy());
  const bytes = Buffer.alloc(64 * KIB);
  let given = 0;
  const more = () => {
    while (!stream.destroyed) {
      given += bytes.length;
      if (!stream.write(bytes)) return;
    }
  };
  stream.on("error", () => {}).on("drain", more);
  more();
  return { given: () => given };
}

test("an upload has more under way than a short way needs", async (t) => {
  const doors = await openDoors();
  t.after(() => doors.close());
  await doors.links.close();
  let under = 0;
  let isStopped = false;
  // What the gateway sent and the node has not got: this way takes it and keeps it.
  const way = await listening(t, (node) => {
    const out = connect(doors.gateway.nodePort, HOST).on("error", () => {});
    node.pipe(out);
    out.on("data", (bytes) => {
      if (isStopped) under += bytes.length;
      else node.write(bytes);
    });
    node.on("close", () => out.destroy());
    out.on("close", () => node.destroy());
  });
  let got = 0;
  const sink = await listening(t, (socket) => {
    socket.on("data", (bytes) => {
      got += bytes.length;
    });
  });
  doors.driver.ports.set(SINK, sink);
  const links = doors.newLinks();
  const url = `https://${HOST}:${way}`;
  links.setGateways([url]);
  const { gateway } = doors;
  const isThere = () => links.connected.includes(url) && gateway.status().nodes === 1;
  await until(() => isThere() && gateway.status().boxes === 1, "the box is announced by that way");
  await upload(t, doors, SINK);
  await until(() => got > 4 * MIB, "it goes up");
  isStopped = true;
  await until(() => under > 3 * OLD_WINDOW_BYTES, "more than HTTP/2's window is under way");
});

test("an upload that nobody takes is bounded, and stops no other", async (t) => {
  const doors = await openDoors();
  t.after(() => doors.close());
  let got = 0;
  const sink = await listening(t, (socket) => {
    socket.on("data", (bytes) => {
      got += bytes.length;
    });
  });
  doors.driver.ports.set(SINK, sink);
  doors.driver.ports.set(STUCK, await listening(t, (socket) => socket.pause()));
  const stuck = [await upload(t, doors, STUCK), await upload(t, doors, STUCK)];
  await upload(t, doors, SINK);
  await until(() => got > 4 * MOST_HELD_BYTES, "the other goes up");
  for (const { given } of stuck)
    assert.ok(given() < MOST_HELD_BYTES, `${given()} bytes of it were taken`);
});
