import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "#lib/run.ts";
import { makeSshHostKey } from "./ssh-host-key.ts";

test("OpenSSH reads the private key and derives the same public key", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "hostkey-"));
  t.after(() => rm(directory, { recursive: true }));
  for (const comment of ["a", "box_0123", "longer comment"]) {
    const key = makeSshHostKey(comment);
    const path = join(directory, comment.replaceAll(" ", "-"));
    await writeFile(path, key.privateKey, { mode: 0o600 });
    const { stdout } = await run(["ssh-keygen", "-y", "-f", path]);
    assert.equal(stdout.trim(), key.publicKey);
  }
});

test("no two keys are the same", () => {
  assert.notEqual(makeSshHostKey("x").publicKey, makeSshHostKey("x").publicKey);
});
