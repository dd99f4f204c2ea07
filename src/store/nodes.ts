// Nodes: how hosts join, what operators set on them, and what becomes of their boxes when they leave. They
// belong to the installation and not to an organization.

import { type RawBuilder, sql } from "kysely";
import type { BoxId, NodeId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { bumpRevisions, concludeBoxes, nothingTold } from "./box-changes.ts";
import { type Db, transact } from "./db.ts";
import { insertEvents } from "./events.ts";
import { spendJoinToken } from "./join-tokens.ts";
import { newId } from "./new-id.ts";
import type { NodeStatus, Tables } from "./schema.ts";
import { releaseNodeBoxes } from "./settle.ts";
import { TOPICS } from "./wake.ts";

type Fingerprint = Tables["nodes"]["fingerprint"]["__select__"];

export interface NodeView {
  readonly id: NodeId;
  readonly name: string;
  readonly region: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly status: NodeStatus;
  readonly statusSince: Date;
  readonly schedulable: boolean;
  readonly overcommit: { readonly cpu: number; readonly memory: number; readonly disk: number };
  readonly fingerprint: Fingerprint;
  readonly lastReportAt: Date | null;
  readonly used: { readonly boxes: number; readonly cpus: number; readonly memoryMib: number };
  readonly joinedAt: Date;
}

export interface NewJoinToken {
  /** Hash of the token; the token itself is never kept. */
  readonly hash: string;
  /** Only a node of this name may use it. */
  readonly name: string | null;
  readonly ttlMs: number;
}

export async function createJoinToken(
  db: Db,
  subject: Subject,
  token: NewJoinToken,
): Promise<{ expiresAt: Date }> {
  return transact(db, "store.node.join_token", async (tx) => {
    const { rows } = await sql<{ expiresAt: Date }>`
      insert into join_tokens (hash, name, created_by, expires_at)
      values (${token.hash}, ${token.name}, ${subject.userId}, now() + ${token.ttlMs} * interval '1 millisecond')
      returning expires_at as "expiresAt"`.execute(tx.query);
    if (!rows[0]) throw new Error("the join token was not written");
    return rows[0];
  });
}

export interface JoinInput {
  readonly tokenHash: string;
  readonly name: string;
  readonly region: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Spends the token. A node of the same name that has not been removed keeps its id: it joins again. */
export async function joinNode(db: Db, input: JoinInput): Promise<NodeId> {
  return transact(db, "store.node.join", async (tx) => {
    await spendJoinToken(tx, { hash: input.tokenHash, name: input.name });
    const { rows: joined } = await sql<{ id: NodeId }>`
      insert into nodes (id, name, region, labels, status)
      values (${newId<NodeId>("node")}, ${input.name}, ${input.region},
        ${JSON.stringify(input.labels)}::jsonb, 'joined')
      on conflict (name) where status <> 'removed' do update
        set region = excluded.region, labels = excluded.labels, session = null, report_revision = 0
      returning id`.execute(tx.query);
    const id = joined[0]?.id as NodeId;
    await sql`insert into node_revisions (node_id) values (${id}) on conflict do nothing`.execute(
      tx.query,
    );
    await sql`update join_tokens set node_id = ${id} where hash = ${input.tokenHash}`.execute(
      tx.query,
    );
    await insertEvents(tx, [nodeEvent(id, "node.joined", `node ${input.name} joined`)]);
    return id;
  });
}

/** A removed node, or one of another installation, has nothing to ask for. */
export async function refuseRemovedNode(db: Db, nodeId: NodeId): Promise<void> {
  const { rows } = await sql`
    select 1 from nodes where id = ${nodeId} and status <> 'removed'`.execute(db.query);
  if (!rows[0]) throw new StoreRefusal("node_unknown", `There is no node '${nodeId}'.`);
}

export function nodeEvent(id: NodeId, kind: string, message: string, actor: string | null = null) {
  return {
    orgId: null,
    kind,
    subjectKind: "node" as const,
    subjectId: id,
    actor,
    message,
  };
}

export async function listNodes(
  db: Db,
  page: { readonly after: string | null; readonly limit: number },
): Promise<NodeView[]> {
  return selectNodes(
    db,
    sql`n.status <> 'removed' and n.id > ${page.after ?? ""} order by n.id limit ${page.limit}`,
  );
}

/** By id or by name. */
export async function getNode(db: Db, reference: string): Promise<NodeView> {
  const [node] = await selectNodes(
    db,
    sql`(n.id = ${reference} or (n.name = ${reference} and n.status <> 'removed'))
      order by (n.id = ${reference}) desc limit 1`,
  );
  if (!node) throw new StoreRefusal("not_found", `There is no node '${reference}'.`);
  return node;
}

async function selectNodes(db: Db, condition: RawBuilder<unknown>): Promise<NodeView[]> {
  const { rows } = await sql<
    Omit<NodeView, "used" | "overcommit"> & {
      cpu: number;
      memory: number;
      disk: number;
      boxes: number;
      cpus: number;
      memoryMib: number;
    }
  >`
    select n.id, n.name, n.region, n.labels, n.status, n.status_since as "statusSince", n.schedulable,
      n.fingerprint, n.last_report_at as "lastReportAt", n.joined_at as "joinedAt",
      n.overcommit_cpu as cpu, n.overcommit_memory as memory, n.overcommit_disk as disk,
      u.boxes, u.cpus, u.memory as "memoryMib"
    from nodes n
    cross join lateral (
      select count(*) as boxes, coalesce(sum(b.cpus), 0) as cpus, coalesce(sum(b.memory_mib), 0) as memory
      from boxes b where b.node_id = n.id and b.reserved) u
    where ${condition}`.execute(db.query);
  return rows.map(({ boxes, cpus, memoryMib, cpu, memory, disk, ...row }) => ({
    ...row,
    overcommit: { cpu, memory, disk },
    used: { boxes, cpus, memoryMib },
  }));
}

export interface NodeChange {
  readonly schedulable?: boolean | undefined;
  /** How much may be promised of a node for each unit that it has. */
  readonly cpuOvercommit?: number | undefined;
  readonly memoryOvercommit?: number | undefined;
  readonly diskOvercommit?: number | undefined;
}

/** What is left out stays as it is; what changes nothing is not told. */
export async function updateNode(
  db: Db,
  subject: Subject,
  reference: string,
  change: NodeChange,
): Promise<NodeView> {
  return transact(db, "store.node.update", async (tx) => {
    const { id } = await getNode(tx, reference);
    await sql`select 1 from nodes where id = ${id} for no key update`.execute(tx.query);
    const before = await getNode(tx, id);
    const schedulable = change.schedulable ?? before.schedulable;
    const overcommit = {
      cpu: change.cpuOvercommit ?? before.overcommit.cpu,
      memory: change.memoryOvercommit ?? before.overcommit.memory,
      disk: change.diskOvercommit ?? before.overcommit.disk,
    };
    const { cpu, memory, disk } = overcommit;
    await sql`
      update nodes set schedulable = ${schedulable}, overcommit_cpu = ${cpu},
        overcommit_memory = ${memory}, overcommit_disk = ${disk}
      where id = ${id}`.execute(tx.query);
    const words: string[] = [];
    if (schedulable !== before.schedulable)
      words.push(schedulable ? "takes new boxes again" : "takes no new boxes");
    if (JSON.stringify(overcommit) !== JSON.stringify(before.overcommit))
      words.push(`promises ${cpu}x of its CPUs, ${memory}x of its memory, ${disk}x of its disk`);
    await insertEvents(
      tx,
      words.map((one) =>
        nodeEvent(id, "node.updated", `node ${before.name} ${one}`, subject.userId),
      ),
      words.length > 0 ? [TOPICS.schedule] : [],
    );
    return { ...before, schedulable, overcommit };
  });
}

/** For a node that will not come back. Its boxes are freed; what was only there is lost, and they say so. */
export async function removeNode(db: Db, subject: Subject, reference: string): Promise<NodeView> {
  return transact(db, "store.node.remove", async (tx) => {
    const node = await getNode(tx, reference);
    await sql`select 1 from nodes where id = ${node.id} for no key update`.execute(tx.query);
    await sql`update nodes set status = 'removed', status_since = now(), removed_at = now(), lease_until = null
      where id = ${node.id} and status <> 'removed'`.execute(tx.query);
    const told = nothingTold();
    told.events.push(
      nodeEvent(node.id, "node.removed", `node ${node.name} was removed`, subject.userId),
    );
    const boxIds = await releaseNodeBoxes(tx, node.id, told);
    await loseCopies(tx, node.id);
    await bumpRevisions(tx, [node.id], told);
    await concludeBoxes(tx, boxIds, told, subject.userId);
    return { ...node, status: "removed" };
  });
}

/** Snapshots that were only on this node, and not yet in the object store, are lost. */
async function loseCopies(tx: Db, nodeId: NodeId): Promise<void> {
  await sql`delete from snapshot_copies where node_id = ${nodeId}`.execute(tx.query);
  await sql`
    update snapshots s set state = 'failed', error = 'it was lost with its node'
    where s.state = 'local' and not exists (select 1 from snapshot_copies c where c.snapshot_id = s.id)
  `.execute(tx.query);
  await sql`
    update snapshots s set state = 'failed', error = 'its node was removed before it was taken'
    where s.state = 'requested' and not exists (
      select 1 from boxes b where b.id = s.box_id and b.reserved and b.epoch = s.epoch)
      and not exists (select 1 from strays t where t.snapshot_id = s.id and t.ended_at is null
        and t.node_id <> ${nodeId})`.execute(tx.query);
}

/** Nodes whose lease has run out are shown as unreachable. Their boxes stay theirs. */
export async function expireNodes(db: Db): Promise<number> {
  return transact(db, "store.node.expire", async (tx) => {
    const { rows } = await sql<{ id: NodeId; name: string }>`
      update nodes set status = 'unreachable', status_since = now()
      where id in (select id from nodes where status = 'ready' and lease_until < now()
        order by id for no key update skip locked)
      returning id, name`.execute(tx.query);
    if (rows.length === 0) return 0;
    const told = nothingTold();
    for (const node of rows)
      told.events.push(nodeEvent(node.id, "node.unreachable", `node ${node.name} does not answer`));
    const ids = rows.map((row) => row.id) as string[];
    const { rows: boxes } = await sql<{ id: BoxId }>`
      select id from boxes where reserved and node_id = any(${ids}::text[])
      order by id for no key update`.execute(tx.query);
    await concludeBoxes(
      tx,
      boxes.map((box) => box.id),
      told,
    );
    return rows.length;
  });
}
