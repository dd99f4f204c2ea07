import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "./run.ts";
import { makeHostKey, makeSshKey, publicKeyLineOf } from "./ssh-keys.ts";
import { SshReader, sshString } from "./ssh-wire.ts";

test("ssh-keygen reads the private key and derives the public key that we printed", async () => {
  const directory = await mkdtemp(join(tmpdir(), "berth-keys-"));
  try {
    for (const comment of ["a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdefgh"]) {
      const key = makeSshKey(comment);
      const path = join(directory, `id-${comment}`);
      await writeFile(path, key.privateKeyOpenssh, { mode: 0o600 });
      await chmod(path, 0o600);
      const { stdout } = await run(["ssh-keygen", "-y", "-f", path]);
      assert.equal(stdout.trim(), key.publicKeyLine);
      assert.equal(`${publicKeyLineOf(key.privateKeyOpenssh)} ${comment}`, key.publicKeyLine);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("two keys are never the same", () => {
  assert.notEqual(makeHostKey().publicKeyLine, makeHostKey().publicKeyLine);
});

test("a field that claims more bytes than there are is refused", () => {
  const reader = new SshReader(Buffer.from([0xff, 0xff, 0xff, 0xff, 1]));
  assert.throws(() => reader.string(), /middle of a field/);
  const whole = new SshReader(Buffer.concat([sshString("x"), Buffer.from([0])]));
  whole.string();
  assert.throws(() => whole.end(), /after its last field/);
});
