// Event streams over a real socket: headers, heartbeats, the end, and a client that does not read.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Problem } from "#contract/errors.ts";
import { frontDoor } from "#test/harness/front-door.ts";
import type { SseMessage } from "./sse.ts";

const GENEROUS_MS = 60_000;

async function listening(
  source: (signal: AbortSignal) => AsyncIterable<SseMessage>,
  options: Parameters<typeof frontDoor>[1] = {},
) {
  const app = await frontDoor(
    { "events.watch": (call: never) => source((call as { signal: AbortSignal }).signal) },
    options,
  );
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  return { app, url: `${url}/v1/watch`, port: Number(new URL(url).port) };
}

const headers = { authorization: "Bearer admin" };

test("messages go out as they come, with heartbeats between, and the stream ends with its source", async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { app, url } = await listening(
    async function* () {
      yield { id: "a", event: "event", data: { text: "one\ntwo" } };
      await gate;
      yield { id: null, event: "bye", data: {} };
    },
    { heartbeatMs: 5 },
  );
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(GENEROUS_MS) });
  assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/);
  assert.match(response.headers.get("x-request-id") ?? "", /^req_/);
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk as Uint8Array).toString();
    if (text.includes(": still here\n\n: still here")) release();
  }
  assert.ok(text.startsWith('id: a\nevent: event\ndata: {"text":"one\\ntwo"}\n\n'));
  assert.ok(text.endsWith("event: bye\ndata: {}\n\n"));
  await app.close();
});

test("what is refused before the first message is an ordinary problem", async () => {
  // biome-ignore lint/correctness/useYield: it fails before it can.
  const { app, url } = await listening(async function* () {
    throw new Problem("invalid_cursor", "no");
  });
  const response = await fetch(url, { headers });
  assert.equal(response.status, 400);
  assert.equal(((await response.json()) as { code: string }).code, "invalid_cursor");
  await app.close();
});

test("a stream that fails on the way does not look whole", async () => {
  const { app, url } = await listening(async function* () {
    yield { id: "a", event: "event", data: {} };
    throw new Error("the database is away");
  });
  const read = async () => {
    const response = await fetch(url, { headers });
    await response.text();
  };
  await assert.rejects(read(), TypeError);
  await app.close();
});

test("the source is told when the client goes away", async () => {
  let gone = () => {};
  const told = new Promise<void>((resolve) => {
    gone = resolve;
  });
  const { app, url } = await listening(async function* (signal) {
    signal.addEventListener("abort", () => gone(), { once: true });
    yield { id: "a", event: "event", data: {} };
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  });
  const leave = new AbortController();
  const response = await fetch(url, { headers, signal: leave.signal });
  await response.body?.getReader().read();
  leave.abort();
  await told;
  await app.close();
});

test("a client that does not read is dropped, and no more is made for it", async () => {
  let made = 0;
  let isOver = false;
  const { app, port } = await listening(
    async function* () {
      try {
        for (;;) {
          made += 1;
          yield { id: "x", event: "event", data: "x".repeat(100_000) };
        }
      } finally {
        isOver = true;
      }
    },
    { stallMs: 50, heartbeatMs: 1_000 },
  );
  const socket = connect(port, "127.0.0.1");
  socket.pause();
  socket.on("error", () => {});
  socket.write("GET /v1/watch HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer admin\r\n\r\n");
  const deadlineMs = performance.now() + GENEROUS_MS;
  while (!isOver && performance.now() < deadlineMs) await delay(5);
  assert.equal(isOver, true);
  // Only what fits into the buffers of two sockets: far from without end.
  assert.ok(made < 1000, String(made));
  socket.destroy();
  await app.close();
});
