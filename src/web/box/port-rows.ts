// Ports that listen and ports that are previewed, as one list.

import type { Box } from "#sdk/client.ts";
import type { Preview } from "../data/types.ts";

export type Visibility = Preview["visibility"];

const WIDTH: Readonly<Record<Visibility, number>> = { private: 0, org: 1, public: 2 };

export const VISIBILITY_WORDS: Readonly<Record<Visibility, string>> = {
  private: "Who may enter it",
  org: "Organization",
  public: "Everybody",
};

export interface PortRow {
  readonly port: number;
  readonly program: string | null;
  readonly isLoopback: boolean;
  readonly isListening: boolean;
  readonly preview: Preview | null;
}

export function portRows(
  listening: Box["ports"],
  previews: readonly Preview[],
): readonly PortRow[] {
  const rows = new Map<number, PortRow>();
  for (const { port, program, isLoopback } of listening)
    rows.set(port, { port, program, isLoopback, isListening: true, preview: null });
  for (const preview of previews) {
    if (preview.closedAt !== null) continue;
    const row = rows.get(preview.port);
    const nobody = { program: null, isLoopback: false, isListening: false };
    rows.set(preview.port, { ...(row ?? { port: preview.port, ...nobody }), preview });
  }
  return [...rows.values()].sort((a, b) => a.port - b.port);
}

/** What listens, or why nothing does. */
export function listenerWords(row: PortRow, box: Pick<Box, "phase">): string {
  if (row.isListening) return row.program ?? "unknown program";
  return box.phase === "running" ? "nothing listens now" : "opening it wakes the box";
}

/** Whether going from one to the other shuts somebody out. */
export function narrows(from: Visibility, to: Visibility): boolean {
  return WIDTH[to] < WIDTH[from];
}
