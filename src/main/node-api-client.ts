// What a gateway's process asks of the node API: to join once, and a new certificate before its own runs out.
// The server must prove itself by the authority's certificate, which stands in a file of the state directory.

import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { dirname } from "node:path";
import { isExpired, makeKeyAndCsr } from "#trust/x509.ts";

export interface TlsIdentityFiles {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly caPem: string;
  /** Names that the certificate was asked for. */
  readonly hosts: readonly string[];
}

const TIMEOUT_MS = 10_000;

/** The identity kept at `path`, when it is good for all the names, and still good. */
export async function readIdentity(
  path: string,
  hosts: readonly string[],
  nowMs: number,
): Promise<TlsIdentityFiles | null> {
  try {
    const identity = JSON.parse(await readFile(path, "utf8")) as TlsIdentityFiles;
    const isGood = !isExpired(identity.certificatePem, nowMs);
    return isGood && hosts.every((host) => identity.hosts.includes(host)) ? identity : null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" || error instanceof SyntaxError)
      return null;
    throw error;
  }
}

/** Spends the token. A crash before the identity is written costs a token, and nothing else. */
export async function joinGateway(options: {
  readonly nodeApiUrl: string;
  readonly caPem: string;
  readonly token: string;
  readonly name: string;
  readonly hosts: readonly string[];
  readonly identityPath: string;
}): Promise<TlsIdentityFiles> {
  const { privateKeyPem, csrPem } = await makeKeyAndCsr();
  const joined = await call<{ certificatePem: string; caPem: string }>({
    url: `${options.nodeApiUrl}/node/v1/join-gateway`,
    method: "POST",
    ca: options.caPem,
    body: { token: options.token, name: options.name, csrPem, hosts: options.hosts },
  });
  const identity = { ...joined, privateKeyPem, hosts: options.hosts };
  await writeIdentity(options.identityPath, identity);
  return identity;
}

/** A new key, and a certificate for it by the one that is still good. */
export async function renewGateway(
  identityPath: string,
  identity: TlsIdentityFiles,
  nodeApiUrl: string,
): Promise<TlsIdentityFiles> {
  const { privateKeyPem, csrPem } = await makeKeyAndCsr();
  const renewed = await call<{ certificatePem: string; caPem: string }>({
    ...{ url: `${nodeApiUrl}/node/v1/renew-gateway`, method: "POST", body: { csrPem } },
    ...{ ca: identity.caPem, cert: identity.certificatePem, key: identity.privateKeyPem },
  });
  const next = { ...identity, ...renewed, privateKeyPem };
  await writeIdentity(identityPath, next);
  return next;
}

async function writeIdentity(path: string, identity: TlsIdentityFiles): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(`${path}.new`, JSON.stringify(identity), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

interface Call {
  readonly url: string;
  readonly method: "POST";
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
  readonly body?: unknown;
}

function call<T>({ url, method, body, ...tls }: Call): Promise<T> {
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        ...tls,
        method,
        agent: false,
        timeout: TIMEOUT_MS,
        headers: { "content-type": "application/json" },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          if (response.statusCode === 200 || response.statusCode === 201)
            resolve(JSON.parse(text) as T);
          else reject(new Error(`${method} ${url} answered ${response.statusCode}: ${text}`));
        });
      },
    );
    sent.on("timeout", () => sent.destroy(new Error(`${url} does not answer`)));
    sent.on("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
