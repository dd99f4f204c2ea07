// OpenSSH certificates, minted on node:crypto: user certificates of minutes, and host certificates for
// boxes, both signed by an ed25519 authority. The layout is PROTOCOL.certkeys in OpenSSH's sources.

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
} from "node:crypto";
import { SshReader, sshString, uint32, uint64 } from "#lib/ssh-wire.ts";

export class SshKeyError extends Error {
  override readonly name = "SshKeyError";
}

export interface SshPublicKey {
  readonly type: string;
  readonly blob: Buffer;
  readonly comment: string;
}

export interface SshAuthority {
  readonly publicKeyLine: string;
  /** A signature blob: algorithm, then the bytes. */
  sign(bytes: Buffer): Buffer;
}

interface CertificateOptions {
  /** The key to certify, as a public key line. */
  readonly publicKeyLine: string;
  /** Shown in the log of the sshd that accepts it. */
  readonly keyId: string;
  readonly principals: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface UserCertificateOptions extends CertificateOptions {
  readonly extensions?: readonly UserExtension[];
}

export type UserExtension =
  | "permit-agent-forwarding"
  | "permit-port-forwarding"
  | "permit-pty"
  | "permit-user-rc"
  | "permit-X11-forwarding";

const USER = 1;
const HOST = 2;
const SERIAL_BYTES = 8;
const NONCE_BYTES = 32;
const MAX_LINE_BYTES = 16_384;
const RSA_MODULUS_BYTES = { min: 256, max: 1024 };

/** What a box's sshd lets a user do. Agent forwarding is used only when the user's ssh asks for it. */
const USER_EXTENSIONS: readonly UserExtension[] = [
  "permit-agent-forwarding",
  "permit-port-forwarding",
  "permit-pty",
];

/** For each key type: its certificate's type, and what its fields must be. */
const KEY_TYPES: Readonly<
  Record<string, { certificate: string; check: (key: SshReader) => void }>
> = {
  "ssh-ed25519": {
    certificate: "ssh-ed25519-cert-v01@openssh.com",
    check: (key) => expectBytes(key.string(), 32),
  },
  "sk-ssh-ed25519@openssh.com": {
    certificate: "sk-ssh-ed25519-cert-v01@openssh.com",
    check: (key) => {
      expectBytes(key.string(), 32);
      key.string();
    },
  },
  "ecdsa-sha2-nistp256": ecdsa("nistp256", 65),
  "ecdsa-sha2-nistp384": ecdsa("nistp384", 97),
  "ecdsa-sha2-nistp521": ecdsa("nistp521", 133),
  "sk-ecdsa-sha2-nistp256@openssh.com": {
    certificate: "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    check: (key) => {
      expectCurve(key, "nistp256", 65);
      key.string();
    },
  },
  "ssh-rsa": {
    certificate: "ssh-rsa-cert-v01@openssh.com",
    check: (key) => {
      key.string();
      const modulus = key.string();
      const bytes = modulus[0] === 0 ? modulus.length - 1 : modulus.length;
      if (bytes < RSA_MODULUS_BYTES.min || bytes > RSA_MODULUS_BYTES.max)
        throw new Error(`has ${bytes * 8} bits; RSA keys need 2048 to 8192`);
    },
  },
};

function ecdsa(curve: string, pointBytes: number) {
  return {
    certificate: `ecdsa-sha2-${curve}-cert-v01@openssh.com`,
    check: (key: SshReader) => expectCurve(key, curve, pointBytes),
  };
}

function expectCurve(key: SshReader, curve: string, pointBytes: number): void {
  if (key.string().toString() !== curve) throw new Error(`is not on the curve ${curve}`);
  expectBytes(key.string(), pointBytes);
}

function expectBytes(field: Buffer, length: number): void {
  if (field.length !== length) throw new Error(`has ${field.length} bytes where ${length} belong`);
}

/** Makes the key of a new authority, as PKCS#8 PEM. */
export function makeSshAuthorityKey(): string {
  const { privateKey } = generateKeyPairSync("ed25519");
  return privateKey.export({ format: "pem", type: "pkcs8" }) as string;
}

export function loadSshAuthority(privateKeyPem: string, comment: string): SshAuthority {
  const key = createPrivateKey(privateKeyPem);
  if (key.asymmetricKeyType !== "ed25519")
    throw new SshKeyError(`the SSH authority's key is ${key.asymmetricKeyType}, not ed25519`);
  const { x = "" } = createPublicKey(key).export({ format: "jwk" });
  const blob = Buffer.concat([sshString("ssh-ed25519"), sshString(Buffer.from(x, "base64url"))]);
  return {
    publicKeyLine: `ssh-ed25519 ${blob.toString("base64")} ${comment}`,
    sign: (bytes) => Buffer.concat([sshString("ssh-ed25519"), sshString(sign(null, bytes, key))]),
  };
}

/**
 * Reads one line of an id.pub file. Nothing is guessed: an unknown type, bytes left over, a second
 * line, or a certificate in the place of a key is refused.
 */
export function parsePublicKey(line: string): SshPublicKey {
  const text = line.replace(/\r?\n$/, "");
  if (text.length > MAX_LINE_BYTES || /[^\x20-\x7e]/.test(text))
    throw new SshKeyError("the public key must be one line of printable ASCII");
  const match = /^([a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})(?: (.*))?$/.exec(text);
  const [, type = "", base64 = "", comment = ""] = match ?? [];
  if (!match) throw new SshKeyError("expected 'TYPE BASE64 [COMMENT]', as in id_ed25519.pub");
  const known = KEY_TYPES[type];
  if (!known)
    throw new SshKeyError(
      `keys of type ${type} are not accepted; use one of ${Object.keys(KEY_TYPES).join(", ")}`,
    );
  const blob = Buffer.from(base64, "base64");
  try {
    if (blob.toString("base64") !== base64) throw new Error("is not valid base64");
    const reader = new SshReader(blob);
    if (reader.string().toString() !== type) throw new Error("says another type inside");
    known.check(reader);
    reader.end();
  } catch (error) {
    throw new SshKeyError(`the ${type} key ${(error as Error).message}`, { cause: error });
  }
  return { type, blob, comment };
}

/** Content of id-cert.pub: lets the key's holder log in under the given principals. */
export function signUserCertificate(
  authority: SshAuthority,
  options: UserCertificateOptions,
): string {
  const extensions = [...(options.extensions ?? USER_EXTENSIONS)].sort();
  return signCertificate(authority, USER, options, extensions);
}

/** Content of ssh_host_ed25519_key-cert.pub: proves that a host may use the given names. */
export function signHostCertificate(authority: SshAuthority, options: CertificateOptions): string {
  return signCertificate(authority, HOST, options, []);
}

function signCertificate(
  authority: SshAuthority,
  kind: typeof USER | typeof HOST,
  options: CertificateOptions,
  extensions: readonly string[],
): string {
  // OpenSSH takes a certificate without principals for every user or every host.
  if (options.principals.length === 0 || options.principals.some((name) => !isPrincipal(name)))
    throw new SshKeyError("a certificate needs principals of plain characters");
  if (!(options.notBeforeMs < options.notAfterMs))
    throw new SshKeyError("a certificate must end after it begins");
  const key = parsePublicKey(options.publicKeyLine);
  const type = KEY_TYPES[key.type]?.certificate ?? "";
  const fields = new SshReader(key.blob);
  fields.string();
  const signedBytes = Buffer.concat([
    sshString(type),
    sshString(randomBytes(NONCE_BYTES)),
    fields.rest(),
    uint64(randomBytes(SERIAL_BYTES).readBigUInt64BE()),
    uint32(kind),
    sshString(options.keyId),
    sshString(Buffer.concat(options.principals.map(sshString))),
    uint64(BigInt(Math.floor(options.notBeforeMs / 1000))),
    uint64(BigInt(Math.floor(options.notAfterMs / 1000))),
    sshString(""), // critical options
    sshString(Buffer.concat(extensions.flatMap((name) => [sshString(name), sshString("")]))),
    sshString(""), // reserved
    sshString(parsePublicKey(authority.publicKeyLine).blob),
  ]);
  const whole = Buffer.concat([signedBytes, sshString(authority.sign(signedBytes))]);
  return `${type} ${whole.toString("base64")} ${key.comment || options.keyId}`.trimEnd();
}

/** A comma would split it, a space would end it, a pattern would widen it. */
function isPrincipal(name: string): boolean {
  return /^[A-Za-z0-9._-]+$/.test(name);
}

/** A known_hosts line: every host of the pattern is trusted when its certificate is by this authority. */
export function knownHostsLine(authorityPublicKeyLine: string, hostPattern: string): string {
  return `@cert-authority ${hostPattern} ${authorityPublicKeyLine}`;
}
