// The directory driver: the suite of all drivers, and what only a disk can do wrong.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Failpoints } from "#lib/failpoint.ts";
import { openDirectoryStore } from "#objects/directory-store.ts";
import { isStoreError } from "#objects/store.ts";
import { MemoryStore } from "#test/harness/memory-store.ts";
import { testObjectStore } from "#test/harness/object-store-suite.ts";
import { mountTinyDisk } from "#test/harness/tiny-disk.ts";

testObjectStore("directory", async () => {
  const root = await mkdtemp(join(tmpdir(), "berth-store-"));
  const store = await openDirectoryStore({ root, failpoints: new Failpoints(), listMax: 10 });
  return { store, close: () => rm(root, { recursive: true }) };
});

async function scratch(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "berth-store-"));
  t.after(() => rm(root, { recursive: true, force: true }));
  return root;
}

test("a key with an empty part is refused", async (t) => {
  const store = await openDirectoryStore({ root: await scratch(t), failpoints: new Failpoints() });
  for (const key of ["", "/abs", "a//b", "a/"])
    await assert.rejects(store.put(key, Buffer.from("x")), /empty or too long/);
});

test("a full disk is said, leaves nothing, and a retry with space works", async (t) => {
  const disk = await mountTinyDisk(t, 1);
  const store = await openDirectoryStore({ root: disk, failpoints: new Failpoints() });
  await store.put("small", Buffer.alloc(1000, 1));
  const big = Buffer.alloc(2 << 20, 7);
  await assert.rejects(store.put("big", big), (error: Error) => {
    assert.ok(isStoreError(error, "no_space"), String(error));
    assert.match(error.message, /disk is full/);
    return true;
  });
  assert.equal(await store.head("big"), null);
  assert.deepEqual(await readdir(join(disk, ".tmp")), []);
  assert.equal((await store.get("small")).length, 1000);
  spawnSync("mount", ["-o", "remount,size=8m", disk]);
  await store.put("big", big);
  assert.deepEqual(await store.get("big"), big);
});

test("a put that died before it was published is invisible and swept by the next open", async (t) => {
  const root = await scratch(t);
  const program = `
    import { Failpoints } from "#lib/failpoint.ts";
    import { openDirectoryStore } from "#objects/directory-store.ts";
    const failpoints = new Failpoints();
    failpoints.armFromText("objects.put.written=crash");
    const store = await openDirectoryStore({ root: ${JSON.stringify(root)}, failpoints });
    await store.put("dead", Buffer.alloc(100));
  `;
  const repository = join(import.meta.dirname, "../..");
  const child = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    cwd: repository,
  });
  assert.equal(child.signal, "SIGKILL", child.stderr.toString());
  assert.equal((await readdir(join(root, ".tmp"))).length, 1);
  // A living process's work in progress is left alone.
  await writeFile(join(root, ".tmp", `${process.ppid}-abc`), "x");
  const store = await openDirectoryStore({ root, failpoints: new Failpoints() });
  assert.deepEqual(await readdir(join(root, ".tmp")), [`${process.ppid}-abc`]);
  assert.equal(await store.head("dead"), null);
  await store.put("dead", Buffer.from("alive"), { ifNoneMatch: true });
  assert.equal((await store.get("dead")).toString(), "alive");
});

test("deleting the last object takes its directories away, and a put beside it never fails", async (t) => {
  const root = await scratch(t);
  const store = await openDirectoryStore({ root, failpoints: new Failpoints() });
  const rounds = Array.from({ length: 200 }, async (_, i) => {
    await store.put(`x/y/${i % 2}`, Buffer.from("1"));
    await store.delete(`x/y/${i % 2}`);
  });
  await Promise.all(rounds);
  assert.deepEqual(await readdir(root), [".tmp"]);
});

test("a store whose directory is gone is unavailable, not empty, and is not made anew", async (t) => {
  const root = join(await scratch(t), "disk");
  const store = await openDirectoryStore({ root, failpoints: new Failpoints() });
  await store.put("a/b", Buffer.from("x"));
  await rename(root, `${root}-unmounted`);
  for (const attempt of [
    () => store.get("a/b"),
    () => store.getRange("a/b", 0, 1),
    () => store.head("a/b"),
    () => store.list("a/"),
    () => store.list(""),
    () => store.delete("a/b"),
    () => store.put("a/b", Buffer.from("y")),
  ])
    await assert.rejects(attempt(), (error: Error) => {
      assert.ok(isStoreError(error, "unavailable"), `${attempt}: ${error}`);
      return /Is its disk mounted/.test(error.message);
    });
  await rename(`${root}-unmounted`, root);
  assert.equal((await store.get("a/b")).toString(), "x");
});

testObjectStore("memory (of the tests)", async () => {
  return { store: new MemoryStore(), close: async () => {} };
});
