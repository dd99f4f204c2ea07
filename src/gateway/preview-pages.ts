// What the gateway itself answers at a preview's origin: redirects, and pages that say why the app does not answer.

import { randomBytes } from "node:crypto";
import type { PreviewDefences } from "./preview-defences.ts";

export interface OwnAnswer {
  readonly status: number;
  readonly title: string;
  /** For a person. Empty with a redirect. */
  readonly detail: string;
  /** Further header lines. */
  readonly lines?: readonly string[];
  /** The page tries again by itself. */
  readonly isTemporary?: boolean;
}

export interface AnswerStyle {
  readonly isHead: boolean;
  readonly wantsHtml: boolean;
  readonly isLast: boolean;
}

const TRY_AGAIN_S = 3;

export function redirect(location: string, lines: readonly string[] = []): OwnAnswer {
  return { status: 302, title: "Found", detail: "", lines: [`Location: ${location}`, ...lines] };
}

/** The whole answer, in latin1. */
export function print(answer: OwnAnswer, style: AnswerStyle, defences: PreviewDefences): string {
  const { status, title, detail, lines = [], isTemporary = false } = answer;
  const nonce = randomBytes(12).toString("base64");
  const isPage = style.wantsHtml && detail !== "";
  const body = isPage ? pageOf(title, detail, nonce) : detail && `${title}\n${detail}\n`;
  const bytes = Buffer.from(body, "utf8");
  const head = [
    `HTTP/1.1 ${status} ${title}`,
    `Content-Type: text/${isPage ? "html" : "plain"}; charset=utf-8`,
    `Content-Length: ${bytes.length}`,
    "Cache-Control: no-store",
    "X-Content-Type-Options: nosniff",
    `Content-Security-Policy: default-src 'none'; style-src 'nonce-${nonce}'; frame-ancestors 'none'`,
    ...(defences.noReferrer ? ["Referrer-Policy: no-referrer"] : []),
    ...(isTemporary ? [`Retry-After: ${TRY_AGAIN_S}`] : []),
    ...(isTemporary && isPage ? [`Refresh: ${TRY_AGAIN_S}`] : []),
    ...lines,
    ...(style.isLast ? ["Connection: close"] : []),
  ].join("\r\n");
  return `${head}\r\n\r\n${style.isHead ? "" : bytes.toString("latin1")}`;
}

const STYLE =
  "body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:18vh auto;padding:0 1.5rem;color:#1f2933;" +
  "background:#f7f8fa}h1{font-size:1.35rem;margin:0 0 .5rem}p{margin:0;color:#52606d;white-space:pre-line}" +
  "@media(prefers-color-scheme:dark){body{color:#e4e7eb;background:#14171c}p{color:#9aa5b1}}";

function pageOf(title: string, detail: string, nonce: string): string {
  return (
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escaped(title)}</title>` +
    `<meta name="viewport" content="width=device-width"><style nonce="${nonce}">${STYLE}</style>` +
    `<h1>${escaped(title)}</h1><p>${escaped(detail)}</p></html>`
  );
}

const ESCAPES: Readonly<Record<string, string>> = {
  ...{ "&": "&amp;", "<": "&lt;", ">": "&gt;" },
  ...{ '"': "&quot;", "'": "&#39;" },
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (one) => ESCAPES[one] ?? one);
}
