// Follows events. When the connection is lost it goes on after the last event seen: none is missed, none comes
// twice.

import { ApiError } from "./api-error.ts";

export interface WatchOptions {
  readonly open: (cursor: string | null, signal: AbortSignal) => Promise<Response>;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly cursor: string | null;
  readonly signal: AbortSignal;
  /** Each time the stream stands, with where it stands: what happens from then on will be told. */
  readonly onOpen?: ((cursor: string) => void) | undefined;
}

const RECONNECT_PAUSE_MS = 500;

export async function* watchEvents<Event>(
  options: WatchOptions,
): AsyncGenerator<Event, void, undefined> {
  let { cursor } = options;
  // Ends the connection when the caller leaves its loop.
  const left = new AbortController();
  const signal = AbortSignal.any([options.signal, left.signal]);
  try {
    for (;;) {
      const response = await options.open(cursor, signal);
      try {
        for await (const message of messagesOf(response)) {
          if (message.id !== null) cursor = message.id;
          if (message.event === "hello" && cursor !== null) options.onOpen?.(cursor);
          if (message.event === "event") yield JSON.parse(message.data) as Event;
        }
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        if (error instanceof ApiError || error instanceof SyntaxError) throw error;
      }
      // The server ended the stream (a restart, or we read too slowly): come back.
      await options.sleep(RECONNECT_PAUSE_MS, signal);
    }
  } finally {
    left.abort();
  }
}

interface Message {
  readonly id: string | null;
  readonly event: string;
  readonly data: string;
}

/** Server-sent events by the standard's grammar, for what our server sends: a blank line ends a message. */
async function* messagesOf(response: Response): AsyncGenerator<Message, void, undefined> {
  if (!response.body) return;
  let pending = "";
  const decoder = new TextDecoder();
  // Not `for await`: not every browser can.
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    pending += decoder.decode(part.value as Uint8Array, { stream: true });
    for (let end = pending.indexOf("\n\n"); end >= 0; end = pending.indexOf("\n\n")) {
      const message = parseMessage(pending.slice(0, end));
      pending = pending.slice(end + 2);
      if (message) yield message;
    }
  }
}

function parseMessage(block: string): Message | null {
  let id: string | null = null;
  let event = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const [, field, value = ""] = /^([a-z]+):? ?(.*)$/.exec(line) ?? [];
    if (field === "id") id = value;
    else if (field === "event") event = value;
    else if (field === "data") data.push(value);
  }
  return data.length > 0 ? { id, event, data: data.join("\n") } : null;
}
