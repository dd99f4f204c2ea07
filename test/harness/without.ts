// Preloaded (`node --import`): loads our modules with what BERTH_WITHOUT says changed in their text, in this process and
// those that it starts. So a test runs without the defence that it is of, and no program of ours has a switch for that.

import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export interface Without {
  /** From the root of the repository. */
  readonly file: string;
  readonly cut: string;
  readonly put: string;
}

const root = join(import.meta.dirname, "../..");
const changes = JSON.parse(process.env.BERTH_WITHOUT ?? "[]") as readonly Without[];
const changed = new Map<string, string>();
for (const { file, cut, put } of changes) {
  const url = pathToFileURL(join(root, file)).href;
  const text = changed.get(url) ?? readFileSync(new URL(url), "utf8");
  if (text.split(cut).length !== 2) throw new Error(`not once in ${file}: ${cut}`);
  changed.set(
    url,
    text.replace(cut, () => put),
  );
}

registerHooks({
  load: (url, context, next) => {
    const source = changed.get(url);
    return source === undefined
      ? next(url, context)
      : { format: "module-typescript", source, shortCircuit: true };
  },
});
