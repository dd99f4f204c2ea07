// Streams over one connection: whole, bounded, in turns, and never stopping each other. The way is a pair of streams that
// hold little, so that what waits, waits here.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { Duplex } from "node:stream";
import { afterEach, test } from "node:test";
import { Link } from "./link.ts";
import { encodeFrame, FRAMES, HEADER_BYTES, writeHeader } from "./link-frames.ts";
import { type LinkStream, STREAM_WINDOW_BYTES } from "./link-stream.ts";

const MIB = 1024 * 1024;
const monotonicMs = () => performance.now();

/** As `duplexPair`, but bytes are copied, as a kernel does, and later: a link writes from one buffer. */
class End extends Duplex {
  other: End | null = null;
  #taken: (() => void) | null = null;

  override _read(): void {
    const taken = this.#taken;
    this.#taken = null;
    if (taken) setImmediate(taken);
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const { other } = this;
    if (!other) return;
    other.#taken = done;
    other.push(Buffer.from(chunk));
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    setImmediate(() => this.other?.destroy());
    done(error);
  }
}

function way(): [Duplex, Duplex] {
  const [near, far] = [new End(), new End()];
  near.other = far;
  far.other = near;
  return [near, far];
}

interface Pair {
  readonly near: Link;
  readonly far: Link;
  /** Opens a stream that the far end accepts. */
  open(name: string): Promise<[LinkStream, LinkStream]>;
  readonly farSocket: Duplex;
}

const links: Link[] = [];
afterEach(() => {
  for (const link of links.splice(0)) link.destroy();
});

function pair(maxStreams = 16): Pair {
  const [nearSocket, farSocket] = way();
  const opened = new Map<string, LinkStream>();
  const near = new Link(nearSocket, { monotonicMs });
  const far = new Link(farSocket, {
    monotonicMs,
    maxStreams,
    onOpen: (stream, name) => {
      opened.set(name, stream);
      stream.accept();
    },
  });
  links.push(near, far);
  const open = async (name: string): Promise<[LinkStream, LinkStream]> => {
    const answer = Promise.withResolvers<string | null>();
    const stream = near.open(name, answer.resolve);
    assert.equal(await answer.promise, null);
    return [stream, opened.get(name) as LinkStream];
  };
  return { near, far, open, farSocket };
}

/** Writes as fast as it is taken, in turns of the event loop; returns how much was. */
function flood(stream: Duplex): () => number {
  const bytes = Buffer.alloc(64 * 1024);
  let given = 0;
  const more = () => {
    if (stream.destroyed) return;
    given += bytes.length;
    if (stream.write(bytes)) setImmediate(more);
  };
  stream.on("drain", more);
  more();
  return () => given;
}

function counted(stream: Duplex): () => number {
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  return () => bytes;
}

function closed(stream: Duplex): Promise<void> {
  return new Promise((done) => stream.once("close", done));
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((done) => setImmediate(done));
}

/** Until nothing happens any more. */
async function settled(count: () => number): Promise<number> {
  for (let [before, same] = [-1, 0]; same < 200; same = before === count() ? same + 1 : 0) {
    before = count();
    await new Promise((done) => setImmediate(done));
  }
  return count();
}

test("both directions of many streams at once: every byte arrives, and each end is heard", async () => {
  const { open } = pair();
  const digest = async (stream: Duplex) => {
    const hash = createHash("sha256");
    stream.on("data", (chunk: Buffer) => hash.update(chunk));
    await once(stream, "end");
    return hash.digest("hex");
  };
  const moved = Array.from({ length: 6 }, async (_, n) => {
    const bytes = randomBytes(4 * MIB + n);
    const wanted = createHash("sha256").update(bytes).digest("hex");
    const ends = await open(`stream ${n}`);
    for (const end of ends) end.end(bytes);
    assert.deepEqual(await Promise.all(ends.map(digest)), [wanted, wanted]);
  });
  await Promise.all(moved);
});

test("who does not read holds a window of bytes, and no other stream", async () => {
  const { open } = pair();
  const [unread, stalled] = await open("unread");
  const given = flood(unread);
  await settled(given);
  assert.ok(stalled.readableLength <= STREAM_WINDOW_BYTES);
  assert.ok(given() <= STREAM_WINDOW_BYTES + 256 * 1024, `${given()} bytes were taken`);
  const [from, to] = await open("read");
  flood(from);
  const read = counted(to);
  await until(() => read() > 8 * MIB);
  const before = given();
  stalled.resume();
  await until(() => given() > before + 8 * MIB);
});

test("one who says little goes before those who flood", async () => {
  const { open } = pair();
  const theirs: (() => number)[] = [];
  for (let n = 0; n < 8; n += 1) {
    const [from, to] = await open(`flood ${n}`);
    theirs.push(counted(to));
    flood(from);
  }
  const all = () => theirs.reduce((sum, count) => sum + count(), 0);
  const [mine, echo] = await open("keys");
  echo.pipe(echo);
  await until(() => all() > 16 * MIB);
  for (let n = 0; n < 100; n += 1) {
    const before = all();
    mine.write("x");
    await once(mine, "data");
    // What was written already, the answer's way, and what fits into a turn of the event loop.
    assert.ok(all() - before < MIB, `${all() - before} bytes of theirs came before`);
  }
  const each = theirs.map((count) => count());
  assert.ok(Math.max(...each) < 2 * Math.min(...each), `they share: ${each}`);
});

test("a stream that was broken off never looks like one that ended", async () => {
  const { open } = pair();
  const [near, far] = await open("broken");
  near.write("half");
  assert.equal(String((await once(far, "data"))[0]), "half");
  let hasEnded = false;
  far.on("end", () => {
    hasEnded = true;
  });
  near.destroy(new Error("broken off"));
  await closed(far);
  assert.ok(!hasEnded && !far.writableFinished);
});

test("refused, too many, lost: whoever opens is told", async () => {
  const [nearSocket, farSocket] = way();
  const near = new Link(nearSocket, { monotonicMs });
  const far = new Link(farSocket, {
    monotonicMs,
    maxStreams: 1,
    onOpen: (stream, name) => {
      if (name === "no") stream.refuse("because");
    },
  });
  const asked = (name: string) => {
    const { promise, resolve } = Promise.withResolvers<string | null>();
    return { stream: near.open(name, resolve), answer: promise };
  };
  assert.equal(await asked("no").answer, "because");
  const waiting = asked("waits");
  assert.equal(await asked("second").answer, "too many streams");
  await near.ping();
  far.destroy();
  await closed(waiting.stream);
  assert.equal(near.isOpen, false);
  await closed(near.open("late", () => {}));
});

test("the socket that closes takes the streams along", async () => {
  const { open, far, farSocket } = pair();
  const [near] = await open("lost");
  farSocket.destroy();
  near.on("end", () => assert.fail("it looks whole"));
  await closed(near);
  assert.equal(far.isOpen, false);
});

const data = (id: number, bytes: number) => {
  const frame = Buffer.alloc(HEADER_BYTES + bytes);
  writeHeader(frame, 0, id, "data", bytes);
  return frame;
};
const misbehaviours: [string, (id: number) => Buffer | Buffer[]][] = [
  ["what is no frame", () => Buffer.from("GET / HTTP/1.1\r\n\r\n")],
  ["a frame that is too long", () => Buffer.from([0, 0, 0, 1, FRAMES.open, 255, 255, 255])],
  ["a stream opened the wrong way", () => encodeFrame(9, "open", "x")],
  ["more of a stream than its window", (id) => data(id, STREAM_WINDOW_BYTES + 1)],
  ["more credit than there is", (id) => encodeFrame(id, "credit", 1)],
  ["more taken than was sent", () => encodeFrame(0, "taken", 1)],
  ["pings whose answers it does not read", () => Array(2000).fill(pings)],
];
const pings = Buffer.concat(Array(1024).fill(encodeFrame(1, "ping")));
for (const [what, bytes] of misbehaviours)
  test(`the other end is cut off for ${what}`, async () => {
    const [socket, other] = way();
    const link = new Link(socket, { monotonicMs });
    const { id } = link.open("x", () => {});
    for (const part of [bytes(id)].flat()) {
      if (!link.isOpen) break;
      if (!other.write(part)) await new Promise((done) => setImmediate(done));
    }
    await until(() => !link.isOpen);
  });
