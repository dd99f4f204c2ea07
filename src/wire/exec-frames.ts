// The exec protocol's bytes, as both ends of a stream to a box's TCP port 1 share them. A frame is:
// length of the payload (4 bytes, big endian), kind (1 byte), payload. See guest/PROTOCOL.md. Runs in
// browsers too: bytes are Uint8Array.

import { type DecodedRecord, decodeRecord, encodeRecord, type Field } from "./records.ts";

export interface ExecStart {
  readonly kind: "start";
  /** Program and arguments, not a shell string. None, with a terminal: the user's login shell. */
  readonly argv: readonly string[];
  /** Linux user: dev or root. */
  readonly user: string;
  /** Default: the user's home directory. */
  readonly cwd?: string | undefined;
  /** Added to the box's environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** With it the program gets a terminal of that size, and stdout and stderr are one. */
  readonly pty?: TerminalSize | undefined;
  /** After it the program gets TERM, 2 s later KILL; `exit` then says 124. */
  readonly timeoutMs?: number | undefined;
  /**
   * Makes it a session, which outlives this connection, and attaches to it for writing. When there is one of that
   * id already: attaches, and starts nothing. Answered with `attached`, not `started`.
   */
  readonly session?: string | undefined;
  /** With a session: as in `attach`. */
  readonly writer?: string | undefined;
}

export interface TerminalSize {
  readonly rows: number;
  readonly cols: number;
}

/** `read`: no input, signals or sizes. */
export type SessionMode = "read" | "write";

export type ExecClientFrame =
  /**
   * First on a connection; whoever opened the stream (the node) sends it, not the user. With a session: this
   * connection may only attach to that one, in at most that mode.
   */
  | {
      readonly kind: "auth";
      readonly token: string;
      readonly session?: string | undefined;
      readonly mode?: SessionMode | undefined;
    }
  | ExecStart
  | { readonly kind: "stdin"; readonly data: Uint8Array }
  | { readonly kind: "stdin-eof" }
  /** A signal number (2 INT, 15 TERM, 9 KILL) for the program's process group. */
  | { readonly kind: "signal"; readonly signal: number }
  | ({ readonly kind: "resize" } & TerminalSize)
  | ExecAttach
  /** Answered with `sessions`; then another first frame may follow. */
  | { readonly kind: "list" }
  /** Ends a session and drops its output. Answered with `sessions` (those left); fine when there is none. */
  | { readonly kind: "forget"; readonly session: string }
  /** Listens in the box for as long as this connection lives: `ADDRESS:PORT` (port 0: any), or a path. */
  | { readonly kind: "listen"; readonly tcp: string }
  | { readonly kind: "listen"; readonly unix: string }
  /** This connection becomes the raw bytes of an accepted one: no frames after it, either way. */
  | { readonly kind: "take"; readonly connection: string }
  /** Connects in the box, to `localhost:PORT` or a numeric `ADDRESS:PORT`; after `dialed` come raw bytes. */
  | { readonly kind: "dial"; readonly tcp: string };

export interface ExecAttach {
  readonly kind: "attach";
  readonly session: string;
  /** Bytes of output seen so far. Absent: from the oldest that is kept. */
  readonly from?: number | undefined;
  readonly mode: SessionMode;
  /**
   * A random name that this client keeps over its connections: input is then counted (`received`, `input-taken`),
   * and sending the rest again loses and doubles nothing. An older connection of the same writer is dropped.
   */
  readonly writer?: string | undefined;
}

/**
 * What follows is output from `from` on: more than was asked for when the box keeps less, and the client shows
 * a gap. May come again in the middle, after a client did not keep up.
 */
export interface ExecAttached {
  readonly kind: "attached";
  readonly session: string;
  readonly oldest: number;
  readonly from: number;
  /** Count of all output so far. */
  readonly end: number;
  /** Bytes of input taken so far from this writer. */
  readonly received: number;
  readonly rows: number;
  readonly cols: number;
  readonly isTerminal: boolean;
}

export interface ExecSessionInfo {
  readonly session: string;
  readonly argv: readonly string[];
  readonly user: string;
  readonly isTerminal: boolean;
  readonly startedAtMs: number;
  /** Connections that are attached now. */
  readonly attached: number;
  /** Count of all output so far. */
  readonly end: number;
  /** Once the program ended. */
  readonly exitCode?: number | undefined;
}

export type ExecServerFrame =
  | { readonly kind: "started"; readonly pid: number }
  | { readonly kind: "stdout"; readonly data: Uint8Array }
  | { readonly kind: "stderr"; readonly data: Uint8Array }
  /** Exit code of the program, or 128 + the signal that killed it. Last on a connection. */
  | { readonly kind: "exit"; readonly exitCode: number }
  /** Nothing was run, or the server gave up. Last on a connection. */
  | { readonly kind: "error"; readonly code: ExecErrorCode; readonly message: string }
  | ExecAttached
  | { readonly kind: "sessions"; readonly sessions: readonly ExecSessionInfo[] }
  | { readonly kind: "listening"; readonly address: string }
  | { readonly kind: "accepted"; readonly connection: string; readonly peer: string }
  /** Bytes of input of this writer taken so far. */
  | { readonly kind: "input-taken"; readonly bytes: number }
  | { readonly kind: "dialed" };

export const EXEC_ERROR_CODES = [
  "unauthorized", // wrong token, or the box has no identity yet
  "bad_request", // the frames make no sense
  "cannot_start", // no such program, user or directory
  "ended", // the box got a new identity and ended what ran by an older one
  "forbidden", // this connection may not do that
  "no_such_session", // nothing to attach to
  "too_many_sessions", // forget some
  "detached", // the session lives on, this connection does not: attach again
  "cannot_listen", // the address is taken, or is none
  "cannot_dial", // nothing listens there
] as const;
export type ExecErrorCode = (typeof EXEC_ERROR_CODES)[number];

export type ExecFrame = ExecClientFrame | ExecServerFrame;

export class ExecFrameError extends Error {
  override readonly name = "ExecFrameError";
}

const KINDS = {
  auth: 1,
  start: 2,
  stdin: 3,
  "stdin-eof": 4,
  signal: 5,
  resize: 6,
  attach: 7,
  list: 8,
  forget: 9,
  listen: 10,
  take: 11,
  dial: 12,
  started: 16,
  stdout: 17,
  stderr: 18,
  exit: 19,
  error: 20,
  attached: 21,
  sessions: 22,
  listening: 23,
  accepted: 24,
  "input-taken": 25,
  dialed: 26,
} as const satisfies Record<ExecFrame["kind"], number>;

/** Data frames are cut to this; start may be longer. */
export const MAX_DATA_BYTES = 64 * 1024;
export const MAX_FRAME_BYTES = 1024 * 1024;
const HEADER_BYTES = 5;

const [toBytes, toText] = [new TextEncoder(), new TextDecoder()];
const NOTHING = new Uint8Array(0);

/** Bytes of one frame; stdin, stdout and stderr longer than 64 KiB become several. */
export function encodeExecFrame(frame: ExecFrame): Uint8Array<ArrayBuffer> {
  const content = contentOf(frame);
  const payload = content instanceof Uint8Array ? content : encodeRecord(content);
  const isData = frame.kind === "stdin" || frame.kind === "stdout" || frame.kind === "stderr";
  const maxBytes = isData ? MAX_DATA_BYTES : MAX_FRAME_BYTES;
  if (!isData && payload.length > maxBytes)
    throw new ExecFrameError(`frame of ${payload.length} bytes is over ${maxBytes}`);
  // No data is no frame at all; every other frame is one, however empty.
  const count = isData ? Math.ceil(payload.length / maxBytes) : 1;
  const bytes = new Uint8Array(payload.length + count * HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  let to = 0;
  for (let n = 0; n < count; n += 1) {
    const part = payload.subarray(n * maxBytes, (n + 1) * maxBytes);
    view.setUint32(to, part.length);
    bytes[to + 4] = KINDS[frame.kind];
    bytes.set(part, to + HEADER_BYTES);
    to += HEADER_BYTES + part.length;
  }
  return bytes;
}

/** The payload, or the record that it is. */
function contentOf(frame: ExecFrame): Uint8Array | Field[] {
  switch (frame.kind) {
    case "stdin":
    case "stdout":
    case "stderr":
      return frame.data;
    case "stdin-eof":
    case "list":
    case "dialed":
      return NOTHING;
    case "signal":
      return Uint8Array.of(frame.signal);
    case "exit":
      return Uint8Array.of(frame.exitCode);
    case "resize":
      return sizeBytes(frame);
    case "started":
      return bigEndian(4, frame.pid);
    case "input-taken":
      return bigEndian(8, frame.bytes);
    case "auth":
      if (frame.session === undefined) return toBytes.encode(frame.token);
      return textFields(frame, "token", "session", "mode");
    case "start":
      return startFields(frame);
    case "attach":
      return textFields(frame, "session", "from", "mode", "writer");
    case "forget":
      return textFields(frame, "session");
    case "listen":
      return textFields(frame as { tcp?: string; unix?: string }, "tcp", "unix");
    case "take":
    case "dial":
      return textFields(frame as { connection?: string; tcp?: string }, "connection", "tcp");
    case "error":
      return textFields(frame, "code", "message");
    case "attached":
      return [
        ...textFields(frame, "session", "oldest", "from", "end", "received", "rows", "cols"),
        ["isTerminal", frame.isTerminal ? "1" : "0"],
      ];
    case "sessions":
      return frame.sessions.map((session) => ["session", encodeRecord(sessionFields(session))]);
    case "listening":
      return textFields(frame, "address");
    case "accepted":
      return textFields(frame, "connection", "peer");
  }
}

function bigEndian(length: number, value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes.subarray(8 - length);
}

/** The named members that are there, as text. */
function textFields<T extends object>(of: T, ...names: (keyof T & string)[]): Field[] {
  return names.filter((name) => of[name] !== undefined).map((name) => [name, String(of[name])]);
}

function startFields(start: ExecStart): Field[] {
  const fields: Field[] = [["user", start.user]];
  for (const argument of start.argv) fields.push(["argv", argument]);
  fields.push(...textFields(start, "cwd"));
  for (const [name, value] of Object.entries(start.env ?? {}))
    fields.push(["env", `${name}=${value}`]);
  if (start.pty) fields.push(["pty", sizeBytes(start.pty)]);
  fields.push(...textFields(start, "timeoutMs", "session", "writer"));
  return fields;
}

function sessionFields(info: ExecSessionInfo): Field[] {
  const fields = textFields(info, "session", "user", "startedAtMs", "attached", "end", "exitCode");
  for (const argument of info.argv) fields.push(["argv", argument]);
  fields.push(["isTerminal", info.isTerminal ? "1" : "0"]);
  return fields;
}

function sizeBytes({ rows, cols }: TerminalSize): Uint8Array {
  const bytes = new Uint8Array(4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, rows);
  view.setUint16(2, cols);
  return bytes;
}

/**
 * Turns bytes, cut anywhere, into frames. Data frames may be views of what was pushed: do not write into that again.
 * Throws ExecFrameError, and is then of no further use.
 */
export class ExecFrameDecoder {
  /** The beginning of a frame, in a buffer that may be longer than it. */
  #held: Uint8Array = NOTHING;
  #heldBytes = 0;

  push(chunk: Uint8Array): ExecFrame[] {
    const frames: ExecFrame[] = [];
    let rest = chunk;
    while (this.#heldBytes > 0 && rest.length > 0) {
      const missing = frameBytes(this.#held, this.#heldBytes) - this.#heldBytes;
      this.#hold(rest.subarray(0, missing));
      rest = rest.subarray(missing);
      if (this.#heldBytes < frameBytes(this.#held, this.#heldBytes)) continue;
      frames.push(frameOf(this.#held.subarray(0, this.#heldBytes)));
      this.#held = NOTHING;
      this.#heldBytes = 0;
    }
    let at = 0;
    for (;;) {
      const whole = rest.subarray(at, at + frameBytes(rest.subarray(at), rest.length - at));
      if (whole.length < HEADER_BYTES || whole.length < frameBytes(whole, whole.length)) break;
      frames.push(frameOf(whole));
      at += whole.length;
    }
    if (at < rest.length) this.#hold(rest.subarray(at));
    return frames;
  }

  /** Bytes of an unfinished frame; more than 0 at the stream's end means that it was cut. */
  get pendingBytes(): number {
    return this.#heldBytes;
  }

  #hold(bytes: Uint8Array): void {
    const length = this.#heldBytes + bytes.length;
    if (this.#held.length < length) {
      const grown = new Uint8Array(length * 2);
      grown.set(this.#held.subarray(0, this.#heldBytes));
      this.#held = grown;
    }
    this.#held.set(bytes, this.#heldBytes);
    this.#heldBytes = length;
  }
}

/** Length of the frame that begins there; of its header while that is not whole. */
function frameBytes(bytes: Uint8Array, known: number): number {
  if (known < HEADER_BYTES) return HEADER_BYTES;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  if (length > MAX_FRAME_BYTES)
    throw new ExecFrameError(`frame of ${length} bytes is over ${MAX_FRAME_BYTES}`);
  return HEADER_BYTES + length;
}

function frameOf(frame: Uint8Array): ExecFrame {
  const kind = frame[4] ?? 0;
  const payload = frame.subarray(HEADER_BYTES);
  switch (kind) {
    case KINDS.stdin:
      return { kind: "stdin", data: payload };
    case KINDS.stdout:
      return { kind: "stdout", data: payload };
    case KINDS.stderr:
      return { kind: "stderr", data: payload };
    case KINDS["stdin-eof"]:
      return { kind: "stdin-eof" };
    case KINDS.list:
      return { kind: "list" };
    case KINDS.dialed:
      return { kind: "dialed" };
    case KINDS.signal:
      return { kind: "signal", signal: exactly(payload, 1).getUint8(0) };
    case KINDS.exit:
      return { kind: "exit", exitCode: exactly(payload, 1).getUint8(0) };
    case KINDS.resize:
      return { kind: "resize", ...sizeOf(payload) };
    case KINDS.started:
      return { kind: "started", pid: exactly(payload, 4).getUint32(0) };
    case KINDS["input-taken"]:
      return { kind: "input-taken", bytes: Number(exactly(payload, 8).getBigUint64(0)) };
    case KINDS.auth:
      return authOf(payload);
    default:
      return recordFrameOf(kind, payload);
  }
}

function recordFrameOf(kind: number, payload: Uint8Array): ExecFrame {
  const of = (name: string) => record.text(name) ?? "";
  const record = decode(payload);
  switch (kind) {
    case KINDS.start:
      return startOf(record);
    case KINDS.attach: {
      const from = record.text("from") === undefined ? undefined : record.number("from");
      const attach = {
        kind: "attach" as const,
        session: of("session"),
        from,
        mode: modeOf(record),
      };
      return { ...attach, writer: record.text("writer") };
    }
    case KINDS.forget:
      return { kind: "forget", session: of("session") };
    case KINDS.listen: {
      const tcp = record.text("tcp");
      return tcp === undefined ? { kind: "listen", unix: of("unix") } : { kind: "listen", tcp };
    }
    case KINDS.take:
      return { kind: "take", connection: of("connection") };
    case KINDS.dial:
      return { kind: "dial", tcp: of("tcp") };
    case KINDS.error: {
      const code = EXEC_ERROR_CODES.find((known) => known === of("code")) ?? "bad_request";
      return { kind: "error", code, message: of("message") };
    }
    case KINDS.attached:
      return {
        ...{ kind: "attached", session: of("session"), isTerminal: of("isTerminal") === "1" },
        ...{ oldest: record.number("oldest"), from: record.number("from") },
        ...{ end: record.number("end"), received: record.number("received") },
        ...{ rows: record.number("rows"), cols: record.number("cols") },
      };
    case KINDS.sessions: {
      const sessions = record.fields.filter(([name]) => name === "session");
      return { kind: "sessions", sessions: sessions.map(([, bytes]) => sessionOf(decode(bytes))) };
    }
    case KINDS.listening:
      return { kind: "listening", address: of("address") };
    case KINDS.accepted:
      return { kind: "accepted", connection: of("connection"), peer: of("peer") };
    default:
      throw new ExecFrameError(`frame kind ${kind} is not known`);
  }
}

/** A record that begins with its token, or the token itself. */
function authOf(payload: Uint8Array): ExecClientFrame {
  const text = toText.decode(payload);
  if (!text.startsWith("\x05token")) return { kind: "auth", token: text };
  const record = decode(payload);
  const auth = { kind: "auth" as const, token: record.text("token") ?? "" };
  return { ...auth, session: record.text("session"), mode: modeOf(record) };
}

function startOf(record: DecodedRecord): ExecStart {
  const env: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const pair of record.texts("env")) {
    const equals = pair.indexOf("=");
    if (equals > 0) env[pair.slice(0, equals)] = pair.slice(equals + 1);
  }
  const pty = record.bytes("pty");
  return {
    kind: "start",
    argv: record.texts("argv"),
    user: record.text("user") ?? "",
    cwd: record.text("cwd"),
    env,
    pty: pty ? sizeOf(pty) : undefined,
    timeoutMs: record.number("timeoutMs") || undefined,
    session: record.text("session"),
    writer: record.text("writer"),
  };
}

function sessionOf(record: DecodedRecord): ExecSessionInfo {
  return {
    session: record.text("session") ?? "",
    argv: record.texts("argv"),
    user: record.text("user") ?? "",
    isTerminal: record.text("isTerminal") === "1",
    startedAtMs: record.number("startedAtMs"),
    attached: record.number("attached"),
    end: record.number("end"),
    exitCode: record.text("exitCode") === undefined ? undefined : record.number("exitCode"),
  };
}

/** What is not exactly `write` is `read`. */
function modeOf(record: DecodedRecord): SessionMode {
  return record.text("mode") === "write" ? "write" : "read";
}

function decode(payload: Uint8Array): DecodedRecord {
  try {
    return decodeRecord(payload);
  } catch (error) {
    throw new ExecFrameError((error as Error).message);
  }
}

function sizeOf(payload: Uint8Array): TerminalSize {
  const view = exactly(payload, 4);
  return { rows: view.getUint16(0), cols: view.getUint16(2) };
}

function exactly(payload: Uint8Array, length: number): DataView {
  if (payload.length !== length)
    throw new ExecFrameError(`payload has ${payload.length} bytes, not ${length}`);
  return new DataView(payload.buffer, payload.byteOffset, length);
}
