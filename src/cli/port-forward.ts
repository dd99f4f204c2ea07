// `berth port forward`: ports of a box on this machine's loopback. A connection to a paused box wakes it.

import { createServer, type Socket } from "node:net";
import { splice } from "#lib/splice.ts";
import { isAway, openDoor, wake } from "./enter.ts";
import { CliError, EXIT } from "./exit.ts";
import { problemText } from "./problem.ts";
import type { Session } from "./session.ts";
import { plainLine } from "./terminal.ts";

export interface Forward {
  /** 0: any free one. */
  readonly local: number;
  readonly remote: number;
}

const HOST = "127.0.0.1";
const MAX_PORT = 65_535;

/** "8080" (the same on both sides), "3000:8080", or ":8080" for any free local port. */
export function parseForward(text: string): Forward {
  const match = /^(?:(\d{0,5}):)?(\d{1,5})$/.exec(text);
  const remote = Number(match?.[2]);
  const local = match?.[1] === undefined ? remote : Number(match[1] || 0);
  if (!match || remote < 1 || remote > MAX_PORT || local > MAX_PORT)
    throw new CliError(`'${text}' is not a forward: write LOCAL:REMOTE, such as 3000:8080.`, {
      exitCode: EXIT.usage,
    });
  return { local, remote };
}

/** Serves until Ctrl-C. */
export async function portForward(
  session: Session,
  ref: string,
  forwards: readonly Forward[],
): Promise<void> {
  const { interrupted } = session.terminal;
  const box = await wake(session, ref);
  const closers = await Promise.all(
    forwards.map((forward) => listen(session, { id: box.id, name: box.name }, forward)),
  );
  await new Promise<void>((done) => {
    if (interrupted.aborted) done();
    interrupted.addEventListener("abort", () => done(), { once: true });
  });
  for (const close of closers) close();
}

interface Target {
  readonly id: string;
  readonly name: string;
}

function listen(session: Session, box: Target, forward: Forward): Promise<() => void> {
  const { terminal } = session;
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => {}); // A close follows.
    enter(session, box, forward.remote, socket).catch((error: unknown) => {
      socket.destroy();
      if (!terminal.interrupted.aborted)
        terminal.err(`berth: port ${forward.remote}: ${plainLine(problemText(error).message)}\n`);
    });
  });
  return new Promise((resolve, reject) => {
    server.on("error", (cause: NodeJS.ErrnoException) =>
      reject(
        new CliError(`port ${forward.local} of this machine cannot be used (${cause.code}).`, {
          next: `Choose another: \`berth port forward ${box.name} :${forward.remote}\` takes a free one.`,
          cause,
        }),
      ),
    );
    server.listen(forward.local, HOST, () => {
      const { port } = server.address() as { port: number };
      terminal.out(`${HOST}:${port} -> ${box.name} port ${forward.remote}\n`);
      resolve(() => {
        server.close();
        for (const socket of open) socket.destroy();
      });
    });
  });
}

async function enter(session: Session, box: Target, port: number, socket: Socket): Promise<void> {
  await wake(session, box.id).catch((error: unknown) => {
    if (!isAway(error)) throw error; // It may well be running, and there may be a ticket.
  });
  const stream = await openDoor(session, box, { port });
  const broken = await splice(stream, socket, session.terminal.clock);
  if (broken === stream)
    throw new CliError(`the connection broke: ${stream.errored?.message ?? "the box ended it"}.`);
  if (broken) stream.destroy();
}
