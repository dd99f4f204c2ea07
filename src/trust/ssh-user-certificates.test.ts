import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createPrivateKey, sign } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { makeSshKey } from "#lib/ssh-keys.ts";
import { sshString } from "#lib/ssh-wire.ts";
import {
  loadSshAuthority,
  makeSshAuthorityKey,
  SshKeyError,
  signHostCertificate,
  signUserCertificate,
} from "#trust/ssh-certificates.ts";
import { checkUserCertificate } from "#trust/ssh-user-certificates.ts";

const run = promisify(execFile);
const authority = loadSshAuthority(makeSshAuthorityKey(), "user-ca");
const userCa = authority.publicKeyLine;
const NOW_MS = 1_790_000_000_000;
const MINUTE_MS = 60_000;
const key = makeSshKey("me");

const OPTIONS = {
  publicKeyLine: key.publicKeyLine,
  keyId: "usr_1@box_1#token_1",
  principals: ["box_1"],
  notBeforeMs: NOW_MS - MINUTE_MS,
  notAfterMs: NOW_MS + MINUTE_MS,
};
const blobOf = (line: string) => Buffer.from(line.split(" ")[1] ?? "", "base64");
const check = (line: string, nowMs = NOW_MS) =>
  checkUserCertificate(blobOf(line), { userCa, nowMs });
const refused = (why: RegExp) => (error: unknown) =>
  error instanceof SshKeyError && why.test(error.message);

test("a certificate of the authority says who and which box, until it ends", () => {
  const line = signUserCertificate(authority, OPTIONS);
  const { keyId, principals, notAfterMs, extensions } = check(line);
  assert.deepEqual(
    [keyId, principals, notAfterMs],
    [OPTIONS.keyId, OPTIONS.principals, OPTIONS.notAfterMs],
  );
  assert.ok(extensions.has("permit-pty"));
  assert.throws(() => check(line, NOW_MS + MINUTE_MS), refused(/expired/));
  assert.throws(() => check(line, NOW_MS - 2 * MINUTE_MS), refused(/not valid yet/));
});

test("what only looks like one is refused", () => {
  const line = signUserCertificate(authority, OPTIONS);
  const other = loadSshAuthority(makeSshAuthorityKey(), "other");
  assert.throws(() => check(signUserCertificate(other, OPTIONS)), refused(/another authority/));
  assert.throws(() => check(signHostCertificate(authority, OPTIONS)), refused(/not for a user/));
  assert.throws(() => check(key.publicKeyLine), refused(/type ssh-ed25519;/));
  const blob = blobOf(line);
  for (let at = 0; at < blob.length; at += 1) {
    const changed = Buffer.from(blob);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.throws(
      () => checkUserCertificate(changed, { userCa, nowMs: NOW_MS }),
      SshKeyError,
      `byte ${at}`,
    );
    assert.throws(
      () => checkUserCertificate(blob.subarray(0, at), { userCa, nowMs: NOW_MS }),
      SshKeyError,
    );
  }
  const more = Buffer.concat([blob, Buffer.alloc(1)]);
  assert.throws(() => checkUserCertificate(more, { userCa, nowMs: NOW_MS }), refused(/after its/));
});

test("ssh-keygen's certificates: critical options, nested and endless ones are refused", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "berth-cert-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const at = (name: string) => join(folder, name);
  await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", at("ca")]);
  const ca = (await readFile(at("ca.pub"), "utf8")).trim();
  const mint = async (...options: string[]) => {
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", at("user")]);
    await run("ssh-keygen", ["-q", "-s", at("ca"), "-I", "id", ...options, at("user.pub")]);
    const line = await readFile(at("user-cert.pub"), "utf8");
    for (const name of ["user", "user.pub", "user-cert.pub"]) await rm(at(name));
    return () => checkUserCertificate(blobOf(line), { userCa: ca, nowMs: Date.now() });
  };
  assert.deepEqual((await mint("-n", "a,b", "-V", "-1m:+5m"))().principals, ["a", "b"]);
  const forced = await mint("-n", "a", "-V", "-1m:+5m", "-O", "force-command=/bin/true");
  assert.throws(forced, refused(/force-command/));
  const bound = await mint("-n", "a", "-V", "-1m:+5m", "-O", "source-address=10.0.0.0/8");
  assert.throws(bound, refused(/source-address/));
  assert.throws(await mint("-V", "-1m:+5m"), refused(/names nobody/));
  assert.throws(await mint("-n", "a"), refused(/expired/));
});

test("only the holder of the certified key can sign for it", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "berth-cert-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const seed = (openssh: string) => {
    const bytes = Buffer.from(openssh.replace(/-----[A-Z ]+-----|\s/g, ""), "base64");
    const point = blobOf(key.publicKeyLine).subarray(-32);
    const start = bytes.lastIndexOf(point) - 32;
    return bytes.subarray(start, start + 32);
  };
  const prefix = Buffer.from("302e020100300506032b657004220420", "hex");
  const holder = createPrivateKey({
    key: Buffer.concat([prefix, seed(key.privateKeyOpenssh)]),
    format: "der",
    type: "pkcs8",
  });
  const certificate = check(signUserCertificate(authority, OPTIONS));
  const said = Buffer.from("session id and request");
  const signature = Buffer.concat([sshString("ssh-ed25519"), sshString(sign(null, said, holder))]);
  assert.equal(certificate.verifies(said, signature), true);
  assert.equal(certificate.verifies(Buffer.from("another"), signature), false);
  const renamed = Buffer.concat([sshString("ssh-rsa"), sshString(sign(null, said, holder))]);
  assert.equal(certificate.verifies(said, renamed), false);
});
