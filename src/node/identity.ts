// Who this node is: a key made here, and a certificate got for a join token, later for the certificate before. It is
// the only thing that an agent keeps on disk for itself.

import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Agent as HttpAgent, request } from "undici";
import { type Joined, joinedSchema, renewedSchema } from "#contract/node-protocol.ts";
import { makeKeyAndCsr } from "#trust/x509.ts";

export interface NodeIdentity extends Joined {
  readonly privateKeyPem: string;
}

export interface JoinOptions {
  readonly nodeApiUrl: string;
  /** The authority's certificate: the server must prove itself before it is shown the token. */
  readonly caPem: string;
  readonly token: string;
  readonly name: string;
  readonly region: string;
  readonly labels: Readonly<Record<string, string>>;
}

const FILE = "identity.json";
const ANSWER_MS = 30_000;

/** Null before the node has joined. */
export async function readNodeIdentity(directory: string): Promise<NodeIdentity | null> {
  try {
    return JSON.parse(await readFile(join(directory, FILE), "utf8")) as NodeIdentity;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

/** Spends the token and keeps what it gave. A crash in between costs a token, and nothing else. */
export async function joinNode(directory: string, options: JoinOptions): Promise<NodeIdentity> {
  const { token, name, region, labels, nodeApiUrl, caPem } = options;
  const { privateKeyPem, csrPem } = await makeKeyAndCsr();
  const dispatcher = new HttpAgent({
    connect: { ca: caPem, minVersion: "TLSv1.3" },
    headersTimeout: ANSWER_MS,
  });
  try {
    const { statusCode, body } = await request(`${nodeApiUrl}/node/v1/join`, {
      dispatcher,
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token, name, csrPem, region, labels }),
    });
    const text = await body.text();
    if (statusCode !== 200 && statusCode !== 201)
      throw new Error(
        `joining as ${name} was refused with ${statusCode}: ${text}. Ask for a new join token`,
      );
    const identity = { ...joinedSchema.parse(JSON.parse(text)), privateKeyPem };
    await writeDurably(join(directory, FILE), JSON.stringify(identity));
    return identity;
  } finally {
    await dispatcher.destroy();
  }
}

/** A new key, and a certificate for it by the one that is still good. A crash in between leaves the old ones. */
export async function renewNode(
  directory: string,
  identity: NodeIdentity,
  nodeApiUrl: string,
): Promise<NodeIdentity> {
  const { privateKeyPem, csrPem } = await makeKeyAndCsr();
  const dispatcher = new HttpAgent({
    connect: {
      ...{ ca: identity.caPem, cert: identity.certificatePem, key: identity.privateKeyPem },
      minVersion: "TLSv1.3",
    },
    headersTimeout: ANSWER_MS,
  });
  try {
    const { statusCode, body } = await request(`${nodeApiUrl}/node/v1/renew`, {
      dispatcher,
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ csrPem }),
    });
    const text = await body.text();
    if (statusCode !== 200)
      throw new Error(`the certificate was not renewed (${statusCode}): ${text}`);
    const renewed = { ...identity, ...renewedSchema.parse(JSON.parse(text)), privateKeyPem };
    await writeDurably(join(directory, FILE), JSON.stringify(renewed));
    return renewed;
  } finally {
    await dispatcher.destroy();
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(`${path}.new`, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}
