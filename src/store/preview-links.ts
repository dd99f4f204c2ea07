// Links: addresses that open a preview for whoever has them, until they expire or are taken back.

import { type RawBuilder, sql } from "kysely";
import type { PreviewId, PreviewLinkId, UserId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { type Db, transact } from "./db.ts";
import { insertEvents, type NewEvent } from "./events.ts";
import { newId } from "./new-id.ts";
import { getPreview, lockSharedPreview, type PreviewView } from "./previews.ts";
import { revoke } from "./revocations.ts";
import { endOfMaker, holdToken, type Maker } from "./tokens.ts";

export interface PreviewLinkView {
  readonly id: PreviewLinkId;
  readonly previewId: PreviewId;
  /** Of the preview when the link was made. */
  readonly serial: number;
  readonly ownerId: UserId;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

const COLUMNS = sql`id, preview_id as "previewId", serial, owner_id as "ownerId",
  created_at as "createdAt", expires_at as "expiresAt"`;

export async function createPreviewLink(
  db: Db,
  { subject, tokenId }: Maker,
  previewId: string,
  lifetimeMs: number,
): Promise<{ link: PreviewLinkView; preview: PreviewView }> {
  return transact(db, "store.preview_link.create", async (tx) => {
    const { preview, maxVisibility } = await lockSharedPreview(tx, subject, previewId);
    if (maxVisibility !== "public")
      throw new StoreRefusal(
        "forbidden",
        `The organization lets previews be ${maxVisibility} at most, and a link lets in whoever has it.`,
      );
    await holdToken(tx, tokenId);
    // Whole seconds, as its signature has them, so that the same link can be signed again.
    const { rows } = await sql<PreviewLinkView>`
      insert into preview_links (id, org_id, owner_id, preview_id, serial, parent_id, created_at, expires_at)
      select ${newId<PreviewLinkId>("previewLink")}, ${preview.orgId}, ${subject.userId}, ${preview.id},
        ${preview.serial}::integer, ${tokenId}, at,
        least(date_trunc('second', ${endOfMaker(tokenId)}), at + ${lifetimeMs}::bigint * interval '1 millisecond')
      from date_trunc('second', now()) as at returning ${COLUMNS}`.execute(tx.query);
    const link = rows[0] as PreviewLinkView;
    const message = `a link to port ${preview.port} of ${preview.boxName} was made`;
    await insertEvents(tx, [linkEvent(link, preview, subject, "created", message)]);
    return { link, preview };
  });
}

/** Those that still open it. */
export async function listPreviewLinks(
  db: Db,
  subject: Subject,
  previewId: string,
  page: { readonly after: string | null; readonly limit: number },
): Promise<PreviewLinkView[]> {
  const { id } = await getPreview(db, subject, previewId);
  const { rows } = await sql<PreviewLinkView>`
    select ${COLUMNS} from preview_links where preview_id = ${id} and revoked_at is null
      and expires_at > now() and id > ${page.after ?? ""} order by id limit ${page.limit}`.execute(
    db.query,
  );
  return rows;
}

export async function deletePreviewLink(
  db: Db,
  subject: Subject,
  previewId: string,
  linkId: string,
): Promise<PreviewLinkView> {
  return transact(db, "store.preview_link.delete", async (tx) => {
    const { preview } = await lockSharedPreview(tx, subject, previewId);
    const { rows } = await sql<PreviewLinkView>`
      update preview_links set revoked_at = now()
      where id = ${linkId} and preview_id = ${preview.id} and revoked_at is null
      returning ${COLUMNS}`.execute(tx.query);
    if (!rows[0]) throw new StoreRefusal("not_found", `There is no link '${linkId}'.`);
    await revoke(tx, [linkId], rows[0].expiresAt);
    const message = `a link to port ${preview.port} of ${preview.boxName} was taken back`;
    await insertEvents(tx, [linkEvent(rows[0], preview, subject, "deleted", message)]);
    return rows[0];
  });
}

/** Ends all that fulfil a condition; the caller writes the events. */
export async function endLinks(
  tx: Db,
  condition: RawBuilder<unknown>,
  subject: Subject,
): Promise<NewEvent[]> {
  const { rows } = await sql<PreviewLinkView & { orgId: Subject["orgId"] }>`
    update preview_links set revoked_at = now()
    where revoked_at is null and expires_at > now() and ${condition}
    returning ${COLUMNS}, org_id as "orgId"`.execute(tx.query);
  const ids = rows.map((row) => row.id);
  const last = rows.reduce((max, row) => Math.max(max, row.expiresAt.getTime()), 0);
  await revoke(tx, ids, new Date(last));
  return rows.map((row) =>
    linkEvent(row, { orgId: row.orgId, boxId: null }, subject, "deleted", "a link has ended"),
  );
}

function linkEvent(
  link: PreviewLinkView,
  preview: Pick<PreviewView, "orgId"> & { readonly boxId: PreviewView["boxId"] | null },
  subject: Subject,
  what: "created" | "deleted",
  message: string,
): NewEvent {
  return {
    orgId: preview.orgId,
    kind: `preview_link.${what}`,
    subjectKind: "preview_link",
    subjectId: link.id,
    boxId: preview.boxId,
    actor: subject.userId,
    message,
    data: { previewId: link.previewId },
  };
}
