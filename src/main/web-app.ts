// The built web app: where it is, and whether it still is what the sources say. Building it needs vite, which
// is loaded only in a process of its own (tools/build-web.ts).

import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Run } from "#lib/run.ts";

const root = resolve(import.meta.dirname, "../..");

/** What `serveWeb` serves. */
export const WEB_DIRECTORY = join(root, "dist/web");
/** A file in it that names the sources it was built from. */
export const WEB_STAMP = "sources.sha256";

/** Everything that goes into it. */
const SOURCES = ["src/web", "src/sdk", "src/wire", "tools/build-web.ts", "package-lock.json"];
const BUILD_TIMEOUT_MS = 5 * 60_000;

export async function isWebAppCurrent(): Promise<boolean> {
  const built = await readFile(join(WEB_DIRECTORY, WEB_STAMP), "utf8").catch(() => null);
  return built === (await digestOfWebSources());
}

export async function buildWebApp(run: Run): Promise<void> {
  await run([process.execPath, join(root, "tools/build-web.ts")], { timeoutMs: BUILD_TIMEOUT_MS });
}

export async function digestOfWebSources(): Promise<string> {
  const hash = createHash("sha256");
  for (const source of SOURCES)
    for (const file of await filesIn(source)) {
      hash.update(`${file}\0`);
      hash.update(
        createHash("sha256")
          .update(await readFile(join(root, file)))
          .digest(),
      );
    }
  return hash.digest("hex");
}

async function filesIn(path: string): Promise<string[]> {
  const entries = await readdir(join(root, path), { recursive: true, withFileTypes: true }).catch(
    () => null,
  );
  if (entries === null) return [path];
  return entries
    .filter((entry) => entry.isFile() && !/\.test\.tsx?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort();
}
