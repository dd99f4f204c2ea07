// The key that signs heads and anchors of audit chains: Ed25519, kept as an authority, so that all replicas have one.

import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from "node:crypto";

export interface AuditKey {
  /** In base64. */
  readonly sign: (text: string) => string;
  /** For whoever checks. */
  readonly publicKeyPem: string;
}

/** As PEM. */
export function makeAuditKey(): string {
  const { privateKey } = generateKeyPairSync("ed25519");
  return privateKey.export({ type: "pkcs8", format: "pem" }) as string;
}

export function loadAuditKey(privateKeyPem: string): AuditKey {
  const key = createPrivateKey(privateKeyPem);
  return {
    sign: (text) => sign(null, Buffer.from(text), key).toString("base64"),
    publicKeyPem: createPublicKey(key).export({ type: "spki", format: "pem" }) as string,
  };
}
