// Exec frames: every frame comes back whatever way the bytes are cut; hostile bytes cost nothing.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { fc } from "#test/harness/fc.ts";
import {
  EXEC_ERROR_CODES,
  type ExecFrame,
  ExecFrameDecoder,
  ExecFrameError,
  encodeExecFrame,
  MAX_DATA_BYTES,
  MAX_FRAME_BYTES,
} from "./exec-frames.ts";

const data = fc.uint8Array({ minLength: 1, maxLength: 500 });
const u16 = fc.nat(0xffff);
const name = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,8}$/).filter((n) => n !== "__proto__");
const size = fc.record({ rows: u16, cols: u16 });
const token = fc.stringMatching(/^[0-9a-f]{0,64}$/);
const id = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,9}$/);
const mode = fc.constantFrom("read" as const, "write" as const);
const count = fc.nat(Number.MAX_SAFE_INTEGER);
const info = fc.record({
  session: id,
  argv: fc.array(fc.string(), { maxLength: 3 }),
  user: id,
  isTerminal: fc.boolean(),
  startedAtMs: count,
  attached: fc.nat(),
  end: count,
  exitCode: fc.option(fc.nat(255), { nil: undefined }),
});

const frame: fc.Arbitrary<ExecFrame> = fc.oneof(
  fc.record({ kind: fc.constant("auth" as const), token }),
  fc.record({ kind: fc.constant("auth" as const), token, session: id, mode }),
  fc.record({
    kind: fc.constant("start" as const),
    argv: fc.array(fc.string(), { maxLength: 5 }),
    user: fc.string({ minLength: 1 }),
    cwd: fc.option(fc.string(), { nil: undefined }),
    env: fc.dictionary(name, fc.string(), { noNullPrototype: false }),
    pty: fc.option(size, { nil: undefined }),
    timeoutMs: fc.option(fc.integer({ min: 1 }), { nil: undefined }),
    session: fc.option(id, { nil: undefined }),
    writer: fc.option(id, { nil: undefined }),
  }),
  fc.record({
    kind: fc.constant("attach" as const),
    session: id,
    from: fc.option(count, { nil: undefined }),
    mode,
    writer: fc.option(id, { nil: undefined }),
  }),
  fc.constant({ kind: "list" as const }),
  fc.record({ kind: fc.constant("forget" as const), session: id }),
  fc.record({ kind: fc.constant("listen" as const), tcp: fc.string() }),
  fc.record({ kind: fc.constant("listen" as const), unix: fc.string() }),
  fc.record({ kind: fc.constant("take" as const), connection: fc.string() }),
  fc.record({ kind: fc.constant("dial" as const), tcp: fc.string() }),
  fc.constant({ kind: "dialed" as const }),
  fc.record({ kind: fc.constantFrom("stdin", "stdout", "stderr"), data }),
  fc.constant({ kind: "stdin-eof" as const }),
  fc.record({ kind: fc.constant("signal" as const), signal: fc.nat(64) }),
  fc.record({ kind: fc.constant("resize" as const), rows: u16, cols: u16 }),
  fc.record({ kind: fc.constant("started" as const), pid: fc.nat() }),
  fc.record({ kind: fc.constant("exit" as const), exitCode: fc.nat(255) }),
  fc.record({
    kind: fc.constant("error" as const),
    code: fc.constantFrom(...EXEC_ERROR_CODES),
    message: fc.string(),
  }),
  fc.record({
    kind: fc.constant("attached" as const),
    session: id,
    ...{ oldest: count, from: count, end: count, received: count, rows: u16, cols: u16 },
    isTerminal: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("sessions" as const), sessions: fc.array(info) }),
  fc.record({ kind: fc.constant("listening" as const), address: fc.string() }),
  fc.record({ kind: fc.constant("accepted" as const), connection: id, peer: fc.string() }),
  fc.record({ kind: fc.constant("input-taken" as const), bytes: count }),
) as fc.Arbitrary<ExecFrame>;

test("frames come back however their bytes are cut", () => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat(40)), (given, cuts) => {
      const bytes = new Uint8Array(Buffer.concat(given.map(encodeExecFrame)));
      const decoder = new ExecFrameDecoder();
      const got: ExecFrame[] = [];
      let at = 0;
      for (const cut of cuts) {
        got.push(...decoder.push(bytes.subarray(at, at + cut)));
        at += cut;
      }
      got.push(...decoder.push(bytes.subarray(at)));
      const bytesAsList = (_: string, value: unknown) =>
        value instanceof Uint8Array ? [...value] : value;
      const plain = (frames: ExecFrame[]) => JSON.parse(JSON.stringify(frames, bytesAsList));
      assert.deepEqual(plain(got), plain(given));
      assert.equal(decoder.pendingBytes, 0);
    }),
  );
});

test("random bytes are decoded or refused with ExecFrameError", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 })), (chunks) => {
      const decoder = new ExecFrameDecoder();
      try {
        for (const chunk of chunks) decoder.push(chunk);
      } catch (error) {
        assert.ok(error instanceof ExecFrameError, String(error));
      }
    }),
    { numRuns: 5000 },
  );
});

test("valid headers with random payloads are decoded or refused with ExecFrameError", () => {
  const kinds = fc.oneof(fc.nat(27), fc.constant(255));
  fc.assert(
    fc.property(kinds, fc.uint8Array({ maxLength: 60 }), (kind, payload) => {
      const header = Buffer.from([0, 0, 0, payload.length, kind]);
      try {
        new ExecFrameDecoder().push(Buffer.concat([header, payload]));
      } catch (error) {
        assert.ok(error instanceof ExecFrameError, String(error));
      }
    }),
    { numRuns: 5000 },
  );
});

test("long data becomes several frames of at most 64 KiB", () => {
  const bytes = Buffer.alloc(MAX_DATA_BYTES * 2 + 7, 1);
  const frames = new ExecFrameDecoder().push(encodeExecFrame({ kind: "stdin", data: bytes }));
  const lengths = frames.map((f) => (f.kind === "stdin" ? f.data.length : -1));
  assert.deepEqual(lengths, [MAX_DATA_BYTES, MAX_DATA_BYTES, 7]);
});

test("a frame that claims to be longer than allowed is refused at its header", () => {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(MAX_FRAME_BYTES + 1);
  header[4] = 3;
  assert.throws(() => new ExecFrameDecoder().push(header), ExecFrameError);
  const env = { BIG: "x".repeat(MAX_FRAME_BYTES) };
  assert.throws(
    () => encodeExecFrame({ kind: "start", argv: ["a"], user: "dev", env }),
    ExecFrameError,
  );
});

test("a hostile variable name does not reach an object's prototype", () => {
  const start: ExecFrame = JSON.parse(
    '{"kind":"start","argv":["a"],"user":"dev","env":{"__proto__":"x"}}',
  );
  const [back] = new ExecFrameDecoder().push(encodeExecFrame(start));
  assert.ok(back?.kind === "start");
  assert.equal(Object.getPrototypeOf(back.env), null);
});
