// The last of the feed on disk, as lines of the feed: what a gateway starts from when the control plane is away.

import { open, readFile, rename } from "node:fs/promises";
import { feedLineSchema } from "#contract/gateway-feed.ts";
import { KnownState } from "./known.ts";

/** Null: there is none, or it cannot be read. */
export async function readFeedFile(path: string, nowMs: number): Promise<KnownState | null> {
  try {
    const [first = "", ...others] = (await readFile(path, "utf8")).trimEnd().split("\n");
    const full = feedLineSchema.parse(JSON.parse(first));
    if (full.kind !== "full") return null;
    const known = new KnownState(full, nowMs);
    for (const line of others) known.apply(feedLineSchema.parse(JSON.parse(line)), nowMs);
    return known;
  } catch {
    return null;
  }
}

/** Replaces the file as a whole. Streams go on between its lines. */
export async function writeFeedFile(path: string, known: KnownState): Promise<void> {
  const file = await open(`${path}.new`, "w", 0o600);
  try {
    for (const line of known.lines()) await file.write(`${JSON.stringify(line)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}
