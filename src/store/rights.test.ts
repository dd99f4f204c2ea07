// A share counts in its own organization only, also where nothing but the store says so.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { controlPlane } from "#test/harness/control-plane.ts";
import { getBox, listBoxes } from "./boxes.ts";
import { permitOnBox } from "./rights.ts";

test("a share that another organization has written of a box is none", async (t) => {
  const plane = await controlPlane(t);
  const { db, admin, stranger } = plane;
  await plane.addTemplate("base");
  const { box } = await admin.client.boxes.create({ template: "base" });
  const other = (await plane.addMember("other")).subject;
  // The database itself takes none.
  await sql`alter table grants disable trigger grants_refer`.execute(db.query);
  await sql`insert into grants (id, org_id, user_id, role, scope, scope_id)
    values ('gr_forged', ${stranger.subject.orgId}, ${other.userId}, 'admin', 'box', ${box.id})`.execute(
    db.query,
  );
  await assert.rejects(getBox(db, other, box.id), { code: "not_found" });
  const page = { after: null, limit: 10 };
  assert.deepEqual(await listBoxes(db, other, page), []);
  const row = { id: box.id, name: box.name, org_id: other.orgId, team_id: null };
  const guarded = { ...row, owner_id: admin.subject.userId } as never;
  await assert.rejects(permitOnBox(db, other, "box.enter", guarded), { code: "forbidden" });
  await sql`update grants set org_id = ${other.orgId} where id = 'gr_forged'`.execute(db.query);
  assert.equal((await getBox(db, other, box.id)).id, box.id);
});
