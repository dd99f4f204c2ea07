// What the CLI writes to and knows of its surroundings, as one value, so that tests own it. Text that
// others chose (names, messages, logs) passes `plain`, so that it cannot drive the terminal.

import type { Clock } from "#lib/clock.ts";

export interface Terminal {
  /** Results: what a script reads. */
  out(text: string): void;
  /** Progress and problems: what a person reads. */
  err(text: string): void;
  /** True when `err` is a terminal that can redraw a line. */
  readonly isLive: boolean;
  /** True when a person can be asked. */
  readonly canAsk: boolean;
  readonly hasColor: boolean;
  readonly columns: number;
  /** How wide results may be; none when they go into a file or a pipe. */
  readonly outColumns: number | null;
  /** `--quiet`: progress is not shown. */
  isQuiet: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Aborts when the user presses Ctrl-C. */
  readonly interrupted: AbortSignal;
  /** Shows the question and reads one line. */
  ask(question: string): Promise<string>;
}

/** Control characters, and format characters that reorder or hide text. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Makes control characters but tab and newline visible, as \\u001b. */
export function plain(text: string): string {
  return text.replace(UNSAFE, (character) =>
    character === "\n" || character === "\t"
      ? character
      : `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}

/** As `plain`, on one line. */
export function plainLine(text: string): string {
  return plain(text.replace(/\s*[\r\n]+\s*/g, " ").replaceAll("\t", " "));
}

type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";
const CODES: Record<Style, string> = {
  bold: "1",
  dim: "2",
  red: "31",
  green: "32",
  yellow: "33",
  cyan: "36",
};

export function paint(terminal: Pick<Terminal, "hasColor">, style: Style, text: string): string {
  return terminal.hasColor ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text;
}

/** "now", "42 s", "3 min", "5 h", "12 d". */
export function age(sinceIso: string, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(sinceIso)) / 1000));
  if (seconds < 1) return "now";
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** "0.8 s", "12.3 s", "2 min 05 s". */
export function duration(ms: number): string {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}

export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
