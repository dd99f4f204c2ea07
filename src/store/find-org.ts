// Any organization of the installation, by its name or id: for operators, who alone are told which there are.

import { sql } from "kysely";
import type { OrgId } from "#domain/ids.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import type { Db } from "./db.ts";

export async function findOrg(tx: Db, reference: string): Promise<{ id: OrgId; name: string }> {
  const { rows } = await sql<{ id: OrgId; name: string }>`
    select id, name from orgs where (id = ${reference} or name = ${reference}) and deleted_at is null
    order by (id = ${reference}) desc limit 1`.execute(tx.query);
  if (!rows[0]) throw new StoreRefusal("not_found", `There is no organization '${reference}'.`);
  return rows[0];
}
