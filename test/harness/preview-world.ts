// Previews as people have them: a real control plane and gateway behind TLS under two domains, apps in a box, and real
// Chromium, which is told where those domains are.

import { mkdtemp, rm } from "node:fs/promises";
import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { type Browser, chromium, type Page } from "playwright-core";
import { openFeed } from "#gateway/feed.ts";
import { createGateway } from "#gateway/gateway.ts";
import { PlaneCalls } from "#gateway/plane-calls.ts";
import type { Seat } from "#gateway/preview-connection.ts";
import type { PreviewDefences } from "#gateway/preview-defences.ts";
import { previewDoor } from "#gateway/preview-door.ts";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { run } from "#lib/run.ts";
import { buildWebApp, isWebAppCurrent, WEB_DIRECTORY } from "#main/web-app.ts";
import { GatewayLinks } from "#node/gateway-link.ts";
import { type ControlPlane, controlPlane } from "./control-plane.ts";
import { DoorDriver, nodeTls, serverTls, until } from "./doors.ts";

const HOST = "127.0.0.1";
const WAIT_MS = 60_000;
export const DASHBOARD = "https://berth.test";

export interface App {
  readonly previewId: string;
  /** Of its preview. */
  readonly origin: string;
  /** Requests that it got. */
  readonly requests: { readonly method: string; readonly url: string; readonly headers: Headers }[];
}

export interface PreviewWorld {
  readonly plane: ControlPlane;
  readonly browser: Browser;
  readonly boxId: string;
  readonly driver: DoorDriver;
  /** A server in the box, at a port of it. */
  serve(port: number, listener: RequestListener): Promise<App["requests"]>;
  /** An app at a port of the box, and the preview of it. */
  app(port: number, listener: RequestListener): Promise<App>;
  /** The same apps behind a gateway without these defences. */
  setDefences(defences: Partial<PreviewDefences>): void;
  /** A person with a fresh profile. */
  person(): Promise<Page>;
  /** Logs a person in at the dashboard. */
  logIn(page: Page, token: string): Promise<void>;
  /** A link's address. */
  link(app: App): Promise<string>;
}

type Scope = Parameters<typeof controlPlane>[0];

export async function previewWorld(scope: Scope): Promise<PreviewWorld> {
  const closing: (() => unknown)[] = [];
  scope.after(async () => {
    for (const close of closing.reverse()) await close();
  });
  if (!(await isWebAppCurrent())) await buildWebApp(run);
  const plane = await controlPlane(scope, { webDirectory: WEB_DIRECTORY });
  const { boxId, driver, gatewayPort, setDefences } = await openBox(plane, closing);
  const certificate = await plane.authority.makeServerCertificate({
    name: "proxy",
    hosts: ["berth.test", "*.preview.test"],
    role: "server",
    nowMs: Date.now(),
    lifetimeMs: 86_400_000,
  });
  const ports = [Number(new URL(plane.url).port), gatewayPort];
  const [dashboard, previews] = await Promise.all(
    ports.map((port) => openTls(port, certificate, closing)),
  );
  const browser = await launchChromium([
    "--ignore-certificate-errors",
    `--host-resolver-rules=MAP berth.test ${HOST}:${dashboard},MAP *.preview.test ${HOST}:${previews},MAP gateway.test ${HOST}:${previews}`,
  ]);
  closing.push(() => browser.close());
  return {
    ...{ plane, browser, boxId, driver, setDefences },
    serve: (port, listener) => serveInBox({ driver, closing }, port, listener),
    app: async (port, listener) => {
      const requests = await serveInBox({ driver, closing }, port, listener);
      const preview = await plane.admin.client.previews.open(boxId, { port });
      return { previewId: preview.id, origin: new URL(preview.url).origin, requests };
    },
    person: () => newPerson(browser),
    logIn,
    link: async (app) => {
      const { url } = await plane.admin.client.previews.createLink(app.previewId, {});
      return url;
    },
  };
}

/** No sandbox: tests run as root. It does not call home either. */
export function launchChromium(more: readonly string[] = []): Promise<Browser> {
  const flags = [
    ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-auto-reload", "--disable-sync"],
    ...["--disable-background-networking", "--disable-component-update"],
  ];
  return chromium.launch({ executablePath: "/usr/bin/chromium", args: [...flags, ...more] });
}

/** A page in a fresh profile. */
export async function newPerson(browser: Browser): Promise<Page> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  const goto = page.goto.bind(page);
  // Chromium gives up what it was loading when an interface of the machine comes or goes, as those of VMs do.
  page.goto = (url, options) =>
    goto(url, options).catch((error: Error) => {
      if (!/ERR_NETWORK_CHANGED|interrupted by another/.test(error.message)) throw error;
      return page.goto(url, options);
    });
  return page;
}

async function openBox(plane: ControlPlane, closing: (() => unknown)[]) {
  await plane.addTemplate();
  const { box } = await plane.admin.client.boxes.create({ template: "default", name: "web" });
  const directory = await mkdtemp(join(tmpdir(), "berth-previews-"));
  closing.push(() => rm(directory, { recursive: true, force: true }));
  const common = { clock: systemClock, log: silentLog };
  const tls = await serverTls(plane.authority, "gateway");
  const calls = new PlaneCalls({ urls: [plane.nodeUrl], tls, ...common });
  const feed = await openFeed({
    plane: calls,
    request: { clientUrl: "https://gateway.test", nodeUrl: "https://g:2", sshAddress: null },
    path: join(directory, "feed"),
    ...common,
  });
  closing.push(() => feed.close());
  let setDefences: PreviewWorld["setDefences"] = () => {};
  const gateway = await createGateway({
    nodeDoor: { host: HOST, port: 0, tls },
    clientDoor: { host: HOST, port: 0 },
    known: feed.known,
    askWake: (wanted) => calls.wake(wanted),
    preview: (base) => {
      const asked = {
        renewGrant: (grant: string) => calls.renewGrant(grant),
        portsOf: (id: string) => calls.ports(id),
      };
      let door = previewDoor({ ...base, ...asked });
      const sockets = new Set<Socket>();
      setDefences = (defences) => {
        door.close();
        door = previewDoor({ ...base, ...asked, defences });
        for (const socket of sockets) socket.destroy();
      };
      const accept = (socket: Socket, seat: Seat) => {
        sockets.add(socket);
        socket.on("close", () => sockets.delete(socket));
        door.accept(socket, seat);
      };
      return { accept, close: () => door.close() };
    },
    ...common,
  });
  closing.push(() => gateway.close());
  const driver = new DoorDriver();
  driver.boxes.set(box.id, { epoch: 1, state: "ready" });
  const links = new GatewayLinks({ driver, tls: await nodeTls(plane.authority), ...common });
  links.setGateways([`https://${HOST}:${gateway.nodePort}`]);
  closing.push(() => links.close());
  await until(() => gateway.status().boxes === 1, "the box is announced");
  return { boxId: box.id, driver, gatewayPort: gateway.clientPort, setDefences };
}

/** Ends TLS, as a proxy in front of Berth does. */
async function openTls(
  port: number,
  files: { readonly certificatePem: string; readonly privateKeyPem: string },
  closing: (() => unknown)[],
): Promise<number> {
  const sockets = new Set<{ destroy(): void }>();
  const options = { cert: files.certificatePem, key: files.privateKeyPem };
  const server = createTlsServer(options, (socket) => {
    const inner = connect({ port, host: HOST });
    for (const one of [socket, inner]) {
      sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        sockets.delete(one);
        socket.destroy();
        inner.destroy();
      });
    }
    socket.pipe(inner);
    inner.pipe(socket);
  });
  await new Promise<void>((done) => server.listen(0, HOST, done));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

interface BoxPlace {
  readonly driver: DoorDriver;
  readonly closing: (() => unknown)[];
}

async function serveInBox(
  { driver, closing }: BoxPlace,
  port: number,
  listener: RequestListener,
): Promise<App["requests"]> {
  const requests: { method: string; url: string; headers: Headers }[] = [];
  const server: Server = createHttpServer((request, response) => {
    if (request.url === "/favicon.ico") return void response.writeHead(404).end();
    requests.push({
      method: request.method ?? "",
      url: request.url ?? "",
      headers: new Headers(request.headers as Record<string, string>),
    });
    listener(request, response);
  });
  server.on("upgrade", (request, socket) => {
    requests.push({
      method: "UPGRADE",
      url: request.url ?? "",
      headers: new Headers(request.headers as Record<string, string>),
    });
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  });
  await new Promise<void>((done) => server.listen(0, HOST, done));
  closing.push(() => {
    server.close();
    server.closeAllConnections();
  });
  driver.ports.set(port, (server.address() as AddressInfo).port);
  return requests;
}

async function logIn(page: Page, token: string): Promise<void> {
  if (!page.url().startsWith(DASHBOARD)) await page.goto(`${DASHBOARD}/login`);
  const status = await page.evaluate(async (secret) => {
    const answer = await fetch("/v1/web-session", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token: secret }),
    });
    return answer.status;
  }, token);
  if (status !== 201) throw new Error(`the login was answered with ${status}`);
}
