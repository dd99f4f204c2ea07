// Exec frames: every frame comes back whatever way the bytes are cut; hostile bytes cost nothing.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import fc from "fast-check";
import {
  EXEC_ERROR_CODES,
  type ExecFrame,
  ExecFrameDecoder,
  ExecFrameError,
  encodeExecFrame,
  MAX_DATA_BYTES,
  MAX_FRAME_BYTES,
} from "./exec-frames.ts";

const data = fc.uint8Array({ minLength: 1, maxLength: 500 }).map((bytes) => Buffer.from(bytes));
const u16 = fc.nat(0xffff);
const name = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,8}$/).filter((n) => n !== "__proto__");
const size = fc.record({ rows: u16, cols: u16 });

const frame: fc.Arbitrary<ExecFrame> = fc.oneof(
  fc.record({ kind: fc.constant("auth" as const), token: fc.string() }),
  fc.record({
    kind: fc.constant("start" as const),
    argv: fc.array(fc.string(), { maxLength: 5 }),
    user: fc.string({ minLength: 1 }),
    cwd: fc.option(fc.string(), { nil: undefined }),
    env: fc.dictionary(name, fc.string(), { noNullPrototype: false }),
    pty: fc.option(size, { nil: undefined }),
  }),
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
) as fc.Arbitrary<ExecFrame>;

test("frames come back however their bytes are cut", () => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat(40)), (given, cuts) => {
      const bytes = Buffer.concat(given.map(encodeExecFrame));
      const decoder = new ExecFrameDecoder();
      const got: ExecFrame[] = [];
      let at = 0;
      for (const cut of cuts) {
        got.push(...decoder.push(bytes.subarray(at, at + cut)));
        at += cut;
      }
      got.push(...decoder.push(bytes.subarray(at)));
      const plain = (frames: ExecFrame[]) => JSON.parse(JSON.stringify(frames));
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
  const kinds = fc.constantFrom(1, 2, 3, 4, 5, 6, 16, 17, 18, 19, 20, 0, 255);
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
