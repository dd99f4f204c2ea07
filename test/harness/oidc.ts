// Starts the real OpenID provider of oidc-process.ts, and stands for the person at the browser: follows redirects with
// cookies, and fills in the provider's forms.

import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";

interface Scope {
  after(work: () => Promise<void>): void;
}

export interface OidcOptions {
  readonly accounts?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Seconds: AccessToken, IdToken, RefreshToken. */
  readonly ttl?: Readonly<Record<string, number>>;
}

export interface OidcClient {
  readonly clientId: string;
  readonly clientSecret: string;
}

export interface OidcProvider {
  readonly issuer: string;
  /** A confidential client, by dynamic registration. */
  registerClient(metadata: {
    readonly redirectUri: string;
    readonly logoutUri?: string;
    readonly afterLogoutUri?: string;
  }): Promise<OidcClient>;
  /** Claims, and `disabled: true` for somebody who has left. */
  setAccount(name: string, claims: Readonly<Record<string, unknown>>): Promise<void>;
  /** Kills the process. */
  stop(): Promise<void>;
  readonly pid: number;
}

export async function oidcProvider(scope: Scope, options: OidcOptions = {}): Promise<OidcProvider> {
  const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
    format: "jwk",
  });
  const { child, port } = await startProcess({ ...options, key });
  const stop = () => endProcess(child);
  scope.after(stop);
  const issuer = `http://127.0.0.1:${port}`;
  return {
    issuer,
    stop,
    pid: child.pid ?? 0,
    registerClient: async ({ redirectUri, logoutUri, afterLogoutUri }) => {
      const answer = await fetch(`${issuer}/reg`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          redirect_uris: [redirectUri],
          response_types: ["code"],
          grant_types: [
            ...["authorization_code", "refresh_token"],
            "urn:ietf:params:oauth:grant-type:device_code",
          ],
          ...(logoutUri
            ? { backchannel_logout_uri: logoutUri, backchannel_logout_session_required: true }
            : {}),
          ...(afterLogoutUri ? { post_logout_redirect_uris: [afterLogoutUri] } : {}),
        }),
      });
      const made = (await answer.json()) as Record<string, string>;
      if (answer.status !== 201) throw new Error(`no client: ${JSON.stringify(made)}`);
      return { clientId: made.client_id ?? "", clientSecret: made.client_secret ?? "" };
    },
    setAccount: async (name, claims) => {
      const answer = await fetch(`${issuer}/control/accounts/${name}`, {
        method: "PUT",
        body: JSON.stringify(claims),
      });
      if (answer.status !== 204) throw new Error(`no account: ${answer.status}`);
    },
  };
}

async function startProcess(config: object): Promise<{ child: ChildProcess; port: number }> {
  const file = join(import.meta.dirname, "oidc-process.ts");
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", file, JSON.stringify(config)],
    // It ends with us: when nobody holds its input any more.
    { stdio: ["pipe", "pipe", "pipe"] },
  );
  let said = "";
  const port = await new Promise<number>((done, fail) => {
    child.stderr?.on("data", (text) => {
      said += text;
    });
    child.stdout?.on("data", (text) => {
      said += text;
      const ready = /^ready (\d+)$/m.exec(said)?.[1];
      if (ready) done(Number(ready));
    });
    child.once("exit", () => fail(new Error(`the provider ended: ${said}`)));
  });
  return { child, port };
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once("exit", done));
  child.kill("SIGKILL");
  await ended;
}

export interface Page {
  readonly url: URL;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** One browser with its cookies. `servers` says where an origin that no DNS knows really is. */
export class Person {
  readonly #cookies = new Map<string, Map<string, string>>();
  readonly #servers: Readonly<Record<string, string>>;
  readonly name: string;
  /** Every address that was visited. */
  readonly visited: URL[] = [];

  constructor(name: string, servers: Readonly<Record<string, string>>) {
    this.name = name;
    this.#servers = servers;
  }

  /** As a header has them. */
  cookies(origin: string): string {
    return [...(this.#cookies.get(origin) ?? [])].map(([k, v]) => `${k}=${v}`).join("; ");
  }

  /** One request, no redirect followed. */
  async ask(url: URL, init: RequestInit = {}): Promise<Page> {
    this.visited.push(url);
    const jar = this.#cookies.get(url.origin) ?? new Map<string, string>();
    this.#cookies.set(url.origin, jar);
    const server = this.#servers[url.origin] ?? url.origin;
    const headers = new Headers(init.headers);
    if (jar.size > 0) headers.set("cookie", this.cookies(url.origin));
    const answer = await fetch(`${server}${url.pathname}${url.search}`, {
      ...init,
      headers,
      redirect: "manual",
    });
    for (const text of answer.headers.getSetCookie()) {
      const [pair = "", ...attributes] = text.split(/; */);
      const at = pair.indexOf("=");
      const gone = attributes.some((one) => /^max-age=0$/i.test(one) || /1970/.test(one));
      if (gone) jar.delete(pair.slice(0, at));
      else jar.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return { url, status: answer.status, headers: answer.headers, text: await answer.text() };
  }

  /** Follows redirects and the provider's forms, until a page of another kind, or until `stopAt` says so. */
  async visit(start: string | URL, stopAt: (url: URL) => boolean = () => false): Promise<Page> {
    let page = await this.ask(new URL(start), NAVIGATION);
    for (let steps = 0; steps < 30; steps += 1) {
      const location = page.headers.get("location");
      if (location) {
        const next = new URL(location, page.url);
        if (stopAt(next)) return { ...page, url: next };
        page = await this.ask(next, NAVIGATION);
        continue;
      }
      const form = this.#formOf(page);
      if (!form) return page;
      page = await this.ask(form.action, { method: "POST", body: form.fields });
    }
    throw new Error(`lost at ${page.url}`);
  }

  #formOf(page: Page): { action: URL; fields: URLSearchParams } | null {
    const action = /<form[^>]* action="([^"]+)"/.exec(page.text)?.[1];
    if (!action || page.status >= 400) return null;
    const fields = new URLSearchParams();
    for (const [, input = ""] of page.text.matchAll(/<input ([^>]*)>/g)) {
      const name = /name="([^"]+)"/.exec(input)?.[1];
      if (name) fields.set(name, /value="([^"]*)"/.exec(input)?.[1] ?? "");
    }
    if (fields.has("login")) fields.set("login", this.name);
    if (fields.has("password")) fields.set("password", "any");
    // The provider's own log-out page asks; yes.
    if (page.text.includes('name="logout"')) fields.set("logout", "yes");
    return { action: new URL(action.replaceAll("&amp;", "&"), page.url), fields };
  }
}

/** What browsers send when a person goes to an address. */
const NAVIGATION = {
  headers: { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", accept: "text/html" },
};
