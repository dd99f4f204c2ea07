// Quotas through the API, as many ask at once.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "#sdk/api-error.ts";
import { createTeam } from "#store/teams.ts";
import { controlPlane } from "#test/harness/control-plane.ts";
import { quotaDrift } from "#test/harness/quota-drift.ts";

test("200 who ask at once at a limit of 10 get exactly 10, over two replicas", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const other = await plane.addReplica();
  const { client } = plane.admin;
  await client.quotas.setOrg(plane.admin.subject.orgId, { boxes: 10 });
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const answer = await fetch(`${index % 2 === 0 ? plane.url : other}/v1/boxes`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${plane.admin.token}`,
          "content-type": "application/json",
          "idempotency-key": `key-${index}`,
        },
        body: JSON.stringify({ template: "default" }),
      });
      return {
        status: answer.status,
        body: (await answer.json()) as { code: string; detail: string },
      };
    }),
  );
  const accepted = answers.filter(({ status }) => status === 202);
  const refused = answers.filter(({ status }) => status === 409);
  assert.deepEqual([accepted.length, refused.length], [10, 190]);
  for (const { body } of refused) assert.equal(body.code, "quota_exceeded");
  assert.match(
    refused[0]?.body.detail ?? "",
    /^The limit of the organization default is 10 boxes: 10 are used \(admin 10\), and this needs 1 more\. Delete default-\w+, .* or default-\w+ to make room\. Make room, or ask/,
  );
  const { items } = await client.boxes.list({ limit: 200 });
  assert.equal(items.length, 10);
  assert.deepEqual(await quotaDrift(plane.db), []);
});

test("a repeated request gets its answer also when the limit is reached by then", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const { client, subject } = plane.admin;
  await client.quotas.setOrg(subject.orgId, { boxes: 1 });
  const create = () =>
    client.boxes.create({ template: "default" }, { idempotencyKey: "one-and-the-same" });
  const answers = await Promise.all([create(), create(), create(), create()]);
  assert.equal(new Set(answers.map(({ box }) => box.id)).size, 1);
  assert.equal((await create()).box.id, answers[0]?.box.id);
});

test("everybody sees what is theirs; the organization's is for quota.read", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const { db, admin } = plane;
  const ada = await plane.addMember("ada");
  const auditor = await plane.addMember("auditor", ["auditor"]);
  await createTeam(db, admin.subject, "core");
  await admin.client.quotas.setDefault("user", { boxes: 3, running: 2 });
  await admin.client.quotas.setTeam("core", { cpus: 8 });
  const set = await admin.client.quotas.setUser("ada", { running: 5, templates: ["default"] });
  assert.deepEqual([set.name, set.limits.boxes, set.limits.running], ["ada", 3, 5]);
  assert.deepEqual([set.ownLimits.boxes, set.ownLimits.templates?.length], [null, 1]);
  await ada.client.boxes.create({ template: "default" });

  const own = await ada.client.quotas.get();
  assert.deepEqual([own.user.usage.boxes, own.user.limits.running, own.org], [1, 5, null]);
  assert.equal(own.everyUser.running, 2);
  const all = await auditor.client.quotas.get();
  assert.equal(all.org?.usage.boxes, 1);
  const { items } = await auditor.client.quotas.list({ scope: "user" });
  assert.deepEqual(items.map(({ name, usage }) => [name, usage.boxes]).sort(), [
    ["ada", 1],
    ["admin", 0],
    ["auditor", 0],
  ]);
  const first = await auditor.client.quotas.list({ scope: "user", limit: 2 });
  assert.equal(first.items.length, 2);
  const rest = await auditor.client.quotas.list({
    ...{ scope: "user", limit: 2, cursor: first.nextCursor ?? "" },
  });
  assert.equal(rest.items.length, 1);
  const teams = await auditor.client.quotas.list({ scope: "team" });
  assert.deepEqual(
    teams.items.map(({ name, limits }) => [name, limits.cpus]),
    [["core", 8]],
  );

  for (const [call, code] of [
    [() => ada.client.quotas.list({ scope: "user" }), "forbidden"],
    [() => auditor.client.quotas.setUser("ada", { boxes: 99 }), "forbidden"],
    [() => ada.client.quotas.setDefault("user", { boxes: 99 }), "forbidden"],
    [() => plane.stranger.client.quotas.setUser(ada.subject.userId, { boxes: 99 }), "not_found"],
    [() => plane.stranger.client.quotas.setTeam("core", { boxes: 99 }), "not_found"],
    [
      () => plane.stranger.client.quotas.setOrg(plane.stranger.subject.orgId, { boxes: 99 }),
      "forbidden",
    ],
    [() => plane.stranger.client.quotas.getOrg(admin.subject.orgId), "forbidden"],
    [() => admin.client.quotas.setUser("ada", { boxes: -1 }), "invalid_request"],
    [() => admin.client.quotas.setUser("ada", { wheels: 4 } as never), "invalid_request"],
    [() => admin.client.quotas.setOrg("nowhere", { boxes: 1 }), "not_found"],
  ] as const)
    await assert.rejects(call, (error: ApiError) => {
      assert.ok(error instanceof ApiError);
      assert.equal(error.code, code);
      return true;
    });
  assert.equal((await admin.client.quotas.getOrg("default")).usage.running, 1);
});
