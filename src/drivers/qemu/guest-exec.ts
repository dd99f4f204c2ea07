// Runs one program in a box over a stream to its exec server, to the end, and collects what it says.

import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import type { Clock } from "#lib/clock.ts";
import { type ExecErrorCode, ExecFrameDecoder, encodeExecFrame } from "#wire/exec-frames.ts";
import type { ExecRequest, ExecResult } from "../driver.ts";

export class GuestExecError extends Error {
  override readonly name = "GuestExecError";
  readonly code: ExecErrorCode | "timeout" | "lost";
  constructor(code: GuestExecError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

export interface GuestExecOptions {
  readonly clock: Clock;
  /** Sent first; null when the stream's opener has sent it. */
  readonly token: string | null;
  /** Per stream; what is over it is dropped and a mark says so. */
  readonly maxOutputBytes?: number;
  readonly signal?: AbortSignal;
}

const MAX_OUTPUT_BYTES = 1024 * 1024;

export async function runGuestExec(
  stream: Duplex,
  request: ExecRequest,
  options: GuestExecOptions,
): Promise<ExecResult> {
  const limit = options.maxOutputBytes ?? MAX_OUTPUT_BYTES;
  const timer = new AbortController();
  const work = converse(stream, request, options.token, limit);
  work.catch(() => {}); // When the race is lost, its end is of no interest.
  const rivals: Promise<ExecResult>[] = [work];
  if (request.timeoutMs !== undefined)
    rivals.push(timeout(options.clock, request.timeoutMs, timer.signal));
  if (options.signal) rivals.push(aborted(options.signal, timer.signal));
  try {
    return await Promise.race(rivals);
  } finally {
    timer.abort();
    stream.destroy(); // Ends the program when it still runs.
  }
}

function converse(
  stream: Duplex,
  request: ExecRequest,
  token: string | null,
  limit: number,
): Promise<ExecResult> {
  return new Promise((resolve, reject) => {
    const stdout = new Collected(limit);
    const stderr = new Collected(limit);
    const decoder = new ExecFrameDecoder();
    stream.on("data", (chunk: Buffer) => {
      try {
        for (const frame of decoder.push(chunk)) {
          if (frame.kind === "stdout") stdout.add(frame.data);
          else if (frame.kind === "stderr") stderr.add(frame.data);
          else if (frame.kind === "error") reject(new GuestExecError(frame.code, frame.message));
          else if (frame.kind === "exit")
            resolve({ exitCode: frame.exitCode, stdout: stdout.text(), stderr: stderr.text() });
        }
      } catch (error) {
        reject(new GuestExecError("bad_request", `exec server: ${(error as Error).message}`));
      }
    });
    const lost = (why: string) =>
      reject(new GuestExecError("lost", `connection to the box's exec server ${why}`));
    stream.on("error", (error: Error) => lost(`failed: ${error.message}`));
    stream.on("end", () => lost("ended before the program did"));
    stream.on("close", () => lost("closed before the program ended"));
    if (token !== null) stream.write(encodeExecFrame({ kind: "auth", token }));
    const { argv, user, cwd, env } = request;
    stream.write(encodeExecFrame({ kind: "start", argv, user, cwd, env }));
    if (request.stdin) {
      stream.write(encodeExecFrame({ kind: "stdin", data: Buffer.from(request.stdin) }));
    }
    stream.write(encodeExecFrame({ kind: "stdin-eof" }));
  });
}

class Collected {
  readonly #limit: number;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #dropped = 0;
  constructor(limit: number) {
    this.#limit = limit;
  }
  add(data: Uint8Array): void {
    const kept = data.subarray(0, this.#limit - this.#bytes);
    this.#chunks.push(Buffer.from(kept));
    this.#bytes += kept.length;
    this.#dropped += data.length - kept.length;
  }
  text(): string {
    const text = Buffer.concat(this.#chunks).toString("utf8");
    return this.#dropped === 0 ? text : `${text}\n[berth: ${this.#dropped} more bytes cut]\n`;
  }
}

async function timeout(clock: Clock, ms: number, done: AbortSignal): Promise<never> {
  try {
    await clock.sleep(ms, done);
  } catch {
    return new Promise<never>(() => {});
  }
  throw new GuestExecError("timeout", `program ran over ${ms} ms and was ended`);
}

function aborted(signal: AbortSignal, done: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    done.addEventListener("abort", () => signal.removeEventListener("abort", abort));
  });
}
