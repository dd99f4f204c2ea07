// Small files that are either the old or the new one, whatever crashes.

import { open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory } from "#lib/page-digests.ts";

/**
 * Replaces a JSON file at once: whatever crashes, power included, there is the old or the new one. `durable` returns
 * only when it is the new one for good.
 */
export async function writeJson(path: string, value: unknown, durable: boolean): Promise<void> {
  const draft = `${path}.tmp`;
  const handle = await open(draft, "w", 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(value)}\n`);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await rename(draft, path);
  if (durable) await syncDirectory(dirname(path));
}

/** Null when there is no such file. A file that is not JSON is an error: nothing here writes one. */
export async function readJson<T>(path: string): Promise<T | null> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return null;
    throw error;
  });
  return text === null ? null : (JSON.parse(text) as T);
}

export async function syncFile(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
