// What follows from any change of a box: its phase is computed again, and when it differs from the last told
// one, an event tells it and the operations whose goal is reached are finished. Call it at the end of
// every transaction that changes a box.

import { sql } from "kysely";
import type { BoxId, NodeId } from "#domain/ids.ts";
import { judgeOperation } from "#domain/operation.ts";
import { NO_NODE_FITS } from "#domain/placement.ts";
import { type BoxRow, type BoxView, selectBoxRows, viewOf } from "./box-view.ts";
import type { Db } from "./db.ts";
import { insertEvents, type NewEvent } from "./events.ts";
import type { Failure } from "./schema.ts";
import { TOPICS } from "./wake.ts";

/** Events and wakes that a transaction collects, so that each is sent once. */
export interface Told {
  readonly events: NewEvent[];
  readonly topics: Set<string>;
}

export function nothingTold(): Told {
  return { events: [], topics: new Set() };
}

/** The boxes' assignments changed: their nodes must hear of it. Last in the lock order. */
export async function bumpRevisions(
  tx: Db,
  nodeIds: Iterable<NodeId | null>,
  told: Told,
): Promise<void> {
  const ids = [...new Set(nodeIds)].filter((id) => id !== null).sort();
  if (ids.length === 0) return;
  await sql`
    update node_revisions set revision = revision + 1 where node_id in (
      select node_id from node_revisions where node_id = any(${ids}::text[]) order by node_id for update)
  `.execute(tx.query);
  for (const id of ids) told.topics.add(TOPICS.node(id));
}

/** Computes the phases again, tells what changed, finishes operations, sends everything. */
export async function concludeBoxes(
  tx: Db,
  boxIds: readonly BoxId[],
  told: Told,
  actor: string | null = null,
): Promise<BoxView[]> {
  const rows =
    boxIds.length === 0
      ? []
      : await selectBoxRows(tx, sql`b.id = any(${[...boxIds]}::text[]) order by b.id`);
  const views = rows.map(viewOf);
  const changed = rows.flatMap((row, index) => {
    const view = views[index];
    return view && hasChanged(row, view) ? [{ row, view }] : [];
  });
  if (changed.length > 0) await tellPhases(tx, changed, told, actor);
  await finishBoxOperations(tx, rows, views);
  await insertEvents(tx, told.events, [...told.topics]);
  return views;
}

function hasChanged(row: BoxRow, view: BoxView): boolean {
  return row.phase !== view.phase || row.phase_reason !== view.reason;
}

/** A box that waits for room is told of once, and not again with every box that comes or goes elsewhere. */
function stillWaits(row: BoxRow, view: BoxView): boolean {
  const isWaiting = (reason: string | null) => reason?.startsWith(NO_NODE_FITS) ?? false;
  return row.phase === view.phase && isWaiting(row.phase_reason) && isWaiting(view.reason);
}

async function tellPhases(
  tx: Db,
  changed: readonly { row: BoxRow; view: BoxView }[],
  told: Told,
  actor: string | null,
): Promise<void> {
  const updates = changed.map(({ view }) => ({
    id: view.id,
    phase: view.phase,
    phase_reason: view.reason,
  }));
  const { rows } = await sql<{ id: BoxId; since: Date }>`
    update boxes b set
      phase = u.phase,
      phase_reason = u.phase_reason,
      phase_since = case when b.phase = u.phase then b.phase_since else clock_timestamp() end
    from jsonb_to_recordset(${JSON.stringify(updates)}::jsonb)
      as u (id text, phase text, phase_reason text)
    where b.id = u.id returning b.id, b.phase_since as since`.execute(tx.query);
  const since = new Map(rows.map((row) => [row.id, row.since]));
  for (const { row, view } of changed) {
    Object.assign(view, { since: since.get(view.id) ?? view.since });
    if (stillWaits(row, view)) continue;
    told.events.push({
      orgId: view.orgId,
      kind: "box.phase",
      subjectKind: "box",
      subjectId: view.id,
      boxId: view.id,
      actor,
      message: `${view.name} is ${view.phase}${view.reason ? `: ${view.reason}` : ""}`,
      data: { phase: view.phase, reason: view.reason, from: row.phase, generation: row.generation },
    });
  }
}

async function finishBoxOperations(
  tx: Db,
  rows: readonly BoxRow[],
  views: readonly BoxView[],
): Promise<void> {
  if (rows.length === 0) return;
  const open = await tx.query
    .selectFrom("operations")
    .select(["id", "subject_id", "generation", "error"])
    .where(sql<boolean>`subject_id = any(${rows.map((row) => row.id) as string[]}::text[])`)
    .where(sql<boolean>`state = 'running'`)
    .execute();
  const judged = open.flatMap((operation) => {
    const view = views.find((candidate) => candidate.id === operation.subject_id);
    if (!view) return [];
    const state = judgeOperation(operation, view);
    const error = state === "succeeded" ? null : troubleOf(view);
    const isSame = state === "running" && operation.error?.message === error?.message;
    return isSame ? [] : [{ id: operation.id, state, error }];
  });
  if (judged.length === 0) return;
  await sql`
    update operations o set state = j.state, error = j.error,
      finished_at = case when j.state = 'running' then null else now() end
    from jsonb_to_recordset(${JSON.stringify(judged)}::jsonb) as j (id text, state text, error jsonb)
    where o.id = j.id and o.state = 'running'`.execute(tx.query);
}

function troubleOf(view: BoxView): Failure | null {
  if (view.failure) return view.failure;
  if (!view.fault) return null;
  const { code, message, retryable } = view.fault;
  return { code, message, retryable };
}
