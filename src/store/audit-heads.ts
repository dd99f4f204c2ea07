// The signed heads of audit chains: what there is to bring to the object store, what has got there, and how far behind
// sealing and export are.

import { sql } from "kysely";
import { type AuditMark, type SignedAuditMark, ZERO_HASH } from "#domain/audit.ts";
import { type AuditSign, signMark } from "./audit-seals.ts";
import type { Db } from "./db.ts";

interface HeadRow {
  chain: string;
  head_seq: number;
  head_hash: string;
  anchor_seq: number;
  anchor_hash: string;
  anchor_at: Date | null;
  anchor_signature: string | null;
  now: Date;
}

export interface ChainHead {
  readonly head: SignedAuditMark;
  /** Up to where retention has removed the chain; null: nothing was. */
  readonly anchor: SignedAuditMark | null;
}

const HEAD_COLUMNS = sql`chain, head_seq, encode(head_hash, 'hex') as head_hash, anchor_seq,
  encode(anchor_hash, 'hex') as anchor_hash, anchor_at, anchor_signature, now() as now`;

/** As of now, signed. A chain that nothing was sealed into has an empty head. */
export async function readChainHead(db: Db, chain: string, sign: AuditSign): Promise<ChainHead> {
  const { rows } = await sql<HeadRow>`
    select ${HEAD_COLUMNS} from audit_chains where chain = ${chain}`.execute(db.query);
  if (rows[0]) return signedHead(rows[0], sign);
  const at = (await readAuditLag(db)).now.toISOString();
  const mark: AuditMark = { kind: "head", chain, seq: 0, hash: ZERO_HASH, at };
  return { head: signMark(mark, sign), anchor: null };
}

/** Heads of chains that grew since theirs were exported. */
export async function listNewHeads(
  db: Db,
  sign: AuditSign,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<SignedAuditMark[]> {
  const { rows } = await sql<HeadRow>`
    select ${HEAD_COLUMNS} from audit_chains
    where head_seq > exported_seq and chain > ${after} order by chain limit ${limit}`.execute(
    db.query,
  );
  return rows.map((row) => signedHead(row, sign).head);
}

function signedHead(row: HeadRow, sign: AuditSign): ChainHead {
  const { chain, head_seq: seq, head_hash: hash, now } = row;
  const head = signMark({ kind: "head", chain, seq, hash, at: now.toISOString() }, sign);
  if (row.anchor_at === null || row.anchor_signature === null) return { head, anchor: null };
  const anchor = {
    ...{ kind: "anchor" as const, chain, seq: row.anchor_seq, hash: row.anchor_hash },
    ...{ at: row.anchor_at.toISOString(), signature: row.anchor_signature },
  };
  return { head, anchor };
}

/** The hash that the chain has at a place; null: it has none there, or retention has removed it. */
export async function readHashAt(db: Db, { chain, seq }: AuditMark): Promise<string | null> {
  const { rows } = await sql<{ hash: string }>`
    select encode(hash, 'hex') as hash from audit_seals where chain = ${chain} and seq = ${seq}`.execute(
    db.query,
  );
  return rows[0]?.hash ?? null;
}

export async function noteExported(db: Db, { chain, seq }: AuditMark): Promise<void> {
  await sql`
    update audit_chains set exported_seq = greatest(exported_seq, ${seq})
    where chain = ${chain}`.execute(db.query);
}

/** Every head that there was at that time is in the object store. */
export async function noteExportPass(db: Db, begun: Date): Promise<void> {
  await sql`update audit_state set exported_at = greatest(exported_at, ${begun}::timestamptz)`.execute(
    db.query,
  );
}

export interface AuditLag {
  readonly now: Date;
  /** Since when heads may not have been exported. */
  readonly exportMs: number;
  /** How long the oldest entry has waited for its seal. */
  readonly sealMs: number;
}

/** Sealing or export are late: somebody must look. An export each minute is half a minute behind then. */
export const AUDIT_LATE_MS = 90_000;

export function isLate({ exportMs, sealMs }: AuditLag): boolean {
  return exportMs > AUDIT_LATE_MS || sealMs > AUDIT_LATE_MS;
}

export async function readAuditLag(db: Db): Promise<AuditLag> {
  const { rows } = await sql<{ now: Date; exported_at: Date; oldest: Date | null }>`
    select now() as now, exported_at, (select e.at from audit_entries e where e.id > s.sealed_to
      order by e.id limit 1) as oldest
    from audit_state s`.execute(db.query);
  const row = rows[0] as (typeof rows)[0];
  const since = (at: Date | null) => (at ? Math.max(0, row.now.getTime() - at.getTime()) : 0);
  return { now: row.now, exportMs: since(row.exported_at), sealMs: since(row.oldest) };
}
