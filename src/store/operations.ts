// Operations: one row for each accepted mutation, finished by whoever makes its goal true.

import { type RawBuilder, sql } from "kysely";
import type { OperationId } from "#domain/ids.ts";
import type { OperationKind, OperationState } from "#domain/operation.ts";
import { mayEver, type Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import type { Db } from "./db.ts";
import { newId } from "./new-id.ts";
import { mayOnBox } from "./rights.ts";
import type { Failure, OperationSubject } from "./schema.ts";

export interface OperationView {
  readonly id: OperationId;
  readonly kind: OperationKind;
  readonly subjectKind: OperationSubject;
  readonly subjectId: string;
  /** Generation of the box's intent that it wrote; 0 for what has none. */
  readonly generation: number;
  readonly state: OperationState;
  readonly error: Failure | null;
  readonly createdAt: Date;
  readonly finishedAt: Date | null;
}

export interface NewOperation {
  readonly kind: OperationKind;
  readonly subjectKind: OperationSubject;
  readonly subjectId: string;
  readonly generation?: number;
  /** Default: running. */
  readonly state?: OperationState;
}

const COLUMNS = [
  "id",
  "kind",
  "subject_kind",
  "subject_id",
  "generation",
  "state",
  "error",
  "created_at",
  "finished_at",
] as const;

export async function insertOperation(
  tx: Db,
  subject: Subject,
  operation: NewOperation,
): Promise<OperationView> {
  const state = operation.state ?? "running";
  const row = await tx.query
    .insertInto("operations")
    .values({
      id: newId("operation"),
      org_id: subject.orgId,
      owner_id: subject.userId,
      kind: operation.kind,
      subject_kind: operation.subjectKind,
      subject_id: operation.subjectId,
      generation: operation.generation ?? 0,
      state,
      finished_at: state === "running" ? null : sql<Date>`now()`,
    })
    .returning(COLUMNS)
    .executeTakeFirstOrThrow();
  return operationView(row);
}

export async function getOperation(db: Db, subject: Subject, id: string): Promise<OperationView> {
  const row = await db.query
    .selectFrom("operations as o")
    .select(COLUMNS)
    .where("id", "=", id as OperationId)
    .where("org_id", "=", subject.orgId)
    .where(isShown(subject))
    .executeTakeFirst();
  if (!row) throw new StoreRefusal("not_found", `There is no operation '${id}'.`);
  return operationView(row);
}

/** To whoever asked for it, and to those who see its box. */
function isShown(subject: Subject): RawBuilder<boolean> {
  if (!mayEver(subject, "operation.read")) return sql`false`;
  return sql`(o.owner_id = ${subject.userId} or exists (
    select 1 from boxes b where b.id = o.subject_id and ${mayOnBox(subject, "operation.read")}))`;
}

/** Ends every running operation on a subject. */
export async function finishOperations(
  tx: Db,
  subjectId: string,
  state: Exclude<OperationState, "running">,
  error: Failure | null = null,
): Promise<void> {
  await tx.query
    .updateTable("operations")
    .set({ state, error: error && JSON.stringify(error), finished_at: sql<Date>`now()` })
    .where("subject_id", "=", subjectId)
    .where(sql<boolean>`state = 'running'`)
    .execute();
}

function operationView(row: {
  id: OperationId;
  kind: string;
  subject_kind: OperationSubject;
  subject_id: string;
  generation: number;
  state: OperationState;
  error: Failure | null;
  created_at: Date;
  finished_at: Date | null;
}): OperationView {
  return {
    id: row.id,
    kind: row.kind as OperationKind,
    subjectKind: row.subject_kind,
    subjectId: row.subject_id,
    generation: row.generation,
    state: row.state,
    error: row.error,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
  };
}
