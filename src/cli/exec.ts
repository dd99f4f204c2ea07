// `berth exec`: a program in a box, with its input, output, terminal, signals and exit code passed through.

import type { ExecSession } from "#sdk/exec.ts";
import { openDoor, wake } from "./enter.ts";
import { CliError, ExitWith } from "./exit.ts";
import type { Session } from "./session.ts";

export interface ExecCommandOptions {
  readonly user?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Undefined: when this is a terminal on both sides. */
  readonly tty?: boolean;
}

const SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1, SIGQUIT: 3 } as const;
const DEFAULT_SIZE = { rows: 24, cols: 80 };

export async function exec(
  session: Session,
  ref: string,
  argv: readonly string[],
  options: ExecCommandOptions,
): Promise<never> {
  const { stdin, stdout, stderr } = process;
  const box = await wake(session, ref);
  const { EXEC_PORT, ExecError, execOverStream } = await import("#sdk/exec.ts");
  const stream = await openDoor(session, box, { port: EXEC_PORT });
  const hasTty = options.tty ?? (stdin.isTTY === true && stdout.isTTY === true);
  const term = session.terminal.env.TERM;
  const program = execOverStream(stream, {
    argv,
    user: options.user,
    cwd: options.cwd,
    env: { ...(hasTty && term ? { TERM: term } : {}), ...options.env },
    pty: hasTty ? sizeOf() : undefined,
  });
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

function sizeOf() {
  const { rows = DEFAULT_SIZE.rows, columns: cols = DEFAULT_SIZE.cols } = process.stdout;
  return { rows, cols };
}

/** Input, signals and the window's size go to the program; returns what takes all of it back. */
function passThrough(session: Session, program: ExecSession, hasTty: boolean): () => void {
  const { stdin, stdout } = process;
  stdin.pipe(program.stdin);
  program.stdin.on("error", () => {}); // The program has ended and reads no more.
  const undo: (() => void)[] = [() => stdin.unpipe(program.stdin)];
  if (hasTty && stdin.isTTY) {
    stdin.setRawMode(true);
    undo.push(() => stdin.setRawMode(false));
  }
  const resize = () => {
    const { rows, cols } = sizeOf();
    program.resize(rows, cols);
  };
  if (hasTty) stdout.on("resize", resize);
  undo.push(() => stdout.off("resize", resize));
  for (const [name, number] of Object.entries(SIGNALS)) {
    const pass = () => program.signal(number);
    process.on(name, pass);
    undo.push(() => process.off(name, pass));
  }
  if (session.terminal.interrupted.aborted) program.signal(SIGNALS.SIGINT);
  return () => {
    for (const step of undo) step();
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
