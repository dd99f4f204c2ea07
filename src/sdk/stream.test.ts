// Streams over connections that say nothing.

import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { type WebSocket, WebSocketServer } from "ws";
import { openStream } from "./stream.ts";

/** Longer than a busy machine takes from one step of a test to the next. */
const SILENCE_MS = 2000;

async function connected(t: TestContext, silenceMs = SILENCE_MS) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  t.after(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  await once(server, "listening");
  const entered = once(server, "connection");
  const stream = await openStream({
    gatewayUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ ticket: "ticket", boxId: "box_1", door: { port: 80 }, silenceMs },
  });
  const [gateway] = (await entered) as [WebSocket];
  return { stream, gateway };
}

test("a connection that brings nothing, not even a ping, is lost", async (t) => {
  const { stream } = await connected(t, 200);
  stream.resume();
  const [error] = await once(stream, "error");
  assert.match((error as Error).message, /the connection was lost/);
});

test("what is not read for long comes later, and whole", async (t) => {
  const { stream, gateway } = await connected(t);
  stream.on("error", () => {}); // When the test is over.
  const all = Buffer.alloc(8 * 1024 * 1024, "x");
  for (let at = 0; at < all.length; at += 65_536) gateway.send(all.subarray(at, at + 65_536));
  gateway.send("eof");
  await once(stream, "readable");
  await setTimeout(2 * SILENCE_MS);
  let bytes = 0;
  for await (const part of stream) bytes += (part as Buffer).length;
  assert.equal(bytes, all.length);
});
