// Organizations, and the rules that hold for their members.

import { sql } from "kysely";
import { VISIBILITIES, type Visibility } from "#domain/box.ts";
import type { OrgId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { type Db, transact } from "./db.ts";
import { insertEvents } from "./events.ts";
import { narrowPreviews } from "./preview-changes.ts";
import { endLinks } from "./preview-links.ts";

export interface OrgView {
  readonly id: OrgId;
  readonly name: string;
  readonly maxVisibility: Visibility;
}

export async function getOrg(db: Db, subject: Subject): Promise<OrgView> {
  const { rows } = await sql<OrgView>`
    select id, name, max_visibility as "maxVisibility" from orgs where id = ${subject.orgId}`.execute(
    db.query,
  );
  return rows[0] as OrgView;
}

/** Locked against a preview that is being opened or widened meanwhile. */
export async function setMaxVisibility(
  db: Db,
  subject: Subject,
  maxVisibility: Visibility,
): Promise<OrgView> {
  return transact(db, "store.org.update", async (tx) => {
    await sql`select 1 from orgs where id = ${subject.orgId} for no key update`.execute(tx.query);
    const before = await getOrg(tx, subject);
    if (before.maxVisibility === maxVisibility) return before;
    await sql`update orgs set max_visibility = ${maxVisibility} where id = ${subject.orgId}`.execute(
      tx.query,
    );
    const wider = VISIBILITIES.slice(VISIBILITIES.indexOf(maxVisibility) + 1);
    const events = await narrowPreviews(
      tx,
      sql`org_id = ${subject.orgId} and visibility = any(${wider}::text[])`,
      maxVisibility,
      subject,
    );
    if (maxVisibility !== "public")
      events.push(...(await endLinks(tx, sql`org_id = ${subject.orgId}`, subject)));
    await insertEvents(tx, [
      ...events,
      {
        orgId: subject.orgId,
        kind: "org.updated",
        subjectKind: "org",
        subjectId: subject.orgId,
        actor: subject.userId,
        message: `previews may be ${maxVisibility} at most`,
        data: { maxVisibility },
      },
    ]);
    return { ...before, maxVisibility };
  });
}
