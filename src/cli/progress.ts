// What is happening while the user waits. On a terminal: one line for each thing, redrawn in place with
// a spinner and the time so far. Elsewhere: a plain line for each change.

import { duration, paint, plainLine, type Terminal } from "./terminal.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const REDRAW_MS = 100;

interface Line {
  readonly label: string;
  readonly startedMs: number;
  text: string;
  endedMs: number | null;
  failed: boolean;
}

export interface ProgressLine {
  /** Says what is happening now. */
  update(text: string): void;
  /** Ends the line; the time it took is added. */
  done(text: string): void;
  fail(text: string): void;
}

export class Progress {
  readonly #terminal: Terminal;
  readonly #isLive: boolean;
  readonly #lines: Line[] = [];
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  #drawnLines = 0;
  #frame = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#isLive = terminal.isLive && !terminal.isQuiet;
    this.#loop = this.#isLive ? this.#redrawUntilClosed() : Promise.resolve();
  }

  line(label: string): ProgressLine {
    const line: Line = {
      label,
      startedMs: this.#terminal.clock.monotonicMs(),
      text: "",
      endedMs: null,
      failed: false,
    };
    this.#lines.push(line);
    const set = (text: string, end: "done" | "failed" | null) => {
      const clean = plainLine(text);
      if (line.text === clean && !end) return;
      line.text = clean;
      line.failed = end === "failed";
      if (end) line.endedMs = this.#terminal.clock.monotonicMs();
      if (!this.#isLive && !this.#terminal.isQuiet) this.#terminal.err(`${this.#plainOf(line)}\n`);
    };
    return {
      update: (text) => set(text, null),
      done: (text) => set(text, "done"),
      fail: (text) => set(text, "failed"),
    };
  }

  /** Draws the last state and lets other output follow below. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    if (this.#isLive) this.#draw();
    this.#lines.length = 0;
    this.#drawnLines = 0;
  }

  /** Prints a line of output above the live ones. */
  note(text: string): void {
    if (this.#isLive) this.#erase();
    this.#terminal.err(`${text}\n`);
    if (this.#isLive) this.#draw();
  }

  #plainOf(line: Line): string {
    const took = line.endedMs === null ? "" : ` (${duration(line.endedMs - line.startedMs)})`;
    return `${line.label}: ${line.text}${took}`;
  }

  async #redrawUntilClosed(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#draw();
      await this.#terminal.clock.sleep(REDRAW_MS, this.#stop.signal).catch(() => {});
      this.#frame += 1;
    }
  }

  #draw(): void {
    this.#erase();
    const nowMs = this.#terminal.clock.monotonicMs();
    for (const line of this.#lines) {
      const mark =
        line.endedMs === null
          ? paint(this.#terminal, "cyan", FRAMES[this.#frame % FRAMES.length] ?? "")
          : line.failed
            ? paint(this.#terminal, "red", "✗")
            : paint(this.#terminal, "green", "✓");
      const took = duration((line.endedMs ?? nowMs) - line.startedMs);
      const room = this.#terminal.columns - line.label.length - took.length - 7;
      const text =
        line.text.length > room ? `${line.text.slice(0, Math.max(0, room - 1))}…` : line.text;
      this.#terminal.err(`${mark} ${line.label}  ${text} ${paint(this.#terminal, "dim", took)}\n`);
    }
    this.#drawnLines = this.#lines.length;
  }

  #erase(): void {
    if (this.#drawnLines > 0) this.#terminal.err(`\u001b[${this.#drawnLines}A\u001b[0J`);
    this.#drawnLines = 0;
  }
}
