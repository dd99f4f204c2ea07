// Berth's own certificate authority (X.509, P-256) for the TLS between its parts. Who a certificate
// is for: the common name is the node's or gateway's id, the organizational unit is its role.

import "reflect-metadata";
import { randomBytes, type webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

/**
 * - `node`: dials the control plane and gateways; never serves
 * - `gateway`: serves the node door, and dials the control plane
 * - `server`: serves the node API
 */
export const TLS_ROLES = ["node", "gateway", "server"] as const;
export type TlsRole = (typeof TLS_ROLES)[number];

export interface CertificatePem {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

export interface TlsIdentity {
  readonly role: TlsRole;
  /** Common name: a node id for a node. */
  readonly name: string;
}

export interface CertificateAuthority {
  readonly certificatePem: string;
  /** Signs a node's request: what the request says about itself is ignored, only its key is used. */
  signNodeCsr(csrPem: string, options: { nodeId: string } & Validity): Promise<string>;
  /** Signs a gateway's request: as a node's, and valid to serve under the given names too. */
  signGatewayCsr(
    csrPem: string,
    options: { name: string; hosts: readonly string[] } & Validity,
  ): Promise<string>;
  /** A key and a certificate for TLS servers, under DNS names and IP addresses. */
  makeServerCertificate(
    options: { name: string; hosts: readonly string[]; role: "gateway" | "server" } & Validity,
  ): Promise<CertificatePem>;
}

interface Validity {
  readonly nowMs: number;
  readonly lifetimeMs: number;
}

const KEY_ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const AUTHORITY_LIFETIME_MS = 20 * 365 * 86_400_000;
/** Certificates begin a little in the past, for clocks that are behind. */
const BACKDATE_MS = 5 * 60_000;
const MAX_CSR_BYTES = 16_384;
const NAME_PATTERN = /^[A-Za-z0-9._-]{1,64}$/;

const { clientAuth, serverAuth } = x509.ExtendedKeyUsage;
const USAGES: Readonly<Record<TlsRole, readonly x509.ExtendedKeyUsage[]>> = {
  node: [clientAuth],
  gateway: [clientAuth, serverAuth],
  server: [serverAuth],
};

export class CsrError extends Error {
  override readonly name = "CsrError";
}

/** Makes a new authority; keep both files of it in the state directory. */
export async function makeCertificateAuthority(nowMs: number): Promise<CertificatePem> {
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: makeSerial(),
    name: "CN=Berth CA",
    notBefore: new Date(nowMs - BACKDATE_MS),
    notAfter: new Date(nowMs + AUTHORITY_LIFETIME_MS),
    keys,
    signingAlgorithm: KEY_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificatePem: certificate.toString("pem"), privateKeyPem: await printKey(keys) };
}

/** A key and a request for it; the key never leaves the machine that makes it. */
export async function makeKeyAndCsr(): Promise<{ privateKeyPem: string; csrPem: string }> {
  const keys = await makeKeys();
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    name: "CN=berth",
    keys,
    signingAlgorithm: KEY_ALGORITHM,
  });
  return { privateKeyPem: await printKey(keys), csrPem: csr.toString("pem") };
}

export async function loadCertificateAuthority(pem: CertificatePem): Promise<CertificateAuthority> {
  const authority = new x509.X509Certificate(pem.certificatePem);
  const der = x509.PemConverter.decodeFirst(pem.privateKeyPem);
  const signingKey = await crypto.subtle.importKey("pkcs8", der, KEY_ALGORITHM, false, ["sign"]);
  const issue = async (
    publicKey: webcrypto.CryptoKey | x509.PublicKey,
    subject: TlsIdentity & { hosts: readonly string[] } & Validity,
  ): Promise<string> => {
    const { role, name, hosts, nowMs, lifetimeMs } = subject;
    if (!NAME_PATTERN.test(name)) throw new CsrError(`'${name}' cannot be a certificate's name`);
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: makeSerial(),
      subject: [{ CN: [name] }, { OU: [role] }],
      issuer: authority.subject,
      notBefore: new Date(nowMs - BACKDATE_MS),
      notAfter: new Date(nowMs + lifetimeMs),
      publicKey: publicKey as x509.PublicKeyType,
      signingKey,
      signingAlgorithm: KEY_ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([...USAGES[role]], true),
        await x509.AuthorityKeyIdentifierExtension.create(authority),
        ...(hosts.length > 0 ? [new x509.SubjectAlternativeNameExtension(hosts.map(toSan))] : []),
      ],
    });
    return certificate.toString("pem");
  };
  return {
    certificatePem: pem.certificatePem,
    signNodeCsr: async (csrPem, { nodeId, nowMs, lifetimeMs }) =>
      issue(await readCsr(csrPem), { role: "node", name: nodeId, hosts: [], nowMs, lifetimeMs }),
    signGatewayCsr: async (csrPem, options) =>
      issue(await readCsr(csrPem), { role: "gateway", ...options }),
    makeServerCertificate: async (options) => {
      const keys = await makeKeys();
      const certificatePem = await issue(keys.publicKey, options);
      return { certificatePem, privateKeyPem: await printKey(keys) };
    },
  };
}

/** Reads the role and name of a peer that TLS has verified against our authority; null: not ours. */
export function identityOf(peer: {
  readonly subject?: { readonly CN?: unknown; readonly OU?: unknown };
}): TlsIdentity | null {
  const { CN: name, OU: unit } = peer.subject ?? {};
  const role = TLS_ROLES.find((candidate) => candidate === unit);
  return role && typeof name === "string" && NAME_PATTERN.test(name) ? { role, name } : null;
}

/** Names under which a peer that TLS has verified may serve. */
export function hostsOf(peer: { readonly subjectaltname?: string | undefined }): string[] {
  return (peer.subjectaltname ?? "")
    .split(", ")
    .map((one) => /^(?:DNS|IP Address):([^"\s]+)$/.exec(one)?.[1])
    .filter((host) => host !== undefined);
}

/** Two thirds of its life are over: a third is left to find the control plane in. */
export function isRenewalDue(certificatePem: string, nowMs: number): boolean {
  const { fromMs, toMs } = validityOf(certificatePem);
  return nowMs >= fromMs + ((toMs - fromMs) * 2) / 3;
}

export function isExpired(certificatePem: string, nowMs: number): boolean {
  return nowMs >= validityOf(certificatePem).toMs;
}

function validityOf(certificatePem: string): { fromMs: number; toMs: number } {
  const { notBefore, notAfter } = new x509.X509Certificate(certificatePem);
  return { fromMs: notBefore.getTime(), toMs: notAfter.getTime() };
}

async function readCsr(csrPem: string): Promise<x509.PublicKey> {
  try {
    if (csrPem.length > MAX_CSR_BYTES) throw new Error("it is too long");
    const csr = new x509.Pkcs10CertificateRequest(csrPem);
    if (!(await csr.verify())) throw new Error("its signature is wrong");
    const { name, namedCurve } = csr.publicKey.algorithm as { name: string; namedCurve?: string };
    if (name !== "ECDSA" || namedCurve !== "P-256") throw new Error("its key is not ECDSA P-256");
    return csr.publicKey;
  } catch (error) {
    throw new CsrError("the certificate request cannot be used", { cause: error });
  }
}

function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(KEY_ALGORITHM, true, ["sign", "verify"]);
}

async function printKey(keys: webcrypto.CryptoKeyPair): Promise<string> {
  const der = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return x509.PemConverter.encode(der, "PRIVATE KEY");
}

/** 127 random bits: positive, and never the same twice. */
function makeSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

function toSan(host: string): x509.JsonGeneralName {
  const isAddress = /^[\d.]+$/.test(host) || host.includes(":");
  return { type: isAddress ? "ip" : "dns", value: host };
}
