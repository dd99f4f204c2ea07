// The digest of a base image: the same everywhere, and another for another image.

import assert from "node:assert/strict";
import { appendFile, chmod, cp, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  BASES,
  baseImageDigest,
  DEBIAN_12,
  DEBIAN_12_CODE,
  GUEST_DIRECTORY,
  layerDigest,
  recipeOf,
} from "./recipe.ts";

test("every base has a recipe and a digest, which does not change by asking", async () => {
  for (const base of BASES) {
    const digest = await baseImageDigest(base);
    assert.match(digest, /^sha256:[0-9a-f]{64}$/);
    assert.equal(await baseImageDigest(base), digest);
  }
});

test("another package, version or time is another image", async () => {
  const recipe = DEBIAN_12;
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
  const { packages } = DEBIAN_12;
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
  const digest = () => baseImageDigest("debian-12", DEBIAN_12, copy);
  const seen = new Set([await digest()]);
  assert.ok(seen.has(await baseImageDigest("debian-12")), "where the sources lie does not matter");
  const path = join(copy, "image", "init");
  await appendFile(path, "# more\n");
  seen.add(await digest());
  await chmod(path, 0o755);
  seen.add(await digest());
  assert.equal(seen.size, 3);
});

test("a layer is part of the image it lies in, and of no other", async (t) => {
  const copy = await mkdtemp(join(tmpdir(), "berth-guest-"));
  t.after(() => rm(copy, { recursive: true, force: true }));
  await cp(GUEST_DIRECTORY, copy, { recursive: true });
  const digests = async () => ({
    plain: await baseImageDigest("debian-12", DEBIAN_12, copy),
    code: await baseImageDigest("debian-12-code", DEBIAN_12_CODE, copy),
    tree: await layerDigest(DEBIAN_12_CODE, copy),
  });
  const before = await digests();
  await appendFile(join(copy, "agent/main.c"), "// more\n");
  const guest = await digests();
  assert.notEqual(guest.plain, before.plain);
  assert.notEqual(guest.code, before.code);
  assert.equal(guest.tree, before.tree, "the long build is not repeated for a change of the guest");
  await appendFile(join(copy, "layers/code-server/rootfs/etc/code-server/config.yaml"), "# more\n");
  const settings = await digests();
  assert.equal(settings.plain, guest.plain);
  assert.notEqual(settings.code, guest.code);
  assert.equal(settings.tree, guest.tree);
  await appendFile(join(copy, "layers/code-server/tree/build.sh"), "# more\n");
  const built = await digests();
  assert.equal(built.plain, settings.plain);
  assert.notEqual(built.code, settings.code);
  assert.notEqual(built.tree, settings.tree);
  const { layer } = DEBIAN_12_CODE;
  const npm = { ...layer.npm, version: "0.0.0" };
  assert.notEqual(
    await layerDigest({ ...DEBIAN_12_CODE, layer: { ...layer, npm } }, copy),
    built.tree,
  );
});
