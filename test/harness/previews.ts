// Previews of one box through a real gateway and a real agent's link; what listens in the box are servers of the test.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { FeedPreview, FeedRevocation } from "#contract/gateway-feed.ts";
import type { GatewayOptions } from "#gateway/gateway.ts";
import type { PreviewDefences } from "#gateway/preview-defences.ts";
import { previewDoor } from "#gateway/preview-door.ts";
import { type PreviewPass, type PreviewSigner, previewSigner } from "#trust/preview-tokens.ts";
import { makeTicketKey } from "#trust/tickets.ts";
import { BOX, type Doors, NO_CHANGE, openDoors, USER, until } from "./doors.ts";

const HOST = "127.0.0.1";
export const LABEL = "abcdefghijklmnop";
export const PORT = 3000;
/** For the preview that a rig begins with. */
export const PASS: PreviewPass = {
  ...{ previewId: "preview_1", serial: 1, userId: USER, credentialId: "web_1" },
};

export interface PreviewRigOptions extends Partial<GatewayOptions> {
  readonly defences?: Partial<PreviewDefences>;
  readonly renewPass?: (pass: string) => Promise<string>;
  /** Reduced mode. */
  readonly isReduced?: boolean;
}

export interface PreviewRig {
  readonly doors: Doors;
  readonly port: number;
  readonly signer: PreviewSigner;
  /** Ports where something listens, as the control plane would say. */
  listening: readonly number[];
  /** PORT-LABEL.localhost:N, as a request names it. */
  host(port?: number, label?: string): string;
  origin(port?: number, label?: string): string;
  /** Says what one preview is now. */
  set(change?: Partial<FeedPreview>): FeedPreview;
  close(previewId: string): void;
  revoke(...revocations: FeedRevocation[]): void;
  /** A pass for the preview of `set`, as a cookie. */
  cookie(change?: Partial<PreviewPass>): Promise<string>;
  code(nonce: string, change?: Partial<PreviewPass>, codeId?: string): Promise<string>;
  /** An app in the box. */
  http(listener: RequestListener, port?: number): Promise<Server>;
  tcp(onSocket: (socket: Socket) => void, port?: number): Promise<void>;
  end(): Promise<void>;
}

export async function openPreviews(options: PreviewRigOptions = {}): Promise<PreviewRig> {
  const portsOf = async () => rig.listening;
  const { defences = {}, renewPass = async () => Promise.reject(new Error("away")) } = options;
  const key = makeTicketKey();
  const signer = previewSigner(key.privateKeyPem);
  const doors = await openDoors({
    preview: (base) => previewDoor({ ...base, renewPass, portsOf, defences }),
    ...options,
  });
  const port = doors.gateway.clientPort;
  const settings = {
    ...doors.known.settings,
    ticketKeysPem: [...doors.known.settings.ticketKeysPem, key.publicKeyPem],
    previewOrigin: options.isReduced ? null : `http://*.localhost:${port}`,
  };
  doors.known.apply({ ...NO_CHANGE, settings }, Date.now());
  let preview: FeedPreview = {
    ...{ previewId: "preview_1", label: LABEL, boxId: BOX, port: PORT, serial: 1 },
    visibility: "private",
  };
  const host = (one = PORT, label = preview.label) => `${one}-${label}.localhost:${port}`;
  const passOf = (change: Partial<PreviewPass> = {}): PreviewPass => ({
    ...{ previewId: preview.previewId, serial: preview.serial, userId: USER },
    ...{ credentialId: "web_1", ...change },
  });
  const servers: { close(): unknown; closeAllConnections?(): void }[] = [];
  const sockets = new Set<Socket>();
  const rig: PreviewRig = {
    ...{ doors, port, signer, host, listening: [] },
    origin: (one, label) => `http://${host(one, label)}`,
    set: (change = {}) => {
      preview = { ...preview, ...change };
      doors.known.apply({ ...NO_CHANGE, previews: [preview] }, Date.now());
      return preview;
    },
    close: (previewId) =>
      doors.known.apply({ ...NO_CHANGE, gonePreviews: [previewId] }, Date.now()),
    revoke: (...revocations) => doors.known.apply({ ...NO_CHANGE, revocations }, Date.now()),
    cookie: async (change) =>
      `__Host-berth-preview=${await signer.pass(passOf(change), Date.now())}`,
    code: async (nonce, change, codeId = crypto.randomUUID()) => {
      const pass = passOf(change);
      const nonceHash = createHash("sha256").update(nonce).digest("base64url");
      const { previewId } = pass;
      const signed = await signer.pass(pass, Date.now());
      return signer.code({ codeId, previewId, nonceHash, pass: signed }, Date.now());
    },
    http: async (listener, at = PORT) => {
      const server = createHttpServer(listener);
      servers.push(server);
      server.listen(0, HOST);
      await once(server, "listening");
      doors.driver.ports.set(at, (server.address() as AddressInfo).port);
      return server;
    },
    tcp: async (onSocket, at = PORT) => {
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => sockets.delete(socket));
        onSocket(socket);
      });
      servers.push(server);
      server.listen(0, HOST);
      await once(server, "listening");
      doors.driver.ports.set(at, (server.address() as AddressInfo).port);
    },
    end: async () => {
      await doors.close();
      for (const socket of sockets) socket.destroy();
      for (const server of servers) {
        server.close();
        server.closeAllConnections?.();
      }
    },
  };
  rig.set();
  return rig;
}

/** A connection that says exactly what it is told to, and keeps what it hears. */
export class RawClient {
  readonly socket: Socket;
  heard = "";
  isClosed = false;

  constructor(port: number) {
    this.socket = connect({ port, host: HOST, allowHalfOpen: true });
    this.socket.setEncoding("latin1");
    this.socket.on("data", (text: string) => {
      this.heard += text;
    });
    this.socket.on("error", () => {});
    this.socket.on("end", () => this.socket.end());
    this.socket.on("close", () => {
      this.isClosed = true;
    });
  }

  say(text: string): this {
    this.socket.write(text, "latin1");
    return this;
  }

  async hears(what: string | RegExp): Promise<string> {
    const isThere = () =>
      typeof what === "string" ? this.heard.includes(what) : what.test(this.heard);
    await until(() => isThere() || this.isClosed, `hearing ${what} in ${this.heard}`);
    if (!isThere()) throw new Error(`closed without ${what}: ${this.heard}`);
    return this.heard;
  }

  async closes(): Promise<string> {
    await until(() => this.isClosed, `the connection closes after ${this.heard}`);
    return this.heard;
  }

  end(): void {
    this.socket.destroy();
  }
}

/** One exchange on a connection of its own, which the answer closes. */
export async function ask(rig: PreviewRig, text: string): Promise<string> {
  return new RawClient(rig.port).say(text).closes();
}

/** A GET of the rig's preview. `lines`: further header lines. */
export function get(rig: PreviewRig, path = "/", lines: readonly string[] = []): Promise<string> {
  const head = [`GET ${path} HTTP/1.1`, `Host: ${rig.host()}`, "Connection: close", ...lines];
  return ask(rig, `${head.join("\r\n")}\r\n\r\n`);
}

/** What a browser sends when a person opens an address. */
export const NAVIGATION = [
  "Accept: text/html,*/*",
  "Sec-Fetch-Mode: navigate",
  "Sec-Fetch-Dest: document",
  "Sec-Fetch-Site: none",
];

export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
}

export function headerOf(answer: string, name: string): string[] {
  const head = answer.slice(0, answer.indexOf("\r\n\r\n"));
  return [...head.matchAll(new RegExp(`^${name}: (.*)$`, "gim"))].map(([, value = ""]) =>
    value.trim(),
  );
}
