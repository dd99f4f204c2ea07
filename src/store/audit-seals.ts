// Puts entries of the audit trail into their chains, in the order in which they became visible, and takes from a chain's
// beginning what is older than its organization wants to keep. One loop at a time does this; two at once are safe,
// because each step locks what it goes on from.

import { createHash } from "node:crypto";
import { sql } from "kysely";
import {
  type AuditEntry,
  type AuditMark,
  type AuditOutcome,
  type AuditValue,
  INSTALLATION_CHAIN,
  markText,
  type SignedAuditMark,
  sealText,
  ZERO_HASH,
} from "#domain/audit.ts";
import type { Clock } from "#lib/clock.ts";
import { insertAuditEntries } from "./audit.ts";
import { type Db, transact } from "./db.ts";
import { readFrontierOf } from "./frontier.ts";

/** Signs a text with the installation's key. */
export type AuditSign = (text: string) => string;

export interface EntryRow {
  id: number;
  org_id: string | null;
  at: Date;
  verb: string;
  outcome: AuditOutcome;
  code: string | null;
  actor_id: string | null;
  actor_roles: string[];
  credential_id: string | null;
  address: string | null;
  user_agent: string | null;
  resource: Record<string, string>;
  touched: string[];
  data: Record<string, AuditValue>;
  request_id: string | null;
}

export const ENTRY_COLUMNS = sql`e.id, e.org_id, e.at, e.verb, e.outcome, e.code, e.actor_id, e.actor_roles,
  e.credential_id, e.address, e.user_agent, e.resource, e.touched, e.data, e.request_id`;

export function entryOf(row: EntryRow): AuditEntry {
  return {
    ...{ id: row.id, at: row.at.toISOString(), verb: row.verb, outcome: row.outcome },
    ...{ code: row.code, actorId: row.actor_id, actorRoles: row.actor_roles },
    ...{ credentialId: row.credential_id, address: row.address, userAgent: row.user_agent },
    ...{ resource: row.resource, touched: row.touched, data: row.data, requestId: row.request_id },
  };
}

const SEAL_BATCH = 2000;

/** How many were sealed. Null: a transaction that writes has been open for too long; look again. */
export async function sealAudit(
  db: Db,
  clock: Clock,
  limit: number = SEAL_BATCH,
): Promise<number | null> {
  const after = await readSealedTo(db);
  const frontier = await readFrontierOf(db, clock, "audit_entries", after);
  if (frontier === null) return null;
  if (frontier <= after) return 0;
  return transact(db, "store.audit.seal", async (tx) => {
    const { rows: states } = await sql<{ sealed_to: number }>`
      select sealed_to from audit_state for update`.execute(tx.query);
    const { rows } = await sql<EntryRow>`
      select ${ENTRY_COLUMNS} from audit_entries e
      where e.id > ${states[0]?.sealed_to} and e.id <= ${frontier} order by e.id limit ${limit}`.execute(
      tx.query,
    );
    await sealRows(tx, rows);
    const upTo = rows.length < limit ? frontier : rows.at(-1)?.id;
    await sql`update audit_state set sealed_to = greatest(sealed_to, ${upTo})`.execute(tx.query);
    return rows.length;
  });
}

async function sealRows(tx: Db, rows: readonly EntryRow[]): Promise<void> {
  if (rows.length === 0) return;
  const heads = await lockHeads(tx, [...new Set(rows.map(chainOf))].sort());
  const seals = rows.map((row) => {
    const chain = chainOf(row);
    const head = heads.get(chain) ?? { seq: 0, hash: ZERO_HASH };
    const seq = head.seq + 1;
    const text = sealText({ chain, seq, previous: head.hash, entry: entryOf(row) });
    const hash = createHash("sha256").update(text).digest("hex");
    heads.set(chain, { seq, hash });
    return { chain, seq, entry_id: row.id, hash };
  });
  const ends = [...heads].map(([chain, { seq, hash }]) => ({ chain, seq, hash }));
  await sql`
    with sealed as (
      insert into audit_seals (chain, seq, entry_id, hash)
      select chain, seq, entry_id, decode(hash, 'hex') from jsonb_to_recordset(${JSON.stringify(seals)}::jsonb)
        as s (chain text, seq bigint, entry_id bigint, hash text))
    update audit_chains c set head_seq = h.seq, head_hash = decode(h.hash, 'hex')
    from jsonb_to_recordset(${JSON.stringify(ends)}::jsonb) as h (chain text, seq bigint, hash text)
    where c.chain = h.chain`.execute(tx.query);
}

function chainOf({ org_id }: EntryRow): string {
  return org_id ?? INSTALLATION_CHAIN;
}

async function lockHeads(tx: Db, chains: readonly string[]) {
  await sql`
    insert into audit_chains (chain, head_hash, anchor_hash)
    select chain, decode(${ZERO_HASH}, 'hex'), decode(${ZERO_HASH}, 'hex') from unnest(${chains}::text[]) as chain
    on conflict do nothing`.execute(tx.query);
  const { rows } = await sql<{ chain: string; seq: number; hash: string }>`
    select chain, head_seq as seq, encode(head_hash, 'hex') as hash from audit_chains
    where chain = any(${chains}::text[]) order by chain for update`.execute(tx.query);
  return new Map(rows.map(({ chain, seq, hash }) => [chain, { seq, hash }]));
}

async function readSealedTo(db: Db): Promise<number> {
  const { rows } = await sql<{ sealed_to: number }>`select sealed_to from audit_state`.execute(
    db.query,
  );
  return rows[0]?.sealed_to ?? 0;
}

export function signMark(mark: AuditMark, sign: AuditSign): SignedAuditMark {
  return { ...mark, signature: sign(markText(mark)) };
}

/** Chains of which something is older than is kept, with since when they keep. */
export async function listOldChains(
  db: Db,
  limit: number,
): Promise<{ readonly chain: string; readonly since: Date }[]> {
  const { rows } = await sql<{ chain: string; since: Date }>`
    select c.chain, now() - k.days * interval '1 day' as since
    from audit_policies p
    join audit_chains c on c.chain = p.org_id
    cross join audit_state s
    cross join lateral (select greatest(p.keep_days, s.keep_days_min) as days) k
    join audit_seals first on first.chain = c.chain and first.seq = c.anchor_seq + 1
    join audit_entries e on e.id = first.entry_id
    where e.at < now() - k.days * interval '1 day'
    order by c.chain limit ${limit}`.execute(db.query);
  return rows;
}

/**
 * Removes the beginning of a chain, as far as it is older. A signed anchor takes its place, and an entry says so. How
 * many entries went.
 */
export async function trimChain(
  db: Db,
  { chain, since }: { readonly chain: string; readonly since: Date },
  sign: AuditSign,
  limit: number,
): Promise<number> {
  return transact(db, "store.audit.trim", async (tx) => {
    const { rows: chains } = await sql<{ anchor_seq: number }>`
      select anchor_seq from audit_chains where chain = ${chain} for update`.execute(tx.query);
    const from = chains[0]?.anchor_seq ?? 0;
    const { rows } = await sql<{ seq: number; hash: string; at: Date; now: Date }>`
      select s.seq, encode(s.hash, 'hex') as hash, e.at, now() as now
      from audit_seals s join audit_entries e on e.id = s.entry_id
      where s.chain = ${chain} and s.seq > ${from} order by s.seq limit ${limit}`.execute(tx.query);
    const young = rows.findIndex((row) => row.at >= since);
    const last = (young < 0 ? rows : rows.slice(0, young)).at(-1);
    if (!last) return 0;
    const { seq, hash } = last;
    const anchor: AuditMark = { kind: "anchor", chain, seq, hash, at: last.now.toISOString() };
    await sql`
      update audit_chains set anchor_seq = ${seq}, anchor_hash = decode(${hash}, 'hex'),
        anchor_at = ${anchor.at}::timestamptz, anchor_signature = ${sign(markText(anchor))}
      where chain = ${chain}`.execute(tx.query);
    await tx.failpoints.hit("store.audit.trim.anchored");
    await sql`
      delete from audit_entries where id in (
        select entry_id from audit_seals where chain = ${chain} and seq <= ${seq})`.execute(
      tx.query,
    );
    await sql`delete from audit_seals where chain = ${chain} and seq <= ${seq}`.execute(tx.query);
    const orgId = chain === INSTALLATION_CHAIN ? null : chain;
    const data = { entries: seq - from, upTo: seq, olderThan: since.toISOString() };
    await insertAuditEntries(tx, [{ orgId, verb: "audit.trim", outcome: "ok", data }]);
    return seq - from;
  });
}
