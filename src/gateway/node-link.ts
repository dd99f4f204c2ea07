// One node's connection, from the gateway's side: an HTTP/2 client on the socket that the node dialled.
// Reads the node's announcements and opens streams into its boxes.

import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
} from "node:http2";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { Problem } from "#contract/errors.ts";
import {
  ANNOUNCEMENTS_PATH,
  type Announcement,
  announcementSchema,
  refusalSchema,
  type StreamTarget,
  streamPath,
} from "#contract/gateway-protocol.ts";
import type { Clock } from "#lib/clock.ts";
import { withDeadline } from "#lib/deadline.ts";
import { breakOff } from "#lib/splice.ts";
import type { GatewayLimits } from "./limits.ts";
import { LinkWindow } from "./link-window.ts";

/** Bytes in flight of one stream; throughput of one is at most this per round trip. */
const WINDOW_BYTES = 512 * 1024;
/**
 * Bytes in flight from a node to us, of all its streams, are as many as the way holds (link-window.ts). The other
 * direction keeps HTTP/2's own 64 KiB: Node does not read a session while a write waits, so two ends that may
 * both have more in flight than the kernel buffers stop each other for ever (seen with 16 MiB at both).
 */
const WINDOW_LOOK_MS = 100;
const IDLE_LOOK_MS = 1000;
/** A round trip is measured so often while much comes. */
const RTT_LOOKS = 10;
/**
 * Streams take turns. Else (RFC 9218, and nghttp2 since 1.66) the first that has something to send is served until it
 * has nothing more, and behind eight that flood a keystroke's echo waits for seconds.
 */
const IN_TURNS = "u=3, i";
/** HTTP/2 queues what it cannot send yet; over this a session opens no new stream. */
const SESSION_MEMORY_MB = 1024;
const MAX_LINE_BYTES = 4 * 1024 * 1024;
const MAX_REFUSAL_BYTES = 8 * 1024;

export interface NodeLinkOptions {
  readonly nodeId: string;
  readonly clock: Clock;
  readonly limits: GatewayLimits;
  readonly onAnnouncement: (announcement: Announcement) => void;
}

export class NodeLink {
  readonly nodeId: string;
  readonly #session: ClientHttp2Session;
  readonly #socket: TLSSocket;
  readonly #options: NodeLinkOptions;
  readonly #closed = new AbortController();
  readonly #window = new LinkWindow();

  constructor(socket: TLSSocket, options: NodeLinkOptions) {
    this.nodeId = options.nodeId;
    this.#options = options;
    this.#socket = socket;
    this.#session = connect("https://node", {
      createConnection: () => socket,
      maxSessionMemory: SESSION_MEMORY_MB,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
    });
    this.#session.on("error", () => {}); // A close follows.
    this.#session.on("connect", () => {
      this.#session.setLocalWindowSize(this.#window.bytes);
      this.#keepWindow();
    });
    for (const side of [this.#session, socket]) side.on("close", () => this.close());
  }

  get isOpen(): boolean {
    // The session closes its streams before it says that it is closed itself.
    return !this.#closed.signal.aborted && !this.#session.closed && !this.#session.destroyed;
  }

  /** Reads announcements until the connection ends; resolves with why it did. */
  async run(): Promise<string> {
    const { clock, limits } = this.#options;
    const request = this.#session.request({ ":method": "GET", ":path": ANNOUNCEMENTS_PATH });
    request.setEncoding("utf8");
    let why = "the node closed the connection";
    const end = (reason: string) => {
      why = reason;
      this.close();
    };
    const first = withDeadline(
      clock,
      limits.handshakeTimeoutMs,
      () => this.#readLines(request),
      () => new Error("the node announced nothing in time"),
    );
    first.then(
      () => this.#keepAlive(end),
      (error: Error) => end(error.message),
    );
    if (!this.#closed.signal.aborted)
      await new Promise<void>((done) => {
        this.#closed.signal.addEventListener("abort", () => done(), { once: true });
      });
    return why;
  }

  close(): void {
    this.#closed.abort();
    // Of what it has not written yet a session waits for the end, which may never come; without a socket it does not.
    this.#socket.destroy();
    this.#session.destroy();
  }

  /** Resolves after the first line; later ones go on arriving. */
  #readLines(request: ClientHttp2Stream): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (message: string) => {
        reject(new Error(message));
        this.close();
      };
      let held = "";
      request.on("data", (chunk: string) => {
        held += chunk;
        const lines = held.split("\n");
        held = lines.pop() ?? "";
        if (held.length > MAX_LINE_BYTES) return fail("an announcement is too long");
        // Each line is the full state: only the newest counts.
        const last = lines.at(-1);
        if (last === undefined) return;
        const parsed = parseLine(last);
        if (!parsed) return fail("an announcement that is not of this protocol");
        this.#options.onAnnouncement(parsed);
        resolve();
      });
      request.on("error", (error) => fail(error.message));
      request.on("close", () => fail("the node ended its announcements"));
    });
  }

  async #keepAlive(end: (reason: string) => void): Promise<void> {
    const { clock, limits } = this.#options;
    while (!this.#closed.signal.aborted) {
      try {
        await clock.sleep(limits.pingIntervalMs, this.#closed.signal);
        await withDeadline(
          clock,
          limits.pingTimeoutMs,
          () => this.#ping(),
          () => new Error("the node does not answer"),
        );
      } catch (error) {
        if (!this.#closed.signal.aborted) end((error as Error).message);
      }
    }
  }

  #ping(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#session.ping((error, rttMs) => {
        if (error) return reject(error);
        this.#window.answered(rttMs, this.#options.clock.monotonicMs());
        resolve();
      });
    });
  }

  /** Looks at what came, often while it is much. */
  async #keepWindow(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#closed;
    const socket = this.#socket;
    const measure = () => this.#ping().catch(() => {}); // Whether it answers at all is #keepAlive's to see.
    await measure();
    let [atMs, atBytes, looks] = [clock.monotonicMs(), socket.bytesRead, 0];
    let waitMs = IDLE_LOOK_MS;
    while (!signal.aborted) {
      await clock.sleep(waitMs, signal).catch(() => {});
      const [nowMs, bytes] = [clock.monotonicMs(), socket.bytesRead];
      const isMuch = bytes - atBytes > this.#window.bytes;
      if (this.isOpen && this.#window.received(bytes - atBytes, nowMs - atMs))
        this.#session.setLocalWindowSize(this.#window.bytes);
      waitMs = isMuch ? WINDOW_LOOK_MS : IDLE_LOOK_MS;
      looks = isMuch ? looks + 1 : 0;
      if (looks % RTT_LOOKS === 1) measure();
      [atMs, atBytes] = [nowMs, bytes];
    }
  }

  /** Opens a stream; throws the Problem that the node refused it with. */
  async open(target: StreamTarget, signal: AbortSignal): Promise<Duplex> {
    const { clock, limits, nodeId } = this.#options;
    if (!this.isOpen) throw lost(nodeId);
    const stream = this.#session.request(
      { ":method": "POST", ":path": streamPath(target), priority: IN_TURNS },
      { endStream: false },
    );
    stream.on("error", ignore); // The one who holds the stream listens too; this is for the time before.
    try {
      return await withDeadline(
        clock,
        limits.openTimeoutMs,
        (waiting) => answerOf(stream, AbortSignal.any([signal, waiting]), nodeId),
        () => new Problem("node_away", `node ${nodeId} did not open the stream in time`),
      );
    } catch (error) {
      breakOff(stream);
      throw error;
    }
  }
}

function ignore(): void {}

function lost(nodeId: string): Problem {
  return new Problem("node_away", `the connection to node ${nodeId} was lost`);
}

function parseLine(line: string): Announcement | null {
  try {
    return announcementSchema.parse(JSON.parse(line));
  } catch {
    return null;
  }
}

/** Nothing of the waiting stays with the stream: many are open for long. */
function answerOf(
  stream: ClientHttp2Stream,
  signal: AbortSignal,
  nodeId: string,
): Promise<ClientHttp2Stream> {
  const { promise, resolve, reject } = Promise.withResolvers<ClientHttp2Stream>();
  const onAbort = () => reject(signal.reason);
  const onClose = () => reject(lost(nodeId));
  const onResponse = (headers: IncomingHttpHeaders & { ":status"?: number }) => {
    if (headers[":status"] === 200) resolve(stream);
    else readRefusal(stream).then(reject);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  stream.on("close", onClose);
  stream.on("response", onResponse);
  return promise.finally(() => {
    signal.removeEventListener("abort", onAbort);
    stream.off("close", onClose);
    stream.off("response", onResponse);
  });
}

async function readRefusal(stream: ClientHttp2Stream): Promise<Problem> {
  let text = "";
  try {
    for await (const chunk of stream) {
      text += chunk;
      if (text.length > MAX_REFUSAL_BYTES) break;
    }
    const { code, detail } = refusalSchema.parse(JSON.parse(text));
    return new Problem(code, detail);
  } catch (cause) {
    return new Problem("node_away", "the node refused the stream without saying why", { cause });
  }
}
