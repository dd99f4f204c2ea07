// The loops of the audit trail: entries are sealed into chains, heads of chains are signed and brought to the object
// store (which whoever could change the database cannot change), old entries go, and a silence of any of this is loud.

import { INSTALLATION_CHAIN, markLine, type SignedAuditMark } from "#domain/audit.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import type { Metrics } from "#lib/metrics.ts";
import { auditHeadKeyOf, auditNewestKeyOf } from "#objects/keys.ts";
import { isStoreError, type ObjectStore } from "#objects/store.ts";
import type { Loop } from "#reconciler/run.ts";
import { insertAuditEntries } from "#store/audit.ts";
import {
  AUDIT_LATE_MS,
  type AuditLag,
  isLate,
  listNewHeads,
  noteExported,
  noteExportPass,
  readAuditLag,
  readHashAt,
} from "#store/audit-heads.ts";
import { listOldChains, sealAudit, trimChain } from "#store/audit-seals.ts";
import type { Database } from "#store/db.ts";
import type { AuditKey } from "#trust/audit-key.ts";

export interface AuditParts {
  readonly db: Database;
  readonly store: ObjectStore;
  readonly key: AuditKey;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

const SEAL_EVERY_MS = 500;
const EXPORT_EVERY_MS = 60_000;
const TRIM_EVERY_MS = 10 * 60_000;
const WATCH_EVERY_MS = 15_000;
/** As many at once, too. */
const EXPORT_PAGE = 16;
const TRIM_CHAINS = 50;
const TRIM_ENTRIES = 2000;

export function auditLoops(parts: AuditParts): Loop[] {
  const { db, clock, key } = parts;
  return [
    {
      name: "seal-audit",
      topics: [],
      everyMs: SEAL_EVERY_MS,
      pass: async () => ((await sealAudit(db, clock)) ? "again" : "done"),
    },
    {
      name: "export-audit",
      topics: [],
      everyMs: EXPORT_EVERY_MS,
      pass: async () => {
        await exportHeads(parts);
        return "done";
      },
    },
    {
      name: "trim-audit",
      topics: [],
      everyMs: TRIM_EVERY_MS,
      pass: async () => {
        const old = await listOldChains(db, TRIM_CHAINS);
        for (const chain of old) await trimChain(db, chain, key.sign, TRIM_ENTRIES);
        return old.length > 0 ? "again" : "done";
      },
    },
    watchLoop(parts),
  ];
}

/** Brings every head that grew to the object store, once under its own place in the chain, once as the newest. */
export async function exportHeads(parts: AuditParts): Promise<void> {
  const { db, key } = parts;
  const { now } = await readAuditLag(db);
  for (let after = ""; ; ) {
    const heads = await listNewHeads(db, key.sign, { after, limit: EXPORT_PAGE });
    await Promise.all(
      heads.map(async (head) => {
        await exportHead(parts, head);
        await noteExported(db, head);
      }),
    );
    after = heads.at(-1)?.chain ?? after;
    if (heads.length < EXPORT_PAGE) break;
  }
  await noteExportPass(db, now);
}

async function exportHead(parts: AuditParts, head: SignedAuditMark): Promise<void> {
  const { db, store, log } = parts;
  const line = Buffer.from(`${markLine(head)}\n`);
  const before = await readExportedHead(store, head.chain);
  if (before && (await isOfAnother(db, before, head))) {
    log.error(
      { exported: before, now: head },
      "ALARM: an audit chain does not go on from its exported head: it was changed, or the database is an older copy",
    );
    const orgId = head.chain === INSTALLATION_CHAIN ? null : head.chain;
    const data = { exportedSeq: before.seq, exportedHash: before.hash, seq: head.seq };
    await insertAuditEntries(db, [
      { orgId, verb: "audit.export", outcome: "failed", code: "chain_changed", data },
    ]);
  }
  // What was written once stays, whatever comes after.
  await store
    .put(auditHeadKeyOf(head.chain, head.seq), line, { ifNoneMatch: true })
    .catch((error: unknown) => {
      if (!isStoreError(error, "precondition_failed")) throw error;
    });
  await store.put(auditNewestKeyOf(head.chain), line);
}

async function isOfAnother(db: Database, exported: SignedAuditMark, head: SignedAuditMark) {
  if (exported.seq > head.seq) return true;
  const hash = await readHashAt(db, exported);
  return hash !== null && hash !== exported.hash;
}

/** The newest head of a chain that lies in the object store. */
export async function readExportedHead(
  store: ObjectStore,
  chain: string,
): Promise<SignedAuditMark | null> {
  try {
    const { v: _version, ...mark } = JSON.parse(
      (await store.get(auditNewestKeyOf(chain))).toString(),
    );
    return mark as SignedAuditMark;
  } catch (error) {
    if (isStoreError(error, "not_found")) return null;
    throw error;
  }
}

/** In every replica, so that no single one that hangs can hide that all do. */
function watchLoop({ db, log, metrics }: AuditParts): Loop {
  let lag: AuditLag | null = null;
  metrics.gauge(
    "berth_audit_export_age_seconds",
    "Since when heads of audit chains may not be in the object store; over 90 is an alarm.",
    () => (lag?.exportMs ?? 0) / 1000,
  );
  metrics.gauge(
    "berth_audit_seal_age_seconds",
    "How long the oldest entry of the audit trail has waited to be sealed.",
    () => (lag?.sealMs ?? 0) / 1000,
  );
  return {
    name: "watch-audit",
    topics: [],
    isShared: true,
    everyMs: WATCH_EVERY_MS,
    pass: async () => {
      const wasLate = lag !== null && isLate(lag);
      lag = await readAuditLag(db);
      // Seen twice: after a start all that was missed is made up for at once.
      if (wasLate && isLate(lag))
        log.error(
          { ...lag, limitMs: AUDIT_LATE_MS },
          "ALARM: the audit trail is not sealed or exported",
        );
      return "done";
    },
  };
}
