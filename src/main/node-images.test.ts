import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { IMAGE_FILES } from "#images/build.ts";
import { BASES, baseImageDigest } from "#images/recipe.ts";
import { systemClock } from "#lib/clock.ts";
import { Failpoints } from "#lib/failpoint.ts";
import { silentLog } from "#lib/log.ts";
import { nodeImages } from "./node-images.ts";

test("boxes of an older Berth start as long as the cache has their image", async (t) => {
  const cacheDir = await mkdtemp(join(tmpdir(), "berth-node-images-"));
  t.after(() => rm(cacheDir, { recursive: true }));
  const run = () => Promise.reject(new Error("nothing is to be built"));
  const images = nodeImages({
    ...{
      config: { imageCacheDir: cacheDir, stateDir: cacheDir },
      run,
      log: silentLog,
      clock: systemClock,
    },
    failpoints: new Failpoints(),
  });
  const old = "0".repeat(64);
  await assert.rejects(
    images.ensure(`sha256:${old}`, () => {}),
    /is not in .* backup/,
  );
  await mkdir(join(cacheDir, old));
  for (const name of IMAGE_FILES) await writeFile(join(cacheDir, old, name), "x");
  const sizes = Object.fromEntries(IMAGE_FILES.map((name) => [name, 1]));
  await writeFile(join(cacheDir, old, "meta.json"), JSON.stringify({ sizes }));
  assert.deepEqual(await images.list(), [`sha256:${old}`]);
  await images.ensure(`sha256:${old}`, () => {});
});

test("what this version builds and what the node needs stays in the cache, the rest goes in time", async (t) => {
  const cacheDir = await mkdtemp(join(tmpdir(), "berth-node-images-"));
  t.after(() => rm(cacheDir, { recursive: true }));
  const run = () => Promise.reject(new Error("nothing is to be built"));
  let nowMs = Date.now();
  const images = nodeImages({
    ...{ config: { imageCacheDir: cacheDir, stateDir: cacheDir }, run, log: silentLog },
    ...{ clock: { ...systemClock, nowMs: () => nowMs }, failpoints: new Failpoints() },
  });
  const current = await baseImageDigest(BASES[0] ?? "");
  const [used, unused] = [`sha256:${"1".repeat(64)}`, `sha256:${"2".repeat(64)}`];
  for (const digest of [current, used, unused]) {
    await mkdir(join(cacheDir, digest.slice(7)));
    await writeFile(join(cacheDir, digest.slice(7), "meta.json"), "{}");
  }
  const collect = () => images.collect(() => new Set([used]));
  await collect();
  assert.equal((await images.list()).length, 3);
  nowMs += 8 * 86_400_000;
  await collect();
  assert.deepEqual((await images.list()).sort(), [current, used].sort());
  const needs = await readdir(join(cacheDir, ".needs"));
  assert.equal(needs.length, 1, "other installations know what is needed here");
});
