// The fake guest's exec server: the same frames as a real one, so that `berth exec` and terminals work
// without VMs.

import { Duplex } from "node:stream";
import type { ExecRequest, ExecResult } from "#drivers/driver.ts";
import type { FakeSession, FakeSessions } from "#drivers/fake/sessions.ts";
import {
  type ExecAttach,
  type ExecClientFrame,
  type ExecErrorCode,
  ExecFrameDecoder,
  type ExecServerFrame,
  type ExecStart,
  encodeExecFrame,
  type SessionMode,
} from "#wire/exec-frames.ts";

/** Programs that read their input before they do anything. */
const READERS = new Set(["tee"]);
const PID = 2;

export interface FakeExecOptions {
  readonly run: (request: ExecRequest) => Promise<ExecResult>;
  readonly sessions: FakeSessions;
  /** The only session that this connection may attach to, and how. */
  readonly only?: { readonly session: string; readonly mode: SessionMode };
}

export function fakeExecStream(options: FakeExecOptions): Duplex {
  const decoder = new ExecFrameDecoder();
  const stream: Duplex = new Duplex({
    read: () => connection.drained(),
    write(chunk, _encoding, done) {
      try {
        for (const frame of decoder.push(chunk)) connection.take(frame as ExecClientFrame);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
  const connection = new Connection(stream, options);
  return stream;
}

class Connection {
  readonly #stream: Duplex;
  readonly #options: FakeExecOptions;
  readonly #stdin: Uint8Array[] = [];
  #request: ExecRequest | null = null;
  #isRunning = false;
  #session: FakeSession | null = null;

  constructor(stream: Duplex, options: FakeExecOptions) {
    this.#stream = stream;
    this.#options = options;
  }

  drained(): void {
    this.#session?.drained(this.#stream);
  }

  take(frame: ExecClientFrame): void {
    if (this.#session) this.#drive(this.#session, frame);
    else if (this.#request) this.#feed(frame);
    else this.#begin(frame);
  }

  #begin(frame: ExecClientFrame): void {
    const { only, sessions } = this.#options;
    const isAllowed =
      frame.kind === "attach" &&
      frame.session === only?.session &&
      (frame.mode === "read" || only.mode === "write");
    if (only && !isAllowed) this.#fail("forbidden", `only session ${only.session} is open here`);
    else if (frame.kind === "attach") this.#attach(sessions.get(frame.session), frame);
    else if (frame.kind === "start" && frame.session !== undefined) this.#startSession(frame);
    else if (frame.kind === "start") this.#start(frame);
    else if (frame.kind === "list" || frame.kind === "forget") {
      if (frame.kind === "forget") sessions.forget(frame.session);
      this.#say({ kind: "sessions", sessions: sessions.list() });
    } else this.#fail("bad_request", `the fake guest has no ${frame.kind}`);
  }

  #startSession(start: ExecStart): void {
    const { sessions, run } = this.#options;
    const runOnce = async ({ argv, user }: ExecStart) => {
      const { stdout, stderr, exitCode } = await run({ argv, user });
      return { output: stdout + stderr, exitCode };
    };
    const session = sessions.get(start.session ?? "") ?? sessions.start(start, runOnce);
    if (session) this.#attach(session, { mode: "write", writer: start.writer });
    else this.#fail("too_many_sessions", "64 sessions run in this box: forget one");
  }

  #attach(session: FakeSession | null, how: Omit<ExecAttach, "kind" | "session">): void {
    this.#session = session;
    if (session) session.attach(this.#stream, how);
    else this.#fail("no_such_session", "there is no such session in this box");
  }

  #drive(session: FakeSession, frame: ExecClientFrame): void {
    if (!session.mayWrite(this.#stream)) this.#fail("forbidden", "attached for reading only");
    else if (frame.kind === "stdin") session.input(this.#stream, frame.data);
    else if (frame.kind === "signal") session.signal(frame.signal);
    else if (frame.kind === "resize") session.resize(frame.rows, frame.cols);
  }

  #start({ argv, user }: ExecStart): void {
    this.#request = { argv, user };
    this.#say({ kind: "started", pid: PID });
    if (!READERS.has(argv[0] ?? "")) void this.#finish();
  }

  #feed(frame: ExecClientFrame): void {
    if (frame.kind === "stdin") this.#stdin.push(Buffer.from(frame.data));
    else if (frame.kind === "stdin-eof") void this.#finish();
  }

  async #finish(): Promise<void> {
    if (!this.#request || this.#isRunning) return;
    this.#isRunning = true;
    const stdin = Buffer.concat(this.#stdin).toString();
    try {
      const { stdout, stderr, exitCode } = await this.#options.run({ ...this.#request, stdin });
      this.#say({ kind: "stdout", data: Buffer.from(stdout) });
      this.#say({ kind: "stderr", data: Buffer.from(stderr) });
      this.#say({ kind: "exit", exitCode });
      this.#stream.push(null);
    } catch (error) {
      this.#fail("ended", (error as Error).message);
    }
  }

  #fail(code: ExecErrorCode, message: string): void {
    this.#say({ kind: "error", code, message });
    if (!this.#stream.destroyed) this.#stream.push(null);
  }

  #say(frame: ExecServerFrame): void {
    if (this.#stream.destroyed || this.#stream.readableEnded) return;
    const bytes = encodeExecFrame(frame);
    if (bytes.length > 0) this.#stream.push(bytes);
  }
}
