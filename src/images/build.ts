// Builds base images into a content-addressed cache: CACHE/<hex of the digest>/{root.ext4,vmlinux,initrd,
// probe.img,meta.json}, and the trees of layers beside them (layer.ts). Each appears by one rename; the cache may
// be deleted at any time.

import { createHash } from "node:crypto";
import {
  chmod,
  constants,
  copyFile,
  mkdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "#lib/clock.ts";
import { Failpoints } from "#lib/failpoint.ts";
import type { Log } from "#lib/log.ts";
import type { Run } from "#lib/run.ts";
import { aptFetchOptions, debianSources, ensureBuildPackages } from "./host-apt.ts";
import { buildLayer } from "./layer.ts";
import { withLock } from "./lock.ts";
import { fetchNpm } from "./npm.ts";
import {
  type AnyRecipe,
  baseImageDigest,
  GUEST_DIRECTORY,
  type LayeredRecipe,
  type Recipe,
  recipeOf,
} from "./recipe.ts";
import { runScript, STEP_TIMEOUT_MS } from "./script.ts";

export const IMAGE_FILES = ["root.ext4", "vmlinux", "initrd", "probe.img"] as const;

export interface ImageMeta {
  readonly base: string;
  readonly digest: string;
  /** SHA-256 of the bytes: two hosts may exchange disks on top of an image only when it is the same. */
  readonly contentDigest: string;
  readonly kernelVersion: string;
  readonly sizes: Readonly<Record<string, number>>;
  /** Debian packages with their versions. */
  readonly packages: readonly string[];
}

export interface BaseImage {
  readonly digest: string;
  readonly directory: string;
  readonly meta: ImageMeta;
}

export interface EnsureImageOptions {
  readonly cacheDir: string;
  readonly run: Run;
  readonly log: Log;
  readonly onProgress?: (message: string) => void;
  readonly clock?: Clock;
  readonly failpoints?: Failpoints;
  /** Tests only: another recipe than the base's. */
  readonly recipe?: AnyRecipe;
}

/** What there is to know of an image's root tree, beside its bytes. */
type TreeFacts = Pick<ImageMeta, "kernelVersion" | "packages">;

/**
 * Finds the image in the cache or builds it (as root, from Debian's archive: about a minute; one with a layer
 * needs its parent and half a minute more).
 */
export async function ensureBaseImage(
  base: string,
  options: EnsureImageOptions,
): Promise<BaseImage> {
  const recipe = options.recipe ?? recipeOf(base);
  const digest = await baseImageDigest(base, recipe);
  const found = await findBaseImage(digest, options.cacheDir);
  if (found) return found;
  const progress = options.onProgress ?? (() => {});
  await mkdir(options.cacheDir, { recursive: true });
  const lock = join(options.cacheDir, `.lock-${hexOf(digest)}`);
  const wait = () => progress("another process builds this image; waiting for it");
  return await withLock(lock, options.clock ?? systemClock, wait, async () => {
    const madeMeanwhile = await findBaseImage(digest, options.cacheDir);
    return madeMeanwhile ?? (await build(recipe, digest, options, progress));
  });
}

/** The image of that digest when it is whole in the cache. */
export async function findBaseImage(digest: string, cacheDir: string): Promise<BaseImage | null> {
  const directory = join(cacheDir, hexOf(digest));
  try {
    const meta = JSON.parse(await readFile(join(directory, "meta.json"), "utf8")) as ImageMeta;
    for (const name of IMAGE_FILES)
      if ((await stat(join(directory, name))).size !== meta.sizes[name]) return null;
    return { digest, directory, meta };
  } catch {
    return null;
  }
}

function hexOf(digest: string): string {
  return digest.replace(/^sha256:/, "");
}

async function build(
  recipe: AnyRecipe,
  digest: string,
  options: EnsureImageOptions,
  progress: (message: string) => void,
): Promise<BaseImage> {
  const { run, log, cacheDir } = options;
  const failpoints = options.failpoints ?? new Failpoints();
  const work = join(cacheDir, `.building-${hexOf(digest)}`);
  log.info({ base: recipe.base, digest, work }, "building base image");
  await rm(work, { recursive: true, force: true }); // What a build that died left behind.
  await mkdir(work, { recursive: true });
  try {
    await ensureBuildPackages(run, progress);
    const parts = { work, options, failpoints, progress };
    const facts =
      "layer" in recipe ? await stackTree(recipe, parts) : await debianTree(recipe, parts);
    progress("making the file system");
    const { sizeMib, fileSystemUuid, epochSeconds } = recipe;
    await runScript(run, "image/filesystem.sh", ["unshare", "--mount"], {
      ...{ WORK: work, SIZE_MIB: sizeMib, FS_UUID: fileSystemUuid },
      SOURCE_DATE_EPOCH: epochSeconds,
    });
    await failpoints.hit("images.build.filesystem-made");
    return await commit({ recipe, digest, work, facts }, options);
  } catch (error) {
    await rm(work, { recursive: true, force: true });
    throw error;
  }
}

interface Parts {
  readonly work: string;
  readonly options: EnsureImageOptions;
  readonly failpoints: Failpoints;
  readonly progress: (message: string) => void;
}

/** Leaves root.tar, vmlinux, initrd and probe.img of a plain Debian in `work`. */
async function debianTree(recipe: Recipe, parts: Parts): Promise<TreeFacts> {
  const { work, failpoints, progress } = parts;
  const { run } = parts.options;
  const sh = (script: string) =>
    runScript(run, `image/${script}`, [], {
      ...{ WORK: work, GUEST: GUEST_DIRECTORY, SUITE: recipe.suite, KERNEL: recipe.kernel },
      ...{ PACKAGES: recipe.packages.join(","), APT_OPTIONS: join(work, "apt.conf") },
      SOURCE_DATE_EPOCH: recipe.epochSeconds,
    });
  progress("compiling the guest's program");
  await sh("agent.sh");
  progress("fetching Node and npm");
  await fetchNpm(recipe.node, join(work, "node.tgz"), work, run);
  await fetchNpm(recipe.npm, join(work, "npm.tgz"), work, run);
  await writeAptInputs(recipe, work, run);
  await failpoints.hit("images.build.prepared");
  progress(`installing Debian '${recipe.suite}' (about a minute)`);
  await sh("root.sh");
  await failpoints.hit("images.build.root-made");
  progress("making kernel and initrd");
  await sh("initrd.sh");
  const lines = async (name: string) =>
    (await readFile(join(work, name), "utf8")).trim().split("\n");
  return {
    kernelVersion: (await lines("kernel.txt"))[1] ?? "",
    packages: await lines("packages.txt"),
  };
}

/** The same, of another image with a layer on top. */
async function stackTree(recipe: LayeredRecipe, parts: Parts): Promise<TreeFacts> {
  const { work, options, failpoints, progress } = parts;
  const { run } = options;
  const parent = await ensureBaseImage(recipe.parent.base, { ...options, recipe: recipe.parent });
  const tree = await buildLayer(recipe, parent.directory, { ...options, progress });
  await failpoints.hit("images.build.prepared");
  progress(`laying ${recipe.layer.name} on top of ${recipe.parent.base}`);
  await runScript(run, "layers/stack.sh", ["unshare", "--mount"], {
    ...{ WORK: work, PARENT: parent.directory, TREE: tree },
    LAYER: join(GUEST_DIRECTORY, "layers", recipe.layer.name),
  });
  await failpoints.hit("images.build.root-made");
  for (const name of ["vmlinux", "initrd", "probe.img"])
    await copyFile(join(parent.directory, name), join(work, name), constants.COPYFILE_FICLONE);
  const { name, version } = recipe.layer.npm;
  const { kernelVersion, packages } = parent.meta;
  return { kernelVersion, packages: [...packages, `${name} ${version}`] };
}

async function writeAptInputs(recipe: Recipe, work: string, run: Run): Promise<void> {
  await mkdir(join(work, "sources"));
  for (const [name, content] of await debianSources(recipe.suite))
    await writeFile(join(work, "sources", name), content);
  await writeFile(join(work, "apt.conf"), await aptFetchOptions(run));
}

async function commit(
  made: { recipe: AnyRecipe; digest: string; work: string; facts: TreeFacts },
  options: EnsureImageOptions,
): Promise<BaseImage> {
  const { recipe, digest, work, facts } = made;
  const ready = join(work, "ready");
  await mkdir(ready);
  const sizes: Record<string, number> = {};
  for (const name of IMAGE_FILES) {
    await rename(join(work, name), join(ready, name));
    await chmod(join(ready, name), 0o444);
    sizes[name] = (await stat(join(ready, name))).size;
  }
  const sums = await options.run(["sha256sum", ...IMAGE_FILES], {
    cwd: ready,
    timeoutMs: STEP_TIMEOUT_MS,
  });
  const meta: ImageMeta = {
    base: recipe.base,
    digest,
    contentDigest: `sha256:${createHash("sha256").update(sums.stdout).digest("hex")}`,
    kernelVersion: facts.kernelVersion,
    sizes,
    packages: facts.packages,
  };
  await writeFile(join(ready, "meta.json"), `${JSON.stringify(meta, null, 1)}\n`);
  await options.run(["sync", "-f", ready], { timeoutMs: STEP_TIMEOUT_MS });
  const directory = join(options.cacheDir, hexOf(digest));
  await rm(directory, { recursive: true, force: true }); // One that is not whole, else it was found.
  await options.failpoints?.hit("images.build.before-commit");
  await rename(ready, directory);
  await rm(work, { recursive: true, force: true });
  options.log.info({ digest, contentDigest: meta.contentDigest }, "base image is ready");
  return { digest, directory, meta };
}
