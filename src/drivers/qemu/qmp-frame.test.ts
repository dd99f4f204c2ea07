import assert from "node:assert/strict";
import { test } from "node:test";
import { fc } from "#test/harness/fc.ts";
import { QmpDecoder, QmpFrameError } from "./qmp-frame.ts";

/** Cuts bytes at the given places (any numbers; taken modulo the length). */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length];
  at.sort((a, b) => a - b);
  return at.slice(1).map((end, index) => bytes.subarray(at[index]!, end));
}

function decode(pieces: readonly Buffer[]): unknown[] {
  const decoder = new QmpDecoder();
  return pieces.flatMap((piece) => decoder.push(piece));
}

test("messages come out the same however the bytes are cut", () => {
  const message = fc.oneof(
    fc.record({ return: fc.jsonValue(), id: fc.nat() }),
    fc.record({ event: fc.string(), data: fc.dictionary(fc.string(), fc.jsonValue()) }),
    fc.record({ error: fc.record({ class: fc.string(), desc: fc.string() }), id: fc.nat() }),
  );
  fc.assert(
    fc.property(fc.array(message), fc.array(fc.nat()), (messages, places) => {
      const bytes = Buffer.from(messages.map((each) => `${JSON.stringify(each)}\r\n`).join(""));
      const whole = decode([bytes]);
      assert.equal(whole.length, messages.length);
      assert.deepEqual(decode(cut(bytes, places)), whole);
    }),
  );
});

test("any bytes give messages or a QmpFrameError, nothing else", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (chunks) => {
      try {
        decode(chunks.map((chunk) => Buffer.from(chunk)));
      } catch (error) {
        assert.ok(error instanceof QmpFrameError);
      }
    }),
  );
});

test("a mutated valid stream gives messages or a QmpFrameError", () => {
  const valid = Buffer.from('{"QMP":{}}\r\n{"return":{"a":"ä"},"id":1}\r\n{"event":"STOP"}\r\n');
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 4 }),
      (edits) => {
        const bytes = Buffer.from(valid);
        for (const [at, value] of edits) bytes[at] = value;
        try {
          decode([bytes]);
        } catch (error) {
          assert.ok(error instanceof QmpFrameError);
        }
      },
    ),
  );
});

test("a line without end is refused before it fills our memory", () => {
  const decoder = new QmpDecoder();
  const chunk = Buffer.alloc(64 * 1024, 97);
  assert.throws(() => {
    for (let sent = 0; sent < 100; sent++) decoder.push(chunk);
  }, QmpFrameError);
});

test("an answer without an id of ours is refused", () => {
  assert.throws(() => decode([Buffer.from('{"return":{}}\n')]), QmpFrameError);
});
