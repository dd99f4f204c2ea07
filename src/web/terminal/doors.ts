// Streams into a box for this page: a ticket for each, by the gateway that answers.

import { ApiError } from "#sdk/api-error.ts";
import { ExecError } from "#sdk/exec-error.ts";
import type { ByteChannel } from "#sdk/exec-session.ts";
import {
  type ExecClientFrame,
  ExecFrameDecoder,
  type ExecSessionInfo,
  encodeExecFrame,
  type SessionMode,
} from "#wire/exec-frames.ts";
import { berth } from "../data/berth.ts";
import { live } from "../data/live.ts";
import { DoorClosed, openChannel } from "./browser-channel.ts";
import { GatewayChoice } from "./gateways.ts";

export type Door =
  | { readonly port: number }
  | { readonly console: true }
  | { readonly session: string; readonly mode: SessionMode };

const EXEC_PORT = 1;
const TIMEOUT_MS = 15_000;
/** With another gateway to turn to there is no point in waiting long for this one. */
const IMPATIENT_MS = 1500;

const gateways = new GatewayChoice(() => performance.now());

export async function openDoor(boxId: string, door: Door): Promise<ByteChannel> {
  const { ticket, gatewayUrl: url, gatewayUrls } = await ticketFor(boxId, door);
  const first = { ticket, box: boxId, ...door };
  try {
    const timeoutMs = gatewayUrls.length > 1 ? IMPATIENT_MS : TIMEOUT_MS;
    const channel = await openChannel(url, first, timeoutMs);
    gateways.worked(url);
    return noting(channel, url);
  } catch (error) {
    if (error instanceof DoorClosed && error.code === null) gateways.failed(url);
    throw error;
  }
}

/** A ticket is for one gateway: with the first come the others, and when another is better it needs another ticket. */
async function ticketFor(boxId: string, door: Door) {
  const ask = (gatewayUrl: string | null) =>
    berth.access.ticket(boxId, { ...bodyOf(door), ...(gatewayUrl ? { gatewayUrl } : {}) });
  const first = await ask(gateways.last);
  const url = gateways.pick(first.gatewayUrls);
  return url === null || url === first.gatewayUrl ? first : ask(url);
}

function bodyOf(door: Door) {
  if ("session" in door)
    return { forBrowser: true, session: { id: door.session, mode: door.mode } };
  return { forBrowser: true, ports: "port" in door ? [door.port] : [] };
}

/** A stream that ends without a reason ended with its gateway: the next goes through another. */
function noting(channel: ByteChannel, url: string): ByteChannel {
  return {
    ...channel,
    read: () =>
      channel.read().catch((error: unknown) => {
        if (error instanceof DoorClosed && error.code === null) gateways.failed(url);
        throw error;
      }),
  };
}

/** Resolves while the box runs: nothing is tried before. */
export async function untilRunning(boxId: string, signal: AbortSignal): Promise<void> {
  const isRunning = () => live.state.boxes.get(boxId)?.phase === "running";
  if (isRunning()) return;
  await new Promise<void>((resolve, reject) => {
    const leave = live.subscribe(() => {
      if (!isRunning()) return;
      leave();
      resolve();
    });
    signal.addEventListener("abort", () => {
      leave();
      reject(signal.reason);
    });
  });
}

export function connectSession(
  boxId: string,
  session: string,
  mode: SessionMode,
  signal: AbortSignal,
): Promise<ByteChannel> {
  const door = mode === "read" ? { session, mode } : { port: EXEC_PORT };
  return untilRunning(boxId, signal).then(() => openDoor(boxId, door));
}

const HOPELESS: readonly string[] = ["forbidden", "revoked", "not_found", "unauthenticated"];

export function isRetryable(error: unknown): boolean {
  const code = error instanceof ApiError || error instanceof DoorClosed ? error.code : null;
  return code === null || !HOPELESS.includes(code);
}

/** The sessions that the box keeps. */
export function listSessions(boxId: string): Promise<readonly ExecSessionInfo[]> {
  return ask(boxId, { kind: "list" });
}

/** Ends a session for good. Answers with those that are left. */
export function forgetSession(boxId: string, session: string): Promise<readonly ExecSessionInfo[]> {
  return ask(boxId, { kind: "forget", session });
}

async function ask(boxId: string, question: ExecClientFrame): Promise<readonly ExecSessionInfo[]> {
  const channel = await openDoor(boxId, { port: EXEC_PORT });
  try {
    await channel.write(encodeExecFrame(question));
    const decoder = new ExecFrameDecoder();
    for (let bytes = await channel.read(); bytes; bytes = await channel.read())
      for (const frame of decoder.push(bytes)) {
        if (frame.kind === "sessions") return frame.sessions;
        if (frame.kind === "error") throw new ExecError(frame.code, frame.message);
      }
    throw new DoorClosed(null, "the box did not answer");
  } finally {
    channel.close();
  }
}

const MAX_CONSOLE_BYTES = 4 * 1024 * 1024;

/** The last bytes of the serial console. */
export async function readConsole(boxId: string): Promise<string> {
  const channel = await openDoor(boxId, { console: true });
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (let bytes = await channel.read(); bytes; bytes = await channel.read()) {
      text += decoder.decode(bytes, { stream: true });
      if (text.length > MAX_CONSOLE_BYTES) break;
    }
    return text;
  } finally {
    channel.close();
  }
}
