// Byte streams to TCP ports inside a box, over the link between the host and the box's namespace.

import { connect } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "#lib/clock.ts";
import { encodeExecFrame, type SessionMode } from "#wire/exec-frames.ts";
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

/** A port of the box; the exec server is opened with the token. */
export async function openPort(
  address: string,
  port: number,
  execToken: string,
  clock: Clock,
): Promise<Duplex> {
  if (port === EXEC_PORT) return await openExec(address, { token: execToken }, clock);
  return await dial(address, port, clock);
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
    throw new DriverError("guest_unreachable", `port ${port} of the box: ${why}`, true);
  } finally {
    timer.abort();
    socket.off("error", opened.reject);
  }
  socket.on("error", () => {}); // Its owner sees the close.
  return socket;
}
