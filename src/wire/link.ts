// Many byte streams over one connection between a gateway and a node, with a window for each stream, and with turns.
// Reading never waits for writing, nor for who reads a stream: what may come is bounded by windows alone. So two ends
// that both have more to send than the way holds do not stop each other, as HTTP/2 in Node does.

import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import {
  countOf,
  encodeFrame,
  type FrameKind,
  FrameReader,
  HEADER_BYTES,
  LinkError,
  writeHeader,
} from "./link-frames.ts";
import { LinkStream, type StreamLink } from "./link-stream.ts";
import { LinkWindow } from "./link-window.ts";
import { Turns } from "./turns.ts";

/** What is written at once. A keystroke's echo waits for at most one, and for what is on the way. */
const BATCH_BYTES = 64 * 1024;
/** A stream that others wait for sends so much in its turn. */
const TURN_BYTES = 16 * 1024;
/** What came is said this often. */
const TAKEN_STEP_BYTES = 32 * 1024;
/** Answers that nobody reads: whoever lets so many wait is cut off. */
const MAX_CONTROL_BYTES = 8 * 1024 * 1024;
const LOOK_MS = 100;
const RTT_EVERY_MS = 1000;

export interface LinkOptions {
  monotonicMs(): number;
  /** A stream that the other end opened, and what it says it wants. Accept, refuse or destroy it. */
  readonly onOpen?: (stream: LinkStream, name: string) => void;
  /** Opened by the other end; more are refused, with this text. */
  readonly maxStreams?: number;
  readonly tooMany?: string;
}

export class Link {
  readonly #socket: Duplex;
  readonly #options: LinkOptions;
  readonly #reader: FrameReader;
  readonly #streams = new Map<number, LinkStream>();
  readonly #turns = new Turns<LinkStream>(TURN_BYTES);
  readonly #window = new LinkWindow();
  readonly #batch = Buffer.allocUnsafeSlow(BATCH_BYTES);
  readonly #pings = new Map<number, () => void>();
  /** One for all: idle streams are many. */
  readonly #forStreams: StreamLink = {
    say: (id, kind, payload) => this.#say(id, kind, payload),
    ready: (stream) => {
      this.#turns.add(stream);
      this.#pump();
    },
    gone: (id) => this.#streams.delete(id),
  };
  #control: Buffer[] = [];
  #controlBytes = 0;
  #isWriting = false;
  #isReading = false;
  #lastId = 0;
  #inFlightBytes = 0;
  #takenBytes = 0;
  #look = { atMs: 0, bytes: 0 };
  #rttAtMs = Number.NEGATIVE_INFINITY;
  #why: Error | null = null;

  /** The socket is the link's from now on, also to destroy. It keeps nothing of what it said it has written. */
  constructor(socket: Duplex, options: LinkOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#reader = new FrameReader({
      onData: (id, bytes) => this.#onData(id, bytes),
      onFrame: (id, kind, payload) => this.#onFrame(id, kind, payload),
    });
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", (error) => this.destroy(error));
    socket.on("end", () => this.destroy());
    socket.on("close", () => this.destroy());
  }

  get isOpen(): boolean {
    return this.#why === null;
  }

  /** Bytes that were sent and that the other end has not taken off the wire yet. */
  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  get windowBytes(): number {
    return this.#window.bytes;
  }

  /** `onAnswer`: null when the other end accepts it, else why not. A stream that closes before was lost. */
  open(name: string, onAnswer: (refusal: string | null) => void): LinkStream {
    this.#lastId += 1;
    const stream = this.#add(this.#lastId, onAnswer);
    this.#say(stream.id, "open", name);
    return stream;
  }

  /** Resolves when the other end has answered; never, when it does not. */
  ping(): Promise<void> {
    this.#lastId += 1;
    const id = this.#lastId;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#pings.set(id, resolve);
    this.#say(id, "ping");
    return promise;
  }

  /** At once: of what was not sent yet nothing is. */
  destroy(why: Error = new LinkError("the connection was lost")): void {
    if (this.#why) return;
    this.#why = why;
    this.#socket.destroy();
    for (const stream of this.#streams.values()) stream.destroy(why);
    this.#streams.clear();
    this.#pings.clear();
    this.#control = [];
  }

  #add(id: number, onAnswer: ((refusal: string | null) => void) | null): LinkStream {
    const stream = new LinkStream(id, onAnswer, this.#forStreams);
    this.#streams.set(id, stream);
    if (this.#why) stream.destroy(this.#why);
    return stream;
  }

  // What comes.

  #receive(chunk: Buffer): void {
    if (this.#why) return;
    this.#isReading = true;
    try {
      this.#reader.read(chunk);
    } catch (error) {
      this.destroy(error as Error);
      return;
    } finally {
      this.#isReading = false;
    }
    if (this.#takenBytes >= TAKEN_STEP_BYTES) {
      this.#say(0, "taken", this.#takenBytes);
      this.#takenBytes = 0;
    }
    this.#pump();
  }

  #onData(id: number, bytes: Buffer): void {
    this.#takenBytes += bytes.length;
    this.#streams.get(id)?.receive(bytes);
  }

  #onFrame(id: number, kind: FrameKind, payload: Buffer): void {
    if (kind === "ping") this.#say(id, "pong");
    else if (kind === "pong") this.#onPong(id);
    else if (kind === "taken") this.#onTaken(countOf(payload));
    else if (kind === "open") this.#onOpen(id, payload.toString());
    else this.#streams.get(id)?.hear(kind, payload);
  }

  #onOpen(id: number, name: string): void {
    const { onOpen, maxStreams = 0, tooMany = "too many streams" } = this.#options;
    if (!onOpen || this.#streams.has(id))
      throw new LinkError("a stream was opened that may not be");
    if (this.#streams.size >= maxStreams) this.#say(id, "refuse", tooMany);
    else onOpen(this.#add(id, null), name);
  }

  #onPong(id: number): void {
    this.#pings.get(id)?.();
    this.#pings.delete(id);
  }

  #onTaken(bytes: number): void {
    if (bytes > this.#inFlightBytes) throw new LinkError("more was taken than was sent");
    this.#inFlightBytes -= bytes;
    this.#look.bytes += bytes;
    const nowMs = this.#options.monotonicMs();
    const elapsedMs = nowMs - this.#look.atMs;
    if (elapsedMs < LOOK_MS) return;
    this.#window.received(this.#look.bytes, elapsedMs);
    this.#look = { atMs: nowMs, bytes: 0 };
    if (nowMs - this.#rttAtMs < RTT_EVERY_MS) return;
    this.#rttAtMs = nowMs;
    this.ping().then(() => {
      const answeredMs = this.#options.monotonicMs();
      this.#window.answered(answeredMs - nowMs, answeredMs);
    });
  }

  // What goes.

  #say(id: number, kind: FrameKind, payload?: string | number): void {
    if (this.#why) return;
    const frame = encodeFrame(id, kind, payload);
    this.#control.push(frame);
    this.#controlBytes += frame.length;
    if (this.#controlBytes > MAX_CONTROL_BYTES)
      this.destroy(new LinkError("the other end does not read what it is told"));
    else this.#pump();
  }

  /** One write at a time, from one buffer: what was not written yet waits where it can still be overtaken. */
  #pump(): void {
    // What is read now may have more to say; it is said together.
    if (this.#isWriting || this.#isReading || this.#why) return;
    this.#isWriting = true;
    const length = this.#fillData(this.#fillControl());
    if (this.#why) return;
    if (length > 0) this.#socket.write(this.#batch.subarray(0, length), this.#onWritten);
    else this.#isWriting = false;
  }

  readonly #onWritten = (): void => {
    this.#isWriting = false;
    this.#pump();
  };

  #fillControl(): number {
    let at = 0;
    let count = 0;
    for (const frame of this.#control) {
      if (at + frame.length > BATCH_BYTES) break;
      at += frame.copy(this.#batch, at);
      count += 1;
    }
    this.#control = count === this.#control.length ? [] : this.#control.slice(count);
    this.#controlBytes -= at;
    return at;
  }

  #fillData(from: number): number {
    let at = from;
    while (at + HEADER_BYTES < BATCH_BYTES) {
      // What goes first goes also when the window is full: it is little, and would only wait for an answer.
      const room = this.#window.bytes - this.#inFlightBytes;
      const stream = this.#turns.next(room <= 0);
      if (!stream) break;
      const most = this.#turns.isEmpty && room > 0 ? room : TURN_BYTES;
      const space = BATCH_BYTES - at - HEADER_BYTES;
      const bytes = stream.fill(this.#batch, at + HEADER_BYTES, Math.min(most, space));
      if (bytes > 0) {
        writeHeader(this.#batch, at, stream.id, "data", bytes);
        at += HEADER_BYTES + bytes;
        this.#inFlightBytes += bytes;
      }
      this.#turns.took(stream, bytes);
      if (stream.mustEnd && at + HEADER_BYTES <= BATCH_BYTES) {
        writeHeader(this.#batch, at, stream.id, "end", 0);
        at += HEADER_BYTES;
        stream.ended();
      } else if (stream.sendableBytes > 0 || stream.mustEnd) this.#turns.add(stream);
    }
    return at;
  }
}
