// Forwarded ports of an SSH connection: -L, -D and -J come as `tcpip`, -R as a request to listen in the box.

import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import type { Connection, ServerChannel, TcpipBindInfo, TcpipRequestInfo } from "ssh2";
import { Problem } from "#contract/errors.ts";
import type { FeedBox } from "#contract/gateway-feed.ts";
import { withDeadline } from "#lib/deadline.ts";
import { breakOff } from "#lib/splice.ts";
import { type BoxListener, dialInBox, listenInBox, workOn } from "./exec-listen.ts";
import { boxOf } from "./ssh-boxes.ts";
import { paced } from "./ssh-guard.ts";
import { addressesInBox, isHostName } from "./ssh-names.ts";
import type { ProgramContext } from "./ssh-program.ts";
import { refuseChannel } from "./ssh2-internals.ts";

const EXEC_PORT = 1;
/** For a lookup and the dials to what it found, once the box runs. */
const REACH_TIMEOUT_MS = 45_000;
const BOX_ADDRESS = "10.0.2.15";
const MAX_LISTENERS = 32;

/**
 * Where a forwarded connection goes. A name that ends in .berth, or a box's id, is that box (`ssh -J`); else it is
 * seen from the box that the connection is of; else, as in `ssh -J gateway web`, it is a box's name.
 */
export interface Target {
  readonly box: FeedBox;
  readonly port: number;
  /** An address or name that the box is to connect to; null: the box itself. */
  readonly beyond: string | null;
}

export function targetOf(
  { destIP: host, destPort: port }: Pick<TcpipRequestInfo, "destIP" | "destPort">,
  { login, boxes, userName }: Pick<ProgramContext, "login" | "boxes" | "userName">,
): Target {
  const { known } = boxes;
  const here = login.find(known, userName.split("+")[0] ?? "");
  const isBox = host.endsWith(".berth") || host.startsWith("box_");
  if (isBox || !here) return { box: boxOf(login, boxes, host), port, beyond: null };
  if (isLoopback(host) || host === here.name) return { box: here, port, beyond: null };
  if (isIP(host) === 0 && !isHostName(host))
    throw new Problem("invalid_request", `${JSON.stringify(host)} is no address and no host name`);
  return { box: here, port, beyond: host };
}

function isLoopback(host: string): boolean {
  if (isIP(host) === 0) return /^(?:[^/]*\.)?localhost\.?$/i.test(host);
  return host === "::1" || host === BOX_ADDRESS || host.startsWith("127.");
}

export function serveForwards(connection: Connection, context: ProgramContext): void {
  const listeners = new Map<string, BoxListener>();
  let beginning = 0;
  connection.on("tcpip", (accept, reject, info) => {
    openTarget(info, context).then(
      (stream) => {
        const channel = context.ended.aborted ? null : accept();
        if (channel) join(channel, stream, context.ended);
        else breakOff(stream);
      },
      (error: Error) => {
        if (!context.ended.aborted) refuseChannel(connection, reject, error.message);
      },
    );
  });
  connection.on("request", (accept, reject, name, info) => {
    if (name === "tcpip-forward") {
      const isFull = listeners.size + beginning >= MAX_LISTENERS;
      if (isFull) return reject?.();
      beginning += 1;
      listen(connection, info as TcpipBindInfo, context, listeners)
        .finally(() => {
          beginning -= 1;
        })
        .then(
          (port) => accept?.(port),
          () => reject?.(),
        );
    } else if (name === "cancel-tcpip-forward") {
      const key = keyOf(info as TcpipBindInfo);
      listeners.get(key)?.close();
      listeners.delete(key);
      accept?.();
    } else reject?.();
  });
  connection.on("close", () => {
    for (const listener of listeners.values()) listener.close();
  });
}

async function openTarget(info: TcpipRequestInfo, context: ProgramContext): Promise<Duplex> {
  const { login, boxes, clock, boxUser, ended } = context;
  const { box, port, beyond } = targetOf(info, context);
  if (beyond === null) return boxes.open(login, box, { port }, { signal: ended });
  const open = (signal: AbortSignal) => boxes.open(login, box, { port: EXEC_PORT }, { signal });
  // A box at rest is woken by it, which takes its time.
  const first = await open(ended);
  const reach = async (late: AbortSignal) => {
    const signal = AbortSignal.any([ended, late]);
    if (isIP(beyond) !== 0)
      return workOn(first, signal, (stream) => dialInBox(stream, at(beyond, port)));
    const lookUp = (stream: Duplex) => addressesInBox(stream, beyond, boxUser);
    const failed: string[] = [];
    for (const address of await workOn(first, signal, lookUp))
      try {
        const dial = (stream: Duplex) => dialInBox(stream, at(address, port));
        return await workOn(await open(signal), signal, dial);
      } catch (error) {
        failed.push(`${at(address, port)}: ${(error as Error).message}`);
        if (signal.aborted) break;
      }
    throw new Error(`the box cannot reach ${beyond}: ${failed.join("; ")}`);
  };
  return withDeadline(clock, REACH_TIMEOUT_MS, reach, () => new Error("the box took too long"));
}

function at(address: string, port: number): string {
  return isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Resolves with the port that the box chose or was asked for. */
async function listen(
  connection: Connection,
  info: TcpipBindInfo,
  { login, boxes, userName, ended }: ProgramContext,
  listeners: Map<string, BoxListener>,
): Promise<number> {
  const box = boxOf(login, boxes, userName.split("+")[0] ?? "");
  const open = () => boxes.open(login, box, { port: EXEC_PORT }, { signal: ended });
  // As sshd without GatewayPorts: only the box itself reaches it.
  const tcp = `127.0.0.1:${info.bindPort}`;
  let port = info.bindPort;
  const onConnection = (stream: Duplex, peer: string) => {
    const [address = "", from = "0"] = splitPeer(peer);
    connection.forwardOut(info.bindAddr, port, address, Number(from), (error, channel) => {
      if (error) breakOff(stream);
      else join(channel, stream, ended);
    });
  };
  const listener = await workOn(await open(), ended, (control) =>
    listenInBox(control, { tcp }, open, onConnection),
  );
  if (ended.aborted) listener.close();
  port = Number(splitPeer(listener.address)[1] ?? info.bindPort);
  const key = keyOf({ ...info, bindPort: port });
  listeners.get(key)?.close();
  listeners.set(key, listener);
  return port;
}

function splitPeer(address: string): [string, string] {
  const at = address.lastIndexOf(":");
  return [address.slice(0, at), address.slice(at + 1)];
}

function keyOf({ bindAddr, bindPort }: TcpipBindInfo): string {
  return `${bindAddr} ${bindPort}`;
}

/** A channel of ssh2 and a stream into a box: each end of one ends that direction of the other. */
export function join(channel: ServerChannel, stream: Duplex, ended: AbortSignal): void {
  paced(channel);
  stream.on("error", () => {});
  // What the client said to the end still arrives.
  const leave = () => {
    if (stream.writableEnded) stream.unpipe(channel).resume();
    else breakOff(stream);
  };
  channel.on("close", leave);
  ended.addEventListener("abort", leave, { once: true });
  stream.on("close", () => {
    ended.removeEventListener("abort", leave);
    channel.end();
  });
  channel.pipe(stream);
  stream.pipe(channel);
}
