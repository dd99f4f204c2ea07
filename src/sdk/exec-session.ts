// A program in a box that outlives its connections, held from one end to the other: whenever the connection is
// lost it attaches again, by another gateway if need be, goes on with the byte of output that comes next, and
// sends what the box has not taken of the input. Nothing is lost and nothing comes twice, as long as the box
// still keeps what was missed (1 MiB); else the gap is told. Runs in browsers and in Node.

import {
  type ExecAttached,
  type ExecClientFrame,
  ExecFrameDecoder,
  type ExecServerFrame,
  encodeExecFrame,
  type SessionMode,
  type TerminalSize,
} from "#wire/exec-frames.ts";
import { ExecError } from "./exec-error.ts";
import { InputQueue } from "./input-queue.ts";

/** A byte stream to the exec server, however it came to be. */
export interface ByteChannel {
  /** The next bytes; null after the last. Rejects when it broke. What nobody reads stays at the sender. */
  read(): Promise<Uint8Array | null>;
  /** Resolves when more may be written. */
  write(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** At once; a `read` that waits ends. */
  close(): void;
}

export type SessionStatus =
  | { readonly kind: "connecting"; readonly attempt: number }
  | {
      readonly kind: "attached";
      readonly isTerminal: boolean;
      readonly size: TerminalSize;
      /** So much of the output that follows is older than this connection. */
      readonly replayBytes: number;
    }
  /** The connection is lost; the next try is in `retryMs`. The program goes on. */
  | { readonly kind: "waiting"; readonly retryMs: number; readonly error: Error }
  | { readonly kind: "exited"; readonly exitCode: number }
  /** Trying again does not help. */
  | { readonly kind: "failed"; readonly error: Error }
  | { readonly kind: "closed" };

export interface SessionStart {
  /** None, with a terminal: the user's login shell. */
  readonly argv: readonly string[];
  readonly user?: string | undefined;
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly pty?: TerminalSize | undefined;
  readonly timeoutMs?: number | undefined;
}

export interface LastingSessionOptions {
  readonly session: string;
  readonly mode: SessionMode;
  /** Starts it when there is none of that id. Without: there must be one. */
  readonly start?: SessionStart | undefined;
  /** `attempt` counts tries since the session was last attached: a reason to turn to another gateway. */
  readonly connect: (attempt: number, signal: AbortSignal) => Promise<ByteChannel>;
  /** False for what waiting does not cure; the session then fails. */
  readonly isRetryable: (error: unknown) => boolean;
  /** Nothing more is read until it resolves. */
  readonly onData: (bytes: Uint8Array, from: "stdout" | "stderr") => void | Promise<void>;
  /** So many bytes of output are lost: the box did not keep them. */
  readonly onGap?: (missingBytes: number) => void;
  readonly onStatus?: (status: SessionStatus) => void;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly nowMs: () => number;
  /** 0 to 1; spreads many clients that lost the same gateway. */
  readonly random: () => number;
  /** Input that the box does not take for so long means that the connection is dead. */
  readonly silenceMs?: number;
}

const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 10_000;
/** One that was attached for so long was a good one: the next try comes at once. */
const STEADY_MS = 2000;
const SILENCE_MS = 8000;

/** What `error` frames another connection can cure. */
const PASSING: readonly string[] = ["detached", "ended", "unauthorized"];

/** One connection and what was said on it. */
interface Link {
  readonly channel: ByteChannel;
  /** Sequence number of the next byte of output; null before `attached`. */
  position: number | null;
  attachedAtMs: number;
  isSending: boolean;
  saidEnd: boolean;
  /** Messages read so far: a sign of life. */
  heard: number;
  isReading: boolean;
}

export class LastingSession {
  /** Exit code of the program. Rejects when the session fails or is closed before. */
  readonly exit: Promise<number>;
  readonly #options: LastingSessionOptions;
  readonly #writer = crypto.getRandomValues(new BigUint64Array(2)).join("-");
  readonly #input = new InputQueue();
  readonly #over = new AbortController();
  readonly #settle: { resolve: (exitCode: number) => void; reject: (error: Error) => void };
  #status: SessionStatus = { kind: "connecting", attempt: 0 };
  #link: Link | null = null;
  /** Bytes of output handed on; null until the first `attached`. */
  #seen: number | null = null;
  #size: TerminalSize | null;
  #hurry = new AbortController();
  #signals: number[] = [];

  constructor(options: LastingSessionOptions) {
    this.#options = options;
    this.#size = options.start?.pty ?? null;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    promise.catch(() => {}); // Nobody has to wait for it.
    this.exit = promise;
    this.#settle = { resolve, reject };
    void this.#run();
  }

  get status(): SessionStatus {
    return this.#status;
  }

  /** Keeps the bytes until the box has taken them. Resolves when more may come. */
  write(bytes: Uint8Array): Promise<void> {
    if (this.#options.mode === "read" || this.#over.signal.aborted) return Promise.resolve();
    const room = this.#input.push(bytes);
    this.#flush();
    return room;
  }

  /** End of input. */
  end(): void {
    this.#input.end();
    this.#flush();
  }

  signal(number: number): void {
    this.#signals.push(number);
    this.#flush();
  }

  resize(rows: number, cols: number): void {
    this.#size = { rows, cols };
    const isShown = this.#link !== null && this.#link.position !== null;
    if (isShown && this.#options.mode === "write") this.#send({ kind: "resize", rows, cols });
  }

  /** Ends a wait for the next try. */
  retryNow(): void {
    this.#hurry.abort();
  }

  /** Takes a new connection, for when the old one is known to be dead or of no use. */
  reconnect(): void {
    this.#link?.channel.close();
    this.retryNow();
  }

  /** Lets go. The program in the box goes on. */
  close(): void {
    this.#finish({ kind: "closed" }, () => this.#settle.reject(new Error("the session was left")));
  }

  async #run(): Promise<void> {
    for (let attempt = 0; !this.#over.signal.aborted; attempt++) {
      this.#say({ kind: "connecting", attempt });
      const { error, link } = await this.#connectOnce(attempt);
      if (this.#over.signal.aborted) return;
      if (this.#isFinal(error)) return this.#fail(error);
      const wasAttached = link !== null && link.position !== null;
      if (wasAttached && this.#options.nowMs() - link.attachedAtMs >= STEADY_MS) attempt = 0;
      await this.#wait(attempt, error);
    }
  }

  /** Returns when the connection is lost, with the reason. */
  async #connectOnce(attempt: number): Promise<{ error: Error; link: Link | null }> {
    let link: Link | null = null;
    try {
      const channel = await this.#options.connect(attempt, this.#over.signal);
      link = newLink(channel);
      this.#link = link;
      if (this.#over.signal.aborted) channel.close();
      await channel.write(encodeExecFrame(this.#firstFrame()));
      await this.#readAll(link);
      throw new Error("the stream ended before the program did");
    } catch (error) {
      return { error: asError(error), link };
    } finally {
      if (this.#link === link) this.#link = null;
      link?.channel.close();
    }
  }

  #firstFrame(): ExecClientFrame {
    const { session, mode, start } = this.#options;
    const writer = mode === "write" ? this.#writer : undefined;
    // Once attached it exists; starting another in its place would hide that it is gone.
    if (start && this.#seen === null)
      return {
        ...start,
        kind: "start",
        user: start.user ?? "dev",
        pty: this.#pty(start),
        session,
        writer,
      };
    return { kind: "attach", session, mode, writer, from: this.#seen ?? undefined };
  }

  #pty(start: SessionStart): TerminalSize | undefined {
    return start.pty && (this.#size ?? start.pty);
  }

  async #readAll(link: Link): Promise<void> {
    const decoder = new ExecFrameDecoder();
    for (;;) {
      link.isReading = true;
      const bytes = await link.channel.read();
      link.isReading = false;
      link.heard += 1;
      if (bytes === null || this.#over.signal.aborted) return;
      for (const frame of decoder.push(bytes)) {
        await this.#receive(link, frame as ExecServerFrame);
        if (this.#over.signal.aborted) return;
      }
    }
  }

  async #receive(link: Link, frame: ExecServerFrame): Promise<void> {
    switch (frame.kind) {
      case "attached":
        return this.#attached(link, frame);
      case "stdout":
      case "stderr":
        return await this.#output(link, frame.data, frame.kind);
      case "input-taken":
        return this.#input.taken(frame.bytes);
      case "exit":
        return this.#finish({ kind: "exited", exitCode: frame.exitCode }, () =>
          this.#settle.resolve(frame.exitCode),
        );
      case "error":
        throw new ExecError(frame.code, frame.message);
    }
  }

  #attached(link: Link, frame: ExecAttached): void {
    // Fewer bytes in all than were seen: another program under the same id. It is shown from its beginning.
    if (this.#seen === null || frame.end < this.#seen) this.#seen = frame.from;
    if (frame.from > this.#seen) {
      this.#options.onGap?.(frame.from - this.#seen);
      this.#seen = frame.from;
    }
    const isFirst = link.position === null;
    link.position = frame.from;
    if (!isFirst) return; // We did not keep up; the input goes on.
    link.attachedAtMs = this.#options.nowMs();
    this.#input.resume(frame.received);
    const size = this.#size;
    const isOurs = this.#options.mode === "write" && frame.isTerminal;
    if (isOurs && size && (size.rows !== frame.rows || size.cols !== frame.cols))
      this.#send({ kind: "resize", ...size });
    const { isTerminal, rows, cols } = frame;
    const replayBytes = frame.end - frame.from;
    this.#say({ kind: "attached", isTerminal, size: { rows, cols }, replayBytes });
    this.#flush();
  }

  async #output(link: Link, data: Uint8Array, from: "stdout" | "stderr"): Promise<void> {
    const position = link.position ?? 0;
    const fresh = data.subarray(Math.max(0, (this.#seen ?? position) - position));
    link.position = position + data.length;
    if (fresh.length === 0) return;
    this.#seen = link.position;
    await this.#options.onData(fresh, from);
  }

  /** Sends what is there to send, in order, one frame after the other. */
  #flush(): void {
    const link = this.#link;
    if (!link || link.position === null || this.#options.mode === "read") return;
    for (const signal of this.#signals.splice(0)) this.#send({ kind: "signal", signal });
    if (link.isSending) return;
    link.isSending = true;
    // A write that fails is seen by the reader too, who says why.
    this.#sendInput(link)
      .catch(() => {})
      .finally(() => {
        link.isSending = false;
      });
  }

  async #sendInput(link: Link): Promise<void> {
    for (;;) {
      const data = this.#link === link ? this.#input.next() : null;
      if (!data) break;
      await link.channel.write(encodeExecFrame({ kind: "stdin", data }));
    }
    if (this.#link !== link) return;
    if (this.#input.isEnded && !link.saidEnd) {
      link.saidEnd = true;
      await link.channel.write(encodeExecFrame({ kind: "stdin-eof" }));
    }
    void this.#listenForLife(link);
  }

  /** A network that went away says nothing: input that stays untaken does. */
  async #listenForLife(link: Link): Promise<void> {
    const { heard } = link;
    if (this.#input.untakenBytes === 0) return;
    await this.#options
      .sleep(this.#options.silenceMs ?? SILENCE_MS, this.#over.signal)
      .catch(() => {});
    const isSilent = link.isReading && link.heard === heard && this.#input.untakenBytes > 0;
    if (this.#link === link && isSilent) link.channel.close();
  }

  #send(frame: ExecClientFrame): void {
    this.#link?.channel.write(encodeExecFrame(frame)).catch(() => {});
  }

  #isFinal(error: Error): boolean {
    if (error instanceof ExecError) return !PASSING.includes(error.code);
    return !this.#options.isRetryable(error);
  }

  async #wait(attempt: number, error: Error): Promise<void> {
    const spread = 0.75 + this.#options.random() / 2;
    const retryMs = Math.round(Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt) * spread);
    this.#say({ kind: "waiting", retryMs, error });
    this.#hurry = new AbortController();
    const signal = AbortSignal.any([this.#hurry.signal, this.#over.signal]);
    await this.#options.sleep(retryMs, signal).catch(() => {});
  }

  #fail(error: Error): void {
    this.#finish({ kind: "failed", error }, () => this.#settle.reject(error));
  }

  #finish(status: SessionStatus, settle: () => void): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#input.drop();
    this.#link?.channel.close();
    settle();
    this.#say(status);
  }

  #say(status: SessionStatus): void {
    this.#status = status;
    this.#options.onStatus?.(status);
  }
}

function newLink(channel: ByteChannel): Link {
  return {
    channel,
    ...{ position: null, attachedAtMs: 0, isSending: false, saidEnd: false },
    ...{ heard: 0, isReading: false },
  };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
