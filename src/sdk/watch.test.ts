// The watch goes on where it was.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "./client.ts";

const frame = (n: number) =>
  `id: c${n}\nevent: event\ndata: ${JSON.stringify({ cursor: `c${n}`, kind: `k${n}` })}\n\n`;

/** A body of the given pieces that then ends, or fails. */
function body(pieces: readonly string[], fails = false): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(encoder.encode(piece));
      if (fails) setImmediate(() => controller.error(new TypeError("terminated")));
      else controller.close();
    },
  });
}

test("a watch resumes after the last event when its connection ends or breaks", async () => {
  const opened: string[] = [];
  const streams = [
    // Cut in the middle of a message and of a line.
    body([
      "id: c0\nevent: hello\ndata: {}\n\n",
      frame(1).slice(0, 9),
      frame(1).slice(9),
      "id: c2\nev",
    ]),
    body([frame(2), ": still here\n\n"], true),
    body([frame(3)]),
  ];
  const client = createClient({
    url: "http://berth.test",
    token: "t",
    sleep: async () => {},
    fetch: async (request) => {
      opened.push(new URL(request.url).searchParams.get("cursor") ?? "");
      return new Response(streams[opened.length - 1], {
        headers: { "content-type": "text/event-stream" },
      });
    },
  });
  const kinds: string[] = [];
  for await (const event of client.watch({ box: "web" })) {
    kinds.push(event.kind);
    if (kinds.length === 3) break;
  }
  assert.deepEqual(kinds, ["k1", "k2", "k3"]);
  assert.deepEqual(opened, ["", "c1", "c2"]);
});

test("a watch that is refused says why", async () => {
  const client = createClient({
    url: "http://berth.test",
    token: "t",
    sleep: async () => {},
    fetch: async () =>
      Response.json({ code: "invalid_cursor", detail: "No.", retryable: false }, { status: 400 }),
  });
  await assert.rejects(
    async () => {
      for await (const _ of client.watch({ cursor: "bad" }));
    },
    { code: "invalid_cursor" },
  );
});
