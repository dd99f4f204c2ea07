// Who came into boxes through a gateway, as the gateway tells it: into the audit trail of the box's organization.

import { sql } from "kysely";
import type { GatewayEntriesRequest, GatewayEntry } from "#contract/gateway-entries.ts";
import { insertAuditEntries, type NewAuditEntry } from "./audit.ts";
import type { Db } from "./db.ts";

/** Told again, they are not written again. */
export async function writeGatewayEntries(
  db: Db,
  gateway: string,
  { entries, dropped }: GatewayEntriesRequest,
): Promise<void> {
  const orgs = await readOrgs(db, [...new Set(entries.map(({ boxId }) => boxId))]);
  const rows = entries.map((entry) => rowOf(entry, gateway, orgs.get(entry.boxId) ?? null));
  if (dropped > 0)
    rows.push({
      ...{ orgId: null, verb: "enter.dropped", outcome: "failed", data: { gateway, dropped } },
      // The batch that brings the number names it: brought again, it is the same.
      sourceId: `${gateway}/dropped/${entries[0]?.entryId ?? dropped}`,
    });
  await insertAuditEntries(db, rows);
}

function rowOf(entry: GatewayEntry, gateway: string, orgId: string | null): NewAuditEntry {
  const { entryId, via, door, boxId, userId, credentialId, address, code, count, atMs } = entry;
  return {
    ...{ orgId, verb: `enter.${via}`, outcome: code === null ? "ok" : "refused", code },
    ...{ actorId: userId, credentialId, address, touched: [boxId], atMs },
    data: { door, gateway, ...(count > 1 ? { count } : {}) },
    sourceId: `${gateway}/${entryId}`,
  };
}

async function readOrgs(db: Db, boxIds: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const { rows } = await sql<{ id: string; org_id: string }>`
    select id, org_id from boxes where id = any(${boxIds}::text[])`.execute(db.query);
  return new Map(rows.map(({ id, org_id }) => [id, org_id]));
}
