// Makes a box's SSH host key on the host, so that its certificate is ready before the guest has it.

import { generateKeyPairSync, randomBytes } from "node:crypto";

export interface SshHostKey {
  /** OpenSSH private key file. */
  readonly privateKey: string;
  /** Public key line: `ssh-ed25519 AAAA... COMMENT`. */
  readonly publicKey: string;
}

const TYPE = "ssh-ed25519";

export function makeSshHostKey(comment: string): SshHostKey {
  const jwk = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  const seed = Buffer.from(jwk.d ?? "", "base64url");
  const point = Buffer.from(jwk.x ?? "", "base64url");
  const publicBlob = Buffer.concat([text(TYPE), text(point)]);
  const check = randomBytes(4);
  const body = Buffer.concat([
    ...[check, check, text(TYPE), text(point), text(Buffer.concat([seed, point])), text(comment)],
  ]);
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7]).subarray(0, (8 - (body.length % 8)) % 8);
  const file = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    ...[text("none"), text("none"), text(""), u32(1), text(publicBlob)],
    text(Buffer.concat([body, padding])),
  ]);
  const lines = file.toString("base64").match(/.{1,70}/g) ?? [];
  return {
    privateKey: `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join("\n")}\n-----END OPENSSH PRIVATE KEY-----\n`,
    publicKey: `${TYPE} ${publicBlob.toString("base64")} ${comment}`,
  };
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function text(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u32(bytes.length), bytes]);
}
