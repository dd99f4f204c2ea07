import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type ServerHttp2Stream } from "node:http2";
import { type Duplex, duplexPair } from "node:stream";
import { test } from "node:test";
import { systemClock } from "./clock.ts";
import { breakOff, splice } from "./splice.ts";

test("each direction ends by itself, and nothing is lost", async () => {
  const [left, leftEnd] = duplexPair();
  const [right, rightEnd] = duplexPair();
  const over = splice<Duplex>(left, right, systemClock);
  leftEnd.end("from the left");
  assert.equal(String(await rightEnd.toArray()), "from the left");
  rightEnd.end("and an answer");
  assert.equal(String(await leftEnd.toArray()), "and an answer");
  assert.equal(await over, null);
});

test("the side that broke is named at once", async () => {
  const [left] = duplexPair();
  const [right, rightEnd] = duplexPair();
  const over = splice<Duplex>(left, right, systemClock);
  rightEnd.resume();
  breakOff(left);
  assert.equal(await over, left);
  assert.equal(right.writableEnded, false);
});

const breaks: [string, (stream: ServerHttp2Stream) => void][] = [
  ["broken off", breakOff],
  ["its connection lost", (stream) => stream.session?.socket.destroy()],
  ["its session destroyed", (stream) => stream.session?.destroy()],
];
for (const [how, end] of breaks)
  test(`an HTTP/2 stream that was ${how} never looks like one that ended`, async () => {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const session = connect(`http://127.0.0.1:${port}`);
    session.on("error", () => {});
    try {
      const near = session.request({ ":method": "POST" }, { endStream: false });
      const [far] = (await once(server, "stream")) as [ServerHttp2Stream];
      far.on("error", () => {});
      far.respond({ ":status": 200 });
      const [other, otherEnd] = duplexPair();
      const over = splice<Duplex>(near, other, systemClock);
      far.write("half of it");
      assert.equal(String(await once(otherEnd, "data")), "half of it");
      end(far);
      assert.equal(await over, near);
      assert.equal(other.writableEnded, false);
    } finally {
      session.destroy();
      server.close();
    }
  });
