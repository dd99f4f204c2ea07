// Rows in columns, for people. Cells are made harmless; the last column may run on.

import { wrap } from "./exit.ts";
import { plainLine } from "./terminal.ts";

export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, ...rows.map((row) => row.map(plainLine))];
  const widths = headings.map((_, column) =>
    Math.max(...lines.map((line) => width(line[column] ?? ""))),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          column === headings.length - 1
            ? cell
            : cell + " ".repeat((widths[column] ?? 0) - width(cell)),
        )
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}

/** "name    value" lines; a null value leaves its line out, a list gives a line for each. */
export function facts(
  entries: readonly (readonly [string, string | readonly string[] | null])[],
): string {
  const shown = entries.flatMap(([name, value]) =>
    value === null
      ? []
      : (Array.isArray(value) ? value : [value as string]).map(
          (line, index) => [index === 0 ? name : "", line] as const,
        ),
  );
  const pad = Math.max(...shown.map(([name]) => name.length));
  return shown
    .map(([name, value]) => `${name.padEnd(pad)}  ${plainLine(value)}`.trimEnd())
    .map((line) => `${line}\n`)
    .join("");
}

/** The least that is worth breaking a last column for. */
const NARROWEST = 16;

/**
 * Rows that are too wide go on below, under their last column (or a little indented, when that has no room): nothing is
 * cut away, and a terminal does not break words.
 */
export function fit(text: string, columns: number): string {
  return text
    .split("\n")
    .map((line) => (width(line) <= columns ? line : fitLine(line, columns)))
    .join("\n");
}

function fitLine(line: string, columns: number): string {
  const lastAt = line.lastIndexOf("  ") + 2;
  const hasRoom = lastAt >= 2 && lastAt <= columns - NARROWEST;
  const at = hasRoom ? lastAt : 0;
  const indent = hasRoom ? lastAt : 4;
  const [first = "", ...more] = wrap(line.slice(at), columns - indent).split("\n");
  return [line.slice(0, at) + first, ...more.map((rest) => " ".repeat(indent) + rest)].join("\n");
}

function width(text: string): number {
  return [...text].length;
}
