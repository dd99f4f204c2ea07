// Two readers of the same bytes, for tests that hold them against each other: ours (src/gateway/preview-*) and
// llhttp, the parser of Node and of many apps; and a generator of messages that parsers disagree about.

import { AnswerReader } from "#gateway/preview-answer.ts";
import { bodyReader } from "#gateway/preview-body.ts";
import { PREVIEW_DEFENCES } from "#gateway/preview-defences.ts";
import { BadHead, headEnd } from "#gateway/preview-head.ts";
import { LastHeads } from "#gateway/preview-last.ts";

export interface Message {
  /** Method and target, or status. */
  readonly what: string;
  readonly body: string;
}

export interface Reading {
  readonly messages: readonly Message[];
  /** `more`: the last one is not complete. `last`: what follows does not count. */
  readonly outcome: "all" | "more" | "refused" | "last";
  /** What would be passed on of the complete messages. */
  readonly passed: Buffer;
}

const PEER = "1.2.3.4";
const NAME = { port: 3000, label: "abcdefghijklmnop" };

function placeAt(target: string) {
  return { name: NAME, origin: "http://h", scheme: "http", target, shared: null };
}

export function lastHeads(): LastHeads {
  return new LastHeads(PREVIEW_DEFENCES);
}

/** `pieces`: the bytes as they arrive. `heads`: of a connection that has carried others. */
export function readRequestsStrictly(pieces: readonly Buffer[], heads = lastHeads()): Reading {
  const messages: Message[] = [];
  const passed: Buffer[] = [];
  let held = Buffer.alloc(0);
  let body: ReturnType<typeof bodyReader> | null = null;
  let message = { what: "", body: "" };
  let out: Buffer[] = [];
  let isLast = false;
  const take = () => {
    for (;;) {
      if (!body) {
        const end = headEnd(held);
        if (end < 0) return;
        const head = heads.request(held.toString("latin1", 0, end));
        held = held.subarray(end);
        isLast = head.isLast || head.isWebSocket;
        message = { what: `${head.method} ${head.target}`, body: "" };
        out = [Buffer.from(heads.forApp(head, placeAt(head.target), PEER), "latin1")];
        body = bodyReader(head.framing);
      }
      const step = body.take(held);
      out.push(...step.pass);
      if (step.rest === null) {
        held = Buffer.alloc(0);
        return;
      }
      messages.push({ ...message, body: payloadOf(out) });
      passed.push(...out);
      held = Buffer.from(step.rest);
      body = null;
      if (isLast) return;
    }
  };
  try {
    for (const piece of pieces) {
      held = Buffer.concat([held, piece]);
      take();
      if (isLast && !body) return { messages, passed: Buffer.concat(passed), outcome: "last" };
    }
  } catch (error) {
    if (!(error instanceof BadHead)) throw error;
    return { messages, passed: Buffer.concat(passed), outcome: "refused" };
  }
  const outcome = held.length > 0 || body ? "more" : "all";
  return { messages, passed: Buffer.concat(passed), outcome };
}

/** One answer to `method`, as the gateway would pass it on. */
export function readAnswerStrictly(
  pieces: readonly Buffer[],
  method: string,
  last = lastHeads(),
): Reading {
  const reader = new AnswerReader(last, method, false);
  const passed: Buffer[] = [];
  const messages: Message[] = [];
  try {
    for (const piece of pieces) {
      const { heads, pass, rest } = reader.take(piece);
      for (const head of heads) {
        const own = { method, isLast: false, own: [], shared: null };
        passed.push(Buffer.from(last.forBrowser(head, own), "latin1"));
        messages.push({ what: String(head.status), body: "" });
      }
      passed.push(...pass);
      if (rest !== null) return { messages, passed: Buffer.concat(passed), outcome: "all" };
    }
  } catch (error) {
    if (!(error instanceof BadHead)) throw error;
    return { messages, passed: Buffer.concat(passed), outcome: "refused" };
  }
  return { messages, passed: Buffer.concat(passed), outcome: "more" };
}

/** What llhttp makes of a rebuilt message: its body without the framing. */
function payloadOf(parts: readonly Buffer[]): string {
  return readByLlhttp(Buffer.concat(parts), "request").messages[0]?.body ?? "?";
}

interface Parser {
  initialize(type: number, resource: object): void;
  execute(bytes: Buffer): number | Error;
  finish(): unknown;
  [callback: number]: unknown;
}
interface ParserClass {
  new (): Parser;
  readonly [constant: string]: number;
}
// Node's own parser has no public name; nothing but this test uses it.
// @ts-expect-error no types
const { HTTPParser, methods } = (await import("node:_http_common")) as {
  HTTPParser: ParserClass;
  methods: string[];
};

/** As an app on Node reads it; with `isAnswer`, as a client on Node. `method`: what the answer answers. */
export function readByLlhttp(
  bytes: Buffer,
  type: "request" | "answer",
  method = "GET",
): Omit<Reading, "passed"> {
  const messages: Message[] = [];
  let open: { what: string; body: string } | null = null;
  const parser = new HTTPParser();
  const isRequest = type === "request";
  parser.initialize(HTTPParser[isRequest ? "REQUEST" : "RESPONSE"] ?? 0, {});
  const on = (name: string, run: (...args: never[]) => unknown) => {
    parser[(HTTPParser[name] ?? 0) | 0] = run;
  };
  // After trailers, or many header lines, it hands over what it has in parts.
  let early = { url: "", fields: [] as string[] };
  on("kOnHeaders", (fields: string[], url: string) => {
    early = { url: early.url + url, fields: [...early.fields, ...fields] };
  });
  on("kOnHeadersComplete", (...args: unknown[]) => {
    const [, , someFields, methodIndex, someUrl, status, , isUpgrade] = args as unknown[];
    const fields = (someFields as string[] | undefined) ?? early.fields;
    const url = someUrl ?? early.url;
    open = isRequest
      ? { what: `${methods[methodIndex as number]} ${url}`, body: "" }
      : { what: String(status), body: "" };
    if (!isRequest) return method === "HEAD" ? 1 : 0;
    return isUpgrade && isWebSocket(fields) ? 2 : 0;
  });
  on("kOnBody", (part: Buffer) => {
    if (open) open.body += part.toString("latin1");
  });
  on("kOnMessageComplete", () => {
    if (open) messages.push(open);
    open = null;
    early = { url: "", fields: [] };
  });
  const done = parser.execute(bytes);
  if (typeof done !== "number") return { messages, outcome: "refused" };
  return { messages, outcome: open ? "more" : "all" };
}

function isWebSocket(fields: readonly string[]): boolean {
  const values = fields.filter((_, at) => at % 2 === 1 && /^upgrade$/i.test(fields[at - 1] ?? ""));
  return values.length === 1 && values[0]?.toLowerCase() === "websocket";
}

/** Numbers from 0 to 1, the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Dice = () => number;

function pick<T>(dice: Dice, from: readonly T[]): T {
  return from[Math.floor(dice() * from.length)] as T;
}

const NASTY = [
  ...["\r", "\n", "\r\n", "\0", " ", "\t", ":", ";", ",", "0", "1", "5", "a", "F", "x", "\x0b"],
  ...["\x0c", "\x85", "\xa0", "\x7f", "+", "-", "#", "\\", "\r\n\r\n", "0\r\n\r\n", "\r\n ", "_"],
];
const LINES = [
  ...[
    "Content-Length: 5",
    "Content-Length: 0",
    "content-length: 5",
    "Content-Length:5",
    "Content-Length: 05",
  ],
  ...[
    "Content-Length: 5, 5",
    "Content-Length: +5",
    "Content-Length: 5\t",
    "Content-Length:\t5 ",
    "Content-Length : 5",
  ],
  ...[
    "Transfer-Encoding: chunked",
    "transfer-encoding: CHUNKED",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: chunked\t",
    "Transfer-Encoding: chunked ",
    "Content-Length: 5 ",
    "Transfer-Encoding:\tchunked",
  ],
  ...[
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: xchunked",
  ],
  ...[
    "Transfer-Encoding:",
    "Transfer-Encoding: chunked;q=1",
    "Transfer_Encoding: chunked",
    "Transfer-Encoding\t: chunked",
  ],
  ...[
    "Connection: close",
    "Connection: keep-alive",
    "Connection: Upgrade",
    "Connection: content-length",
    "Connection: upgrade, close",
  ],
  ...[
    "Upgrade: websocket",
    "Upgrade: h2c",
    "Upgrade: WebSocket",
    "Expect: 100-continue",
    "X: y",
    "X:",
    " folded",
    "\tfolded",
    "Trailer: x",
  ],
  ...[
    "Host: other",
    "Cookie: a=b; __Host-berth-preview=x",
    "X-Forwarded-For: 6.6.6.6",
    "Sec-WebSocket-Version: 13",
    "X: \xff",
    "X: a\rb",
  ],
];
const BODIES = [
  ...[
    "",
    "hello",
    "5\r\nhello\r\n0\r\n\r\n",
    "0\r\n\r\n",
    "5;x=1\r\nhello\r\n0\r\n\r\n",
    "05\r\nhello\r\n00\r\n\r\n",
  ],
  ...[
    "5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    "5 \r\nhello\r\n0\r\n\r\n",
    "5\nhello\n0\n\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "5\r\nhelloX\r\n0\r\n\r\n",
  ],
  ...[
    "a\r\n0123456789\r\n5\r\nhello\r\n0\r\n\r\n",
    "fffffffff\r\nhi",
    "GET /inner HTTP/1.1\r\nHost: h\r\n\r\n",
  ],
];
const METHODS = [
  "GET",
  "POST",
  "PUT",
  "HEAD",
  "OPTIONS",
  "DELETE",
  "get",
  "CONNECT",
  "TRACE",
  "PRI",
  "M-SEARCH",
  "GETX",
];
const TARGETS = ["/", "/a?b=c", "/a#b", "*", "http://h/x", "/\xe9", "/a b", "//x", "/%2e", "/\\"];
const VERSIONS = [
  "HTTP/1.1",
  "HTTP/1.1",
  "HTTP/1.1",
  "HTTP/1.1",
  "HTTP/1.0",
  "HTTP/2.0",
  "http/1.1",
  "HTTP/1.2",
  "HTTP/1.1 ",
];

function someLines(dice: Dice): string[] {
  const lines = ["Host: h"];
  for (let left = Math.floor(dice() * 4); left > 0; left -= 1) lines.push(pick(dice, LINES));
  return dice() < 0.2 ? lines.reverse() : lines;
}

function mutated(dice: Dice, text: string): string {
  let out = text;
  for (let left = Math.floor(dice() * 3); left > 0; left -= 1) {
    const at = Math.floor(dice() * (out.length + 1));
    const cut = dice() < 0.5 ? 0 : Math.floor(dice() * 3);
    out = out.slice(0, at) + (dice() < 0.7 ? pick(dice, NASTY) : "") + out.slice(at + cut);
  }
  return dice() < 0.05 ? out.slice(0, Math.floor(dice() * out.length)) : out;
}

/** One or more requests on one connection, most of them nearly right. */
export function someRequests(dice: Dice): Buffer {
  let text = "";
  for (let left = 1 + Math.floor(dice() * 2.5); left > 0; left -= 1) {
    const isPlain = dice() < 0.8;
    const method = isPlain ? pick(dice, METHODS.slice(0, 4)) : pick(dice, METHODS);
    const target = isPlain ? "/a" : pick(dice, TARGETS);
    const version = isPlain ? "HTTP/1.1" : pick(dice, VERSIONS);
    const head = `${method} ${target} ${version}\r\n${someLines(dice).join("\r\n")}\r\n\r\n`;
    text += head + pick(dice, BODIES);
  }
  return Buffer.from(dice() < 0.6 ? mutated(dice, text) : text, "latin1");
}

export function someAnswer(dice: Dice): Buffer {
  const status = pick(dice, [
    "200 OK",
    "200 OK",
    "204 No Content",
    "304 Not Modified",
    "404",
    "500 x",
  ]);
  const version = dice() < 0.9 ? "HTTP/1.1" : pick(dice, VERSIONS);
  const interim = dice() < 0.1 ? "HTTP/1.1 100 Continue\r\n\r\n" : "";
  const head = `${version} ${status}\r\n${someLines(dice).slice(1).join("\r\n")}`;
  const text = `${interim}${head}${head.endsWith("\n") ? "" : "\r\n"}\r\n${pick(dice, BODIES)}`;
  return Buffer.from(dice() < 0.6 ? mutated(dice, text) : text, "latin1");
}

/** The same bytes, as a network may bring them. */
export function pieces(dice: Dice, bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = dice() < 0.5 ? bytes.length : 1 + Math.floor(dice() * 12);
    parts.push(bytes.subarray(at, at + size));
    at += size;
  }
  return parts;
}
