// Heads of HTTP/1.1 messages, read strictly: what another parser might frame differently is refused, so that what
// we pass on has one meaning. Pure. Everything here is on the path of each request.

export interface Field {
  /** In lower case. */
  readonly name: string;
  readonly value: string;
  /** As it was sent, without the line's end. */
  readonly line: string;
}

/** How long the body is. `close`: as long as the connection lasts (answers only). */
export type Framing =
  | { readonly kind: "none" | "chunked" | "close" }
  | { readonly kind: "length"; readonly bytes: number };

/** All of a request's head but its first line. */
export interface RequestLines {
  readonly text: string;
  /** The value of Host, in lower case. */
  readonly host: string;
  readonly fields: readonly Field[];
  readonly framing: Framing;
  readonly isWebSocket: boolean;
  /** No other request follows on this connection. */
  readonly isLast: boolean;
  /** The cookie with a pass in it, once it was looked for (preview-entry.ts); null: there is none. */
  pass: string | null | undefined;
}

export interface RequestHead extends Omit<RequestLines, "text" | "pass"> {
  readonly method: string;
  /** Path and query; begins with a slash. */
  readonly target: string;
  readonly lines: RequestLines;
}

export interface AnswerHead {
  readonly status: number;
  readonly reason: string;
  readonly fields: readonly Field[];
  readonly framing: Framing;
  readonly isLast: boolean;
}

/** A message that is not passed on, with the status that says so. */
export class BadHead extends Error {
  override readonly name = "BadHead";
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Node's own servers take 16 KiB; other apps more. */
export const MAX_HEAD_BYTES = 32 * 1024;
const MAX_FIELDS = 200;

const CR = 13;
const LF = 10;
const METHODS: ReadonlySet<string> = new Set(
  (
    "GET HEAD POST PUT DELETE PATCH OPTIONS QUERY PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK " +
    "SEARCH REPORT MKACTIVITY CHECKOUT MERGE MKCALENDAR ACL BIND UNBIND REBIND LINK UNLINK PURGE"
  ).split(" "),
);
const REQUEST_LINE = /^([A-Z]+) (\/[\x21\x22\x24-\x7e]*) HTTP\/1\.([01])$/;
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const FIELDS = /^(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*$/;
const LENGTH = /^(?:0|[1-9]\d{0,14})$/;

const IDEMPOTENT: ReadonlySet<string> = new Set(
  "GET HEAD OPTIONS PUT DELETE QUERY PROPFIND SEARCH REPORT".split(" "),
);

export function hasBody({ framing }: Pick<RequestHead, "framing">): boolean {
  return framing.kind === "length" ? framing.bytes > 0 : framing.kind !== "none";
}

/** It may be sent again when nobody knows whether it was heard: all of it is here, and twice is as good as once. */
export function isRepeatable(request: Pick<RequestHead, "framing" | "method">): boolean {
  return !hasBody(request) && IDEMPOTENT.has(request.method);
}

/** Where the head ends in `bytes`, its empty line included; -1: not yet. Throws BadHead. */
export function headEnd(bytes: Buffer): number {
  const at = bytes.indexOf("\r\n\r\n");
  if (at >= 0 && at + 4 <= MAX_HEAD_BYTES) return at + 4;
  if (at >= 0 || bytes.length > MAX_HEAD_BYTES) throw new BadHead(431, "the head is too long");
  // A line that ends otherwise would never end for us.
  for (let lf = bytes.indexOf(LF); lf >= 0; lf = bytes.indexOf(LF, lf + 1))
    if (lf === 0 || bytes[lf - 1] !== CR) throw new BadHead(400, "a line ends without CR");
  return -1;
}

/**
 * `text`: a whole head in latin1, its empty line included. `last`: lines that were read before, which may be the same.
 * Throws BadHead.
 */
export function readRequest(text: string, last: RequestLines | null = null): RequestHead {
  const lineEnd = text.indexOf("\r\n");
  const found = REQUEST_LINE.exec(text.slice(0, lineEnd));
  const method = found?.[1] ?? "";
  if (!METHODS.has(method)) throw new BadHead(400, "the request line is not valid");
  if (found?.[3] !== "1") throw new BadHead(505, "only HTTP/1.1 is spoken here");
  const others = text.slice(lineEnd + 2);
  const lines = others === last?.text ? last : readLines(others);
  const { host, fields, framing, isWebSocket, isLast } = lines;
  if (isWebSocket && method !== "GET")
    throw new BadHead(400, "a WebSocket is opened by a GET without a body");
  const target = found?.[2] ?? "";
  return { method, target, host, fields, framing, isWebSocket, isLast, lines };
}

function readLines(text: string): RequestLines {
  const fields = readFields(text, 0);
  let host: string | null = null;
  let isUpgrade = false;
  let upgrade = "";
  let isLast = false;
  for (const { name, value } of fields) {
    if (name === "host") {
      if (host !== null) throw new BadHead(400, "there is more than one Host");
      host = value.toLowerCase();
    } else if (name === "connection") {
      const options = value.toLowerCase();
      isUpgrade ||= hasOption(options, "upgrade");
      isLast ||= hasOption(options, "close");
    } else if (name === "upgrade") upgrade += `${value.toLowerCase()},`;
  }
  if (!host) throw new BadHead(400, "there is no Host");
  const framing = framingOf(fields) ?? { kind: "none" };
  const isWebSocket = isUpgrade && upgrade === "websocket,";
  if (isWebSocket && framing.kind !== "none")
    throw new BadHead(400, "a WebSocket is opened by a GET without a body");
  // Another upgrade is not passed on; who asked may take what follows for another protocol.
  const isIgnored = isUpgrade && !isWebSocket;
  const isOver = isLast || isIgnored;
  return { text, host, fields, framing, isWebSocket, isLast: isOver, pass: undefined };
}

/** The answer to a request by `method`. Throws BadHead. */
export function readAnswer(text: string, method: string): AnswerHead {
  const lineEnd = text.indexOf("\r\n");
  const [, minor, code, reason = ""] = STATUS_LINE.exec(text.slice(0, lineEnd)) ?? [];
  if (code === undefined) throw new BadHead(502, "the status line is not valid");
  const status = Number(code);
  const fields = readFields(text, lineEnd + 2);
  let isLast = minor === "0";
  for (const { name, value } of fields)
    if (name === "connection") isLast = hasOption(value.toLowerCase(), "close") || isLast;
  const declared = framingOf(fields);
  // Neither a length nor chunks that such an answer declares are there.
  const isBare = status < 200 || status === 204 || status === 304 || method === "HEAD";
  if (minor === "0" && declared?.kind === "chunked")
    throw new BadHead(502, "HTTP/1.0 has no chunks");
  const framing: Framing = isBare ? { kind: "none" } : (declared ?? { kind: "close" });
  return { status, reason, fields, framing, isLast: isLast || framing.kind === "close" };
}

function readFields(text: string, from: number): Field[] {
  const end = text.length - 2; // The empty line.
  if (!FIELDS.test(text.slice(from, end))) throw new BadHead(400, "a header line is not valid");
  const fields: Field[] = [];
  for (let at = from; at < end; ) {
    const lineEnd = text.indexOf("\r\n", at);
    const colon = text.indexOf(":", at);
    const name = text.slice(at, colon).toLowerCase();
    const value = trimmed(text, colon + 1, lineEnd);
    fields.push({ name, value, line: text.slice(at, lineEnd) });
    at = lineEnd + 2;
  }
  if (fields.length > MAX_FIELDS) throw new BadHead(431, "there are too many header lines");
  return fields;
}

/** Spaces and tabs only: String.trim takes more, and other parsers would not. */
function trimmed(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

/** Null: nothing is declared. */
function framingOf(fields: readonly Field[]): Framing | null {
  let found: Framing | null = null;
  for (const { name, value, line } of fields) {
    if (name !== "content-length" && name !== "transfer-encoding") continue;
    // Parsers differ about what may follow such a value.
    if (!line.endsWith(value)) throw new BadHead(400, `${name} is followed by blanks`);
    if (found) throw new BadHead(400, "the length of the body is given more than once");
    if (name === "content-length") {
      if (!LENGTH.test(value)) throw new BadHead(400, "Content-Length is not a number");
      found = { kind: "length", bytes: Number(value) };
    } else {
      if (value.toLowerCase() !== "chunked")
        throw new BadHead(400, "the only Transfer-Encoding is chunked");
      found = { kind: "chunked" };
    }
  }
  return found;
}

/** An element of a comma-separated list, both in lower case. */
function hasOption(list: string, option: string): boolean {
  if (list === option) return true;
  return list.includes(option) && list.split(",").some((one) => one.trim() === option);
}
