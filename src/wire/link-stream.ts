// One stream of a link: a Duplex whose both directions end by themselves, each with a window.

import type { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { countOf, type FrameKind, LinkError } from "./link-frames.ts";
import type { Taker } from "./turns.ts";

/** Bytes of one stream that may be under way or unread; throughput of one is at most this per round trip. */
export const STREAM_WINDOW_BYTES = 512 * 1024;
/** What was read is given back in steps. */
const CREDIT_STEP_BYTES = STREAM_WINDOW_BYTES / 4;
const WRITE_BYTES = 64 * 1024;

export interface StreamLink {
  say(id: number, kind: FrameKind, payload?: string | number): void;
  /** It has something to send. */
  ready(stream: LinkStream): void;
  gone(id: number): void;
}

/** A close follows. */
function ignore(): void {}

export class LinkStream extends Duplex implements Taker {
  readonly id: number;
  turn: Taker["turn"] = "none";
  sentBytes = 0;
  sinceBytes = 0;
  readonly #link: StreamLink;
  #onAnswer: ((refusal: string | null) => void) | null;
  /** Of what waits to be sent, the bytes of the first that are gone already. */
  #waiting: Buffer[] = [];
  #waitingFrom = 0;
  #waitingBytes = 0;
  #written: (() => void) | null = null;
  #finished: (() => void) | null = null;
  #creditBytes = STREAM_WINDOW_BYTES;
  #receivedBytes = 0;
  #givenBytes = STREAM_WINDOW_BYTES;
  #isOver = false;

  constructor(id: number, onAnswer: ((refusal: string | null) => void) | null, link: StreamLink) {
    super({ highWaterMark: WRITE_BYTES });
    this.id = id;
    this.#onAnswer = onAnswer;
    this.#link = link;
    this.on("error", ignore);
  }

  accept(): void {
    this.#link.say(this.id, "accept");
  }

  /** Nothing of it was opened. */
  refuse(why: string): void {
    this.#link.say(this.id, "refuse", why);
    this.#isOver = true;
    this.destroy();
  }

  // The link's side.

  /** Throws when more comes than may. */
  receive(bytes: Buffer): void {
    this.#receivedBytes += bytes.length;
    if (this.#receivedBytes > this.#givenBytes)
      throw new LinkError("a stream brought more than its window");
    if (this.destroyed) return;
    this.push(bytes);
    this.#give();
  }

  hear(kind: FrameKind, payload: Buffer): void {
    if (kind === "credit") this.#credit(countOf(payload));
    else if (kind === "end") this.push(null);
    else if (kind === "accept") this.#answer(null);
    else if (kind === "refuse") {
      this.#isOver = true;
      this.#answer(payload.toString());
      this.destroy();
    } else {
      this.#isOver = true;
      this.destroy(new LinkError("the other end broke the stream off"));
    }
  }

  #answer(refusal: string | null): void {
    const answer = this.#onAnswer;
    this.#onAnswer = null;
    answer?.(refusal);
  }

  #credit(bytes: number): void {
    this.#creditBytes += bytes;
    if (this.#creditBytes > STREAM_WINDOW_BYTES)
      throw new LinkError("a stream was given more than its window");
    if (this.sendableBytes > 0) this.#link.ready(this);
  }

  get sendableBytes(): number {
    return Math.min(this.#waitingBytes, this.#creditBytes);
  }

  get mustEnd(): boolean {
    return this.#finished !== null && this.#waitingBytes === 0;
  }

  /** Copies at most so much of what waits; returns how much. */
  fill(to: Buffer, at: number, mostBytes: number): number {
    const wanted = Math.min(mostBytes, this.sendableBytes);
    let done = 0;
    while (done < wanted) {
      const chunk = this.#waiting[0] as Buffer;
      const end = Math.min(chunk.length, this.#waitingFrom + wanted - done);
      done += chunk.copy(to, at + done, this.#waitingFrom, end);
      this.#waitingFrom = end;
      if (end === chunk.length) {
        this.#waiting.shift();
        this.#waitingFrom = 0;
      }
    }
    this.#waitingBytes -= done;
    this.#creditBytes -= done;
    if (this.#waitingBytes > 0) return done;
    const written = this.#written;
    this.#written = null;
    written?.();
    return done;
  }

  /** Its end was sent. */
  ended(): void {
    const finished = this.#finished;
    this.#finished = null;
    finished?.();
  }

  // The side of who holds it.

  /** What was read makes room for more. */
  #give(): void {
    const readBytes = this.#receivedBytes - this.readableLength;
    const bytes = readBytes + STREAM_WINDOW_BYTES - this.#givenBytes;
    if (bytes < CREDIT_STEP_BYTES || this.destroyed) return;
    this.#givenBytes += bytes;
    this.#link.say(this.id, "credit", bytes);
  }

  override _read(): void {
    this.#give();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#send([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  #send(chunks: Buffer[], done: () => void): void {
    for (const chunk of chunks) this.#waitingBytes += chunk.length;
    this.#waiting = chunks.filter((chunk) => chunk.length > 0);
    if (this.#waitingBytes === 0) {
      done();
      return;
    }
    this.#written = done;
    if (this.#creditBytes > 0) this.#link.ready(this);
  }

  override _final(done: () => void): void {
    this.#finished = done;
    this.#link.ready(this);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const isWhole = this.readableEnded && this.writableFinished;
    if (!isWhole && !this.#isOver) this.#link.say(this.id, "reset");
    this.#link.gone(this.id);
    this.#waiting = [];
    this.#waitingBytes = 0;
    done(error);
  }
}
