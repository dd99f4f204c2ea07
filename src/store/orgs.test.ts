// Organizations: their names are one of a kind, and their own business.

import assert from "node:assert/strict";
import { test } from "node:test";
import { controlPlane } from "#test/harness/control-plane.ts";

test("an organization is renamed by who manages it; two never have one name", async (t) => {
  const plane = await controlPlane(t);
  const member = await plane.addMember("mia");
  const beta = await plane.addOrg("beta");
  assert.equal((await plane.admin.client.org.update({ name: "acme" })).name, "acme");
  assert.equal((await plane.admin.client.org.get()).name, "acme");
  await assert.rejects(beta.client.org.update({ name: "acme" }), { code: "name_taken" });
  await assert.rejects(member.client.org.update({ name: "mine" }), { code: "forbidden" });
  assert.equal((await beta.client.org.get()).name, "beta");
  const both = await beta.client.org.update({ name: "beta-two", maxVisibility: "org" });
  assert.deepEqual([both.name, both.maxVisibility], ["beta-two", "org"]);
});
