// Previews as they are: found, listed, and locked for whoever may change them. How they change is in
// preview-changes.ts.

import { type RawBuilder, sql } from "kysely";
import type { Visibility } from "#domain/box.ts";
import type { BoxId, OrgId, PreviewId, TeamId, UserId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import type { Db } from "./db.ts";
import type { NewEvent } from "./events.ts";
import { type GuardedBox, mayOnBox, permitOnBox } from "./rights.ts";

export interface PreviewView {
  readonly id: PreviewId;
  readonly orgId: OrgId;
  /** Of the box. */
  readonly ownerId: UserId;
  /** Of the box. */
  readonly teamId: TeamId | null;
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
    select p.id, p.org_id as "orgId", b.owner_id as "ownerId", b.team_id as "teamId", p.box_id as "boxId", b.name as "boxName",
      p.port, p.label, p.visibility, p.serial, p.created_at as "createdAt", p.closed_at as "closedAt"
    from previews p join boxes b on b.id = p.box_id where ${condition}`.execute(db.query);
  return rows;
}

export async function getPreview(db: Db, subject: Subject, id: string): Promise<PreviewView> {
  const [preview] = await selectPreviews(
    db,
    sql`p.id = ${id} and ${mayOnBox(subject, "preview.read")}`,
  );
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
    sql`${mayOnBox(subject, "preview.read")} and p.closed_at is null
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
  await permitOnBox(tx, subject, "preview.share", boxOf(preview));
  return { preview, maxVisibility };
}

/** The box, as rights see it. */
export function boxOf(preview: PreviewView): GuardedBox {
  const { boxId, boxName, orgId, ownerId, teamId } = preview;
  return { id: boxId, name: boxName, org_id: orgId, owner_id: ownerId, team_id: teamId };
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
