// Whether a person may see a preview now: asked when a browser is let in, and again each time its grant is renewed.

import { sql } from "kysely";
import type { Subject } from "#domain/permission.ts";
import { mayVisit } from "#domain/preview.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import type { Db } from "./db.ts";
import { type PreviewView, selectPreviews } from "./previews.ts";

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

export function refuseVisit(subject: Subject, preview: PreviewView): void {
  if (mayVisit(subject, preview, preview.visibility)) return;
  const who = preview.visibility === "private" ? "its owner" : "its organization";
  throw new StoreRefusal(
    "forbidden",
    `The preview of port ${preview.port} of ${preview.boxName} is for ${who}.`,
  );
}

export interface GrantFacts {
  readonly previewId: string;
  readonly serial: number;
  /** A web session. */
  readonly credentialId: string;
}

/** Refuses unless everything that the grant rests on still holds. */
export async function refuseRenewal(db: Db, grant: GrantFacts): Promise<void> {
  const [preview] = await selectPreviews(
    db,
    sql`p.id = ${grant.previewId} and p.serial = ${grant.serial} and p.closed_at is null`,
  );
  if (!preview)
    throw new StoreRefusal("preview_gone", "This preview has moved to another address, or closed.");
  const { rows } = await sql<Subject>`
    select u.id as "userId", u.org_id as "orgId", u.is_admin as "isAdmin"
    from web_sessions s join users u on u.id = s.user_id
    where s.id = ${grant.credentialId} and s.revoked_at is null and s.expires_at > now()`.execute(
    db.query,
  );
  if (!rows[0]) throw new StoreRefusal("revoked", "The session that opened this preview is over.");
  refuseVisit(rows[0], preview);
}
