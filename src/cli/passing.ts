// What passes between this terminal and a program in a box.

import type { Session } from "./session.ts";

const SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1, SIGQUIT: 3 } as const;
const DEFAULT_SIZE = { rows: 24, cols: 80 };

export function terminalSize(): { rows: number; cols: number } {
  const { rows = DEFAULT_SIZE.rows, columns: cols = DEFAULT_SIZE.cols } = process.stdout;
  return { rows, cols };
}

/** Signals that this process gets go to the program. Returns what takes that back. */
export function onSignals(session: Session, send: (number: number) => void): () => void {
  const undo = Object.entries(SIGNALS).map(([name, number]) => {
    const pass = () => send(number);
    process.on(name, pass);
    return () => process.off(name, pass);
  });
  if (session.terminal.interrupted.aborted) send(SIGNALS.SIGINT);
  return () => {
    for (const step of undo) step();
  };
}

/** Resolves when more may be written. */
export function write(to: NodeJS.WritableStream, bytes: Uint8Array): Promise<void> {
  if (to.write(bytes)) return Promise.resolve();
  return new Promise((resolve) => to.once("drain", () => resolve()));
}

/** This process's keyboard, while a terminal in a box has it. */
export class Keyboard {
  #undo: (() => void)[] = [];

  get isRaw(): boolean {
    return this.#undo.length > 0;
  }

  /** Once: each key is sent as it is typed, and the window's size is told now and at each change. */
  toTerminal(resize: (rows: number, cols: number) => void): void {
    const { stdin, stdout } = process;
    if (this.isRaw || stdin.isTTY !== true) return;
    const onResize = () => resize(terminalSize().rows, terminalSize().cols);
    stdin.setRawMode(true);
    stdout.on("resize", onResize);
    this.#undo = [() => stdin.setRawMode(false), () => stdout.off("resize", onResize)];
    onResize();
  }

  restore(): void {
    for (const step of this.#undo.splice(0)) step();
  }
}
