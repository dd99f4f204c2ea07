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
import type { Seat } from "#gateway/preview-context.ts";
import type { PreviewDefences } from "#gateway/preview-defences.ts";
import { previewDoor } from "#gateway/preview-door.ts";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { run } from "#lib/run.ts";
import { buildWebApp, isWebAppCurrent, WEB_DIRECTORY } from "#main/web-app.ts";
import { GatewayLinks } from "#node/gateway-link.ts";
import { placeBoxes } from "#scheduler/place-boxes.ts";
import { type ControlPlane, controlPlane } from "./control-plane.ts";
import { DoorDriver, nodeTls, serverTls, until } from "./doors.ts";
import { type Loose, looseProxy } from "./loose-proxy.ts";
import { PaperNode } from "./paper-node.ts";

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
  /** Where the box is, as the control plane hears of it. */
  readonly node: PaperNode;
  /** The same node, as gateways reach it. */
  readonly driver: DoorDriver;
  /** A server in the box, at a port of it. */
  serve(port: number, listener: RequestListener): Promise<App["requests"]>;
  /** An app at a port of the box, and the preview of it. */
  app(port: number, listener: RequestListener): Promise<App>;
  /** Another site's server: at evil.berth.test, and at rebind.test until that name is rebound. */
  setElsewhere(listener: RequestListener): void;
  /** The name now leads to one of ours; null: to that server again. */
  rebind(to: "dashboard" | "gateway" | null): void;
  /** Dashboard and gateway without these defences of theirs. */
  loosen(what: Partial<Loose>): void;
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
  const { boxId, node, driver, gatewayPort, known, setDefences } = await openBox(plane, closing);
  const certificate = await plane.authority.makeServerCertificate({
    name: "proxy",
    hosts: ["berth.test", "*.preview.test"],
    role: "server",
    nowMs: Date.now(),
    lifetimeMs: 86_400_000,
  });
  const { fronts, ...outside } = await openFronts(
    { dashboard: Number(new URL(plane.url).port), gateway: gatewayPort },
    certificate,
    closing,
  );
  const names = {
    ...{ "berth.test": fronts.dashboard, "*.preview.test": fronts.gateway },
    ...{ "gateway.test": fronts.gateway, "*.berth.test": fronts.elsewhere },
    "rebind.test": fronts.rebind,
  };
  const rules = Object.entries(names).map(([name, port]) => `MAP ${name} ${HOST}:${port}`);
  const browser = await launchChromium([
    "--ignore-certificate-errors",
    `--host-resolver-rules=${rules.join(",")}`,
  ]);
  closing.push(() => browser.close());
  return {
    ...{ plane, browser, boxId, node, driver, setDefences, ...outside },
    serve: (port, listener) => serveInBox({ driver, closing }, port, listener),
    app: async (port, listener) => {
      const requests = await serveInBox({ driver, closing }, port, listener);
      const preview = await plane.admin.client.previews.open(boxId, { port });
      const { origin } = new URL(preview.url);
      const [, label = ""] = /-(\w+)\./.exec(origin) ?? [];
      await until(() => known.preview(label) !== null, "the gateway knows the preview");
      return { previewId: preview.id, origin, requests };
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
export async function newPerson(
  browser: Browser,
  options: Parameters<Browser["newContext"]>[0] = {},
): Promise<Page> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
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
  // Gateways believe a node about the boxes that the control plane has placed there.
  const node = await PaperNode.join(plane.db, plane.admin.subject);
  await placeBoxes(plane.db, systemClock);
  await node.step();
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
    clientDoor: { host: HOST, port: 0, url: "https://gateway.test" },
    known: feed.known,
    askWake: (wanted) => calls.wake(wanted),
    preview: (base) => {
      const asked = {
        renewPass: (pass: string) => calls.renewPass(pass),
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
  const links = new GatewayLinks({
    driver,
    tls: await nodeTls(plane.authority, node.id),
    ...common,
  });
  links.setGateways([`https://${HOST}:${gateway.nodePort}`]);
  closing.push(() => links.close());
  await until(() => gateway.status().boxes === 1, "the box is announced");
  const { known } = feed;
  return { boxId: box.id, node, driver, gatewayPort: gateway.clientPort, known, setDefences };
}

interface Certificate {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** A TLS listener for each place that browsers know by name, in front of Berth and of another site. */
async function openFronts(
  ours: { readonly dashboard: number; readonly gateway: number },
  certificate: Certificate,
  closing: (() => unknown)[],
) {
  let loose: Partial<Loose> = {};
  let elsewhere: RequestListener = (_, response) => response.end();
  const other = createHttpServer((request, response) => elsewhere(request, response));
  await new Promise<void>((done) => other.listen(0, HOST, done));
  closing.push(() => {
    other.close();
    other.closeAllConnections();
  });
  const { port: otherPort } = other.address() as AddressInfo;
  const proxies = await Promise.all(
    [ours.dashboard, ours.gateway].map((port) => looseProxy(port, DASHBOARD, () => loose)),
  );
  for (const proxy of proxies) closing.push(() => proxy.close());
  const [dashboardProxy, gatewayProxy] = proxies;
  const isTight = () => Object.keys(loose).length === 0;
  const places = {
    dashboard: () => (isTight() ? ours.dashboard : (dashboardProxy?.port ?? 0)),
    gateway: () => (isTight() ? ours.gateway : (gatewayProxy?.port ?? 0)),
    elsewhere: () => otherPort,
  };
  let rebound: keyof typeof places = "elsewhere";
  const open = (target: () => number) => openTls(target, certificate, closing);
  const dashboard = await open(places.dashboard);
  const gateway = await open(places.gateway);
  const beside = await open(places.elsewhere);
  const rebind = await open(() => places[rebound]());
  return {
    fronts: {
      ...{ dashboard: dashboard.port, gateway: gateway.port },
      ...{ elsewhere: beside.port, rebind: rebind.port },
    },
    setElsewhere: (listener: RequestListener) => {
      elsewhere = listener;
    },
    rebind: (to: "dashboard" | "gateway" | null) => {
      rebound = to ?? "elsewhere";
      rebind.drop();
    },
    loosen: (what: Partial<Loose>) => {
      loose = what;
      for (const front of [dashboard, gateway, rebind]) front.drop();
    },
  };
}

/** Ends TLS, as a proxy in front of Berth does. */
async function openTls(
  target: () => number,
  files: Certificate,
  closing: (() => unknown)[],
): Promise<{ readonly port: number; drop(): void }> {
  const sockets = new Set<{ destroy(): void }>();
  const options = { cert: files.certificatePem, key: files.privateKeyPem };
  const server = createTlsServer(options, (socket) => {
    const inner = connect({ port: target(), host: HOST });
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
  const drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  closing.push(() => {
    drop();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, drop };
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
