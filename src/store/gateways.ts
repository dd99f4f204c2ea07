// Gateways: they join with the same one-time tokens as nodes, and are known while they follow their feed.

import { sql } from "kysely";
import type { NodeId } from "#domain/ids.ts";
import { bumpRevisions, nothingTold } from "./box-changes.ts";
import { type Db, transact } from "./db.ts";
import { spendJoinToken } from "./join-tokens.ts";
import { wake } from "./wake.ts";

/** Spends the token. */
export async function joinGateway(
  db: Db,
  input: { readonly tokenHash: string; readonly name: string },
): Promise<void> {
  await spendJoinToken(db, { hash: input.tokenHash, name: input.name });
}

export interface GatewayView {
  readonly name: string;
  readonly clientUrl: string;
  readonly nodeUrl: string;
  readonly sshAddress: string | null;
  /** It follows its feed now. */
  readonly isLive: boolean;
}

/** It follows a feed while it was seen within this. */
const LIVE_S = 15;

/** Those that answer first, and of them the one that was seen last. */
export async function listGateways(db: Db): Promise<GatewayView[]> {
  const { rows } = await sql<GatewayView>`
    select name, client_url as "clientUrl", node_url as "nodeUrl", ssh_address as "sshAddress",
      feed is not null and seen_at > now() - ${LIVE_S} * interval '1 second' as "isLive"
    from gateways order by "isLive" desc, seen_at desc, name`.execute(db.query);
  return rows;
}

export interface GatewayFeed {
  readonly name: string;
  /** Random: names this feed. */
  readonly feed: string;
  readonly clientUrl: string;
  readonly nodeUrl: string;
  readonly sshAddress: string | null;
}

/** It has opened a feed. Nodes hear of a gateway that is new, or elsewhere than before. */
export async function openFeed(db: Db, gateway: GatewayFeed): Promise<void> {
  const { name, feed, clientUrl, nodeUrl, sshAddress } = gateway;
  await transact(db, "store.gateway.open", async (tx) => {
    const { rows: before } = await sql<{ node_url: string }>`
      select node_url from gateways where name = ${name} for update`.execute(tx.query);
    await sql`
      insert into gateways (name, client_url, node_url, ssh_address, feed)
      values (${name}, ${clientUrl}, ${nodeUrl}, ${sshAddress}, ${feed})
      on conflict (name) do update set client_url = excluded.client_url, node_url = excluded.node_url,
        ssh_address = excluded.ssh_address, feed = excluded.feed, seen_at = now()`.execute(
      tx.query,
    );
    if (before[0]?.node_url !== nodeUrl) await tellNodes(tx);
  });
}

/** Nothing when it has opened another feed meanwhile. */
export async function keepFeed(db: Db, name: string, feed: string): Promise<void> {
  await sql`update gateways set seen_at = now() where name = ${name} and feed = ${feed}`.execute(
    db.query,
  );
}

/** Clients are not sent there any more. Nodes stay connected: it may only have lost its way to us. */
export async function closeFeed(db: Db, name: string, feed: string): Promise<void> {
  await sql`update gateways set feed = null where name = ${name} and feed = ${feed}`.execute(
    db.query,
  );
}

/** Forgets gateways that were not seen for so long; nodes leave them. */
export async function trimGateways(db: Db, maxAgeMs: number): Promise<number> {
  return transact(db, "store.gateway.trim", async (tx) => {
    const { numAffectedRows } = await sql`
      delete from gateways where seen_at < now() - ${maxAgeMs} * interval '1 millisecond'`.execute(
      tx.query,
    );
    if (numAffectedRows) await tellNodes(tx);
    return Number(numAffectedRows ?? 0);
  });
}

async function tellNodes(tx: Db): Promise<void> {
  const { rows } = await sql<{ id: NodeId }>`
    select id from nodes where status <> 'removed'`.execute(tx.query);
  const told = nothingTold();
  await bumpRevisions(
    tx,
    rows.map((row) => row.id),
    told,
  );
  await wake(tx, [...told.topics]);
}
