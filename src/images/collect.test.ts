// The image cache is cleaned of what nobody needs, after a while, and of nothing else.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Clock, systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { collectImages, writeNeeds } from "./collect.ts";

const DAY_MS = 86_400_000;
const GRACE_MS = 7 * DAY_MS;
const hex = (letter: string) => letter.repeat(64);
const digest = (letter: string) => `sha256:${hex(letter)}`;

async function scene(t: TestContext) {
  const root = await mkdtemp(join(tmpdir(), "berth-collect-"));
  t.after(() => rm(root, { recursive: true }));
  const cacheDir = join(root, "cache");
  let nowMs = Date.parse("2026-01-01T00:00:00Z");
  const clock: Clock = { ...systemClock, nowMs: () => nowMs };
  const add = async (letter: string) => {
    const directory = join(cacheDir, hex(letter));
    await mkdir(directory, { recursive: true });
    for (const name of ["root.ext4", "meta.json"]) await writeFile(join(directory, name), "{}");
    await utimes(join(directory, "meta.json"), nowMs / 1000, nowMs / 1000);
  };
  const collect = (
    needed: string,
    isNeeded = (one: string) => [...needed].map(digest).includes(one),
  ) => collectImages(cacheDir, { graceMs: GRACE_MS, clock, log: silentLog, isNeeded });
  const left = async () =>
    (await readdir(cacheDir)).filter((name) => !name.startsWith(".needs")).map((name) => name[0]);
  return {
    root,
    cacheDir,
    add,
    collect,
    left,
    pass: (days: number) => {
      nowMs += days * DAY_MS;
    },
  };
}

test("an image goes when nobody has needed it for the grace time; needing it starts the time anew", async (t) => {
  const { add, collect, left, pass } = await scene(t);
  for (const letter of "abc") await add(letter);
  assert.deepEqual(await collect("a"), []);
  pass(6);
  assert.deepEqual(await collect("ab"), [], "young enough");
  pass(2);
  assert.deepEqual(await collect("a"), [digest("c")]);
  assert.deepEqual((await left()).sort(), ["a", "b"]);
  pass(6);
  assert.deepEqual(await collect("a"), [digest("b")]);
  pass(700);
  assert.deepEqual(await collect("a"), []);
  assert.deepEqual(await left(), ["a"]);
});

test("what another installation of the host needs stays as long as that is there", async (t) => {
  const { root, cacheDir, add, collect, pass } = await scene(t);
  const stateDir = join(root, "other");
  await mkdir(stateDir);
  await add("a");
  await writeNeeds({ cacheDir, stateDir }, [digest("a"), digest("a")]);
  pass(100);
  assert.deepEqual(await collect(""), []);
  await rm(stateDir, { recursive: true });
  pass(6);
  assert.deepEqual(await collect(""), [], "its grace time begins when it was last needed");
  pass(2);
  assert.deepEqual(await collect(""), [digest("a")]);
  assert.deepEqual(await readdir(join(cacheDir, ".needs")), []);
});

test("an image that a box begins to need in the last moment stays whole", async (t) => {
  const { cacheDir, add, collect, pass } = await scene(t);
  await add("a");
  pass(100);
  let asked = 0;
  assert.deepEqual(await collect("", () => ++asked > 1), []);
  assert.equal(asked, 2);
  assert.ok(existsSync(join(cacheDir, hex("a"), "root.ext4")));
});

test("half an image, locks and other things in the cache are left alone; a broken removal is ended", async (t) => {
  const { cacheDir, add, collect, pass } = await scene(t);
  await add("a");
  await rm(join(cacheDir, hex("a"), "meta.json"));
  for (const name of [
    `.building-${hex("b")}`,
    `.lock-${hex("b")}`,
    "layers",
    `.removing-${hex("c")}`,
  ])
    await mkdir(join(cacheDir, name));
  pass(100);
  assert.deepEqual(await collect(""), []);
  assert.deepEqual(
    (await readdir(cacheDir)).sort(),
    [`.building-${hex("b")}`, `.lock-${hex("b")}`, hex("a"), "layers"].sort(),
  );
  assert.deepEqual(
    await collectImages(join(cacheDir, "nowhere"), {
      ...{ graceMs: 0, clock: systemClock, log: silentLog },
      isNeeded: () => false,
    }),
    [],
  );
});
