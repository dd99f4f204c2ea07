// Mounts a real loop file: needs root, like everything that runs VMs.

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { run } from "#lib/run.ts";
import {
  canReflink,
  ensureReflinkDirectory,
  reflink,
  removeReflinkDirectory,
} from "./reflink-fs.ts";

async function temporary(t: TestContext): Promise<string> {
  const base = await mkdtemp(join(tmpdir(), "reflink-"));
  const directory = join(base, "state");
  t.after(async () => {
    await removeReflinkDirectory(directory, run);
    await rm(base, { recursive: true });
  });
  return directory;
}

test("a directory that cannot reflink gets an XFS over it, once, and again after a reboot", async (t) => {
  const directory = await temporary(t);
  const made = await ensureReflinkDirectory(directory, 1, run);
  if (made.how === "native") return t.skip("the temporary directory can reflink by itself");
  assert.equal(await canReflink(directory), true);
  await writeFile(join(directory, "kept"), "1");
  assert.deepEqual(await ensureReflinkDirectory(directory, 1, run), made);
  await run(["umount", directory]);
  assert.deepEqual(await readdir(directory), []);
  assert.deepEqual(await ensureReflinkDirectory(directory, 1, run), made);
  assert.equal(await readFile(join(directory, "kept"), "utf8"), "1");
});

test("a copy by reference takes no room and keeps holes", async (t) => {
  const directory = await temporary(t);
  await ensureReflinkDirectory(directory, 1, run);
  const [source, copy] = [join(directory, "a"), join(directory, "b")];
  await writeFile(source, Buffer.alloc(64 * 1024 * 1024, 1));
  const usedKib = async () => {
    const { stdout } = await run(["df", "--output=used", directory]);
    return Number(stdout.split("\n")[1]);
  };
  await run(["sync", "-f", directory]);
  const before = await usedKib();
  await reflink(source, copy, run);
  await run(["sync", "-f", directory]);
  assert.ok((await usedKib()) - before < 1024);
  assert.equal((await stat(copy)).size, 64 * 1024 * 1024);
  await assert.rejects(reflink(source, copy, run), { code: "EEXIST" });
});

test("files in the way are not hidden by a mount", async (t) => {
  const directory = await temporary(t);
  await ensureReflinkDirectory(directory, 1, run);
  await removeReflinkDirectory(directory, run);
  const base = join(directory, "..", "other");
  await run(["mkdir", base]);
  await writeFile(join(base, "precious"), "1");
  if (await canReflink(base)) return t.skip("the temporary directory can reflink by itself");
  await assert.rejects(ensureReflinkDirectory(base, 1, run), /precious/);
});
