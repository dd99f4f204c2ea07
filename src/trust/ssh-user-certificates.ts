// Reads and checks OpenSSH user certificates, as the gateway's SSH door is shown them. What it does not know it
// refuses: another authority's kind of key, a critical option, a certificate inside a certificate.

import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { SshReader } from "#lib/ssh-wire.ts";
import { parsePublicKey, SshKeyError } from "./ssh-certificates.ts";

/** Ours, and for a user, but over. Whoever shows it must still prove that it is theirs before it says who they are. */
export class ExpiredCertificate extends SshKeyError {
  readonly certificate: UserCertificate;
  constructor(certificate: UserCertificate) {
    super("the certificate has expired");
    this.certificate = certificate;
  }
}

export interface UserCertificate {
  readonly keyId: string;
  readonly principals: readonly string[];
  readonly notAfterMs: number;
  readonly extensions: ReadonlySet<string>;
  /** Checks what the key's holder signed: `signature` is a blob of algorithm and bytes. */
  verifies(signed: Buffer, signature: Buffer): boolean;
}

const TYPE = "ssh-ed25519-cert-v01@openssh.com";
const KEY_TYPE = "ssh-ed25519";
const USER = 1;
const ED25519_BYTES = 32;
/** SubjectPublicKeyInfo of ed25519 (RFC 8410), before the 32 bytes of the key. */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
const FOREVER = 2n ** 64n - 1n;

/** The certificate type that `ssh` presents for the keys that Berth certifies at this door. */
export const USER_CERTIFICATE_TYPE = TYPE;

/** Throws SshKeyError: not ours, not valid now, not for a user, or with options that we do not know. */
export function checkUserCertificate(
  blob: Buffer,
  { userCa, nowMs }: { readonly userCa: string; readonly nowMs: number },
): UserCertificate {
  try {
    return read(blob, parsePublicKey(userCa).blob, nowMs);
  } catch (error) {
    if (error instanceof SshKeyError) throw error;
    throw new SshKeyError(`the certificate ${(error as Error).message}`, { cause: error });
  }
}

function read(blob: Buffer, authority: Buffer, nowMs: number): UserCertificate {
  const reader = new SshReader(blob);
  const type = reader.string().toString();
  if (type !== TYPE) throw new Error(`is of type ${type}; this door takes ${TYPE}`);
  reader.string(); // nonce
  const holder = ed25519(reader.string());
  reader.uint64(); // serial
  const kind = reader.uint32();
  const keyId = reader.string().toString();
  const principals = listOf(reader.string());
  const after = reader.uint64();
  const before = reader.uint64();
  const criticalOptions = reader.string();
  const extensions = new Set(pairsOf(reader.string()));
  reader.string(); // reserved
  const signedBy = reader.string();
  const signedBytes = blob.subarray(0, blob.length - reader.rest().length);
  const signature = reader.string();
  reader.end();
  if (!signedBy.equals(authority)) throw new Error("is by another authority");
  if (!verifies(ed25519Of(authority), signedBytes, signature)) throw new Error("is not signed");
  if (kind !== USER) throw new Error("is not for a user");
  if (criticalOptions.length > 0)
    throw new Error(`has options that this door does not know: ${pairsOf(criticalOptions)}`);
  const nowS = BigInt(Math.floor(nowMs / 1000));
  if (nowS < after) throw new Error("is not valid yet");
  if (principals.length === 0) throw new Error("names nobody");
  const certificate: UserCertificate = {
    keyId,
    principals,
    notAfterMs: Number(before) * 1000,
    extensions,
    verifies: (signed, by) => verifies(holder, signed, by),
  };
  if (before === FOREVER || nowS >= before) throw new ExpiredCertificate(certificate);
  return certificate;
}

function verifies(key: KeyObject, signed: Buffer, signature: Buffer): boolean {
  const reader = new SshReader(signature);
  if (reader.string().toString() !== KEY_TYPE) return false;
  const bytes = reader.string();
  reader.end();
  return verify(null, signed, key, bytes);
}

/** From a public key blob. */
function ed25519Of(blob: Buffer): KeyObject {
  const reader = new SshReader(blob);
  if (reader.string().toString() !== KEY_TYPE) throw new Error("is not by an ed25519 authority");
  const key = ed25519(reader.string());
  reader.end();
  return key;
}

function ed25519(point: Buffer): KeyObject {
  if (point.length !== ED25519_BYTES) throw new Error("has no ed25519 key");
  return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, point]), format: "der", type: "spki" });
}

function listOf(packed: Buffer): string[] {
  const reader = new SshReader(packed);
  const items: string[] = [];
  while (reader.rest().length > 0) items.push(reader.string().toString());
  return items;
}

/** Names of a list of (name, value). */
function pairsOf(packed: Buffer): string[] {
  return listOf(packed).filter((_, index) => index % 2 === 0);
}
