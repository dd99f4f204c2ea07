// Rows in columns, for people. Cells are made harmless; the last column may run on.

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

function width(text: string): number {
  return [...text].length;
}
