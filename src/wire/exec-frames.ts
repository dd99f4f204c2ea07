// The exec protocol's bytes, as both ends of a stream to a box's TCP port 1 share them. A frame is:
// length of the payload (4 bytes, big endian), kind (1 byte), payload. See guest/PROTOCOL.md.

import { Buffer } from "node:buffer";
import { decodeRecord, encodeRecord, type Field } from "./records.ts";

export interface ExecStart {
  readonly kind: "start";
  /** Program and arguments, not a shell string. */
  readonly argv: readonly string[];
  /** Linux user: dev or root. */
  readonly user: string;
  /** Default: the user's home directory. */
  readonly cwd?: string | undefined;
  /** Added to the box's environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** With it the program gets a terminal of that size, and stdout and stderr are one. */
  readonly pty?: { readonly rows: number; readonly cols: number } | undefined;
}

export type ExecClientFrame =
  /** First on a connection; whoever opened the stream (the node) sends it, not the user. */
  | { readonly kind: "auth"; readonly token: string }
  | ExecStart
  | { readonly kind: "stdin"; readonly data: Uint8Array }
  | { readonly kind: "stdin-eof" }
  /** A signal number (2 INT, 15 TERM, 9 KILL) for the program's process group. */
  | { readonly kind: "signal"; readonly signal: number }
  | { readonly kind: "resize"; readonly rows: number; readonly cols: number };

export type ExecServerFrame =
  | { readonly kind: "started"; readonly pid: number }
  | { readonly kind: "stdout"; readonly data: Uint8Array }
  | { readonly kind: "stderr"; readonly data: Uint8Array }
  /** Exit code of the program, or 128 + the signal that killed it. Last on a connection. */
  | { readonly kind: "exit"; readonly exitCode: number }
  /** Nothing was run, or the server gave up. Last on a connection. */
  | { readonly kind: "error"; readonly code: ExecErrorCode; readonly message: string };

export const EXEC_ERROR_CODES = [
  "unauthorized", // wrong token, or the box has no identity yet
  "bad_request", // the frames make no sense
  "cannot_start", // no such program, user or directory
  "ended", // the box got a new identity and ended what ran by an older one
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
  started: 16,
  stdout: 17,
  stderr: 18,
  exit: 19,
  error: 20,
} as const satisfies Record<ExecFrame["kind"], number>;

/** Data frames are cut to this; start may be longer. */
export const MAX_DATA_BYTES = 64 * 1024;
export const MAX_FRAME_BYTES = 1024 * 1024;
const HEADER_BYTES = 5;

/** Bytes of one frame; stdin, stdout and stderr longer than 64 KiB become several. */
export function encodeExecFrame(frame: ExecFrame): Buffer {
  const payload = payloadOf(frame);
  const isData = frame.kind === "stdin" || frame.kind === "stdout" || frame.kind === "stderr";
  if (!isData) return oneFrame(KINDS[frame.kind], payload);
  const parts: Buffer[] = [];
  for (let at = 0; at < payload.length; at += MAX_DATA_BYTES)
    parts.push(oneFrame(KINDS[frame.kind], payload.subarray(at, at + MAX_DATA_BYTES)));
  return Buffer.concat(parts);
}

function oneFrame(kind: number, payload: Buffer): Buffer {
  if (payload.length > MAX_FRAME_BYTES)
    throw new ExecFrameError(`frame of ${payload.length} bytes is over ${MAX_FRAME_BYTES}`);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(payload.length);
  header[4] = kind;
  return Buffer.concat([header, payload]);
}

function payloadOf(frame: ExecFrame): Buffer {
  switch (frame.kind) {
    case "auth":
      return Buffer.from(frame.token);
    case "start":
      return encodeRecord(startFields(frame));
    case "stdin":
    case "stdout":
    case "stderr":
      return Buffer.from(frame.data.buffer, frame.data.byteOffset, frame.data.byteLength);
    case "stdin-eof":
      return Buffer.alloc(0);
    case "signal":
    case "exit":
      return Buffer.from([frame.kind === "exit" ? frame.exitCode : frame.signal]);
    case "resize":
      return pair16(frame.rows, frame.cols);
    case "started": {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(frame.pid);
      return bytes;
    }
    case "error":
      return encodeRecord([
        ["code", frame.code],
        ["message", frame.message],
      ]);
  }
}

function startFields(start: ExecStart): Field[] {
  const fields: Field[] = [["user", start.user]];
  for (const argument of start.argv) fields.push(["argv", argument]);
  if (start.cwd !== undefined) fields.push(["cwd", start.cwd]);
  for (const [name, value] of Object.entries(start.env ?? {}))
    fields.push(["env", `${name}=${value}`]);
  if (start.pty) fields.push(["pty", pair16(start.pty.rows, start.pty.cols)]);
  return fields;
}

function pair16(first: number, second: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(first, 0);
  bytes.writeUInt16BE(second, 2);
  return bytes;
}

/** Turns bytes, cut anywhere, into frames. Throws ExecFrameError, and is then of no further use. */
export class ExecFrameDecoder {
  #held: Buffer = Buffer.alloc(0);

  push(chunk: Uint8Array): ExecFrame[] {
    this.#held = this.#held.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#held, chunk]);
    const frames: ExecFrame[] = [];
    let at = 0;
    while (this.#held.length - at >= HEADER_BYTES) {
      const length = this.#held.readUInt32BE(at);
      if (length > MAX_FRAME_BYTES)
        throw new ExecFrameError(`frame of ${length} bytes is over ${MAX_FRAME_BYTES}`);
      const end = at + HEADER_BYTES + length;
      if (this.#held.length < end) break;
      frames.push(frameOf(this.#held[at + 4] ?? 0, this.#held.subarray(at + HEADER_BYTES, end)));
      at = end;
    }
    this.#held = this.#held.subarray(at);
    return frames;
  }

  /** Bytes of an unfinished frame; more than 0 at the stream's end means that it was cut. */
  get pendingBytes(): number {
    return this.#held.length;
  }
}

function frameOf(kind: number, payload: Buffer): ExecFrame {
  switch (kind) {
    case KINDS.auth:
      return { kind: "auth", token: payload.toString("utf8") };
    case KINDS.start:
      return startOf(payload);
    case KINDS.stdin:
      return { kind: "stdin", data: payload };
    case KINDS.stdout:
      return { kind: "stdout", data: payload };
    case KINDS.stderr:
      return { kind: "stderr", data: payload };
    case KINDS["stdin-eof"]:
      return { kind: "stdin-eof" };
    case KINDS.signal:
      return { kind: "signal", signal: exactly(payload, 1)[0] ?? 0 };
    case KINDS.exit:
      return { kind: "exit", exitCode: exactly(payload, 1)[0] ?? 0 };
    case KINDS.resize:
      return { kind: "resize", ...sizeOf(payload) };
    case KINDS.started:
      return { kind: "started", pid: exactly(payload, 4).readUInt32BE(0) };
    case KINDS.error:
      return errorOf(payload);
    default:
      throw new ExecFrameError(`frame kind ${kind} is not known`);
  }
}

function startOf(payload: Buffer): ExecStart {
  const record = decode(payload);
  const env: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const pair of record.texts("env")) {
    const equals = pair.indexOf("=");
    if (equals > 0) env[pair.slice(0, equals)] = pair.slice(equals + 1);
  }
  const pty = record.fields.find(([name]) => name === "pty")?.[1];
  return {
    kind: "start",
    argv: record.texts("argv"),
    user: record.text("user") ?? "",
    cwd: record.text("cwd"),
    env,
    pty: pty ? sizeOf(pty) : undefined,
  };
}

function errorOf(payload: Buffer): ExecServerFrame {
  const record = decode(payload);
  const code = EXEC_ERROR_CODES.find((known) => known === record.text("code")) ?? "bad_request";
  return { kind: "error", code, message: record.text("message") ?? "" };
}

function decode(payload: Buffer): ReturnType<typeof decodeRecord> {
  try {
    return decodeRecord(payload);
  } catch (error) {
    throw new ExecFrameError((error as Error).message);
  }
}

function sizeOf(payload: Buffer): { rows: number; cols: number } {
  const bytes = exactly(payload, 4);
  return { rows: bytes.readUInt16BE(0), cols: bytes.readUInt16BE(2) };
}

function exactly(payload: Buffer, length: number): Buffer {
  if (payload.length !== length)
    throw new ExecFrameError(`payload has ${payload.length} bytes, not ${length}`);
  return payload;
}
