// Previews opened, widened, narrowed and closed. Narrowing moves a preview to another label, so that who knew the old
// address must be told the new one; a label is never used again.

import { type RawBuilder, sql } from "kysely";
import type { Visibility } from "#domain/box.ts";
import type { PreviewId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { isWider } from "#domain/preview.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import type { BoxRow } from "./box-view.ts";
import { lockBoxRow } from "./boxes.ts";
import { type Db, transact } from "./db.ts";
import { insertEvents, type NewEvent } from "./events.ts";
import { newId, newLabel } from "./new-id.ts";
import { endLinks } from "./preview-links.ts";
import {
  getPreview,
  lockMaxVisibility,
  lockSharedPreview,
  type PreviewView,
  previewEvent,
  selectPreviews,
} from "./previews.ts";

export interface OpenPreviewInput {
  readonly port: number;
  /** Null: private, or whatever it is when it is open already. */
  readonly visibility: Visibility | null;
}

/** The open one of this box and port, or a new one. */
export async function openPreview(
  db: Db,
  subject: Subject,
  reference: string,
  input: OpenPreviewInput,
): Promise<PreviewView> {
  return transact(db, "store.preview.open", async (tx) => {
    const maxVisibility = await lockMaxVisibility(tx, subject.orgId);
    const box = await lockBoxRow(tx, subject, reference, "preview.share");
    refusePreview(box);
    const [open] = await selectPreviews(
      tx,
      sql`p.box_id = ${box.id} and p.port = ${input.port} and p.closed_at is null
        for no key update of p`,
    );
    if (open)
      return changeVisibility(
        tx,
        subject,
        open,
        input.visibility ?? open.visibility,
        maxVisibility,
      );
    const visibility = input.visibility ?? "private";
    refuseWider(visibility, maxVisibility);
    const id = newId<PreviewId>("preview");
    const label = newLabel();
    await sql`insert into previews (id, org_id, owner_id, box_id, port, label, visibility)
      values (${id}, ${box.org_id}, ${subject.userId}, ${box.id}, ${input.port}, ${label}, ${visibility})`.execute(
      tx.query,
    );
    // After it: a label belongs to whoever sees its preview.
    await sql`insert into preview_labels (label, preview_id) values (${label}, ${id})`.execute(
      tx.query,
    );
    const preview = await getPreview(tx, subject, id);
    const message = `port ${input.port} of ${box.name} is previewed (${visibility})`;
    await insertEvents(tx, [previewEvent(preview, subject, "opened", message)]);
    return preview;
  });
}

function refusePreview(box: BoxRow): void {
  if (box.deleted_at !== null || box.desired === "deleted")
    throw new StoreRefusal("not_now", `${box.name} is deleted.`);
  if (box.kind === "builder") throw new StoreRefusal("not_now", `${box.name} builds a template.`);
}

function refuseWider(visibility: Visibility, maxVisibility: Visibility): void {
  if (isWider(visibility, maxVisibility))
    throw new StoreRefusal(
      "forbidden",
      `The organization lets previews be ${maxVisibility} at most, not ${visibility}.`,
    );
}

export async function setVisibility(
  db: Db,
  subject: Subject,
  id: string,
  visibility: Visibility,
): Promise<PreviewView> {
  return transact(db, "store.preview.update", async (tx) => {
    const { preview, maxVisibility } = await lockSharedPreview(tx, subject, id);
    return changeVisibility(tx, subject, preview, visibility, maxVisibility);
  });
}

async function changeVisibility(
  tx: Db,
  subject: Subject,
  preview: PreviewView,
  visibility: Visibility,
  maxVisibility: Visibility,
): Promise<PreviewView> {
  if (visibility === preview.visibility) return preview;
  refuseWider(visibility, maxVisibility);
  if (isWider(preview.visibility, visibility)) {
    const condition = sql`id = ${preview.id}`;
    await insertEvents(tx, await narrowPreviews(tx, condition, visibility, subject));
    return getPreview(tx, subject, preview.id);
  }
  await sql`update previews set visibility = ${visibility} where id = ${preview.id}`.execute(
    tx.query,
  );
  const changed = { ...preview, visibility };
  await insertEvents(tx, [previewEvent(changed, subject, "updated", changeMessage(changed))]);
  return changed;
}

function changeMessage({ port, boxName, visibility }: PreviewView): string {
  return `the preview of port ${port} of ${boxName} is ${visibility} now`;
}

/** What opened them before holds no more. The caller writes the events. */
export async function narrowPreviews(
  tx: Db,
  condition: RawBuilder<unknown>,
  visibility: Visibility,
  subject: Subject,
): Promise<NewEvent[]> {
  const { rows } = await sql<{ id: PreviewId }>`
    select id from previews where closed_at is null and ${condition} order by id
    for no key update`.execute(tx.query);
  if (rows.length === 0) return [];
  const moves = JSON.stringify(rows.map(({ id }) => ({ id, label: newLabel() })));
  const ids = rows.map((row) => row.id) as string[];
  await endLabels(tx, ids);
  await sql`
    with moves as (select * from jsonb_to_recordset(${moves}::jsonb) as m (id text, label text)),
    fresh as (insert into preview_labels (label, preview_id) select label, id from moves)
    update previews p set label = m.label, visibility = ${visibility}, serial = p.serial + 1
    from moves m where m.id = p.id`.execute(tx.query);
  const links = await endLinks(tx, sql`preview_id = any(${ids}::text[])`, subject);
  const changed = await selectPreviews(tx, sql`p.id = any(${ids}::text[]) order by p.id`);
  const told = changed.map((one) => previewEvent(one, subject, "updated", changeMessage(one)));
  return [...told, ...links];
}

export async function closePreview(db: Db, subject: Subject, id: string): Promise<PreviewView> {
  return transact(db, "store.preview.close", async (tx) => {
    const { preview } = await lockSharedPreview(tx, subject, id);
    await insertEvents(tx, await closePreviews(tx, sql`id = ${preview.id}`, subject));
    const [closed] = await selectPreviews(tx, sql`p.id = ${preview.id}`);
    return closed ?? preview;
  });
}

/** The caller writes the events. */
export async function closePreviews(
  tx: Db,
  condition: RawBuilder<unknown>,
  subject: Subject,
): Promise<NewEvent[]> {
  const { rows } = await sql<{ id: PreviewId }>`
    update previews set closed_at = now(), serial = serial + 1
    where id in (select id from previews where closed_at is null and ${condition} order by id
      for no key update) returning id`.execute(tx.query);
  if (rows.length === 0) return [];
  const ids = rows.map((row) => row.id) as string[];
  await endLabels(tx, ids);
  const links = await endLinks(tx, sql`preview_id = any(${ids}::text[])`, subject);
  const closed = await selectPreviews(tx, sql`p.id = any(${ids}::text[]) order by p.id`);
  const told = closed.map((one) =>
    previewEvent(
      one,
      subject,
      "closed",
      `the preview of port ${one.port} of ${one.boxName} closed`,
    ),
  );
  return [...told, ...links];
}

async function endLabels(tx: Db, previewIds: readonly string[]): Promise<void> {
  await sql`
    update preview_labels set ended_at = now()
    where preview_id = any(${[...previewIds]}::text[]) and ended_at is null`.execute(tx.query);
}
