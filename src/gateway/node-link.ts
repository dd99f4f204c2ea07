// One node's connection, from the gateway's side: it opens streams on the socket that the node dialled. Reads the node's announcements and opens streams into its boxes.

import type { Duplex } from "node:stream";
import { StringDecoder } from "node:string_decoder";
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
import { Link } from "#wire/link.ts";
import type { GatewayLimits } from "./limits.ts";

const MAX_LINE_BYTES = 4 * 1024 * 1024;

export interface NodeLinkOptions {
  readonly nodeId: string;
  readonly clock: Clock;
  readonly limits: GatewayLimits;
  readonly onAnnouncement: (announcement: Announcement) => void;
}

export class NodeLink {
  readonly nodeId: string;
  readonly #link: Link;
  readonly #options: NodeLinkOptions;
  readonly #closed = new AbortController();

  constructor(socket: TLSSocket, options: NodeLinkOptions) {
    this.nodeId = options.nodeId;
    this.#options = options;
    this.#link = new Link(socket, options.clock);
    socket.on("close", () => this.close());
  }

  get isOpen(): boolean {
    return this.#link.isOpen;
  }

  /** Reads announcements until the connection ends; resolves with why it did. */
  async run(): Promise<string> {
    const { clock, limits } = this.#options;
    const announcements = this.#link.open(ANNOUNCEMENTS_PATH, () => {});
    let why = "the node closed the connection";
    const end = (reason: string) => {
      why = reason;
      this.close();
    };
    const first = withDeadline(
      clock,
      limits.handshakeTimeoutMs,
      () => this.#readLines(announcements),
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
    this.#link.destroy();
  }

  /** Resolves after the first line; later ones go on arriving. */
  #readLines(announcements: Duplex): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (message: string) => {
        reject(new Error(message));
        this.close();
      };
      let held = "";
      const text = new StringDecoder("utf8");
      announcements.on("data", (chunk: Buffer) => {
        held += text.write(chunk);
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
      announcements.on("close", () => fail("the node ended its announcements"));
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
          () => this.#link.ping(),
          () => new Error("the node does not answer"),
        );
      } catch (error) {
        if (!this.#closed.signal.aborted) end((error as Error).message);
      }
    }
  }

  /** Opens a stream; throws the Problem that the node refused it with. */
  async open(target: StreamTarget, signal: AbortSignal): Promise<Duplex> {
    const { clock, limits, nodeId } = this.#options;
    if (!this.isOpen) throw lost(nodeId);
    const answer = Promise.withResolvers<void>();
    const stream = this.#link.open(streamPath(target), (refusal) =>
      refusal === null ? answer.resolve() : answer.reject(problemOf(refusal)),
    );
    const onClose = () => answer.reject(lost(nodeId));
    stream.once("close", onClose);
    try {
      await withDeadline(
        clock,
        limits.openTimeoutMs,
        (waiting) => unlessAborted(answer.promise, AbortSignal.any([signal, waiting])),
        () => new Problem("node_away", `node ${nodeId} did not open the stream in time`),
      );
      stream.off("close", onClose);
      return stream;
    } catch (error) {
      breakOff(stream);
      throw error;
    }
  }
}

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

function unlessAborted(answer: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  return Promise.race([answer, promise]).finally(() =>
    signal.removeEventListener("abort", onAbort),
  );
}

function problemOf(refusal: string): Problem {
  try {
    const { code, detail } = refusalSchema.parse(JSON.parse(refusal));
    return new Problem(code, detail);
  } catch (cause) {
    return new Problem("node_away", "the node refused the stream without saying why", { cause });
  }
}
