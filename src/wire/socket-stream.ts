// A byte stream over a WebSocket, as both ends of the gateway's client door speak it: binary messages
// are bytes, the text message `eof` ends one direction, and close codes over 4000 say why it broke.
// Backpressure goes both ways: what nobody reads stays in the sender's memory.

import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";

/** The part of ws's WebSocket that is used here. */
export interface MessageSocket {
  readonly readyState: number;
  readonly bufferedAmount: number;
  on(event: "message", listener: (bytes: unknown, isBinary: boolean) => void): unknown;
  on(event: "close", listener: (code: number, reason: Buffer) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  send(bytes: unknown, options: { binary: boolean }, sent: (error?: Error | null) => void): void;
  pause(): void;
  resume(): void;
  close(code: number, reason: string): void;
  terminate(): void;
}

export const EOF_MESSAGE = "eof";
/** Everything was said. */
const CLOSE_NORMAL = 1000;
/** What a socket reports that ended without a closing message. */
const CLOSE_ABNORMAL = 1006;
const CLOSE_PROTOCOL_ERROR = 1002;
const OPEN = 1;
/** Bytes that may wait in the socket before a writer has to. */
const HIGH_WATER_BYTES = 256 * 1024;
const MESSAGE_BYTES = 64 * 1024;
/** The longest reason that a closing message can carry. */
const REASON_BYTES = 123;

/** The stream broke; `closeCode` and `reason` are what the other end said. */
export class StreamBroken extends Error {
  override readonly name = "StreamBroken";
  readonly closeCode: number;
  readonly reason: string;
  constructor(closeCode: number, reason: string) {
    super(
      reason ||
        (closeCode === CLOSE_ABNORMAL ? "the connection was lost" : `closed (${closeCode})`),
    );
    this.closeCode = closeCode;
    this.reason = reason;
  }
}

export class SocketStream extends Duplex {
  readonly #socket: MessageSocket;
  #gotEof = false;

  constructor(socket: MessageSocket) {
    super({ allowHalfOpen: true, highWaterMark: MESSAGE_BYTES });
    this.#socket = socket;
    socket.on("message", (bytes, isBinary) => this.#receive(bytes as Buffer, isBinary));
    socket.on("close", (code, reason) => this.#closed(code, reason.toString()));
    socket.on("error", () => {}); // A close with the code follows.
  }

  #receive(bytes: Buffer, isBinary: boolean): void {
    if (this.destroyed) return;
    const isEof = !isBinary && bytes.toString() === EOF_MESSAGE;
    if (this.#gotEof || (!isBinary && !isEof)) {
      this.destroy(
        new StreamBroken(CLOSE_PROTOCOL_ERROR, "a message that is not of this protocol"),
      );
      return;
    }
    this.#gotEof = isEof;
    if (!this.push(isEof ? null : bytes) && !isEof) this.#socket.pause();
  }

  #closed(code: number, reason: string): void {
    if (this.destroyed) return;
    if (code !== CLOSE_NORMAL) this.destroy(new StreamBroken(code, reason));
    else {
      if (!this.#gotEof) this.push(null);
      this.#gotEof = true;
      // What was written and not yet sent can go nowhere.
      if (!this.writableFinished) this.destroy();
    }
  }

  override _read(): void {
    if (!this.destroyed && this.#socket.readyState === OPEN) this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    // A failed send is followed by a close, which says why; `done` is then never called.
    let last: Buffer = Buffer.alloc(0);
    for (let at = 0; at < chunk.length; at += MESSAGE_BYTES) {
      if (last.length > 0) this.#socket.send(last, { binary: true }, () => {});
      last = chunk.subarray(at, at + MESSAGE_BYTES);
    }
    const isFull = this.#socket.bufferedAmount > HIGH_WATER_BYTES;
    this.#socket.send(last, { binary: true }, (error) => {
      if (isFull && !error) done();
    });
    if (!isFull) done();
  }

  override _final(done: () => void): void {
    this.#socket.send(EOF_MESSAGE, { binary: false }, (error) => {
      if (!error) done();
    });
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (this.#socket.readyState === OPEN) this.#close(error);
    done(error);
  }

  #close(error: Error | null): void {
    const isWhole = this.writableFinished && this.#gotEof;
    if (isWhole || error instanceof StreamBroken) {
      this.#socket.resume(); // To see the other end's closing message.
      const code = error instanceof StreamBroken ? error.closeCode : CLOSE_NORMAL;
      this.#socket.close(code, cutText(error?.message ?? ""));
    } else {
      // A closing message would wait behind what the other end does not read.
      this.#socket.terminate();
    }
  }
}

function cutText(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= REASON_BYTES) return text;
  // A cut in the middle of a character would not be valid; drop what it left.
  return bytes
    .subarray(0, REASON_BYTES)
    .toString()
    .replace(/\uFFFD+$/, "");
}
