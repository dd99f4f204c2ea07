// Answers that go on: server-sent events, and the gateways' feed. Writes what comes, a heartbeat in the silence between,
// and drops a client that does not read. It loses nothing by that: it comes back, with its last event's cursor.

import type { FastifyReply } from "fastify";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";

export interface SseMessage {
  /** The cursor to resume from; null for a message that is not an event. */
  readonly id: string | null;
  readonly event: string;
  readonly data: unknown;
}

export interface StreamOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly heartbeatMs: number;
  /** How long a full socket may stay full. */
  readonly stallMs: number;
}

/** How the text is made up. */
interface TextFormat {
  readonly contentType: string;
  readonly heartbeat: () => string;
}

const SSE: TextFormat = {
  contentType: "text/event-stream; charset=utf-8",
  heartbeat: () => ": still here\n\n",
};

export async function sendStream(
  reply: FastifyReply,
  messages: AsyncIterable<SseMessage>,
  options: StreamOptions,
): Promise<FastifyReply> {
  return sendTexts(reply, printed(messages), SSE, options);
}

async function* printed(messages: AsyncIterable<SseMessage>): AsyncGenerator<string, void> {
  for await (const message of messages) yield print(message);
}

export async function sendTexts(
  reply: FastifyReply,
  texts: AsyncIterable<string>,
  format: TextFormat,
  options: StreamOptions,
): Promise<FastifyReply> {
  const iterator = texts[Symbol.asyncIterator]();
  // The first step checks the request: its failure is still an ordinary problem.
  let next = iterator.next();
  let arrived = await next;
  const { raw } = reply.hijack();
  const ended = new Promise<"ended">((resolve) => raw.once("close", () => resolve("ended")));
  raw.writeHead(200, {
    ...reply.getHeaders(),
    "content-type": format.contentType,
    "cache-control": "no-store",
    // Tells a proxy in front not to collect the stream.
    "x-accel-buffering": "no",
  } as Record<string, string>);
  try {
    while (!arrived.done) {
      if (!(await write(raw, arrived.value, ended, options))) break;
      next = iterator.next();
      const step = await withHeartbeats(next, raw, format.heartbeat, ended, options);
      if (step === "ended") break;
      arrived = step;
    }
  } catch (err) {
    // The headers are out, so a failure can only break the stream, and it must not look whole: the client resumes.
    options.log.warn({ err }, "a stream ended early");
    raw.destroy();
  } finally {
    raw.end();
    // Not awaited: the source may be waiting for news, and its signal has been aborted by now.
    void iterator.return?.()?.catch?.(() => {});
    next.catch(() => {});
  }
  return reply;
}

async function withHeartbeats<T>(
  next: Promise<T>,
  raw: FastifyReply["raw"],
  heartbeat: () => string,
  ended: Promise<"ended">,
  options: StreamOptions,
): Promise<T | "ended"> {
  for (;;) {
    const timer = new AbortController();
    const beat = options.clock.sleep(options.heartbeatMs, timer.signal).then(
      () => "beat" as const,
      () => "beat" as const,
    );
    const first = await Promise.race([next, ended, beat]).finally(() => timer.abort());
    if (first !== "beat") return first;
    if (!(await write(raw, heartbeat(), ended, options))) return "ended";
  }
}

/** False when the client is gone, or was dropped because it does not read. */
async function write(
  raw: FastifyReply["raw"],
  text: string,
  ended: Promise<"ended">,
  options: StreamOptions,
): Promise<boolean> {
  if (raw.destroyed) return false;
  if (raw.write(text)) return true;
  const timer = new AbortController();
  const drained = new Promise<"drained">((resolve) => raw.once("drain", () => resolve("drained")));
  const stalled = options.clock.sleep(options.stallMs, timer.signal).then(
    () => "stalled" as const,
    () => "stalled" as const,
  );
  const first = await Promise.race([drained, ended, stalled]);
  timer.abort();
  if (first === "stalled") raw.destroy();
  return first === "drained";
}

function print(message: SseMessage): string {
  const id = message.id === null ? "" : `id: ${message.id}\n`;
  return `${id}event: ${message.event}\ndata: ${JSON.stringify(message.data)}\n\n`;
}
