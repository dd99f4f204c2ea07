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
/** A browser's socket cannot be told to wait. With more than this unread the connection is given up, and taken again
 * where it stood once that was read: memory stays bounded, and what the box did not keep meanwhile is told. */
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
  const channel = new Messages(url);
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

/** `code: detail`, as the door closes. */
function closedBy(closeCode: number, reason: string): DoorClosed {
  const [, code = null, detail = ""] = /^([a-z_]+): (.*)$/s.exec(reason) ?? [];
  if (closeCode >= 4000) return new DoorClosed(code, detail || reason);
  return new DoorClosed(null, "the connection was lost");
}

/** A plain WebSocket: WebSocketStream could make the box wait, but it took the whole page down (Chromium 156) when
 * its server died. */
class Messages {
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

  /** Null after a normal end; throws DoorClosed after any other. */
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
