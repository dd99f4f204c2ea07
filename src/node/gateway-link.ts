// The agent's side of the doors: dials every gateway it is told of, announces the boxes that can be
// entered, and serves streams into them. The node listens nowhere.
// Reads: driver.list, driver.inspect. Wakes on: refresh(), a gateway that asks. Every: 5 s.

import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect, type TLSSocket } from "node:tls";
import {
  ANNOUNCEMENTS_PATH,
  type Announcement,
  type Door,
  LINK_PROTOCOL,
  parseStreamPath,
  type Refusal,
  type StreamTarget,
} from "#contract/gateway-protocol.ts";
import type { BoxId } from "#domain/ids.ts";
import { type Driver, DriverError, type HostBox } from "#drivers/driver.ts";
import { backoffMs, spreadMs } from "#lib/backoff.ts";
import type { Clock } from "#lib/clock.ts";
import { withDeadline } from "#lib/deadline.ts";
import type { Log } from "#lib/log.ts";
import { breakOff, splice } from "#lib/splice.ts";
import { identityOf } from "#trust/x509.ts";
import { Link } from "#wire/link.ts";
import type { LinkStream } from "#wire/link-stream.ts";

export interface GatewayLinksOptions {
  readonly driver: Pick<Driver, "list" | "inspect" | "connect" | "openSession" | "console">;
  /** The node's certificate, and the only authority that a gateway's may be of. Read at each dialling. */
  readonly tls: {
    readonly certificatePem: string;
    readonly privateKeyPem: string;
    readonly caPem: string;
  };
  readonly clock: Clock;
  readonly log: Log;
  readonly times?: Partial<LinkTimes>;
  /** Of one gateway; more are refused. */
  readonly maxStreams?: number;
}

export interface LinkTimes {
  /** The boxes are looked at this often, when nobody calls refresh(). */
  readonly lookMs: number;
  readonly connectTimeoutMs: number;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  /** The wait after a lost connection doubles from the first to the second. */
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
}

const TIMES: LinkTimes = {
  lookMs: 5000,
  connectTimeoutMs: 15_000,
  pingIntervalMs: 15_000,
  pingTimeoutMs: 15_000,
  backoffMinMs: 200,
  backoffMaxMs: 15_000,
};

const MAX_STREAMS = 4096;
/** A door that bytes go through both ways. */
type ByteDoor = Exclude<Door, { readonly console: true }>;

const CONSOLE_BYTES = 1024 * 1024;

/** A link to each gateway of a set; the set may change. */
export class GatewayLinks {
  readonly #options: GatewayLinksOptions;
  readonly #times: LinkTimes;
  readonly #links = new Map<string, GatewayLink>();
  readonly #closed = new AbortController();
  readonly #watching: Promise<void>;
  #look = new AbortController();
  #announcement: string | null = null;

  constructor(options: GatewayLinksOptions) {
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
    this.#watching = this.#watch();
  }

  /** The gateways to be connected to; takes the whole set each time. */
  setGateways(urls: readonly string[]): void {
    for (const [url, link] of this.#links) {
      if (urls.includes(url)) continue;
      this.#links.delete(url);
      link.close();
    }
    for (const url of urls) {
      if (this.#links.has(url) || this.#closed.signal.aborted) continue;
      const link = new GatewayLink(url, this.#options, this.#times, () => this.#announcement);
      this.#links.set(url, link);
    }
  }

  /** A box came up or went away: tell the gateways now. */
  refresh(): void {
    this.#look.abort();
  }

  /** Gateways that take our announcements now. */
  get connected(): readonly string[] {
    return [...this.#links].filter(([, link]) => link.isWelcome).map(([url]) => url);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#look.abort();
    const links = [...this.#links.values()];
    this.#links.clear();
    await Promise.all([this.#watching, ...links.map((link) => link.close())]);
  }

  async #watch(): Promise<void> {
    const { driver, clock, log } = this.#options;
    while (!this.#closed.signal.aborted) {
      this.#look = new AbortController();
      try {
        const announcement = announcementOf(await driver.list());
        if (announcement !== this.#announcement) {
          this.#announcement = announcement;
          for (const link of this.#links.values()) link.announce(announcement);
        }
      } catch (error) {
        log.warn({ err: error }, "boxes could not be listed for the gateways");
      }
      if (this.#closed.signal.aborted) return;
      await clock.sleep(this.#times.lookMs, this.#look.signal).catch(() => {});
    }
  }
}

/** Only boxes whose guest acknowledged who it is; a frozen one is about to go on. */
function canBeEntered(box: HostBox): boolean {
  return box.state === "ready" || box.state === "frozen";
}

function announcementOf(boxes: readonly HostBox[]): string {
  const announcement: Announcement = {
    boxes: boxes
      .filter(canBeEntered)
      .map(({ boxId, epoch }) => ({ boxId, epoch }))
      .sort((a, b) => (a.boxId < b.boxId ? -1 : 1)),
  };
  return `${JSON.stringify(announcement)}\n`;
}

/** One gateway: connected, or on its way to be. */
class GatewayLink {
  readonly #url: URL;
  readonly #options: GatewayLinksOptions;
  readonly #times: LinkTimes;
  readonly #announcement: () => string | null;
  readonly #closed = new AbortController();
  readonly #running: Promise<void>;
  #announcements: LinkStream | null = null;

  constructor(
    url: string,
    options: GatewayLinksOptions,
    times: LinkTimes,
    announcement: () => string | null,
  ) {
    this.#url = new URL(url);
    this.#options = options;
    this.#times = times;
    this.#announcement = announcement;
    this.#running = this.#run();
  }

  /** The gateway reads our announcements: it has accepted our certificate. */
  get isWelcome(): boolean {
    return this.#announcements !== null;
  }

  announce(line: string): void {
    const stream = this.#announcements;
    if (!stream || stream.destroyed) return;
    // A gateway that reads slowly gets the newest state when it has read the last one.
    if (stream.writableNeedDrain)
      stream.once("drain", () => this.announce(this.#announcement() ?? line));
    else stream.write(line);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    const gateway = this.#url.href;
    const { backoffMinMs: firstMs, backoffMaxMs: longestMs } = this.#times;
    let failures = 0;
    while (!this.#closed.signal.aborted) {
      let reason = "";
      try {
        const socket = await this.#dial();
        reason = await this.#serve(socket);
      } catch (error) {
        reason = (error as Error).message;
      }
      if (this.#closed.signal.aborted) return;
      // Not every accepted socket is a welcome: with TLS 1.3 a refused certificate shows up later.
      const wasWelcome = this.isWelcome;
      this.#announcements = null;
      failures = wasWelcome ? 1 : failures + 1;
      const waitMs = spreadMs(backoffMs(failures, { firstMs, longestMs }));
      log.warn({ gateway, reason, againInMs: waitMs }, "gateway not connected");
      await clock.sleep(waitMs, this.#closed.signal).catch(() => {});
    }
  }

  #dial(): Promise<TLSSocket> {
    const { tls, clock } = this.#options;
    const { hostname, port } = this.#url;
    const host = hostname.replace(/^\[|\]$/g, "");
    const socket = connect({
      host,
      port: Number(port || 443),
      ...(isIP(host) ? {} : { servername: host }),
      cert: tls.certificatePem,
      key: tls.privateKeyPem,
      ca: tls.caPem,
      minVersion: "TLSv1.3",
      ALPNProtocols: [LINK_PROTOCOL],
    });
    const stop = () => socket.destroy(new Error("the agent is stopping"));
    this.#closed.signal.addEventListener("abort", stop, { once: true });
    const secured = () =>
      new Promise<TLSSocket>((resolve, reject) => {
        socket.on("error", reject);
        socket.on("close", () => reject(new Error("the gateway closed the connection")));
        socket.once("secureConnect", () => {
          if (identityOf(socket.getPeerCertificate())?.role !== "gateway")
            reject(new Error("what answers is not a gateway: its certificate has another role"));
          else if (socket.alpnProtocol !== LINK_PROTOCOL)
            reject(new Error(`the gateway does not speak ${LINK_PROTOCOL}`));
          else resolve(socket);
        });
      });
    return withDeadline(
      clock,
      this.#times.connectTimeoutMs,
      secured,
      () => new Error("the gateway does not answer"),
    )
      .catch((error: unknown) => {
        socket.destroy();
        throw error;
      })
      .finally(() => this.#closed.signal.removeEventListener("abort", stop));
  }

  /** Resolves with the reason when the session has ended. */
  #serve(socket: TLSSocket): Promise<string> {
    const { clock, log, maxStreams = MAX_STREAMS } = this.#options;
    socket.setNoDelay(true);
    const { promise, resolve } = Promise.withResolvers<string>();
    const ended = new AbortController();
    const link = new Link(socket, {
      monotonicMs: () => clock.monotonicMs(),
      maxStreams,
      tooMany: refusalText({
        code: "too_many_streams",
        detail: `the box's node has ${maxStreams} open streams by this gateway`,
      }),
      onOpen: (stream, name) => {
        this.#answer(stream, name).catch((error: unknown) => {
          log.error({ err: error }, "stream into a box failed");
          breakOff(stream);
        });
      },
    });
    const end = (reason: string) => {
      if (ended.signal.aborted) return;
      ended.abort();
      link.destroy();
      resolve(reason);
    };
    socket.on("error", (error) => end(error.message));
    socket.on("close", () => end("the gateway closed the connection"));
    keepAlive(link, clock, this.#times, ended.signal).catch((error: Error) => end(error.message));
    const { signal } = this.#closed;
    const stop = () => end("the agent is stopping");
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
    return promise.finally(() => signal.removeEventListener("abort", stop));
  }

  async #answer(stream: LinkStream, path: string): Promise<void> {
    if (path === ANNOUNCEMENTS_PATH) return this.#startAnnouncing(stream);
    const target = parseStreamPath(path);
    if (!target) return refuse(stream, { code: "internal", detail: "no such path" });
    const refused = await refusalOf(this.#options.driver, target);
    if (refused) return refuse(stream, refused);
    if ("console" in target.door) await this.#sendConsole(stream, target);
    else await this.#join(stream, target, target.door);
  }

  #startAnnouncing(stream: LinkStream): void {
    const { log } = this.#options;
    log.info({ gateway: this.#url.href }, "gateway connected");
    stream.accept();
    stream.resume();
    this.#announcements?.destroy();
    this.#announcements = stream;
    const line = this.#announcement();
    if (line !== null) this.announce(line);
  }

  async #sendConsole(stream: LinkStream, { boxId }: StreamTarget): Promise<void> {
    const text = await this.#options.driver.console(boxId as BoxId, CONSOLE_BYTES);
    if (stream.destroyed) return;
    stream.accept();
    stream.resume();
    stream.end(text);
  }

  async #join(stream: LinkStream, target: StreamTarget, door: ByteDoor): Promise<void> {
    const { driver } = this.#options;
    const boxId = target.boxId as BoxId;
    let box: Duplex;
    try {
      box =
        "port" in door
          ? await driver.connect(boxId, target.epoch, door.port)
          : await driver.openSession(boxId, target.epoch, door.session, door.mode);
    } catch (error) {
      return refuse(stream, refusalFor(error, target, door));
    }
    if (stream.destroyed) {
      box.destroy();
      return;
    }
    stream.accept();
    const broken = await splice<Duplex>(stream, box, this.#options.clock);
    if (broken) breakOff(broken === box ? stream : box);
  }
}

function refuse(stream: LinkStream, refusal: Refusal): void {
  if (!stream.destroyed) stream.refuse(refusalText(refusal));
}

function refusalText(refusal: Refusal): string {
  return JSON.stringify(refusal);
}

/** The gateway may be behind: what the host shows now decides. */
async function refusalOf(
  driver: Pick<Driver, "inspect">,
  { boxId, epoch }: StreamTarget,
): Promise<Refusal | null> {
  const box = await driver.inspect(boxId as BoxId);
  if (!box || !canBeEntered(box))
    return { code: "box_not_here", detail: `${boxId} cannot be entered on this node now` };
  if (box.epoch !== epoch)
    return { code: "box_moved", detail: `${boxId} is at placement ${box.epoch}, not ${epoch}` };
  return null;
}

function refusalFor(error: unknown, { boxId }: StreamTarget, door: ByteDoor): Refusal {
  const code = error instanceof DriverError ? error.code : null;
  if (code === "box_missing" || code === "box_wrong_state")
    return { code: "box_not_here", detail: `${boxId} cannot be entered on this node now` };
  if (code === "epoch_stale")
    return { code: "box_moved", detail: `${boxId} runs as another placement now` };
  const what = "port" in door ? `port ${door.port}` : `session ${door.session}`;
  return { code: "port_closed", detail: `${what} of ${boxId}: ${(error as Error).message}` };
}

async function keepAlive(
  link: Link,
  clock: Clock,
  times: LinkTimes,
  ended: AbortSignal,
): Promise<void> {
  while (!ended.aborted) {
    await clock.sleep(times.pingIntervalMs, ended).catch(() => {});
    if (ended.aborted) return;
    await withDeadline(
      clock,
      times.pingTimeoutMs,
      () => link.ping(),
      () => new Error("the gateway does not answer"),
    );
  }
}
