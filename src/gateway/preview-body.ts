// Where a body ends in the bytes that carry it. Pure; the bytes pass as they came, but for trailers, which are left
// out, and a body without a length, which gets chunks so that a cut is seen.

import { BadHead, type Framing } from "./preview-head.ts";

export interface BodyStep {
  /** To be passed on. */
  readonly pass: readonly Buffer[];
  /** What came after the body's end; null: it has not ended. */
  readonly rest: Buffer | null;
}

export interface BodyReader {
  /** Throws BadHead when the framing is not as it must be. */
  take(bytes: Buffer): BodyStep;
  /** The connection ended. What must be passed on when that was the body's end, or null: it was cut. */
  end(): Buffer | null;
}

const NOTHING = Buffer.alloc(0);
const CR = 13;
const LF = 10;
/** 2^48 bytes in a chunk. */
const MAX_SIZE_DIGITS = 12;
const MAX_TRAILER_BYTES = 8 * 1024;
const TRAILER = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*$/;
const LAST = Buffer.from("\r\n");

export function bodyReader(framing: Framing): BodyReader {
  if (framing.kind === "chunked") return new ChunkedBody();
  if (framing.kind === "close") return new EndlessBody();
  return new CountedBody(framing.kind === "length" ? framing.bytes : 0);
}

class CountedBody implements BodyReader {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  take(bytes: Buffer): BodyStep {
    if (bytes.length < this.#left) {
      this.#left -= bytes.length;
      return { pass: [bytes], rest: null };
    }
    const end = this.#left;
    this.#left = 0;
    if (end === bytes.length) return { pass: [bytes], rest: NOTHING };
    return { pass: end > 0 ? [bytes.subarray(0, end)] : [], rest: bytes.subarray(end) };
  }

  end(): Buffer | null {
    return this.#left === 0 ? NOTHING : null;
  }
}

/** An answer of the old kind, ended by the connection's end. */
class EndlessBody implements BodyReader {
  take(bytes: Buffer): BodyStep {
    if (bytes.length === 0) return { pass: [], rest: null };
    return { pass: [Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, LAST], rest: null };
  }

  end(): Buffer | null {
    return Buffer.from("0\r\n\r\n");
  }
}

type Part = "size" | "size-lf" | "data" | "data-cr" | "data-lf" | "trailer";

class ChunkedBody implements BodyReader {
  #part: Part = "size";
  #size = 0;
  #digits = 0;
  #line = "";
  #trailerBytes = 0;

  take(bytes: Buffer): BodyStep {
    let at = 0;
    while (at < bytes.length) {
      if (this.#part === "data") {
        const step = Math.min(this.#size, bytes.length - at);
        this.#size -= step;
        at += step;
        if (this.#size === 0) this.#part = "data-cr";
      } else if (this.#part === "trailer") return this.#trailers(bytes, at);
      else this.#framing(bytes[at++] as number);
    }
    return { pass: [bytes], rest: null };
  }

  end(): Buffer | null {
    return null;
  }

  #framing(byte: number): void {
    if (this.#part === "size") {
      if (byte === CR && this.#digits > 0) this.#part = "size-lf";
      else this.#digit(byte);
    } else if (this.#part === "data-cr") {
      expect(byte, CR);
      this.#part = "data-lf";
    } else {
      expect(byte, LF);
      const isLastChunk = this.#part === "size-lf" && this.#size === 0;
      if (isLastChunk) this.#part = "trailer";
      else if (this.#part === "size-lf") this.#part = "data";
      else {
        this.#part = "size";
        this.#digits = 0;
      }
    }
  }

  #digit(byte: number): void {
    const value = hexDigit(byte);
    if (value < 0 || this.#digits >= MAX_SIZE_DIGITS)
      throw new BadHead(400, "a chunk's size is not valid");
    this.#size = this.#size * 16 + value;
    this.#digits += 1;
  }

  /** The last chunk has passed; what follows does not, but for the empty line. */
  #trailers(bytes: Buffer, from: number): BodyStep {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      this.#trailerBytes += 1;
      if (this.#trailerBytes > MAX_TRAILER_BYTES) throw new BadHead(431, "trailers are too long");
      if (!this.#line.endsWith("\r")) this.#line += String.fromCharCode(byte);
      else {
        expect(byte, LF);
        if (this.#line === "\r") return this.#over(bytes, from, at + 1);
        if (!TRAILER.test(this.#line.slice(0, -1)))
          throw new BadHead(400, "a trailer is not valid");
        this.#line = "";
      }
    }
    return { pass: [bytes.subarray(0, from)], rest: null };
  }

  #over(bytes: Buffer, from: number, end: number): BodyStep {
    const pass = from > 0 ? [bytes.subarray(0, from), LAST] : [LAST];
    return { pass, rest: end === bytes.length ? NOTHING : bytes.subarray(end) };
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function expect(byte: number, wanted: number): void {
  if (byte !== wanted) throw new BadHead(400, "a chunk does not end as it must");
}
