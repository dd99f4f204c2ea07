// Byte streams to TCP ports inside a box, over the link between the host and the box's namespace.

import { once } from "node:events";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "#lib/clock.ts";
import { withDeadline } from "#lib/deadline.ts";
import {
  type ExecFrame,
  ExecFrameDecoder,
  encodeExecFrame,
  type SessionMode,
} from "#wire/exec-frames.ts";
import { DriverError } from "../driver.ts";

const CONNECT_TIMEOUT_MS = 15_000;
export const EXEC_PORT = 1;

/** Opens the exec server; users never see the token. With a session: for that one only. */
export interface ExecKey {
  readonly token: string;
  readonly session?: string;
  readonly mode?: SessionMode;
}

export async function openExec(address: string, key: ExecKey, clock: Clock): Promise<Duplex> {
  const socket = await dial(address, EXEC_PORT, clock);
  socket.write(encodeExecFrame({ kind: "auth", ...key }));
  return socket;
}

/**
 * A port of the box; the exec server is opened with the token. What listens on the box's loopback only is reached
 * through the exec server, which dials it inside.
 */
export async function openPort(
  address: string,
  port: number,
  execToken: string,
  clock: Clock,
): Promise<Duplex> {
  if (port === EXEC_PORT) return await openExec(address, { token: execToken }, clock);
  try {
    return await dial(address, port, clock);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return await dialInside(address, port, execToken, clock);
  }
}

async function dialInside(
  address: string,
  port: number,
  token: string,
  clock: Clock,
): Promise<Duplex> {
  const stream = await openExec(address, { token }, clock);
  stream.write(encodeExecFrame({ kind: "dial", tcp: `localhost:${port}` }));
  const answer = await withDeadline(
    clock,
    CONNECT_TIMEOUT_MS,
    () => firstFrame(stream),
    () => new Error(`no answer in ${CONNECT_TIMEOUT_MS} ms`),
  ).catch((error: Error) => error);
  if (!(answer instanceof Error) && answer.kind === "dialed") return stream;
  stream.destroy();
  const why = answer instanceof Error || answer.kind === "error" ? answer.message : answer.kind;
  throw new DriverError("guest_unreachable", `port ${port} of the box: ${why}`, true);
}

/** Reads one frame and not a byte more: what follows it may be raw. */
async function firstFrame(stream: Duplex): Promise<ExecFrame> {
  const decoder = new ExecFrameDecoder();
  for (;;) {
    for (let byte = stream.read(1); byte !== null; byte = stream.read(1)) {
      const [frame] = decoder.push(byte);
      if (frame) return frame;
    }
    if (stream.readableEnded || stream.destroyed) throw new Error("the exec server hung up");
    const waiting = new AbortController();
    const events = ["readable", "end", "close"].map((name) => once(stream, name, waiting));
    await Promise.race(events).finally(() => waiting.abort());
  }
}

function isRefusal(error: unknown): boolean {
  return (error as { cause?: { code?: string } }).cause?.code === "ECONNREFUSED";
}

async function dial(address: string, port: number, clock: Clock): Promise<Duplex> {
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new Error(`no such port: ${port}`);
  const socket = connect({ host: address, port, noDelay: true });
  const opened = Promise.withResolvers<void>();
  socket.once("connect", opened.resolve);
  socket.once("error", opened.reject);
  const timer = new AbortController();
  clock.sleep(CONNECT_TIMEOUT_MS, timer.signal).then(
    () => opened.reject(new Error(`no answer in ${CONNECT_TIMEOUT_MS} ms`)),
    () => {},
  );
  try {
    await opened.promise;
  } catch (error) {
    socket.destroy();
    const why = (error as Error).message;
    const failed = new DriverError("guest_unreachable", `port ${port} of the box: ${why}`, true);
    throw Object.assign(failed, { cause: error });
  } finally {
    timer.abort();
    socket.off("error", opened.reject);
  }
  socket.on("error", () => {}); // Its owner sees the close.
  return socket;
}
