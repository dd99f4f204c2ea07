// What becomes of a request at a preview's origin: it goes on to the app, or the gateway answers it itself: a login at
// the dashboard, the way back from there, a link, a refusal.

import type { Clock } from "#lib/clock.ts";
import type { Known } from "./known.ts";
import {
  isRelativePath,
  NONCE_COOKIE,
  newReturn,
  nonceHash,
  PASS_COOKIE,
  passCookie,
  type Return,
  readReturns,
  returnsCookie,
  splitCookies,
} from "./preview-cookies.ts";
import type { PreviewDefences } from "./preview-defences.ts";
import type { RequestHead } from "./preview-head.ts";
import type { Place, SharedPlace } from "./preview-name.ts";
import { type OwnAnswer, redirect } from "./preview-pages.ts";
import { type KnownPass, newest, type Right, type Rights } from "./preview-rights.ts";

export type Decision =
  | { readonly kind: "enter"; readonly right: Right }
  | { readonly kind: "answer"; readonly answer: OwnAnswer };

export interface EntryOptions {
  readonly known: Known;
  readonly rights: Rights;
  readonly clock: Clock;
  readonly defences: PreviewDefences;
}

/** The gateway's own part of every preview's origin; the app never sees it. */
const OWN_PATH = "/.berth/";
const LINK = "berth_link";

export class Entry {
  readonly #options: EntryOptions;

  constructor(options: EntryOptions) {
    this.#options = options;
  }

  /** Not a promise when nothing has to be checked anew, which is so for all but a browser's first request. */
  decide(request: RequestHead, place: Place): Decision | Promise<Decision> {
    const { name, target, shared } = place;
    const preview = this.#options.known.preview(name.label);
    if (preview === "gone") return answer(GONE);
    if (preview === null || preview.port !== name.port) return answer(UNKNOWN);
    if (shared && !target.startsWith("/"))
      return answer(redirect(`${sharedBase(shared, shared.key)}/${target}`));
    if (target.startsWith(OWN_PATH)) return this.#own(request, place);
    if (target.includes(`${LINK}=`)) {
      const taken = this.#takeLink(request, place);
      if (taken) return taken;
    }
    if (shared && isPreflight(request)) return answer(PREFLIGHT);
    if (preview.visibility === "public") {
      const right = this.#options.rights.rightTo(preview, null);
      return right ? { kind: "enter", right } : answer(UNKNOWN);
    }
    if (shared) {
      const pass = shared.key === null ? null : this.#options.rights.byKey(shared.key);
      return this.#withPass(request, place, pass);
    }
    if (this.#options.defences.ownOriginOnly && isFromOutside(request, place.origin))
      return answer(OUTSIDE);
    const { lines } = request;
    if (lines.pass === undefined) lines.pass = ourCookie(request, PASS_COOKIE) ?? null;
    const text = lines.pass;
    if (text === null) return this.#withPass(request, place, null);
    const pass = this.#options.rights.recall(text);
    if (pass) return this.#withPass(request, place, pass);
    return this.#options.rights.read(text).then((read) => this.#withPass(request, place, read));
  }

  #withPass(request: RequestHead, place: Place, pass: KnownPass | null): Decision {
    const { known, rights } = this.#options;
    const preview = known.preview(place.name.label);
    if (preview === null || preview === "gone") return answer(GONE);
    const right = rights.rightTo(preview, pass);
    if (right) return { kind: "enter", right };
    return isNavigation(request) ? this.#login(request, place) : answer(LOGIN_NEEDED);
  }

  /** To the dashboard, which knows the person, and back. */
  #login(request: RequestHead, { name: { label, port }, target }: Place): Decision {
    const { dashboardOrigin } = this.#options.known.settings;
    const going = newReturn(target);
    const others = readReturns(ourCookie(request, NONCE_COOKIE));
    const query = new URLSearchParams({
      label,
      port: String(port),
      nonce: nonceHash(going.nonce),
    });
    const cookie = `Set-Cookie: ${returnsCookie([...others, going])}`;
    return answer(redirect(`${dashboardOrigin}/v1/preview-authorize?${query}`, [cookie]));
  }

  #own(request: RequestHead, place: Place): Decision | Promise<Decision> {
    const [path, query = ""] = split(place.target, "?");
    if (path !== `${OWN_PATH}enter` || request.method !== "GET") return answer(UNKNOWN);
    const code = new URLSearchParams(query).get("code");
    return code === null ? answer(BAD_CODE) : this.#enter(request, place, code);
  }

  async #enter(request: RequestHead, place: Place, text: string): Promise<Decision> {
    const { known, rights, defences } = this.#options;
    const code = await rights.readCode(text);
    const pass = code && (await rights.read(code.pass));
    const preview = known.preview(place.name.label);
    if (!code || !pass || preview === null || preview === "gone") return answer(BAD_CODE);
    const returns = readReturns(ourCookie(request, NONCE_COOKIE));
    const back = returns.find(({ nonce }) => nonceHash(nonce) === code.nonceHash);
    if (code.previewId !== preview.previewId || (!back && defences.nonce)) return answer(BAD_CODE);
    if (!rights.takeCode(code.codeId) && defences.onceOnly) return answer(BAD_CODE);
    const isOpen = rights.rightTo({ ...preview, visibility: "private" }, pass) !== null;
    if (!isOpen) return answer(BAD_CODE);
    const path = this.#returnPath(back, place);
    const left = returns.filter((one) => one !== back);
    return answer(this.#into(place, pass, path, [`Set-Cookie: ${returnsCookie(left)}`]));
  }

  /** To a path of the app, with the pass where requests will bring it. */
  #into({ shared }: Place, pass: KnownPass, path: string, lines: readonly string[]): OwnAnswer {
    const { rights, clock } = this.#options;
    if (shared) return redirect(`${sharedBase(shared, rights.keyOf(pass))}${path}`, lines);
    const cookie = passCookie(pass.text, leftS(pass, clock.nowMs()));
    return redirect(path, [`Set-Cookie: ${cookie}`, ...lines]);
  }

  #returnPath(back: Return | undefined, { target }: Place): string {
    const path = back?.path ?? "/";
    if (this.#options.defences.relativeReturn) return isRelativePath(path) ? path : "/";
    return new URLSearchParams(split(target, "?")[1]).get("next") ?? path;
  }

  /** A link becomes a cookie, and its address one without it. Null: the address only looks like one. */
  #takeLink(request: RequestHead, place: Place): Decision | Promise<Decision> | null {
    const [path, query = ""] = split(place.target, "?");
    const parts = query.split("&");
    const link = parts.find((part) => part.startsWith(`${LINK}=`));
    if (!link) return null;
    if (request.method !== "GET" && request.method !== "HEAD") return answer(LINK_NEEDS_GET);
    const rest = parts.filter((part) => !part.startsWith(`${LINK}=`)).join("&");
    const target = rest ? `${path}?${rest}` : path;
    return this.#openLink(link.slice(LINK.length + 1), place, target);
  }

  async #openLink(text: string, place: Place, target: string): Promise<Decision> {
    const { known, rights } = this.#options;
    const pass = await rights.read(text);
    const preview = known.preview(place.name.label);
    if (preview === null || preview === "gone") return answer(GONE);
    // To a public preview a link adds nothing, but its address is still cleaned.
    if (preview.visibility !== "public" && (!pass || !rights.rightTo(preview, pass)))
      return answer(BAD_LINK);
    const path = isRelativePath(target) ? target : "/";
    if (pass) return answer(this.#into(place, pass, path, NO_LINES));
    return answer(redirect(`${place.shared?.base ?? ""}${path}`));
  }

  /** Lines for the browser: the fresh pass, when the one it brought has been renewed. */
  renewal({ pass }: Right, { shared }: Place): readonly string[] {
    if (!pass) return NO_LINES;
    this.#options.rights.keepFresh(pass);
    if (!pass.next || shared) return NO_LINES;
    const fresh = newest(pass);
    const maxAgeS = leftS(fresh, this.#options.clock.nowMs());
    return [`Set-Cookie: ${passCookie(fresh.text, maxAgeS)}`];
  }
}

const NO_LINES: readonly string[] = [];

function sharedBase({ base }: SharedPlace, key: string | null): string {
  return key === null ? base : `${base}/~${key}`;
}

/** A sandboxed page's: it has no origin, and the key in the address says all. */
function isPreflight({ method, fields }: RequestHead): boolean {
  return (
    method === "OPTIONS" && fields.some(({ name }) => name === "access-control-request-method")
  );
}

function answer(own: OwnAnswer): Decision {
  return { kind: "answer", answer: own };
}

function leftS(pass: KnownPass, nowMs: number): number {
  return Math.max(0, Math.floor((pass.checked.expiresAtMs - nowMs) / 1000));
}

function split(text: string, at: string): [string, string?] {
  const index = text.indexOf(at);
  return index < 0 ? [text] : [text.slice(0, index), text.slice(index + 1)];
}

function field({ fields }: RequestHead, name: string): string | undefined {
  for (const one of fields) if (one.name === name) return one.value;
  return undefined;
}

function ourCookie(request: RequestHead, name: string): string | undefined {
  let found: string | undefined;
  for (const one of request.fields) {
    if (one.name !== "cookie") continue;
    const value = splitCookies(one.value).ours.get(name);
    if (value !== undefined && found !== undefined) return undefined;
    found ??= value;
  }
  return found;
}

/** A person went to this address. */
function isNavigation(request: RequestHead): boolean {
  if (request.method !== "GET" || request.isWebSocket) return false;
  const mode = field(request, "sec-fetch-mode");
  if (mode !== undefined)
    return mode === "navigate" && field(request, "sec-fetch-dest") === "document";
  return field(request, "accept")?.includes("text/html") ?? false;
}

/**
 * It runs a box at rest: a person went here, or a program that is no browser asks (a webhook, curl). A page that was open
 * when somebody paused the box does not: its requests, WebSockets and reloads of its own accord would undo every pause.
 */
export function mayWake(request: RequestHead): boolean {
  if (request.isWebSocket) return false;
  const mode = field(request, "sec-fetch-mode");
  if (mode === undefined) return true;
  if (mode !== "navigate" || field(request, "sec-fetch-dest") !== "document") return false;
  return (
    field(request, "sec-fetch-site") !== "same-origin" || field(request, "sec-fetch-user") === "?1"
  );
}

/**
 * Another origin's page made it, and not by sending the person here: a form that posts, an image, a script, a frame, a
 * fetch, a WebSocket. Browsers send Sec-Fetch-Site to secure origins, and Origin with what could change something.
 */
function isFromOutside(request: RequestHead, origin: string): boolean {
  const from = field(request, "origin");
  if (from !== undefined && from !== origin) return true;
  const site = field(request, "sec-fetch-site");
  if (site === undefined || site === "same-origin" || site === "none") return false;
  return request.method === "HEAD" || !isNavigation(request);
}

const PREFLIGHT: OwnAnswer = {
  status: 204,
  title: "No Content",
  detail: "",
  lines: [
    "Access-Control-Allow-Origin: null",
    "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers: *, Authorization",
    "Access-Control-Max-Age: 600",
  ],
};
const GONE: OwnAnswer = {
  status: 410,
  title: "This preview is gone",
  detail:
    "It was closed, or its address was replaced because fewer people may see it now.\nAsk whoever gave you the address for the new one.",
};
const UNKNOWN: OwnAnswer = {
  status: 404,
  title: "There is no preview here",
  detail: "Check the address. Berth shows the addresses of a box's ports on the box's page.",
};
const OUTSIDE: OwnAnswer = {
  status: 403,
  title: "Refused: another site asked for this",
  detail:
    "This preview is not public, so pages of other sites can link to it and do nothing else with it.",
};
const LOGIN_NEEDED: OwnAnswer = {
  status: 401,
  title: "This preview is not public",
  detail: "Open it in a browser first: the dashboard then lets you in.",
};
const BAD_CODE: OwnAnswer = {
  status: 403,
  title: "This sign-in cannot be used",
  detail:
    "It was used before, is too old, or belongs to another browser.\nOpen the preview's address again.",
};
const BAD_LINK: OwnAnswer = {
  status: 403,
  title: "This link opens nothing any more",
  detail: "It has expired or was withdrawn. Ask whoever gave it to you for a new one.",
};
const LINK_NEEDS_GET: OwnAnswer = {
  status: 400,
  title: "A link is opened by GET",
  detail: "Open the link once; the cookie that it sets is what other requests need.",
};
