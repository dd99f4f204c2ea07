// QMP bytes to messages: one JSON object per line, in pieces of any size. Pure. The peer is a VMM
// that a guest may have taken over, so lines are bounded and every message is checked.

export type QmpMessage =
  | { readonly kind: "greeting" }
  | { readonly kind: "return"; readonly id: number; readonly value: unknown }
  | {
      readonly kind: "error";
      readonly id: number | null;
      readonly class: string;
      readonly text: string;
    }
  | {
      readonly kind: "event";
      readonly name: string;
      readonly data: Readonly<Record<string, unknown>>;
    };

export class QmpFrameError extends Error {
  override readonly name = "QmpFrameError";
}

/** The largest answer that Berth asks for (query-blockstats) is far below. */
const LINE_BYTES_MAX = 1024 * 1024;

const NEWLINE = 10;

export class QmpDecoder {
  #pieces: Buffer[] = [];
  #pendingBytes = 0;

  /** Takes the next bytes and gives the messages that they complete. Throws QmpFrameError; then the stream is lost. */
  push(chunk: Buffer): QmpMessage[] {
    const messages: QmpMessage[] = [];
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, from);
      const piece = chunk.subarray(from, end < 0 ? chunk.length : end);
      this.#pendingBytes += piece.length;
      if (this.#pendingBytes > LINE_BYTES_MAX) {
        throw new QmpFrameError(`QMP line over ${LINE_BYTES_MAX} bytes`);
      }
      this.#pieces.push(piece);
      if (end < 0) return messages;
      const line = Buffer.concat(this.#pieces).toString("utf8").trim();
      this.#pieces = [];
      this.#pendingBytes = 0;
      from = end + 1;
      if (line !== "") messages.push(parseMessage(line));
    }
  }
}

function parseMessage(line: string): QmpMessage {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new QmpFrameError(`QMP line is not JSON: ${line.slice(0, 200)}`);
  }
  if (!isRecord(value)) throw new QmpFrameError("QMP message is not an object");
  if ("QMP" in value) return { kind: "greeting" };
  if (typeof value.event === "string") {
    const data = value.data;
    return { kind: "event", name: value.event, data: isRecord(data) ? data : {} };
  }
  const id = value.id;
  if ("return" in value) {
    if (typeof id !== "number") throw new QmpFrameError("QMP answer without our id");
    return { kind: "return", id, value: value.return };
  }
  const error = value.error;
  if (isRecord(error)) {
    return {
      kind: "error",
      id: typeof id === "number" ? id : null,
      class: String(error.class),
      text: String(error.desc),
    };
  }
  throw new QmpFrameError(`QMP message of no known kind: ${line.slice(0, 200)}`);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
