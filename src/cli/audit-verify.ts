// Checks an audit chain without believing who keeps it: every hash is taken again, and the chain must go through the
// signed heads that lie elsewhere: in the object store, and in the file of what was verified before.

import { createHash, createPublicKey, verify } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import type { SignedAuditMark } from "#domain/audit.ts";
import {
  type AuditCheck,
  type AuditFault,
  type AuditTools,
  checkLine,
  endCheck,
  isFault,
  startCheck,
} from "#domain/audit-check.ts";
import type { BerthClient } from "#sdk/client.ts";
import { CliError } from "./exit.ts";

export interface AuditVerdict {
  readonly chain: string;
  readonly isWhole: boolean;
  /** How many entries were checked. */
  readonly entries: number;
  /** The place and hash that was reached. */
  readonly seq: number;
  readonly hash: string;
  readonly fault: AuditFault | null;
  /** Signed heads from elsewhere that the chain goes through. */
  readonly met: readonly string[];
  /** Those that retention has left behind. */
  readonly unseen: readonly string[];
}

/** What was verified before. Whoever could change the chain must not be able to change this file. */
interface Kept {
  readonly publicKeyPem: string;
  readonly heads: Readonly<Record<string, SignedAuditMark>>;
}

export interface Verification {
  readonly lines: AsyncIterable<string>;
  /** Null: of the first line. */
  readonly chain: string | null;
  /** With where each is from. */
  readonly heads: readonly (readonly [string, SignedAuditMark])[];
  readonly publicKeyPem: string;
}

export async function verifyLines(wanted: Verification): Promise<AuditVerdict> {
  const tools = toolsOf(wanted.publicKeyPem);
  const heads = wanted.heads.map(([, head]) => head);
  let at: AuditCheck | null = null;
  for await (const line of wanted.lines) {
    if (line === "") continue;
    const step: AuditCheck | AuditFault =
      at ?? startCheck(wanted.chain ?? chainOf(line), heads, tools);
    const next: AuditCheck | AuditFault = isFault(step) ? step : checkLine(step, line, tools);
    if (isFault(next)) return verdict(wanted, at, next);
    at = next;
  }
  const step = at ?? startCheck(wanted.chain ?? "", heads, tools);
  const end = isFault(step) ? step : endCheck(step);
  return isFault(end) ? verdict(wanted, at, end) : verdict(wanted, end, null);
}

function verdict(
  { chain, heads }: Verification,
  at: AuditCheck | null,
  fault: AuditFault | null,
): AuditVerdict {
  const left = new Set([...(at?.awaited ?? []), ...(at?.unseen ?? [])]);
  const unseen = new Set(at?.unseen ?? []);
  return {
    chain: at?.chain ?? chain ?? "",
    isWhole: fault === null,
    ...{ entries: at?.entries ?? 0, seq: at?.seq ?? 0, hash: at?.hash ?? "", fault },
    met: heads.filter(([, head]) => fault === null && !left.has(head)).map(([from]) => from),
    unseen: heads.filter(([, head]) => unseen.has(head)).map(([from]) => from),
  };
}

/** Fetches the chain and checks it, also against what lies in the object store and what was verified before. */
export async function verifyLive(
  client: BerthClient,
  scope: "org" | "installation",
  keepPath: string | null,
  signal: AbortSignal,
): Promise<AuditVerdict> {
  const { head, exported, publicKeyPem } = await client.audit.head({ scope }, { signal });
  const kept = keepPath === null ? null : await readKept(keepPath);
  if (kept && kept.publicKeyPem !== publicKeyPem)
    throw new CliError("The installation signs with another key than when it was verified last.", {
      next: `If nobody has set it up anew, somebody pretends to be it. To begin anew, remove ${keepPath}.`,
    });
  const before = kept?.heads[head.chain];
  const heads: (readonly [string, SignedAuditMark])[] = [["the server's head", head]];
  if (exported) heads.push([`the object store's head of ${exported.at}`, exported]);
  if (before) heads.push([`what was verified at ${before.at}`, before]);
  const lines = client.audit.export({ scope }, signal);
  const result = await verifyLines({ lines, chain: head.chain, heads, publicKeyPem });
  if (keepPath !== null && result.isWhole)
    await writeKept(keepPath, { publicKeyPem, heads: { ...kept?.heads, [head.chain]: head } });
  return result;
}

/** Checks an export that was kept. The key is of the file of what was verified before, or given. */
export async function verifyFile(
  lines: AsyncIterable<string>,
  keyPath: string | null,
  keepPath: string | null,
): Promise<AuditVerdict> {
  const kept = keepPath === null ? null : await readKept(keepPath);
  const publicKeyPem = keyPath === null ? kept?.publicKeyPem : await readFile(keyPath, "utf8");
  if (publicKeyPem === undefined)
    throw new CliError("Nobody says by which key the export is signed.", {
      next: "Give --key with the installation's public key (`berth audit key`), or --keep with the file of an earlier `berth audit verify --keep FILE`.",
    });
  const heads = Object.values(kept?.heads ?? {});
  const peeked = await peek(lines);
  const chain = peeked.first === null ? null : chainOf(peeked.first);
  return await verifyLines({
    ...{ lines: peeked.lines, chain, publicKeyPem },
    heads: heads
      .filter((head) => head.chain === chain)
      .map((head) => [`what was verified at ${head.at}`, head] as const),
  });
}

async function peek(lines: AsyncIterable<string>) {
  const iterator = lines[Symbol.asyncIterator]();
  const first = await iterator.next();
  async function* all() {
    for (let step = first; !step.done; step = await iterator.next()) yield step.value;
  }
  return { first: first.done ? null : first.value, lines: all() };
}

function chainOf(line: string): string {
  try {
    const { chain } = JSON.parse(line) as { chain?: unknown };
    return typeof chain === "string" ? chain : "";
  } catch {
    return "";
  }
}

function toolsOf(publicKeyPem: string): AuditTools {
  const key = createPublicKey(publicKeyPem);
  return {
    sha256: (text) => createHash("sha256").update(text).digest("hex"),
    verifies: (text, signature) =>
      verify(null, Buffer.from(text), key, Buffer.from(signature, "base64")),
  };
}

async function readKept(path: string): Promise<Kept | null> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (text === null) return null;
  const kept = JSON.parse(text) as Partial<Kept>;
  if (typeof kept.publicKeyPem !== "string" || typeof kept.heads !== "object")
    throw new CliError(`${path} is not what \`berth audit verify --keep\` writes.`, {
      next: "Give another file.",
    });
  return kept as Kept;
}

async function writeKept(path: string, kept: Kept): Promise<void> {
  await writeFile(`${path}.new`, `${JSON.stringify(kept, null, 2)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}
