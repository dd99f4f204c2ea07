// Previews as they are: found, listed, and locked for whoever may change them. How they change is in
// preview-changes.ts.

import { type RawBuilder, sql } from "kysely";
import type { Visibility } from "#domain/box.ts";
import type { BoxId, OrgId, PreviewId, UserId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { mayShare, type Owned } from "#domain/preview.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import type { Db } from "./db.ts";
import type { NewEvent } from "./events.ts";

export interface PreviewView extends Owned {
  readonly id: PreviewId;
  readonly orgId: OrgId;
  /** Of the box. */
  readonly ownerId: UserId;
  readonly boxId: BoxId;
  readonly boxName: string;
  readonly port: number;
  readonly label: string;
  readonly visibility: Visibility;
  readonly serial: number;
  readonly createdAt: Date;
  readonly closedAt: Date | null;
}

/** Previews `p` that fulfil a condition (and order and limit as given at its end). */
export async function selectPreviews(
  db: Db,
  condition: RawBuilder<unknown>,
): Promise<PreviewView[]> {
  const { rows } = await sql<PreviewView>`
    select p.id, p.org_id as "orgId", b.owner_id as "ownerId", p.box_id as "boxId", b.name as "boxName",
      p.port, p.label, p.visibility, p.serial, p.created_at as "createdAt", p.closed_at as "closedAt"
    from previews p join boxes b on b.id = p.box_id where ${condition}`.execute(db.query);
  return rows;
}

export async function getPreview(db: Db, subject: Subject, id: string): Promise<PreviewView> {
  const [preview] = await selectPreviews(db, sql`p.id = ${id} and p.org_id = ${subject.orgId}`);
  if (!preview) throw new StoreRefusal("not_found", `There is no preview '${id}'.`);
  if (preview.closedAt) throw new StoreRefusal("preview_gone", `The preview '${id}' was closed.`);
  return preview;
}

export async function listPreviews(
  db: Db,
  subject: Subject,
  filter: { readonly boxId: BoxId | null; readonly after: string | null; readonly limit: number },
): Promise<PreviewView[]> {
  return selectPreviews(
    db,
    sql`p.org_id = ${subject.orgId} and p.closed_at is null
      and (${filter.boxId}::text is null or p.box_id = ${filter.boxId})
      and p.id > ${filter.after ?? ""} order by p.id limit ${filter.limit}`,
  );
}

/** What the organization allows, locked against a change of it until the transaction ends. */
export async function lockMaxVisibility(tx: Db, orgId: OrgId): Promise<Visibility> {
  const { rows } = await sql<{ max: Visibility }>`
    select max_visibility as max from orgs where id = ${orgId} for share`.execute(tx.query);
  return rows[0]?.max ?? "private";
}

/** For whoever may share it, locked until the transaction ends. */
export async function lockSharedPreview(
  tx: Db,
  subject: Subject,
  id: string,
): Promise<{ preview: PreviewView; maxVisibility: Visibility }> {
  const maxVisibility = await lockMaxVisibility(tx, subject.orgId);
  await sql`select 1 from previews where id = ${id} and org_id = ${subject.orgId}
    for no key update`.execute(tx.query);
  const preview = await getPreview(tx, subject, id);
  refuseSharing(subject, preview, preview.boxName);
  return { preview, maxVisibility };
}

export function refuseSharing(subject: Subject, box: Owned, boxName: string): void {
  if (!mayShare(subject, box))
    throw new StoreRefusal("forbidden", `${boxName} belongs to another user.`);
}

export function previewEvent(
  preview: PreviewView,
  subject: Subject,
  what: "opened" | "updated" | "closed",
  message: string,
): NewEvent {
  const { id, orgId, boxId, port, visibility } = preview;
  return {
    orgId,
    kind: `preview.${what}`,
    subjectKind: "preview",
    subjectId: id,
    boxId,
    actor: subject.userId,
    message,
    data: { port, visibility },
  };
}
