// A gateway and an agent's links on loopback, around boxes whose ports are TCP servers of the test.

import { connect } from "node:net";
import type { Duplex } from "node:stream";
import type { FeedFull, FeedSettings } from "#contract/gateway-feed.ts";
import type { HostState } from "#domain/box.ts";
import type { BoxId } from "#domain/ids.ts";
import { DriverError, type HostBox } from "#drivers/driver.ts";
import { createGateway, type Gateway, type GatewayOptions } from "#gateway/gateway.ts";
import { KnownState } from "#gateway/known.ts";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { GatewayLinks, type GatewayLinksOptions } from "#node/gateway-link.ts";
import { makeTicketKey, type NewTicket, ticketSigner } from "#trust/tickets.ts";
import {
  type CertificateAuthority,
  loadCertificateAuthority,
  makeCertificateAuthority,
  makeKeyAndCsr,
} from "#trust/x509.ts";
import { encodeExecFrame } from "#wire/exec-frames.ts";
import { freePort } from "./free-ports.ts";

const LIFETIME_MS = 3_600_000;
const WAIT_MS = 120_000;
const HOST = "127.0.0.1";
const EXEC_PORT = 1;

export const BOX = "box_0123456789abcdefghjk" as BoxId;
export const NODE = "node_0123456789abcdefghjk";
export const DASHBOARD = "https://berth.example";
/** Where clients know the gateway. */
export const GATEWAY_URL = "https://gateway.berth.example";
export const USER = "usr_0123456789abcdefghjk";

/** Boxes of one host. A port of a box is a TCP port of this machine. */
export class DoorDriver {
  readonly boxes = new Map<string, { epoch: number; state: HostState }>();
  readonly ports = new Map<number, number>();
  readonly opened: Duplex[] = [];
  consoleText = "";
  /** What the exec server at port 1 wants to hear first: as nodes do it, with the box's own. */
  execToken: string | null = null;

  async list(): Promise<HostBox[]> {
    return [...this.boxes.keys()].map((boxId) => this.#show(boxId));
  }

  async inspect(boxId: BoxId): Promise<HostBox | null> {
    return this.boxes.has(boxId) ? this.#show(boxId) : null;
  }

  #show(boxId: string): HostBox {
    const { epoch, state } = this.boxes.get(boxId) ?? { epoch: 0, state: "absent" as const };
    return {
      boxId: boxId as BoxId,
      epoch,
      state,
      bootSerial: 0,
      pid: null,
      notices: [],
    } as HostBox;
  }

  connect(_boxId: BoxId, epoch: number, port: number): Promise<Duplex> {
    return new Promise((resolve, reject) => {
      if (this.boxes.get(_boxId)?.epoch !== epoch)
        return reject(new DriverError("epoch_stale", "another placement", false));
      const socket = connect({
        port: this.ports.get(port) ?? 9,
        host: HOST,
        allowHalfOpen: true,
        noDelay: true,
      });
      socket.once("error", reject);
      socket.once("connect", () => {
        this.opened.push(socket);
        if (port === EXEC_PORT && this.execToken !== null)
          socket.write(encodeExecFrame({ kind: "auth", token: this.execToken }));
        resolve(socket);
      });
    });
  }

  /** Sessions that streams were opened for, each as `ID MODE`; port 1 answers them. */
  readonly sessionDoors: string[] = [];

  openSession(boxId: BoxId, epoch: number, session: string, mode: string): Promise<Duplex> {
    this.sessionDoors.push(`${session} ${mode}`);
    return this.connect(boxId, epoch, 1);
  }

  async console(): Promise<string> {
    return this.consoleText;
  }
}

export async function makeAuthority(): Promise<CertificateAuthority> {
  return loadCertificateAuthority(await makeCertificateAuthority(Date.now()));
}

export async function nodeTls(authority: CertificateAuthority, nodeId = NODE) {
  const { privateKeyPem, csrPem } = await makeKeyAndCsr();
  const validity = { nowMs: Date.now(), lifetimeMs: LIFETIME_MS };
  const certificatePem = await authority.signNodeCsr(csrPem, { nodeId, ...validity });
  return { privateKeyPem, certificatePem, caPem: authority.certificatePem };
}

export async function serverTls(authority: CertificateAuthority, role: "gateway" | "server") {
  const files = await authority.makeServerCertificate({
    name: role,
    hosts: [HOST],
    role,
    nowMs: Date.now(),
    lifetimeMs: LIFETIME_MS,
  });
  return { ...files, caPem: authority.certificatePem };
}

/** A feed that says nothing but who signs tickets, and where the dashboard is. */
export function emptyFeed(ticketKeyPem: string, settings: Partial<FeedSettings> = {}): FeedFull {
  return {
    kind: "full",
    settings: {
      ticketKeysPem: [ticketKeyPem],
      sshUserCa: "",
      sshHostCa: "",
      dashboardOrigin: DASHBOARD,
      previewOrigin: null,
      ...settings,
    },
    ...{ boxes: [], previews: [], goneLabels: [], keys: [], members: [], revocations: [] },
  };
}

export const NO_CHANGE = {
  kind: "change" as const,
  ...{ boxes: [], goneBoxes: [], previews: [], gonePreviews: [] },
  ...{ keys: [], goneKeys: [], members: [], goneMembers: [], revocations: [] },
};

export interface Doors {
  readonly authority: CertificateAuthority;
  readonly driver: DoorDriver;
  readonly gateway: Gateway;
  readonly gatewayUrl: string;
  readonly links: GatewayLinks;
  /** What the gateway knows; a test applies lines of a feed to it. */
  readonly known: KnownState;
  mint(change?: Partial<NewTicket>, nowMs?: number): Promise<string>;
  /** Starts a gateway at the address that the links know, after `gateway.close()`. */
  restartGateway(): Promise<Gateway>;
  newLinks(options?: Partial<GatewayLinksOptions>): GatewayLinks;
  close(): Promise<void>;
}

/** One box at epoch 1, reachable. */
export async function openDoors(options: Partial<GatewayOptions> = {}): Promise<Doors> {
  const authority = await makeAuthority();
  const key = makeTicketKey();
  const sign = ticketSigner(key.privateKeyPem);
  const tls = await serverTls(authority, "gateway");
  const known = new KnownState(emptyFeed(key.publicKeyPem), Date.now());
  const start = (nodePort: number, clientPort: number) =>
    createGateway({
      nodeDoor: { host: HOST, port: nodePort, tls },
      clientDoor: { host: HOST, port: clientPort, url: GATEWAY_URL },
      known,
      askWake: async () => "resuming",
      clock: systemClock,
      log: silentLog,
      ...options,
    });
  // Ports that are still its own when it is started again.
  const gateways = [await start(await freePort(), await freePort())];
  const { nodePort, clientPort } = gateways[0] as Gateway;
  const driver = new DoorDriver();
  driver.boxes.set(BOX, { epoch: 1, state: "ready" });
  const nodeFiles = await nodeTls(authority);
  const allLinks: GatewayLinks[] = [];
  const newLinks = (change: Partial<GatewayLinksOptions> = {}) => {
    const links = new GatewayLinks({
      driver,
      tls: nodeFiles,
      clock: systemClock,
      log: silentLog,
      times: { backoffMinMs: 20, backoffMaxMs: 200, lookMs: 50 },
      ...change,
    });
    links.setGateways([`https://${HOST}:${nodePort}`]);
    allLinks.push(links);
    return links;
  };
  const links = newLinks();
  const doors: Doors = {
    authority,
    driver,
    gateway: gateways[0] as Gateway,
    gatewayUrl: `http://${HOST}:${clientPort}`,
    links,
    known,
    mint: async (change = {}, nowMs = Date.now()) => {
      const ticket: NewTicket = {
        userId: USER,
        orgId: "org_0123456789abcdefghjk",
        boxId: BOX,
        epoch: null,
        ports: "any",
        kinds: ["port", "console"],
        session: null,
        credentialId: "token_0123456789abcdefghjk",
        origin: null,
        gatewayUrl: null,
        ...change,
      };
      return (await sign(ticket, nowMs)).ticket;
    },
    restartGateway: async () => {
      const gateway = await start(nodePort, clientPort);
      gateways.push(gateway);
      return gateway;
    },
    newLinks,
    close: async () => {
      await Promise.all(allLinks.map((one) => one.close()));
      await Promise.all(gateways.map((one) => one.close()));
    },
  };
  await until(() => doors.gateway.status().boxes === 1, "the box is announced");
  return doors;
}

/** Waits for a condition of the world, never for a time. */
export async function until(isTrue: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + WAIT_MS;
  while (!(await isTrue())) {
    if (systemClock.monotonicMs() > deadlineMs) throw new Error(`never: ${what}`);
    await systemClock.sleep(5);
  }
}
