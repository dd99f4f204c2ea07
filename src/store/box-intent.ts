// What a user wants of a box changes here: one transaction writes the intent, its event and its operation.
// Nothing here touches a node; what is wanted reaches it as an assignment.

import { sql } from "kysely";
import type { OperationKind } from "#domain/operation.ts";
import type { Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { bumpRevisions, concludeBoxes, nothingTold, type Told } from "./box-changes.ts";
import { addNotice } from "./box-notices.ts";
import { type BoxRow, viewOf } from "./box-view.ts";
import { type AcceptedBox, lockBoxRow } from "./boxes.ts";
import { type Db, transact } from "./db.ts";
import { getOperation, insertOperation } from "./operations.ts";
import { closePreviews } from "./preview-changes.ts";
import { finishDeletion } from "./settle.ts";
import { requestSnapshot } from "./snapshot-requests.ts";
import { TOPICS } from "./wake.ts";

export type Intent = "start" | "resume" | "restart" | "pause" | "stop" | "delete";

const DESIRED = {
  start: "running",
  resume: "running",
  restart: "running",
  pause: "paused",
  stop: "stopped",
  delete: "deleted",
} as const;

export interface IntentOptions {
  /** Refuse unless the box still has this generation; null: whatever it has. */
  readonly ifGeneration: number | null;
}

export async function setDesired(
  db: Db,
  subject: Subject,
  reference: string,
  intent: Intent,
  options: IntentOptions = { ifGeneration: null },
): Promise<AcceptedBox> {
  return transact(db, `store.box.${intent}`, async (tx) => {
    const row = await lockBoxRow(
      tx,
      subject,
      reference,
      intent === "delete" ? "box.delete" : "box.control",
    );
    refuseIntent(row, intent, options);
    const told = nothingTold();
    const isSame = isNothingNew(row, intent);
    const generation = isSame ? row.generation : row.generation + 1;
    if (!isSame) {
      await writeIntent(tx, row, intent, told, { actor: subject.userId, because: null });
      if (intent === "delete")
        told.events.push(...(await closePreviews(tx, sql`box_id = ${row.id}`, subject)));
    }
    const { id } = await insertOperation(tx, subject, {
      kind: `box.${intent}` as OperationKind,
      subjectKind: "box",
      subjectId: row.id,
      generation,
    });
    if (!isSame && row.reserved) await bumpRevisions(tx, [row.node_id], told);
    const [box] = await concludeBoxes(tx, [row.id], told, subject.userId);
    return { box: box ?? viewOf(row), operation: await getOperation(tx, subject, id) };
  });
}

function refuseIntent(row: BoxRow, intent: Intent, options: IntentOptions): void {
  refuseOtherGeneration(row, options.ifGeneration);
  if (intent === "delete") return;
  refuseDeleted(row);
  const { phase } = viewOf(row);
  const refuse = (why: string) => {
    throw new StoreRefusal("not_now", `${row.name} ${why}`);
  };
  if (row.kind === "builder") refuse("builds a template; it can only be deleted.");
  if (row.failure && !row.failure.retryable)
    refuse(`failed for good (${row.failure.message}); it can only be deleted.`);
  if (intent === "resume" && row.desired !== "paused")
    refuse(`is ${phase}, not paused: use start to start a box in any state.`);
  if (intent !== "pause") return;
  if (row.desired === "stopped") refuse(`is ${phase}: there is no memory to keep. Start it first.`);
  if (row.reserved && row.rest_kind === "stop")
    refuse("is still stopping: pause it when it runs again.");
}

export function refuseOtherGeneration(row: BoxRow, ifGeneration: number | null): void {
  if (ifGeneration !== null && ifGeneration !== row.generation)
    throw new StoreRefusal(
      "generation_mismatch",
      `${row.name} is at generation ${row.generation}, not ${ifGeneration}.`,
    );
}

export function refuseDeleted(row: BoxRow): void {
  if (row.deleted_at !== null || row.desired === "deleted")
    throw new StoreRefusal("not_now", `${row.name} is deleted.`);
}

/** The box is wanted so already; a second request only gets a receipt. */
function isNothingNew(row: BoxRow, intent: Intent): boolean {
  if (row.desired !== DESIRED[intent]) return false;
  if (intent === "delete") return true;
  // Asking again is how a user says "try again" of a box that failed.
  return intent !== "restart" && row.failure === null && (row.fault?.retryable ?? true);
}

/** Into a row that the transaction has locked. The caller bumps the node's revision and concludes. */
export async function writeIntent(
  tx: Db,
  row: BoxRow,
  intent: Intent,
  told: Told,
  by: { readonly actor: string; readonly because: string | null },
): Promise<void> {
  const generation = row.generation + 1;
  await writeDesired(tx, row, intent, generation);
  if (intent === "delete" && !row.reserved) await finishDeletion(tx, row, told);
  told.topics.add(row.reserved ? TOPICS.settle : TOPICS.schedule);
  told.events.push({
    orgId: row.org_id,
    kind: `box.${intent}`,
    subjectKind: "box",
    subjectId: row.id,
    boxId: row.id,
    actor: by.actor,
    message: `${row.name}: ${intent} was asked${by.because ? `, because ${by.because}` : ""}`,
    data: { desired: DESIRED[intent], generation },
  });
}

async function writeDesired(
  tx: Db,
  row: BoxRow,
  intent: Intent,
  generation: number,
): Promise<void> {
  const needsRest = row.reserved && row.rest_snapshot_id === null;
  const rest =
    needsRest && (intent === "pause" || intent === "stop")
      ? await requestSnapshot(tx, row, { kind: intent, withMemory: intent === "pause" })
      : row.rest_snapshot_id;
  const givesUpMemory =
    !row.reserved &&
    (intent === "stop" || intent === "restart") &&
    row.source_with_memory &&
    row.source_box_id === row.id;
  await tx.query
    .updateTable("boxes")
    .set({
      desired: DESIRED[intent],
      generation,
      boot_serial: intent === "restart" ? row.boot_serial + 1 : row.boot_serial,
      rest_snapshot_id: rest,
      source_with_memory: givesUpMemory ? false : row.source_with_memory,
      failure: null,
      fault: null,
      place_tried_at: null,
      placement: row.reserved ? undefined : null,
    })
    .where("id", "=", row.id)
    .execute();
  if (givesUpMemory)
    await addNotice(tx, row.id, "memory_lost", `its memory was given up by ${intent} while paused`);
}
