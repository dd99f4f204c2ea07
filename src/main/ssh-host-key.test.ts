import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { openSshHostKey } from "#main/ssh-host-key.ts";

test("the key is made once, and its last certificate serves while nobody answers", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "berth-host-key-"));
  const over = new AbortController();
  t.after(async () => {
    over.abort();
    await rm(directory, { recursive: true, force: true });
  });
  const asked: string[] = [];
  const base = { directory, clock: systemClock, log: silentLog, signal: over.signal };
  let failures = 1;
  const first = await openSshHostKey({
    ...base,
    certify: async (line) => {
      asked.push(line);
      if (failures-- > 0) throw new Error("away");
      return "certificate 1";
    },
  });
  assert.equal(first.certificateLine(), "certificate 1");
  assert.equal((await stat(join(directory, "ssh_host_ed25519_key"))).mode & 0o777, 0o600);
  const again = await openSshHostKey({
    ...base,
    certify: async () => {
      throw new Error("away");
    },
  });
  assert.equal(again.privateKeyOpenssh, first.privateKeyOpenssh);
  assert.equal(again.certificateLine(), "certificate 1");
  const later = await openSshHostKey({ ...base, certify: async () => "certificate 2" });
  assert.equal(later.certificateLine(), "certificate 2");
  assert.equal(new Set(asked).size, 1);
});
