// Service accounts: a name is one's, whoever races for it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import type { OrgRole } from "#domain/permission.ts";
import { testDatabase } from "#test/harness/database.ts";
import { createUser } from "./access.ts";
import {
  createServiceAccount,
  deleteServiceAccount,
  getServiceAccount,
} from "./service-accounts.ts";

test("of two that are made at once under one name, one is refused", async (t) => {
  const { db } = await testDatabase(t);
  const [one, other] = [
    await createUser(db, { orgName: "one", name: "u" }),
    await createUser(db, { orgName: "other", name: "u" }),
  ];
  const robot = { name: "ci", roles: ["member"] as OrgRole[] };
  for (let round = 0; round < 10; round += 1) {
    const made = await Promise.allSettled(
      [1, 2, 3].map(() => createServiceAccount(db, one, robot)),
    );
    const refusals = made.flatMap((one) => (one.status === "rejected" ? [one.reason.code] : []));
    assert.deepEqual(refusals, ["name_taken", "name_taken"]);
    await createServiceAccount(db, other, { ...robot, name: `ci${round}` });
    // Gone, its name is free.
    await deleteServiceAccount(db, one, "ci");
  }
  await createServiceAccount(db, one, robot);
  const odd = createServiceAccount(db, one, { ...robot, name: "CI" });
  await assert.rejects(odd, { code: "name_taken" });
  assert.equal((await getServiceAccount(db, one, "CI")).name, "ci");
  const { rows } =
    await sql`select 1 from users where home_org_id = ${one.orgId} and disabled_at is null`.execute(
      db.query,
    );
  assert.equal(rows.length, 1);
});
