// The heads that go on: a request for the app, an answer for the browser. They are written anew from what was read, so
// that nothing passes which was not meant to. Pure.

import { appCookie, splitCookies } from "./preview-cookies.ts";
import type { PreviewDefences } from "./preview-defences.ts";
import type { AnswerHead, Field, Framing, RequestHead } from "./preview-head.ts";
import type { Place, SharedPlace } from "./preview-name.ts";

/** Of one connection, or of our side of it. */
const PER_HOP: ReadonlySet<string> = new Set([
  ...["connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"],
  ...["te", "trailer", "transfer-encoding", "content-length", "upgrade", "http2-settings"],
]);
/** Said afresh by us. */
const FORWARDED = /^(?:host|forwarded|x-forwarded-.*|x-real-ip|x-client-ip|true-client-ip|via)$/;
const OURS = "x-berth-";
/** Berth's API tokens, should somebody send one here. */
const OUR_TOKEN = /^\s*bearer\s+berth_/i;
/** What an answer could do beyond its own pages. */
const REACHING: ReadonlySet<string> = new Set([
  ...["clear-site-data", "strict-transport-security", "alt-svc", "service-worker-allowed"],
  ...["public-key-pins", "expect-ct", "nel", "report-to"],
]);

/** What follows the first line. */
export function linesForApp(
  request: RequestHead,
  place: Place,
  /** Address of the browser. */
  peer: string,
  defences: PreviewDefences,
): string {
  const { host } = request;
  const named = namedByConnection(request.fields);
  let text = `Host: ${host}\r\n`;
  for (const field of request.fields) {
    const { name } = field;
    if (PER_HOP.has(name) || FORWARDED.test(name) || named?.has(name)) continue;
    // On a shared origin cookies would be those of every preview.
    if (name === "cookie" && place.shared) continue;
    const kept = defences.platformSecrets ? withoutSecrets(field) : field.line;
    if (kept !== null) text += `${kept}\r\n`;
  }
  text += `X-Forwarded-For: ${peer}\r\nX-Forwarded-Host: ${host}\r\n`;
  if (place.shared) text += `X-Forwarded-Prefix: ${place.shared.base}\r\n`;
  text += `X-Forwarded-Proto: ${place.scheme}\r\n${framingLines(request.framing)}`;
  return `${text}${request.isWebSocket ? "Connection: Upgrade\r\nUpgrade: websocket\r\n" : ""}\r\n`;
}

function withoutSecrets({ name, value, line }: Field): string | null {
  if (name === "cookie") {
    const { forApp } = splitCookies(value);
    return forApp === value ? line : forApp === null ? null : `Cookie: ${forApp}`;
  }
  if (name.startsWith(OURS)) return null;
  if (name === "authorization" && OUR_TOKEN.test(value)) return null;
  return line;
}

export interface AnswerFor {
  readonly method: string;
  /** This connection ends after it. */
  readonly isLast: boolean;
  /** Lines of our own, for the browser. */
  readonly own: readonly string[];
  /** The origin is every preview's. */
  readonly shared: SharedPlace | null;
}

/** A page of a shared origin gets an origin of its own that nothing else has: no storage, no cookies, no siblings. */
const SANDBOX = [
  "Content-Security-Policy: sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads",
  "Access-Control-Allow-Origin: null",
  "Referrer-Policy: no-referrer",
];
const SANDBOXED: ReadonlySet<string> = new Set([
  ...["set-cookie", "referrer-policy", "access-control-allow-origin"],
  "access-control-allow-credentials",
]);

export function answerForBrowser(
  answer: AnswerHead,
  { method, isLast, own, shared }: AnswerFor,
  defences: PreviewDefences,
): string {
  const named = namedByConnection(answer.fields);
  let text = `HTTP/1.1 ${answer.status} ${answer.reason}\r\n`;
  let length: string | null = null;
  for (const { name, value, line } of answer.fields) {
    if (name === "content-length") length = value;
    if (PER_HOP.has(name) || named?.has(name)) continue;
    if (defences.platformSecrets && name.startsWith(OURS)) continue;
    if (defences.answerReach && REACHING.has(name)) continue;
    if (shared && SANDBOXED.has(name)) continue;
    if (shared && name === "location" && /^\/(?!\/)/.test(value))
      text += `Location: ${shared.base}${shared.key ? `/~${shared.key}` : ""}${value}\r\n`;
    else if (name === "set-cookie") {
      const cookie = appCookie(value, {
        isHostOnly: defences.hostCookies,
        isOursKept: !defences.platformSecrets,
      });
      if (cookie !== null) text += `Set-Cookie: ${cookie}\r\n`;
    } else text += `${line}\r\n`;
  }
  for (const line of shared ? [...own, ...SANDBOX] : own) text += `${line}\r\n`;
  if (answer.status === 101) return `${text}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  const isBare = answer.framing.kind === "none" && (method === "HEAD" || answer.status === 304);
  if (isBare && length !== null) text += `Content-Length: ${length}\r\n`;
  else text += framingLines(answer.framing);
  return `${text}${isLast ? "Connection: close\r\n" : ""}\r\n`;
}

function framingLines(framing: Framing): string {
  if (framing.kind === "length") return `Content-Length: ${framing.bytes}\r\n`;
  // Without a length it goes on in chunks.
  return framing.kind === "none" ? "" : "Transfer-Encoding: chunked\r\n";
}

/** Header lines that hold for one connection because `Connection` says so. */
function namedByConnection(fields: readonly Field[]): Set<string> | null {
  let named: Set<string> | null = null;
  for (const { name, value } of fields) {
    if (name !== "connection") continue;
    const options = value.toLowerCase();
    if (options === "keep-alive" || options === "close" || options === "upgrade") continue;
    named ??= new Set();
    for (const option of options.split(",")) named.add(option.trim());
  }
  return named;
}
