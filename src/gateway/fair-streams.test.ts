// One who types beside many that flood, over the same node's link. Counted in bytes of the others' that come between a
// keystroke and its echo, so that a busy machine changes nothing.

import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { test } from "node:test";
import { openStream } from "#sdk/stream.ts";
import { BOX, openDoors, until } from "#test/harness/doors.ts";

const [ECHO, FLOOD] = [7, 19];
const FLOODERS = 8;
const KEYS = 60;
const ROUNDS = 30;
const MIB = 1024 * 1024;

const sockets = new Set<Socket>();

async function listening(serve: (socket: Socket) => void) {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => {});
    sockets.add(socket);
    serve(socket);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return { server, port: (server.address() as { port: number }).port };
}

function flood(socket: Socket): void {
  const bytes = Buffer.alloc(64 * 1024);
  const more = () => {
    while (!socket.destroyed && socket.write(bytes));
  };
  socket.on("drain", more);
  socket.resume();
  more();
}

/** For each key: MiB of the others' that came before its echo. */
async function betweenEchoes(mine: Duplex, theirs: () => number): Promise<number[]> {
  const between: number[] = [];
  for (let n = 0; n < KEYS; n += 1) {
    const before = theirs();
    const heard = new Promise((done) => mine.once("data", done));
    mine.write("x");
    await heard;
    between.push((theirs() - before) / MIB);
  }
  return between;
}

test("beside eight that flood, a keystroke's echo waits for few of their bytes", async (t) => {
  const doors = await openDoors();
  const echo = await listening((socket) => socket.pipe(socket));
  const source = await listening(flood);
  doors.driver.ports.set(ECHO, echo.port);
  doors.driver.ports.set(FLOOD, source.port);
  const streams: Duplex[] = [];
  t.after(async () => {
    for (const stream of streams) stream.destroy();
    await doors.close();
    for (const socket of sockets) socket.destroy();
    for (const { server } of [echo, source]) server.close();
  });
  const open = async (port: number) => {
    const ticket = await doors.mint();
    const { gatewayUrl } = doors;
    const stream = await openStream({ gatewayUrl, ticket, boxId: BOX, door: { port } });
    stream.on("error", () => {});
    streams.push(stream);
    return stream;
  };
  let theirs = 0;
  for (let n = 0; n < FLOODERS; n += 1)
    (await open(FLOOD)).on("data", (bytes: Buffer) => {
      theirs += bytes.length;
    });
  const mine = await open(ECHO);
  await until(() => theirs > 64 * MIB, "they flood");
  // The way's round trip is known better with each second; without the window it stays at what the kernel holds, over 4 MiB.
  let told = "";
  for (let round = 0; round < ROUNDS; round += 1) {
    const between = (await betweenEchoes(mine, () => theirs)).toSorted((a, b) => a - b);
    const [median = 0, most = 0] = [between[KEYS >> 1], between[KEYS - 1]];
    told = `MiB of theirs: median ${median.toFixed(2)}, at most ${most.toFixed(2)}`;
    t.diagnostic(told);
    if (median < 2 && most < 8) return;
  }
  assert.fail(told);
});
