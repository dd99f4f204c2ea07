// Makes ed25519 keys as OpenSSH writes them: host keys of boxes, and the user keys of minutes that
// `berth ssh` enters with.

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { SshReader, sshString, uint32 } from "./ssh-wire.ts";

export interface SshKeyPair {
  /** Content of id_ed25519 or ssh_host_ed25519_key: keep it in a file of mode 0600. */
  readonly privateKeyOpenssh: string;
  /** Content of the .pub file, without a line end. */
  readonly publicKeyLine: string;
}

const TYPE = "ssh-ed25519";
const MAGIC = "openssh-key-v1\0";
/** The unencrypted format pads to this size. */
const BLOCK_BYTES = 8;

export function makeSshKey(comment: string): SshKeyPair {
  const { privateKey } = generateKeyPairSync("ed25519");
  const jwk = privateKey.export({ format: "jwk" });
  const seed = Buffer.from(jwk.d ?? "", "base64url");
  const point = Buffer.from(jwk.x ?? "", "base64url");
  const publicBlob = Buffer.concat([sshString(TYPE), sshString(point)]);
  return {
    privateKeyOpenssh: printPrivateKey(publicBlob, seed, point, comment),
    publicKeyLine: `${TYPE} ${publicBlob.toString("base64")} ${comment}`,
  };
}

export function makeHostKey(): SshKeyPair {
  return makeSshKey("berth-box");
}

/** Reads the public half, which stands unencrypted in a private key file. Throws when it is none of ours. */
export function publicKeyLineOf(privateKeyOpenssh: string): string {
  const base64 = privateKeyOpenssh.replace(/-----[A-Z ]+-----|\s/g, "");
  const reader = new SshReader(Buffer.from(base64, "base64"));
  if (reader.take(MAGIC.length).toString() !== MAGIC) throw new Error("is not an OpenSSH key");
  for (let skipped = 0; skipped < 3; skipped += 1) reader.string(); // cipher, kdf, its options
  reader.uint32();
  const blob = reader.string();
  if (new SshReader(blob).string().toString() !== TYPE) throw new Error(`is not an ${TYPE} key`);
  return `${TYPE} ${blob.toString("base64")}`;
}

/** The layout of PROTOCOL.key in OpenSSH's sources, without encryption. */
function printPrivateKey(publicBlob: Buffer, seed: Buffer, point: Buffer, comment: string): string {
  const check = randomBytes(4); // Written twice: how a wrong passphrase is noticed.
  const secret = Buffer.concat([
    check,
    check,
    publicBlob,
    sshString(Buffer.concat([seed, point])),
    sshString(comment),
  ]);
  const padding = Buffer.from(
    Array.from(
      { length: (BLOCK_BYTES - (secret.length % BLOCK_BYTES)) % BLOCK_BYTES },
      (_, i) => i + 1,
    ),
  );
  const key = Buffer.concat([
    Buffer.from(MAGIC),
    sshString("none"),
    sshString("none"),
    sshString(""),
    uint32(1),
    sshString(publicBlob),
    sshString(Buffer.concat([secret, padding])),
  ]);
  const lines = key.toString("base64").match(/.{1,70}/g) ?? [];
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join("\n")}\n-----END OPENSSH PRIVATE KEY-----\n`;
}
