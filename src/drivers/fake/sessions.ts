// The exec sessions of the fake host's guests: programs that outlive their connections, with the real protocol's
// promises (output by sequence number, input once). They live as long as the process that plays the host, and
// in snapshots with memory.

import type { Duplex } from "node:stream";
import type { Clock } from "#lib/clock.ts";
import {
  type ExecAttach,
  type ExecServerFrame,
  type ExecSessionInfo,
  type ExecStart,
  encodeExecFrame,
  MAX_DATA_BYTES,
} from "#wire/exec-frames.ts";

/** Where in a guest's memory its sessions lie while it is frozen. */
export const SESSIONS_PATH = "/run/fake/sessions";
const RING_BYTES = 1024 * 1024;
const MAX_SESSIONS = 64;
const COUNT_EVERY_MS = 10;

/** Gives a program's whole output, for programs that are not of a session's own kind. */
export type RunOnce = (start: ExecStart) => Promise<{ output: string; exitCode: number }>;

interface Frozen {
  readonly start: ExecStart;
  readonly startedAtMs: number;
  readonly output: string;
  readonly end: number;
  readonly exitCode: number | null;
  readonly taken: Readonly<Record<string, number>>;
  readonly counted: number;
  readonly line: string;
  readonly size: { readonly rows: number; readonly cols: number };
}

interface Attached {
  readonly stream: Duplex;
  readonly mode: ExecAttach["mode"];
  readonly writer: string | undefined;
  /** Sequence number of what it gets next. */
  at: number;
  isFull: boolean;
}

/** One program. `count [LAST] [EVERY_MS]` prints numbered lines; with a terminal anything else echoes until `exit N`. */
export class FakeSession {
  readonly start: ExecStart;
  readonly #clock: Clock;
  readonly #startedAtMs: number;
  readonly #attached = new Set<Attached>();
  readonly #over = new AbortController();
  readonly #taken = new Map<string, number>();
  #ring: Buffer;
  #end: number;
  #exitCode: number | null;
  #counted: number;
  #line: string;
  #size: { rows: number; cols: number };

  constructor(clock: Clock, frozen: Frozen) {
    this.#clock = clock;
    this.start = frozen.start;
    this.#startedAtMs = frozen.startedAtMs;
    this.#ring = Buffer.from(frozen.output, "base64");
    this.#end = frozen.end;
    this.#exitCode = frozen.exitCode;
    this.#counted = frozen.counted;
    this.#line = frozen.line;
    this.#size = { ...frozen.size };
    for (const [writer, bytes] of Object.entries(frozen.taken)) this.#taken.set(writer, bytes);
  }

  /** Lets the program go on, until it ends or `close`. */
  go(runOnce: RunOnce): void {
    if (this.#exitCode !== null || this.#over.signal.aborted) return;
    if (this.start.argv[0] === "count") void this.#count();
    else if (!this.start.pty) {
      runOnce(this.start).then(
        ({ output, exitCode }) => {
          this.#say(Buffer.from(output));
          this.#finish(exitCode);
        },
        () => this.#finish(126),
      );
    }
  }

  get info(): ExecSessionInfo {
    const { session = "", argv, user, pty } = this.start;
    return {
      ...{ session, argv, user, isTerminal: pty !== undefined, startedAtMs: this.#startedAtMs },
      ...{ attached: this.#attached.size, end: this.#end, exitCode: this.#exitCode ?? undefined },
    };
  }

  get hasEnded(): boolean {
    return this.#exitCode !== null;
  }

  attach(stream: Duplex, { from = 0, mode, writer }: Omit<ExecAttach, "kind" | "session">): void {
    // What an older connection of the same writer still holds was not counted, so it may not count any more.
    for (const other of this.#attached)
      if (writer !== undefined && other.writer === writer) this.#drop(other);
    const at = Math.min(Math.max(from, this.#oldest), this.#end);
    const attached: Attached = { stream, mode, writer, at, isFull: false };
    this.#attached.add(attached);
    stream.on("close", () => this.#attached.delete(attached));
    this.#greet(attached);
    this.#pump(attached);
  }

  /** The connection was read to its bounds. */
  drained(stream: Duplex): void {
    for (const attached of this.#attached)
      if (attached.stream === stream) {
        attached.isFull = false;
        this.#pump(attached);
      }
  }

  mayWrite(stream: Duplex): boolean {
    return this.#find(stream)?.mode === "write";
  }

  input(stream: Duplex, data: Uint8Array): void {
    const attached = this.#find(stream);
    if (!attached) return;
    if (attached.writer !== undefined) {
      const bytes = (this.#taken.get(attached.writer) ?? 0) + data.length;
      this.#taken.set(attached.writer, bytes);
      tell(stream, { kind: "input-taken", bytes });
    }
    if (this.hasEnded || !this.start.pty) return;
    const text = Buffer.from(data).toString();
    this.#say(Buffer.from(text.replaceAll("\r", "\r\n")));
    const lines = (this.#line + text).split(/[\r\n]/);
    this.#line = lines.pop() ?? "";
    for (const line of lines) {
      const code = /^exit(?: (\d+))?$/.exec(line.trim());
      if (code) this.#finish(Number(code[1] ?? 0));
    }
  }

  resize(rows: number, cols: number): void {
    this.#size = { rows, cols };
  }

  signal(number: number): void {
    if (!this.hasEnded) this.#finish(128 + number);
  }

  detachAll(): void {
    for (const attached of this.#attached) this.#drop(attached);
  }

  /** Nothing of it runs any more and nobody is attached. */
  close(): void {
    this.#over.abort();
    this.detachAll();
  }

  freeze(): Frozen {
    return {
      ...{ start: this.start, startedAtMs: this.#startedAtMs, end: this.#end },
      ...{ output: this.#ring.toString("base64"), exitCode: this.#exitCode, size: this.#size },
      ...{ taken: Object.fromEntries(this.#taken), counted: this.#counted, line: this.#line },
    };
  }

  get #oldest(): number {
    return this.#end - this.#ring.length;
  }

  #find(stream: Duplex): Attached | undefined {
    return [...this.#attached].find((one) => one.stream === stream);
  }

  async #count(): Promise<void> {
    const last = Number(this.start.argv[1] ?? Number.POSITIVE_INFINITY);
    const everyMs = Number(this.start.argv[2] ?? COUNT_EVERY_MS);
    const { signal } = this.#over;
    while (this.#counted < last && !this.hasEnded) {
      await this.#clock.sleep(everyMs, signal).catch(() => {});
      if (signal.aborted || this.hasEnded) return;
      // Waits for those who look, as a terminal does, until one of them keeps up.
      if (this.#isWaitedFor()) continue;
      this.#counted += 1;
      this.#say(Buffer.from(`${this.#counted}\n`));
    }
    this.#finish(0);
  }

  #isWaitedFor(): boolean {
    const all = [...this.#attached];
    return all.length > 0 && all.every(({ at }) => this.#end - at > RING_BYTES / 2);
  }

  #say(data: Buffer): void {
    this.#end += data.length;
    this.#ring = Buffer.concat([this.#ring, data]).subarray(-RING_BYTES);
    for (const attached of this.#attached) this.#pump(attached);
  }

  #finish(exitCode: number): void {
    if (this.hasEnded || this.#over.signal.aborted) return;
    this.#exitCode = exitCode;
    for (const attached of this.#attached) this.#pump(attached);
  }

  #greet({ stream, at, writer }: Attached): void {
    tell(stream, {
      ...{ kind: "attached", session: this.start.session ?? "", oldest: this.#oldest, from: at },
      ...{ end: this.#end, received: this.#taken.get(writer ?? "") ?? 0, ...this.#size },
      isTerminal: this.start.pty !== undefined,
    });
  }

  #pump(attached: Attached): void {
    const { stream } = attached;
    while (!attached.isFull && attached.at < this.#end) {
      if (attached.at < this.#oldest) {
        attached.at = this.#oldest;
        this.#greet(attached);
      }
      const from = attached.at - this.#oldest;
      const data = this.#ring.subarray(from, from + MAX_DATA_BYTES);
      attached.at += data.length;
      attached.isFull = !stream.push(encodeExecFrame({ kind: "stdout", data }));
    }
    if (this.#exitCode === null || attached.at < this.#end || !this.#attached.delete(attached))
      return;
    tell(stream, { kind: "exit", exitCode: this.#exitCode });
    stream.push(null);
  }

  #drop(attached: Attached): void {
    this.#attached.delete(attached);
    const message = "this connection is over; the session is not: attach again";
    tell(attached.stream, { kind: "error", code: "detached", message });
    attached.stream.push(null);
  }
}

function tell(stream: Duplex, frame: ExecServerFrame): void {
  if (!stream.destroyed && !stream.readableEnded) stream.push(encodeExecFrame(frame));
}

/** The sessions of one guest. */
export class FakeSessions {
  readonly #clock: Clock;
  readonly #sessions = new Map<string, FakeSession>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(id: string): FakeSession | null {
    return this.#sessions.get(id) ?? null;
  }

  list(): ExecSessionInfo[] {
    return [...this.#sessions.values()].map(({ info }) => info);
  }

  /** Null when there are too many that run. */
  start(start: ExecStart, runOnce: RunOnce): FakeSession | null {
    const id = start.session ?? "";
    if (this.#sessions.size >= MAX_SESSIONS) {
      const ended = [...this.#sessions].find(([, session]) => session.hasEnded);
      if (!ended) return null;
      this.forget(ended[0]);
    }
    const size = start.pty ?? { rows: 0, cols: 0 };
    const session = new FakeSession(this.#clock, {
      ...{ start, startedAtMs: this.#clock.nowMs(), output: "", end: 0, exitCode: null },
      ...{ taken: {}, counted: 0, line: "", size },
    });
    this.#sessions.set(id, session);
    session.go(runOnce);
    return session;
  }

  forget(id: string): void {
    this.#sessions.get(id)?.close();
    this.#sessions.delete(id);
  }

  detachAll(): void {
    for (const session of this.#sessions.values()) session.detachAll();
  }

  close(): void {
    for (const id of [...this.#sessions.keys()]) this.forget(id);
  }

  freeze(): string {
    return JSON.stringify([...this.#sessions.values()].map((session) => session.freeze()));
  }

  thaw(frozen: string, runOnce: RunOnce): void {
    for (const state of JSON.parse(frozen) as Frozen[]) {
      const session = new FakeSession(this.#clock, state);
      this.#sessions.set(state.start.session ?? "", session);
      session.go(runOnce);
    }
  }
}
