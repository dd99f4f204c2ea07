// The bytes of a link (link.ts). A frame is: stream (4 bytes, big endian), kind (1), length of the payload (3), payload.
// Bytes of a stream are passed on as they come; every other frame is short and comes whole.

import { Buffer } from "node:buffer";

export const FRAMES = {
  /** Whoever opens says what it wants; the other accepts, or refuses with a text. */
  open: 1,
  accept: 2,
  refuse: 3,
  data: 4,
  /** No more data this way. */
  end: 5,
  /** Nothing more, either way. */
  reset: 6,
  /** So many more bytes of this stream may come. */
  credit: 7,
  /** So many more bytes of the link were taken off the wire. */
  taken: 8,
  ping: 9,
  pong: 10,
} as const;

export type FrameKind = keyof typeof FRAMES;
const KINDS = new Map<number, FrameKind>(
  Object.entries(FRAMES).map(([kind, code]) => [code, kind as FrameKind]),
);

export const HEADER_BYTES = 8;
export const MAX_TEXT_BYTES = 8 * 1024;
/** A slice keeps all that came with it in memory; one that is this much smaller is copied instead. */
const SLICE_SHARE = 8;
const NOTHING = Buffer.alloc(0);

/** The other end does not speak this protocol, or takes more than it was given. */
export class LinkError extends Error {
  override readonly name = "LinkError";
}

export function writeHeader(to: Buffer, at: number, id: number, kind: FrameKind, bytes: number) {
  to.writeUInt32BE(id, at);
  to.writeUInt32BE(((FRAMES[kind] << 24) | bytes) >>> 0, at + 4);
}

export function encodeFrame(id: number, kind: FrameKind, payload: string | number = ""): Buffer {
  const isCount = typeof payload === "number";
  const bytes = isCount ? 4 : Buffer.byteLength(payload);
  if (bytes > MAX_TEXT_BYTES) throw new LinkError(`a text of ${bytes} bytes is too long`);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + bytes);
  writeHeader(frame, 0, id, kind, bytes);
  if (isCount) frame.writeUInt32BE(payload, HEADER_BYTES);
  else frame.write(payload, HEADER_BYTES);
  return frame;
}

export interface FrameSink {
  /** Part of a frame: it is passed on as it comes. */
  onData(id: number, bytes: Buffer): void;
  onFrame(id: number, kind: FrameKind, payload: Buffer): void;
}

export class FrameReader {
  readonly #sink: FrameSink;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #kind: FrameKind = "data";
  #left = 0;
  #payload = NOTHING;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Throws a LinkError at what is no frame. */
  read(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#headerBytes < HEADER_BYTES) {
        const n = chunk.copy(this.#header, this.#headerBytes, at);
        at += n;
        this.#headerBytes += n;
        if (this.#headerBytes < HEADER_BYTES) return;
        this.#begin();
      } else {
        const bytes = chunk.subarray(at, at + this.#left);
        at += bytes.length;
        this.#left -= bytes.length;
        this.#take(bytes, chunk.length);
      }
      if (this.#left === 0 && this.#headerBytes === HEADER_BYTES) this.#end();
    }
  }

  get #id(): number {
    return this.#header.readUInt32BE(0);
  }

  #begin(): void {
    const kind = KINDS.get(this.#header[4] ?? 0);
    this.#left = this.#header.readUIntBE(5, 3);
    if (!kind) throw new LinkError("not a frame of this protocol");
    this.#kind = kind;
    if (kind !== "data" && this.#left > MAX_TEXT_BYTES) throw new LinkError("a frame is too long");
  }

  #take(bytes: Buffer, chunkBytes: number): void {
    const isSmall = bytes.length * SLICE_SHARE < chunkBytes;
    if (this.#kind === "data") this.#sink.onData(this.#id, isSmall ? Buffer.from(bytes) : bytes);
    else this.#payload = Buffer.concat([this.#payload, bytes]);
  }

  #end(): void {
    const payload = this.#payload;
    this.#payload = NOTHING;
    this.#headerBytes = 0;
    if (this.#kind !== "data") this.#sink.onFrame(this.#id, this.#kind, payload);
  }
}

export function countOf(payload: Buffer): number {
  if (payload.length !== 4) throw new LinkError("a count of another length");
  return payload.readUInt32BE(0);
}
