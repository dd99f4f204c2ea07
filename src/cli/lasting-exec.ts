// Exec sessions on a terminal: programs in a box that outlive this command, the network, the gateway and a pause.

import type { Duplex } from "node:stream";
import { ApiError } from "#sdk/api-error.ts";
import type { Box } from "#sdk/client.ts";
import { LastingSession, type SessionStart, type SessionStatus } from "#sdk/exec-session.ts";
import { streamChannel } from "#sdk/stream-channel.ts";
import {
  ExecFrameDecoder,
  type ExecServerFrame,
  type ExecSessionInfo,
  encodeExecFrame,
} from "#wire/exec-frames.ts";
import { isAway, openDoor } from "./enter.ts";
import { CliError, ExitWith } from "./exit.ts";
import { KeyboardEscape } from "./keyboard-escape.ts";
import { Keyboard, onSignals, write } from "./passing.ts";
import type { Session } from "./session.ts";
import { plainLine } from "./terminal.ts";

const EXEC_PORT = 1;
/** How soon a box that runs again is noticed. */
const REST_POLL_MS = 500;
const TAKEN_AWAY: readonly string[] = ["unauthenticated", "forbidden", "not_found", "revoked"];

export interface AttachOptions {
  readonly sessionId: string;
  /** Starts it when there is none. */
  readonly start?: SessionStart;
  readonly readOnly?: boolean;
}

/** Shows the session until its program ends (its exit code is ours) or the user leaves it. */
export async function attach(session: Session, box: Box, options: AttachOptions): Promise<never> {
  const { stdin, stdout, stderr } = process;
  const { terminal } = session;
  const keyboard = new Keyboard();
  const held = hold(session, box, options, {
    onData: (bytes, from) => write(from === "stdout" ? stdout : stderr, bytes),
    onGap: (missing) => terminal.err(`\r\nberth: ${missing} bytes of output were not kept\r\n`),
    onStatus: (status) => {
      if (status.kind === "attached" && status.isTerminal && !options.readOnly) {
        keyboard.toTerminal((rows, cols) => held.resize(rows, cols));
      }
      tell(session, box, status);
    },
  });
  const undo = passInput(session, held, options, keyboard);
  try {
    const code = await held.exit;
    await forget(session, box, options.sessionId).catch(() => {}); // Seen to its end; it goes by itself later.
    throw new ExitWith(code);
  } catch (error) {
    if (held.status.kind === "closed") {
      terminal.err(
        `\r\nberth: left; it goes on: berth session attach ${box.name} ${options.sessionId}\r\n`,
      );
      throw new ExitWith(0);
    }
    if (error instanceof ExitWith) throw error;
    throw new CliError(
      `session ${options.sessionId} of ${box.name}: ${(error as Error).message}.`,
      {
        next: `\`berth session list ${box.name}\` shows what runs there.`,
        cause: error,
      },
    );
  } finally {
    undo();
    held.close();
    stdin.destroy();
  }
}

/** Starts it and leaves; returns when the box has it. */
export async function startDetached(
  session: Session,
  box: Box,
  options: { readonly sessionId: string; readonly start: SessionStart },
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const held = hold(session, box, options, {
    onData: () => {},
    onStatus: (status) => {
      if (status.kind === "attached") resolve();
    },
  });
  try {
    await Promise.race([promise, held.exit]);
  } catch (error) {
    throw new CliError(`it cannot be started in ${box.name}: ${(error as Error).message}.`, {
      cause: error,
    });
  } finally {
    held.close();
  }
}

interface Hearing {
  readonly onData: (bytes: Uint8Array, from: "stdout" | "stderr") => void | Promise<void>;
  readonly onGap?: (missingBytes: number) => void;
  readonly onStatus: (status: SessionStatus) => void;
}

function hold(
  session: Session,
  box: Box,
  { sessionId, start, readOnly }: AttachOptions,
  hearing: Hearing,
): LastingSession {
  const { clock } = session.terminal;
  return new LastingSession({
    session: sessionId,
    mode: readOnly ? "read" : "write",
    start,
    ...hearing,
    connect: async (attempt, signal) => {
      if (attempt > 0) await untilItRuns(session, box, signal);
      const door = readOnly ? ({ session: sessionId, mode: "read" } as const) : { port: EXEC_PORT };
      return streamChannel(await openDoor(session, box, door, attempt));
    },
    isRetryable: (error) =>
      !(error instanceof CliError) &&
      !(error instanceof TypeError) && // A mistake of ours: trying again does not cure it.
      !(error instanceof ApiError && TAKEN_AWAY.includes(error.code)) &&
      !session.terminal.interrupted.aborted,
    sleep: (ms, signal) => clock.sleep(ms, signal),
    nowMs: () => clock.monotonicMs(),
    random: () => (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2 ** 32,
  });
}

/** Somebody put it to rest while we were in it, and had a reason: it is not woken by us. */
async function untilItRuns(session: Session, { id }: Box, signal: AbortSignal): Promise<void> {
  const { terminal } = session;
  const client = await session.client();
  for (let isFirst = true; ; isFirst = false) {
    const box = await client.boxes.get(id, { signal }).catch((error: unknown) => {
      if (!isAway(error)) throw error;
      return null; // Nobody wakes it now, and there may be a ticket.
    });
    if (box === null || box.desired === "running") return;
    const { name, desired } = box;
    if (desired === "deleted") throw new CliError(`${name} is deleted`);
    if (isFirst)
      terminal.err(`\r\nberth: ${name} is ${desired}; the session goes on when it runs again\r\n`);
    await terminal.clock.sleep(REST_POLL_MS, signal);
  }
}

function tell(session: Session, box: Box, status: SessionStatus): void {
  const { terminal } = session;
  if (status.kind === "waiting" && status.retryMs >= 400)
    terminal.err(
      `\r\nberth: the way to ${box.name} is lost (${plainLine(status.error.message)}); trying again\r\n`,
    );
}

/** Returns what takes it back. */
function passInput(
  session: Session,
  held: LastingSession,
  { readOnly }: AttachOptions,
  keyboard: Keyboard,
): () => void {
  const { stdin } = process;
  const keys = new KeyboardEscape();
  const onInput = (bytes: Buffer) => {
    const { send, isLeaving } = keyboard.isRaw
      ? keys.push(bytes)
      : { send: bytes, isLeaving: false };
    if (send.length > 0) {
      stdin.pause();
      void held.write(send).then(() => stdin.resume());
    }
    if (isLeaving) held.close();
  };
  // While nothing is attached, Ctrl-C is for us: the program would hear of it much later.
  const stopSignals = onSignals(session, (number) =>
    held.status.kind === "attached" ? held.signal(number) : held.close(),
  );
  if (!readOnly) {
    stdin.on("data", onInput);
    stdin.on("end", () => held.end());
  }
  return () => {
    stopSignals();
    keyboard.restore();
    stdin.off("data", onInput);
  };
}

export async function listSessions(
  session: Session,
  box: Box,
): Promise<readonly ExecSessionInfo[]> {
  return ask(await openDoor(session, box, { port: EXEC_PORT }), { kind: "list" });
}

/** Ends the program and drops its output; fine when there is none. */
export async function forget(session: Session, box: Box, sessionId: string): Promise<void> {
  const stream = await openDoor(session, box, { port: EXEC_PORT });
  await ask(stream, { kind: "forget", session: sessionId });
}

/** One question to the exec server that is answered with its sessions. */
function ask(
  stream: Duplex,
  question: Parameters<typeof encodeExecFrame>[0],
): Promise<readonly ExecSessionInfo[]> {
  return new Promise<readonly ExecSessionInfo[]>((resolve, reject) => {
    const decoder = new ExecFrameDecoder();
    stream.on("error", reject);
    stream.on("close", () => reject(new CliError("the box ended the stream before it answered.")));
    stream.on("data", (chunk: Buffer) => {
      for (const frame of decoder.push(chunk) as ExecServerFrame[]) {
        if (frame.kind === "sessions") resolve(frame.sessions);
        if (frame.kind === "error") reject(new CliError(`the box refused: ${frame.message}.`));
      }
    });
    stream.write(encodeExecFrame(question));
  }).finally(() => stream.destroy());
}
