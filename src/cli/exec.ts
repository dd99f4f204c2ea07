// `berth exec`: a program in a box, with its input, output, terminal, signals and exit code passed through.

import { randomBytes } from "node:crypto";
import type { ExecSession } from "#sdk/exec.ts";
import type { SessionStart } from "#sdk/exec-session.ts";
import { openDoor, wake } from "./enter.ts";
import { CliError, EXIT, ExitWith } from "./exit.ts";
import { Keyboard, onSignals, terminalSize } from "./passing.ts";
import type { Session } from "./session.ts";

export interface ExecCommandOptions {
  readonly user?: string | undefined;
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Undefined: when this is a terminal on both sides. */
  readonly tty?: boolean | undefined;
  readonly timeoutMs?: number | undefined;
  /** Id of an exec session: the program outlives this command. */
  readonly sessionId?: string | undefined;
  /** Start it and return. */
  readonly detach?: boolean;
}

const SESSION_ID = /^[a-z0-9][a-z0-9-]{0,63}$/;

export async function exec(
  session: Session,
  ref: string,
  argv: readonly string[],
  options: ExecCommandOptions,
): Promise<never> {
  const { stdin, stdout, stderr } = process;
  const hasTty = options.tty ?? (!options.detach && stdin.isTTY === true && stdout.isTTY === true);
  const term = session.terminal.env.TERM;
  const start = {
    ...{ argv, user: options.user, cwd: options.cwd, timeoutMs: options.timeoutMs },
    env: { ...(hasTty && term ? { TERM: term } : {}), ...options.env },
    pty: hasTty ? terminalSize() : undefined,
  };
  if (options.sessionId !== undefined || options.detach)
    return execLasting(session, ref, start, options);
  const box = await wake(session, ref);
  const { EXEC_PORT, ExecError, execOverStream } = await import("#sdk/exec.ts");
  const stream = await openDoor(session, box, { port: EXEC_PORT });
  const program = execOverStream(stream, start);
  const undo = passThrough(session, program, hasTty);
  try {
    const [exitCode] = await Promise.all([
      program.exit,
      written(program.stdout, stdout),
      written(program.stderr, stderr),
    ]);
    throw new ExitWith(exitCode);
  } catch (error) {
    if (error instanceof ExitWith) throw error;
    const why = (error as Error).message;
    throw error instanceof ExecError && error.code === "cannot_start"
      ? new CliError(`${argv[0]} cannot be started in ${box.name}: ${why}.`)
      : new CliError(`the program in ${box.name} was lost: ${why}.`, {
          next: "It may have been ended with the connection. `berth show` tells how the box is.",
          cause: error,
        });
  } finally {
    undo();
    stream.destroy();
    stdin.destroy();
  }
}

async function execLasting(
  session: Session,
  ref: string,
  start: SessionStart,
  { sessionId = `run-${randomBytes(4).toString("hex")}`, detach }: ExecCommandOptions,
): Promise<never> {
  if (!SESSION_ID.test(sessionId))
    throw new CliError(`'${sessionId}' cannot be the name of a session.`, {
      exitCode: EXIT.usage,
      next: "Use small letters, digits and hyphens, 64 at most.",
    });
  const box = await wake(session, ref);
  const { attach, startDetached } = await import("./lasting-exec.ts");
  if (!detach) return attach(session, box, { sessionId, start });
  await startDetached(session, box, { sessionId, start });
  session.terminal.out(`${sessionId}\n`);
  throw new ExitWith(EXIT.ok);
}

/** Input, signals and the window's size go to the program; returns what takes all of it back. */
function passThrough(session: Session, program: ExecSession, hasTty: boolean): () => void {
  const { stdin } = process;
  stdin.pipe(program.stdin);
  program.stdin.on("error", () => {}); // The program has ended and reads no more.
  const keyboard = new Keyboard();
  if (hasTty) keyboard.toTerminal((rows, cols) => program.resize(rows, cols));
  const stopSignals = onSignals(session, (number) => program.signal(number));
  return () => {
    stdin.unpipe(program.stdin);
    keyboard.restore();
    stopSignals();
  };
}

/** Resolves when everything that came was written out. */
function written(from: NodeJS.ReadableStream, to: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    from.on("data", (chunk: Buffer) => {
      if (to.write(chunk)) return;
      from.pause();
      to.once("drain", () => from.resume());
    });
    from.on("end", () => to.write("", () => resolve()));
    from.on("error", reject);
  });
}
