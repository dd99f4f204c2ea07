// Whether a person may see a preview now: asked when a browser is let in, and again each time its pass is renewed.

import { sql } from "kysely";
import type { UserId } from "#domain/ids.ts";
import { mayEver, type Permission, type Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import type { Db } from "./db.ts";
import { boxOf, type PreviewView, selectPreviews } from "./previews.ts";
import { permitOnBox } from "./rights.ts";
import { loadSubject } from "./subjects.ts";

/** By the first part of its host name: PORT-LABEL. Refused as gone when it has moved or closed. */
export async function findPreview(db: Db, port: number, label: string): Promise<PreviewView> {
  const [preview] = await selectPreviews(
    db,
    sql`p.label = ${label} and p.port = ${port} and p.closed_at is null`,
  );
  if (preview) return preview;
  const { rows } = await sql`
    select 1 from preview_labels where label = ${label} and ended_at is not null`.execute(db.query);
  if (rows.length > 0)
    throw new StoreRefusal("preview_gone", "This preview has moved to another address, or closed.");
  throw new StoreRefusal("not_found", "There is no preview at this address.");
}

/** A private one is for those who may enter its box: they see the port from inside as well. */
export async function refuseVisit(db: Db, subject: Subject, preview: PreviewView): Promise<void> {
  if (preview.visibility === "public") return;
  const isMember = subject.orgId === preview.orgId && mayEver(subject, "preview.read");
  if (isMember && preview.visibility === "org") return;
  const isLetIn =
    isMember &&
    (await permitOnBox(db, subject, "box.enter", boxOf(preview)).then(
      () => true,
      (error) => {
        if (error instanceof StoreRefusal) return false;
        throw error;
      },
    ));
  if (isLetIn) return;
  const who = preview.visibility === "private" ? "those who may enter it" : "its organization";
  throw new StoreRefusal(
    "forbidden",
    `The preview of port ${preview.port} of ${preview.boxName} is for ${who}.`,
  );
}

export interface PassFacts {
  readonly previewId: string;
  readonly serial: number;
  /** A web session. */
  readonly credentialId: string;
}

/** Refuses unless everything that the pass rests on still holds. */
export async function refuseRenewal(db: Db, pass: PassFacts): Promise<void> {
  const [preview] = await selectPreviews(
    db,
    sql`p.id = ${pass.previewId} and p.serial = ${pass.serial} and p.closed_at is null`,
  );
  if (!preview)
    throw new StoreRefusal("preview_gone", "This preview has moved to another address, or closed.");
  // A person may have switched to another organization meanwhile: the one of the preview counts.
  const { rows } = await sql<{ userId: UserId; scopes: Permission[] | null }>`
    select s.user_id as "userId", t.scopes from web_sessions s left join tokens t on t.id = s.token_id
    where s.id = ${pass.credentialId} and s.revoked_at is null and s.expires_at > now()`.execute(
    db.query,
  );
  if (!rows[0]) throw new StoreRefusal("revoked", "The session that opened this preview is over.");
  if (preview.visibility === "public") return;
  const { userId, scopes } = rows[0];
  const subject = await loadSubject(db, userId, preview.orgId);
  if (!subject)
    throw new StoreRefusal("revoked", "You do not belong to this preview's organization any more.");
  await refuseVisit(db, { ...subject, scopes }, preview);
}
