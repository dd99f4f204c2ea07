// The digest of a base image: the same everywhere, and another for another image.

import assert from "node:assert/strict";
import { appendFile, chmod, cp, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { BASES, baseImageDigest, GUEST_DIRECTORY, recipeOf } from "./recipe.ts";

test("every base has a recipe and a digest, which does not change by asking", async () => {
  for (const base of BASES) {
    const digest = await baseImageDigest(base);
    assert.match(digest, /^sha256:[0-9a-f]{64}$/);
    assert.equal(await baseImageDigest(base), digest);
  }
});

test("another package, version or time is another image", async () => {
  const recipe = recipeOf("debian-12");
  const digest = await baseImageDigest("debian-12");
  const others = [
    { ...recipe, packages: [...recipe.packages, "hello"] },
    { ...recipe, node: { ...recipe.node, version: "0.0.0" } },
    { ...recipe, epochSeconds: 0 },
  ];
  for (const other of others) assert.notEqual(await baseImageDigest("debian-12", other), digest);
});

test("an unknown base is refused with the known ones", () => {
  assert.throws(() => recipeOf("windows-95"), /choose one of: debian-12/);
});

test("packages are named once", () => {
  const { packages } = recipeOf("debian-12");
  assert.equal(new Set(packages).size, packages.length);
});

test("what is laid on top of the tree is in place, and no program lost its mode", async () => {
  for (const name of ["agent/main.c", "image/root.sh", "image/init", "rootfs/etc/sudoers.d/berth"])
    assert.ok((await stat(join(GUEST_DIRECTORY, name))).isFile());
});

test("a changed guest source, or its mode, is another image", async (t) => {
  const copy = await mkdtemp(join(tmpdir(), "berth-guest-"));
  t.after(() => rm(copy, { recursive: true, force: true }));
  await cp(GUEST_DIRECTORY, copy, { recursive: true });
  const digest = () => baseImageDigest("debian-12", recipeOf("debian-12"), copy);
  const seen = new Set([await digest()]);
  assert.ok(seen.has(await baseImageDigest("debian-12")), "where the sources lie does not matter");
  const path = join(copy, "image", "init");
  await appendFile(path, "# more\n");
  seen.add(await digest());
  await chmod(path, 0o755);
  seen.add(await digest());
  assert.equal(seen.size, 3);
});
