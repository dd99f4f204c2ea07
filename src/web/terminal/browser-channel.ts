// A byte stream into a box from a page: a WebSocket to a gateway, with a single-use ticket as its first message.

import type { ByteChannel } from "#sdk/exec-session.ts";

/** What is asked of the door, as its first message has it. */
export interface FirstMessage {
  readonly ticket: string;
  readonly box: string;
  readonly port?: number;
  readonly console?: true;
  readonly session?: string;
  readonly mode?: "read" | "write";
}

/** The door closed the stream and said why. Without a code the gateway itself was lost. */
export class DoorClosed extends Error {
  override readonly name = "DoorClosed";
  readonly code: string | null;
  constructor(code: string | null, detail: string) {
    super(detail);
    this.code = code;
  }
}

const SUB_PROTOCOL = "berth.v1";
const EOF_MESSAGE = "eof";
const NORMAL = 1000;
/** Without a socket that can be told to wait: more than this unread, and the connection is given up. It is taken again
 * where it stood when there is room, so memory stays bounded and nothing is lost. */
const MAX_UNREAD_BYTES = 8 * 1024 * 1024;
const MAX_UNSENT_BYTES = 256 * 1024;

export function streamUrl(gatewayUrl: string): string {
  const url = new URL(gatewayUrl);
  url.protocol = url.protocol.replace("http", "ws");
  if (!url.pathname.endsWith("/v1/stream"))
    url.pathname = url.pathname.replace(/\/*$/, "/v1/stream");
  return url.href;
}

/** Opens a stream; throws DoorClosed when it is refused, or did not come in time. */
export async function openChannel(
  gatewayUrl: string,
  first: FirstMessage,
  timeoutMs: number,
): Promise<ByteChannel> {
  const url = streamUrl(gatewayUrl);
  const channel: Messages =
    "WebSocketStream" in globalThis ? new PacedMessages(url) : new PlainMessages(url);
  const timer = setTimeout(() => channel.close(), timeoutMs);
  try {
    await channel.send(JSON.stringify(first));
    const answer = await channel.receive();
    const isOpen =
      typeof answer === "string" && (JSON.parse(answer) as { opened?: boolean }).opened === true;
    if (!isOpen) throw new DoorClosed(null, "the gateway did not answer as one");
    return bytesOver(channel);
  } catch (error) {
    channel.close();
    throw error instanceof DoorClosed
      ? error
      : new DoorClosed(null, "the gateway cannot be reached");
  } finally {
    clearTimeout(timer);
  }
}

function bytesOver(messages: Messages): ByteChannel {
  return {
    read: async () => {
      const message = await messages.receive();
      if (message === null || message === EOF_MESSAGE) return null;
      if (typeof message === "string") throw new DoorClosed(null, "not of this protocol");
      return message;
    },
    write: (bytes) => messages.send(bytes),
    close: () => messages.close(),
  };
}

type Message = string | Uint8Array<ArrayBuffer>;

interface Messages {
  send(message: Message): Promise<void>;
  /** Null after a normal end; throws DoorClosed after any other. */
  receive(): Promise<Message | null>;
  close(): void;
}

/** `code: detail`, as the door closes. */
function closedBy(closeCode: number, reason: string): DoorClosed {
  const [, code = null, detail = ""] = /^([a-z_]+): (.*)$/s.exec(reason) ?? [];
  if (closeCode >= 4000) return new DoorClosed(code, detail || reason);
  return new DoorClosed(null, "the connection was lost");
}

interface StreamOpened {
  readonly readable: ReadableStream<string | ArrayBuffer | Uint8Array<ArrayBuffer>>;
  readonly writable: WritableStream<Message>;
}

interface WebSocketStreamLike {
  readonly opened: Promise<StreamOpened>;
  readonly closed: Promise<{ readonly closeCode: number; readonly reason: string }>;
  close(): void;
}

declare const WebSocketStream: new (
  url: string,
  options: { readonly protocols: readonly string[]; readonly signal: AbortSignal },
) => WebSocketStreamLike;

/** Reads only when asked to: what nobody reads waits in the box. */
class PacedMessages implements Messages {
  readonly #abort = new AbortController();
  readonly #stream: WebSocketStreamLike;
  readonly #reader: Promise<ReadableStreamDefaultReader<string | ArrayBuffer | Uint8Array>>;
  readonly #writer: Promise<WritableStreamDefaultWriter<Message>>;
  #isClosed = false;

  constructor(url: string) {
    const { signal } = this.#abort;
    this.#stream = new WebSocketStream(url, { protocols: [SUB_PROTOCOL], signal });
    this.#stream.closed.catch(() => {});
    this.#reader = this.#stream.opened.then(({ readable }) => readable.getReader());
    this.#writer = this.#stream.opened.then(({ writable }) => writable.getWriter());
    this.#reader.catch(() => {});
    this.#writer.catch(() => {});
  }

  async send(message: Message): Promise<void> {
    const writer = await this.#writer;
    await writer.ready;
    writer.write(message).catch(() => {}); // The reader says why.
  }

  async receive(): Promise<Message | null> {
    try {
      const { value, done } = await (await this.#reader).read();
      if (!done) return typeof value === "string" ? value : new Uint8Array(value as ArrayBuffer);
    } catch {
      // How it was closed says more.
    }
    if (this.#isClosed) throw closedBy(0, "");
    const { closeCode, reason } = await this.#stream.closed.catch(
      (error: { closeCode?: number; reason?: string }) => ({
        closeCode: error.closeCode ?? 0,
        reason: error.reason ?? "",
      }),
    );
    if (closeCode === NORMAL) return null;
    throw closedBy(closeCode, reason);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#abort.abort(); // While it is being opened.
    try {
      this.#stream.close();
    } catch {
      // It was not open.
    }
    // A closing handshake with a dead network takes long; who reads must not.
    void this.#reader.then((reader) => reader.cancel()).catch(() => {});
  }
}

/** For browsers without WebSocketStream. */
class PlainMessages implements Messages {
  readonly #socket: WebSocket;
  readonly #opened: Promise<void>;
  readonly #unread: Message[] = [];
  #unreadBytes = 0;
  #end: DoorClosed | "normal" | null = null;
  #wake: () => void = () => {};

  constructor(url: string) {
    this.#socket = new WebSocket(url, [SUB_PROTOCOL]);
    this.#socket.binaryType = "arraybuffer";
    this.#opened = new Promise((resolve, reject) => {
      this.#socket.onopen = () => resolve();
      this.#socket.onclose = ({ code, reason }) => {
        this.#finish(code === NORMAL ? "normal" : closedBy(code, reason));
        reject(closedBy(code, reason));
      };
    });
    this.#opened.catch(() => {});
    this.#socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      const message = typeof data === "string" ? data : new Uint8Array(data);
      this.#unread.push(message);
      this.#unreadBytes += message.length;
      if (this.#unreadBytes > MAX_UNREAD_BYTES) this.close();
      this.#wake();
    };
  }

  async send(message: Message): Promise<void> {
    await this.#opened;
    this.#socket.send(message);
    while (this.#socket.bufferedAmount > MAX_UNSENT_BYTES && this.#end === null)
      await new Promise((done) => setTimeout(done, 20));
  }

  async receive(): Promise<Message | null> {
    for (;;) {
      const message = this.#unread.shift();
      if (message !== undefined) {
        this.#unreadBytes -= message.length;
        return message;
      }
      if (this.#end === "normal") return null;
      if (this.#end) throw this.#end;
      await new Promise<void>((done) => {
        this.#wake = done;
      });
    }
  }

  close(): void {
    this.#finish(closedBy(0, ""));
    this.#socket.close();
  }

  #finish(end: DoorClosed | "normal"): void {
    this.#end ??= end;
    this.#wake();
  }
}
