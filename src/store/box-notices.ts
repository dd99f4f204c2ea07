// Notices of the control plane on a box: conditions a user should see that are not phases.

import { sql } from "kysely";
import type { Notice } from "#domain/box.ts";
import type { BoxId } from "#domain/ids.ts";
import type { Db } from "./db.ts";

const NOTICES_KEPT = 20;

/** The oldest are forgotten. */
export async function addNotice(
  tx: Db,
  boxId: BoxId,
  code: Notice["code"],
  message: string,
): Promise<void> {
  await sql`
    update boxes set notices = (
      select coalesce(jsonb_agg(notice order by position), '[]') from (
        select notice, position from jsonb_array_elements(
          notices || jsonb_build_array(jsonb_build_object('code', ${code}::text, 'message', ${message}::text,
            'atMs', floor(extract(epoch from clock_timestamp()) * 1000))))
          with ordinality as all_notices (notice, position)
        order by position desc limit ${NOTICES_KEPT}) as newest)
    where id = ${boxId}`.execute(tx.query);
}
