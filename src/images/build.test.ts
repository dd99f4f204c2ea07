// Building into the cache with the scripts played by a fake: once, whole or not at all, again after a crash.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Failpoints } from "#lib/failpoint.ts";
import { silentLog } from "#lib/log.ts";
import { type Run, run } from "#lib/run.ts";
import { type EnsureImageOptions, ensureBaseImage, findBaseImage, IMAGE_FILES } from "./build.ts";
import { DEBIAN_12, DEBIAN_12_CODE, type LayeredRecipe, type Recipe } from "./recipe.ts";

const integrity = `sha512-${createHash("sha512").update("tarball").digest("base64")}`;
const RECIPE: Recipe = {
  ...DEBIAN_12,
  node: { ...DEBIAN_12.node, integrity },
  npm: { ...DEBIAN_12.npm, integrity },
};
const { layer } = DEBIAN_12_CODE;
const LAYERED: LayeredRecipe = {
  ...DEBIAN_12_CODE,
  parent: RECIPE,
  layer: { ...layer, npm: { ...layer.npm, integrity } },
};

/** What the scripts leave, without doing anything. */
function fakeRun(scripts: string[]): Run {
  return async (argv, options) => {
    const done = { stdout: "", stderr: "" };
    const work = argv.find((word) => word.startsWith("WORK="))?.slice(5) ?? "";
    const script = /([a-z]+)\.sh$/.exec(argv.at(-1) ?? "")?.[1];
    if (argv.includes("ci")) scripts.push("npm ci");
    else if (argv.includes("pack")) {
      const [name = "", , directory = ""] = argv.slice(argv.indexOf("pack") + 1);
      await writeFile(join(directory, `${name.replace("@", "-")}.tgz`), "tarball");
    } else if (script) {
      scripts.push(script);
      const files: Record<string, string[]> = {
        root: ["kernel.txt", "packages.txt"],
        initrd: ["vmlinux", "initrd", "probe.img"],
        filesystem: ["root.ext4"],
        build: ["tree.tar.zst"],
      };
      for (const name of files[script] ?? []) await writeFile(join(work, name), `${name}\nv1\n`);
    } else if (argv[0] === "sha256sum") return await run(argv, options);
    return done;
  };
}

async function setUp(t: TestContext) {
  const cacheDir = await mkdtemp(join(tmpdir(), "berth-images-"));
  t.after(() => rm(cacheDir, { recursive: true }));
  const scripts: string[] = [];
  const options: EnsureImageOptions = {
    ...{ cacheDir, run: fakeRun(scripts), log: silentLog, recipe: RECIPE },
    failpoints: new Failpoints(),
  };
  return { cacheDir, scripts, options };
}

test("an image is built once, and then found", async (t) => {
  const { cacheDir, scripts, options } = await setUp(t);
  const said: string[] = [];
  const built = await ensureBaseImage("debian-12", { ...options, onProgress: (m) => said.push(m) });
  assert.deepEqual(scripts, ["agent", "root", "initrd", "filesystem"]);
  assert.ok(said.length >= 4);
  const again = await ensureBaseImage("debian-12", options);
  assert.deepEqual(again, built);
  assert.equal(scripts.length, 4);
  assert.deepEqual((await readdir(built.directory)).sort(), [...IMAGE_FILES, "meta.json"].sort());
  assert.deepEqual(await readdir(cacheDir), [built.digest.slice("sha256:".length)]);
  assert.match(built.meta.contentDigest, /^sha256:[0-9a-f]{64}$/);
  assert.deepEqual(built.meta.packages, ["packages.txt", "v1"]);
});

test("two that ask at the same time get one build", async (t) => {
  const { scripts, options } = await setUp(t);
  const both = await Promise.all([1, 2].map(() => ensureBaseImage("debian-12", options)));
  assert.equal(scripts.length, 4);
  assert.equal(both[0]?.directory, both[1]?.directory);
});

test("after a failure at any step nothing is found, nothing is left, and the next build is whole", async (t) => {
  for (const step of ["prepared", "root-made", "filesystem-made", "before-commit"]) {
    const { cacheDir, options } = await setUp(t);
    const name = `images.build.${step}`;
    options.failpoints?.arm(name, { kind: "throw", message: "disk full" });
    await assert.rejects(ensureBaseImage("debian-12", options), /disk full/);
    assert.equal(options.failpoints?.hits(name), 1);
    assert.deepEqual(await readdir(cacheDir), []);
    const { digest } = await ensureBaseImage("debian-12", options);
    assert.ok(await findBaseImage(digest, cacheDir));
  }
});

test("remains of a build that was killed are replaced", async (t) => {
  const { cacheDir, options } = await setUp(t);
  const { digest, directory } = await ensureBaseImage("debian-12", options);
  await rm(directory, { recursive: true });
  const work = join(cacheDir, `.building-${digest.slice(7)}`);
  await mkdir(join(work, "ready"), { recursive: true });
  await writeFile(join(work, "root.ext4"), "half");
  await ensureBaseImage("debian-12", options);
  assert.deepEqual(await readdir(cacheDir), [digest.slice(7)]);
});

test("an image with a file that is cut or gone is not found, and is built again", async (t) => {
  const { cacheDir, scripts, options } = await setUp(t);
  const { digest, directory } = await ensureBaseImage("debian-12", options);
  await truncate(join(directory, "root.ext4"), 3);
  assert.equal(await findBaseImage(digest, cacheDir), null);
  await ensureBaseImage("debian-12", options);
  assert.equal(scripts.length, 8);
  await rm(join(directory, "initrd"));
  assert.equal(await findBaseImage(digest, cacheDir), null);
});

test("a package from npm that is not the pinned one is refused", async (t) => {
  const { cacheDir, scripts, options } = await setUp(t);
  const recipe = { ...RECIPE, npm: DEBIAN_12.npm };
  await assert.rejects(ensureBaseImage("debian-12", { ...options, recipe }), /npm@.* has digest/);
  assert.deepEqual(scripts, ["agent"]);
  assert.deepEqual(await readdir(cacheDir), []);
});

test("an image with a layer builds its parent and the layer's tree, each once", async (t) => {
  const { cacheDir, scripts, options } = await setUp(t);
  const layered = { ...options, recipe: LAYERED };
  const { digest, meta } = await ensureBaseImage("debian-12-code", layered);
  const parent = ["agent", "root", "initrd", "filesystem"];
  const tree = ["npm ci", "npm ci", "npm ci", "build"];
  assert.deepEqual(scripts, [...parent, ...tree, "stack", "filesystem"]);
  assert.deepEqual(meta.packages, ["packages.txt", "v1", "code-server 4.139.1"]);
  assert.equal(meta.kernelVersion, "v1");
  assert.equal((await ensureBaseImage("debian-12", options)).digest.length, digest.length);
  assert.equal((await ensureBaseImage("debian-12-code", layered)).digest, digest);
  assert.equal(scripts.length, 10);
  // Another image of the same layer, such as one of a changed guest, takes the tree as it is.
  const other = { ...LAYERED, sizeMib: LAYERED.sizeMib + 1 };
  await ensureBaseImage("debian-12-code", { ...options, recipe: other });
  assert.deepEqual(scripts.slice(10), ["stack", "filesystem"]);
  await rm(join(cacheDir, "layers"), { recursive: true });
  await rm(join(cacheDir, digest.slice("sha256:".length)), { recursive: true });
  assert.equal((await ensureBaseImage("debian-12-code", layered)).digest, digest);
  assert.deepEqual(scripts.slice(12), [...tree, "stack", "filesystem"]);
});

test("two images that need the same layer at the same time get one build of it", async (t) => {
  const { cacheDir, scripts, options } = await setUp(t);
  const sizes = [1, 2].map((more) => ({ ...LAYERED, sizeMib: LAYERED.sizeMib + more }));
  await Promise.all(
    sizes.map((recipe) => ensureBaseImage("debian-12-code", { ...options, recipe })),
  );
  assert.equal(scripts.filter((script) => script === "build").length, 1);
  assert.equal(scripts.filter((script) => script === "root").length, 1);
  assert.equal((await readdir(join(cacheDir, "layers"))).length, 1);
});

test("after a failure in the layer nothing of it is found, and the next build is whole", async (t) => {
  for (const step of ["fetched", "before-commit"]) {
    const { cacheDir, scripts, options } = await setUp(t);
    const layered = { ...options, recipe: LAYERED };
    const name = `images.layer.${step}`;
    options.failpoints?.arm(name, { kind: "throw", message: "disk full" });
    await assert.rejects(ensureBaseImage("debian-12-code", layered), /disk full/);
    assert.deepEqual(await readdir(join(cacheDir, "layers")), []);
    const { digest } = await ensureBaseImage("debian-12-code", layered);
    assert.ok(await findBaseImage(digest, cacheDir));
    assert.equal(scripts.filter((script) => script === "root").length, 1, "the parent was kept");
  }
});

test("a tree that was cut is built again", async (t) => {
  const { cacheDir, scripts, options } = await setUp(t);
  const layered = { ...options, recipe: LAYERED };
  const { directory } = await ensureBaseImage("debian-12-code", layered);
  const [hex = ""] = await readdir(join(cacheDir, "layers"));
  await truncate(join(cacheDir, "layers", hex, "tree.tar.zst"), 3);
  await rm(directory, { recursive: true });
  await ensureBaseImage("debian-12-code", layered);
  assert.equal(scripts.filter((script) => script === "build").length, 2);
});
