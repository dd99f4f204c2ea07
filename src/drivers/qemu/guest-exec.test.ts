// Running one program over a stream, against a scripted exec server.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type Duplex, duplexPair } from "node:stream";
import { test } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { type ExecFrame, ExecFrameDecoder, encodeExecFrame } from "#wire/exec-frames.ts";
import { GuestExecError, runGuestExec } from "./guest-exec.ts";

/** A server that calls `onLast` when the client's stdin-eof has come, with all frames so far. */
function server(onLast: (frames: ExecFrame[], stream: Duplex) => void): Duplex {
  const [near, far] = duplexPair();
  const decoder = new ExecFrameDecoder();
  const frames: ExecFrame[] = [];
  far.on("data", (chunk: Buffer) => {
    frames.push(...decoder.push(chunk));
    if (frames.at(-1)?.kind === "stdin-eof") onLast(frames, far);
  });
  return near;
}

const send = (stream: Duplex, ...frames: ExecFrame[]) => {
  for (const frame of frames) stream.write(encodeExecFrame(frame));
};
const coded = (code: string) => (error: unknown) =>
  error instanceof GuestExecError && error.code === code;
const REQUEST = { argv: ["cat", "-"], user: "dev", cwd: "/tmp", env: { A: "1" }, stdin: "in" };

test("a program's outputs and exit code come back; token, start and stdin were sent in order", async () => {
  let seen: ExecFrame[] = [];
  const stream = server((frames, far) => {
    seen = frames;
    send(far, { kind: "started", pid: 7 }, { kind: "stdout", data: Buffer.from("o1") });
    send(
      far,
      { kind: "stderr", data: Buffer.from("e") },
      { kind: "stdout", data: Buffer.from("o2") },
    );
    send(far, { kind: "exit", exitCode: 3 });
  });
  const result = await runGuestExec(stream, REQUEST, { clock: systemClock, token: "t" });
  assert.deepEqual(result, { exitCode: 3, stdout: "o1o2", stderr: "e" });
  assert.deepEqual(
    seen.map(({ kind }) => kind),
    ["auth", "start", "stdin", "stdin-eof"],
  );
  assert.ok(seen[1]?.kind === "start");
  assert.deepEqual([...seen[1].argv, seen[1].user, seen[1].cwd], ["cat", "-", "dev", "/tmp"]);
  assert.equal(stream.destroyed, true);
});

test("no token is sent when the stream's opener has done it", async () => {
  const stream = server((frames, far) => {
    assert.equal(frames[0]?.kind, "start");
    send(far, { kind: "exit", exitCode: 0 });
  });
  await runGuestExec(stream, REQUEST, { clock: systemClock, token: null });
});

test("output over the limit is cut, and says so", async () => {
  const stream = server((_, far) => {
    send(far, { kind: "stdout", data: Buffer.alloc(150, "x") });
    send(far, { kind: "stdout", data: Buffer.alloc(50, "y") }, { kind: "exit", exitCode: 0 });
  });
  const options = { clock: systemClock, token: "t", maxOutputBytes: 100 };
  const { stdout } = await runGuestExec(stream, REQUEST, options);
  assert.equal(stdout, `${"x".repeat(100)}\n[berth: 100 more bytes cut]\n`);
});

test("the server's refusal comes with its code", async () => {
  const stream = server((_, far) =>
    send(far, { kind: "error", code: "cannot_start", message: "no such program" }),
  );
  const done = runGuestExec(stream, REQUEST, { clock: systemClock, token: "t" });
  await assert.rejects(done, coded("cannot_start"));
});

test("a stream that ends before the program did is lost, not a success", async () => {
  const stream = server((_, far) => {
    send(far, { kind: "stdout", data: Buffer.from("half") });
    far.end();
  });
  const done = runGuestExec(stream, REQUEST, { clock: systemClock, token: "t" });
  await assert.rejects(done, coded("lost"));
});

test("garbage from the server is refused", async () => {
  const stream = server((_, far) => far.write(Buffer.alloc(64, 0xff)));
  const done = runGuestExec(stream, REQUEST, { clock: systemClock, token: "t" });
  await assert.rejects(done, coded("bad_request"));
});

test("a program that runs too long is ended by closing its stream", async () => {
  const stream = server(() => {});
  const request = { ...REQUEST, timeoutMs: 20 };
  const done = runGuestExec(stream, request, { clock: systemClock, token: "t" });
  await assert.rejects(done, coded("timeout"));
  assert.equal(stream.destroyed, true);
});

test("an abort ends the program", async () => {
  const abort = new AbortController();
  const stream = server(() => abort.abort(new Error("no longer wanted")));
  const options = { clock: systemClock, token: "t", signal: abort.signal };
  await assert.rejects(runGuestExec(stream, REQUEST, options), /no longer wanted/);
  assert.equal(stream.destroyed, true);
});
