// Builds the tree of a layer: CACHE/layers/<hex of its digest>/{tree.tar.zst,meta.json}. It is kept apart from the images
// that it lies in, because they change with every line of the guest and it takes long.

import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "#lib/clock.ts";
import { Failpoints } from "#lib/failpoint.ts";
import type { Log } from "#lib/log.ts";
import type { Run } from "#lib/run.ts";
import { withLock } from "./lock.ts";
import { fetchNpm, installLocked } from "./npm.ts";
import { type LayeredRecipe, layerDigest, layerTree } from "./recipe.ts";
import { runScript, STEP_TIMEOUT_MS } from "./script.ts";

export interface LayerOptions {
  readonly cacheDir: string;
  readonly run: Run;
  readonly log: Log;
  readonly progress: (message: string) => void;
  readonly clock?: Clock;
  readonly failpoints?: Failpoints;
}

const TREE = "tree.tar.zst";
/** Where in the package a lock file pins dependencies. */
const LOCKED = [".", "lib/vscode", "lib/vscode/extensions"];

/**
 * Path of the layer's tree, found in the cache or built: packages are fetched by this host's npm, and what must be
 * compiled is compiled inside the base image in `parentDirectory`.
 */
export async function buildLayer(
  recipe: LayeredRecipe,
  parentDirectory: string,
  options: LayerOptions,
): Promise<string> {
  const hex = (await layerDigest(recipe)).replace(/^sha256:/, "");
  const layersDir = join(options.cacheDir, "layers");
  const directory = join(layersDir, hex);
  if (await isWhole(directory)) return join(directory, TREE);
  await mkdir(layersDir, { recursive: true });
  const wait = () => options.progress("another process builds this layer; waiting for it");
  const lock = join(layersDir, `.lock-${hex}`);
  await withLock(lock, options.clock ?? systemClock, wait, async () => {
    if (await isWhole(directory)) return;
    const work = join(layersDir, `.building-${hex}`);
    await rm(work, { recursive: true, force: true }); // What a build that died left behind.
    try {
      await build(recipe, { work, directory, parentDirectory }, options);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
  return join(directory, TREE);
}

async function isWhole(directory: string): Promise<boolean> {
  try {
    const meta = JSON.parse(await readFile(join(directory, "meta.json"), "utf8"));
    return (await stat(join(directory, TREE))).size === meta.bytes;
  } catch {
    return false;
  }
}

async function build(
  recipe: LayeredRecipe,
  at: { work: string; directory: string; parentDirectory: string },
  { run, log, progress, failpoints = new Failpoints() }: LayerOptions,
): Promise<void> {
  const { work, directory, parentDirectory } = at;
  const { name, npm } = recipe.layer;
  log.info({ layer: name, version: npm.version, work }, "building a layer");
  const tree = join(work, "tree");
  await mkdir(tree, { recursive: true });
  progress(`fetching ${name} ${npm.version}`);
  const packed = join(work, "package.tgz");
  await fetchNpm(npm, packed, work, run);
  const unpack = ["tar", "-x", "--no-same-owner", "--strip-components=1", "-f", packed, "-C", tree];
  await run(unpack, { timeoutMs: STEP_TIMEOUT_MS });
  for (const part of LOCKED) await installLocked(join(tree, part), run);
  await failpoints.hit("images.layer.fetched");
  progress(`compiling ${name} (half a minute)`);
  const apart = ["unshare", "--mount", "--net", "--pid", "--fork"];
  await runScript(run, join(layerTree(recipe.layer), "build.sh"), apart, {
    ...{ WORK: work, PARENT: parentDirectory, SOURCE_DATE_EPOCH: recipe.epochSeconds },
  });
  const ready = join(work, "ready");
  await mkdir(ready);
  await rename(join(work, TREE), join(ready, TREE));
  const { size } = await stat(join(ready, TREE));
  await writeFile(
    join(ready, "meta.json"),
    `${JSON.stringify({ layer: name, npm, bytes: size })}\n`,
  );
  await run(["sync", "-f", ready], { timeoutMs: STEP_TIMEOUT_MS });
  await rm(directory, { recursive: true, force: true }); // One that is not whole, else it was found.
  await failpoints.hit("images.layer.before-commit");
  await rename(ready, directory);
  log.info({ layer: name, bytes: size }, "layer is ready");
}
