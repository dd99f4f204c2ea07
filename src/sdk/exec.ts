// Runs a program in a box over a stream to port 1, where the guest's exec server listens.

import { type Duplex, Readable, Writable } from "node:stream";
import { ExecFrameDecoder, type ExecServerFrame, encodeExecFrame } from "#wire/exec-frames.ts";
import { ExecError } from "./exec-error.ts";

export { ExecError } from "./exec-error.ts";

export interface ExecOptions {
  /** Program and arguments, not a shell string. */
  readonly argv: readonly string[];
  /** Linux user: dev (the default) or root. */
  readonly user?: string | undefined;
  /** Default: the user's home directory. */
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Gives the program a terminal of this size; its output is then all on stdout. */
  readonly pty?: { readonly rows: number; readonly cols: number } | undefined;
  /** Then the program is ended, and its exit code is 124. */
  readonly timeoutMs?: number | undefined;
}

export interface ExecSession {
  /** `end()` gives the program end-of-file. */
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Exit code, or 128 + signal. Rejects when the program could not start or the stream broke. */
  readonly exit: Promise<number>;
  /** Sends a signal number to the program's process group: 2 INT, 15 TERM, 9 KILL. */
  signal(number: number): void;
  resize(rows: number, cols: number): void;
}

export const EXEC_PORT = 1;

export function execOverStream(stream: Duplex, options: ExecOptions): ExecSession {
  const { promise: exit, resolve, reject } = Promise.withResolvers<number>();
  exit.catch(() => {}); // Whoever waits for it gets the error; nobody has to.
  const full = new Set<Readable>();
  const output = (): Readable => {
    const readable: Readable = new Readable({
      read: () => {
        full.delete(readable);
        if (full.size === 0) stream.resume();
      },
    });
    readable.on("error", () => {}); // `exit` rejects with the same error.
    return readable;
  };
  const stdout = output();
  const stderr = output();
  const stdin = new Writable({
    write: (chunk: Buffer, _encoding, done) =>
      void stream.write(encodeExecFrame({ kind: "stdin", data: chunk }), () => done()),
    final: (done) => void stream.write(encodeExecFrame({ kind: "stdin-eof" }), () => done()),
  });
  let isOver = false;
  const finish = (settle: () => void, error: Error | null) => {
    if (isOver) return;
    isOver = true;
    settle();
    for (const readable of [stdout, stderr]) {
      if (error) readable.destroy(error);
      else readable.push(null);
    }
    stdin.destroy();
    stream.end();
    stream.resume();
  };
  const fail = (error: Error) => finish(() => reject(error), error);
  const receive = (frame: ExecServerFrame) => {
    if (frame.kind === "exit") finish(() => resolve(frame.exitCode), null);
    if (frame.kind === "error") fail(new ExecError(frame.code, frame.message));
    if ((frame.kind !== "stdout" && frame.kind !== "stderr") || isOver) return;
    const readable = frame.kind === "stdout" ? stdout : stderr;
    if (readable.push(Buffer.from(frame.data))) return;
    full.add(readable);
    stream.pause();
  };
  const decoder = new ExecFrameDecoder();
  stream.on("data", (chunk: Buffer) => {
    try {
      for (const frame of decoder.push(chunk)) receive(frame as ExecServerFrame);
    } catch (error) {
      fail(error as Error);
      stream.destroy();
    }
  });
  stream.on("error", fail);
  stream.on("end", () => fail(new Error("the box ended the stream before the program did")));
  stream.on("close", () => fail(new Error("the stream closed before the program ended")));
  stream.write(encodeExecFrame(startOf(options)));
  const send = (frame: Parameters<typeof encodeExecFrame>[0]) => {
    if (!isOver) stream.write(encodeExecFrame(frame));
  };
  return {
    stdin,
    stdout,
    stderr,
    exit,
    signal: (number) => send({ kind: "signal", signal: number }),
    resize: (rows, cols) => send({ kind: "resize", rows, cols }),
  };
}

function startOf({ argv, user = "dev", cwd, env, pty, timeoutMs }: ExecOptions) {
  return { kind: "start" as const, argv, user, cwd, env, pty, timeoutMs };
}
