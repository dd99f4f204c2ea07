import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type RunError, run } from "#lib/run.ts";
import { makeHostKey, makeSshKey } from "#lib/ssh-keys.ts";
import { type Sshd, startSshd } from "#test/harness/sshd.ts";
import {
  knownHostsLine,
  loadSshAuthority,
  makeSshAuthorityKey,
  parsePublicKey,
  SshKeyError,
  signHostCertificate,
  signUserCertificate,
} from "./ssh-certificates.ts";

const BOX = "box_0123456789abcdefghjk";
const MINUTE_MS = 60_000;
const userCa = loadSshAuthority(makeSshAuthorityKey(), "berth-user-ca");
const hostCa = loadSshAuthority(makeSshAuthorityKey(), "berth-host-ca");
const otherCa = loadSshAuthority(makeSshAuthorityKey(), "somebody");

let directory = "";
let sshd: Sshd;

function minutes(from: number, to: number) {
  return { notBeforeMs: Date.now() + from * MINUTE_MS, notAfterMs: Date.now() + to * MINUTE_MS };
}

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "berth-cert-"));
  const hostKey = makeHostKey();
  sshd = await startSshd({
    userCaLine: userCa.publicKeyLine,
    principals: [BOX],
    hostPrivateKeyOpenssh: hostKey.privateKeyOpenssh,
    hostCertificate: signHostCertificate(hostCa, {
      publicKeyLine: hostKey.publicKeyLine,
      keyId: "host",
      principals: ["web.berth", `${BOX}.berth`],
      ...minutes(-5, 60),
    }),
  });
});

after(async () => {
  await sshd?.stop();
  await rm(directory, { recursive: true, force: true });
});

interface Login {
  readonly certificate: (publicKeyLine: string) => string;
  readonly hostName?: string;
  readonly knownHosts?: string;
}

async function login({ certificate, hostName = "web.berth", knownHosts }: Login): Promise<string> {
  const key = makeSshKey("test");
  const id = join(await mkdtemp(join(directory, "login-")), "id");
  await writeFile(id, key.privateKeyOpenssh, { mode: 0o600 });
  await writeFile(`${id}-cert.pub`, `${certificate(key.publicKeyLine)}\n`);
  await writeFile(
    `${id}.hosts`,
    knownHosts ?? `${knownHostsLine(hostCa.publicKeyLine, "*.berth")}\n`,
  );
  const options = [
    `HostKeyAlias=${hostName}`,
    `UserKnownHostsFile=${id}.hosts`,
    "GlobalKnownHostsFile=none",
    "StrictHostKeyChecking=yes",
    "IdentitiesOnly=yes",
    `IdentityFile=${id}`,
    "BatchMode=yes",
  ].flatMap((option) => ["-o", option]);
  const { stdout } = await run(
    ["ssh", "-F", "none", "-p", String(sshd.port), ...options, "dev@127.0.0.1", "id -un"],
    { timeoutMs: 5 * MINUTE_MS },
  );
  return stdout.trim();
}

const userCertificate =
  (authority = userCa, principals: readonly string[] = [BOX], valid = minutes(-1, 5)) =>
  (publicKeyLine: string) =>
    signUserCertificate(authority, { publicKeyLine, keyId: "usr_test", principals, ...valid });

test("sshd lets a certificate of our CA with the box's principal in, and ssh trusts the host's", async () => {
  assert.equal(await login({ certificate: userCertificate() }), "dev");
});

test("sshd refuses another principal, an expired certificate, one not yet valid, another CA, no certificate", async () => {
  const refused: Record<string, (line: string) => string> = {
    "another box": userCertificate(userCa, ["box_kjhgfedcba9876543210"]),
    expired: userCertificate(userCa, [BOX], minutes(-10, -1)),
    "not yet valid": userCertificate(userCa, [BOX], minutes(30, 60)),
    "another CA": userCertificate(otherCa),
    "the host CA": userCertificate(hostCa),
    "a host certificate": (publicKeyLine) =>
      signHostCertificate(userCa, {
        publicKeyLine,
        keyId: "x",
        principals: [BOX],
        ...minutes(-1, 5),
      }),
    "the bare key": (publicKeyLine) => publicKeyLine,
  };
  for (const [what, certificate] of Object.entries(refused)) {
    await assert.rejects(
      login({ certificate }),
      (error: RunError) => /Permission denied \(publickey\)/.test(error.stderr),
      what,
    );
  }
  // The same path with a good one: the refusals above are of the certificates, not of the set-up.
  assert.equal(await login({ certificate: userCertificate() }), "dev");
});

test("ssh refuses a host whose certificate is for another name or by another CA", async () => {
  const certificate = userCertificate();
  const failed = (error: RunError) => /Host key verification failed/.test(error.stderr);
  await assert.rejects(login({ certificate, hostName: "api.berth" }), failed);
  const knownHosts = `${knownHostsLine(otherCa.publicKeyLine, "*.berth")}\n`;
  await assert.rejects(login({ certificate, knownHosts }), failed);
  assert.equal(await login({ certificate, hostName: `${BOX}.berth` }), "dev");
});

test("ssh-keygen -L reads what we signed", async () => {
  const { publicKeyLine } = makeSshKey("test");
  const path = join(directory, "shown-cert.pub");
  await writeFile(path, `${userCertificate()(publicKeyLine)}\n`);
  const { stdout } = await run(["ssh-keygen", "-L", "-f", path]);
  assert.match(stdout, /ssh-ed25519-cert-v01@openssh\.com user certificate/);
  assert.match(stdout, /Key ID: "usr_test"/);
  assert.match(stdout, new RegExp(`Principals: \\n\\s+${BOX}\\n\\s+Critical Options: \\(none\\)`));
  assert.match(
    stdout,
    /Extensions: \n\s+permit-agent-forwarding\n\s+permit-port-forwarding\n\s+permit-pty\n/,
  );
});

test("keys of every accepted type can be certified, and ssh-keygen agrees", async () => {
  for (const type of ["ed25519", "ecdsa -b 256", "ecdsa -b 384", "ecdsa -b 521", "rsa -b 2048"]) {
    const path = join(directory, `id-${type.replaceAll(/\W/g, "")}`);
    await run(["ssh-keygen", "-q", "-t", ...type.split(" "), "-N", "", "-f", path]);
    const { stdout: line } = await run(["cat", `${path}.pub`]);
    await writeFile(`${path}-cert.pub`, userCertificate()(line));
    const { stdout } = await run(["ssh-keygen", "-L", "-f", `${path}-cert.pub`]);
    assert.match(stdout, new RegExp(`Principals: \\n\\s+${BOX}`), type);
  }
});

test("public key lines are read strictly", () => {
  const { publicKeyLine } = makeSshKey("me@laptop");
  assert.equal(parsePublicKey(`${publicKeyLine}\n`).comment, "me@laptop");
  const [type = "", base64 = ""] = publicKeyLine.split(" ");
  const bytes = Buffer.from(base64, "base64");
  const wrong: Record<string, string> = {
    empty: "",
    "no blob": type,
    options: `command="x" ${publicKeyLine}`,
    "two lines": `${publicKeyLine}\n${publicKeyLine}`,
    "control character": `${type} ${base64} a\u0007b`,
    "type differs inside": `ssh-rsa ${base64}`,
    "bytes left over": `${type} ${Buffer.concat([bytes, Buffer.from([0])]).toString("base64")}`,
    "bytes missing": `${type} ${bytes.subarray(0, -1).toString("base64")}`,
    "not canonical base64": `${type} ${base64.slice(0, -1)}`,
    "dss is too old": `ssh-dss ${base64}`,
    "a certificate": userCertificate()(publicKeyLine),
    "too long": `${publicKeyLine}${"x".repeat(20_000)}`,
  };
  for (const [what, line] of Object.entries(wrong))
    assert.throws(() => parsePublicKey(line), SshKeyError, what);
});

test("a certificate without principals, or with one that is a pattern, is never signed", () => {
  const { publicKeyLine } = makeSshKey("test");
  for (const principals of [[], [""], ["*"], ["a,b"], ["a b"]])
    assert.throws(() => userCertificate(userCa, principals)(publicKeyLine), SshKeyError);
  assert.throws(() => userCertificate(userCa, [BOX], minutes(5, 5))(publicKeyLine), SshKeyError);
});
