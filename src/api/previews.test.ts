// Previews: who may open, widen and narrow one, what moves with that, and that a label never comes back.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { shareBox } from "#store/box-shares.ts";
import { type ControlPlane, controlPlane } from "#test/harness/control-plane.ts";
import { previewCheck } from "#trust/preview-tokens.ts";

async function planeWithBox(t: Parameters<typeof controlPlane>[0], options = {}) {
  const plane = await controlPlane(t, options);
  await plane.addTemplate();
  const { box } = await plane.admin.client.boxes.create({ template: "default", name: "web" });
  return { plane, box, ...plane.admin.client };
}

async function allLabels(plane: ControlPlane): Promise<string[]> {
  const { rows } = await sql<{ label: string }>`
    select label from preview_labels union all select label from previews p
    where not exists (select 1 from preview_labels l where l.label = p.label)`.execute(
    plane.db.query,
  );
  return rows.map((row) => row.label);
}

test("a port is previewed once, privately at first, at an origin of its own", async (t) => {
  const { plane, box, previews, boxes } = await planeWithBox(t);
  const made = await previews.open("web", { port: 3000 });
  assert.equal(made.visibility, "private");
  assert.match(made.url, /^https:\/\/3000-[0-9a-z]{20}\.preview\.test\/$/);
  assert.deepEqual(made.box, { id: box.id, name: "web" });
  const [again, same] = await Promise.all([
    previews.open("web", { port: 3000 }),
    previews.open(box.id, { port: 3000 }),
  ]);
  assert.deepEqual([again, same], [made, made]);
  const other = await previews.open("web", { port: 3001, visibility: "public" });
  assert.notEqual(other.url.split("-")[1], made.url.split("-")[1]);
  assert.equal((await previews.list()).items.length, 2);
  assert.deepEqual((await previews.list({ limit: 1 })).items.length, 1);
  await sql`update boxes set reserved = true, observed_ports = ${JSON.stringify([
    { port: 3000, isLoopback: true, program: "node" },
    { port: 8080, isLoopback: false, program: null },
  ])}::jsonb where id = ${box.id}`.execute(plane.db.query);
  assert.deepEqual((await boxes.get("web")).ports, [
    { port: 3000, isLoopback: true, program: "node", previewUrl: made.url },
    { port: 8080, isLoopback: false, program: null, previewUrl: null },
  ]);
});

test("opened by many at once, it is one", async (t) => {
  const { plane, previews } = await planeWithBox(t);
  const made = await Promise.all(
    [...Array(12)].map((_, n) =>
      previews.open("web", { port: 3000, visibility: n % 2 ? "public" : "private" }),
    ),
  );
  assert.equal(new Set(made.map((one) => one.id)).size, 1);
  const labels = await allLabels(plane);
  assert.equal(new Set(labels).size, labels.length);
  const { rows } = await sql`select 1 from preview_labels where ended_at is null`.execute(
    plane.db.query,
  );
  assert.equal(rows.length, 1);
});

test("narrowing moves it to another label and ends its links; widening leaves it where it is", async (t) => {
  const { previews } = await planeWithBox(t);
  const made = await previews.open("web", { port: 3000 });
  const wide = await previews.update(made.id, { visibility: "public" });
  assert.equal(wide.url, made.url);
  await previews.createLink(made.id);
  const org = await previews.update(made.id, { visibility: "org" });
  assert.notEqual(org.url, made.url);
  assert.deepEqual((await previews.listLinks(made.id)).items, []);
  const again = await previews.update(made.id, { visibility: "org" });
  assert.deepEqual(again, org);
  // Asking for it again with another visibility is no way around.
  const reopened = await previews.open("web", { port: 3000, visibility: "private" });
  assert.notEqual(reopened.url, org.url);
  assert.equal(reopened.id, made.id);
});

test("a label is never used again, whatever is closed, narrowed and deleted", async (t) => {
  const { plane, previews, boxes } = await planeWithBox(t);
  const urls = new Set<string>();
  for (let round = 0; round < 5; round += 1) {
    const made = await previews.open("web", { port: 3000, visibility: "public" });
    urls.add(made.url);
    urls.add((await previews.update(made.id, { visibility: "private" })).url);
    const closed = await previews.close(made.id);
    assert.ok(closed.closedAt);
    await assert.rejects(previews.close(made.id), { code: "preview_gone" });
    await assert.rejects(previews.update(made.id, { visibility: "org" }), { code: "preview_gone" });
    await assert.rejects(previews.createLink(made.id), { code: "preview_gone" });
  }
  assert.equal(urls.size, 10);
  const open = await previews.open("web", { port: 3000 });
  await boxes.delete("web");
  assert.deepEqual((await previews.list()).items, []);
  await assert.rejects(previews.update(open.id, { visibility: "org" }), { code: "preview_gone" });
  await boxes.create({ template: "default", name: "web" });
  urls.add(open.url);
  urls.add((await previews.open("web", { port: 3000 })).url);
  assert.equal(urls.size, 12);
  const labels = await allLabels(plane);
  assert.deepEqual([labels.length, new Set(labels).size], [12, 12]);
  const taken = labels[0] ?? "";
  const insert = sql`insert into preview_labels (label, preview_id) values (${taken}, ${open.id})`;
  await assert.rejects(insert.execute(plane.db.query), { code: "23505" });
  // It is the key of the table alone that stands in the way.
  await sql`alter table preview_labels drop constraint preview_labels_pkey`.execute(plane.db.query);
  await insert.execute(plane.db.query);
});

test("only who runs the box and an administrator change it; strangers do not even see it", async (t) => {
  const { plane, previews } = await planeWithBox(t);
  const owner = await plane.addMember("owner");
  const member = await plane.addMember("member");
  await owner.client.boxes.create({ template: "default", name: "theirs" });
  const made = await owner.client.previews.open("theirs", { port: 80 });
  const link = await owner.client.previews.createLink(made.id);
  await assert.rejects(member.client.previews.list({ box: "theirs" }), { code: "not_found" });
  await shareBox(plane.db, owner.subject, "theirs", { role: "use", user: "member" });
  const attempts = [
    (client: typeof member.client) => client.previews.open("theirs", { port: 81 }),
    (client: typeof member.client) => client.previews.update(made.id, { visibility: "org" }),
    (client: typeof member.client) => client.previews.createLink(made.id),
    (client: typeof member.client) => client.previews.deleteLink(made.id, link.id),
    (client: typeof member.client) => client.previews.close(made.id),
  ];
  for (const attempt of attempts) {
    await assert.rejects(attempt(member.client), { code: "forbidden" });
    await assert.rejects(attempt(plane.stranger.client), { code: "not_found" });
  }
  await assert.rejects(plane.stranger.client.previews.listLinks(made.id), { code: "not_found" });
  assert.deepEqual((await plane.stranger.client.previews.list()).items, []);
  assert.equal((await member.client.previews.list()).items.length, 1);
  assert.equal((await previews.update(made.id, { visibility: "org" })).visibility, "org");
  await shareBox(plane.db, owner.subject, "theirs", { role: "admin", user: "member" });
  await member.client.previews.close(
    (await member.client.previews.open("theirs", { port: 81 })).id,
  );
  await assert.rejects(member.client.org.update({ maxVisibility: "public" }), {
    code: "forbidden",
  });
  await assert.rejects(previews.deleteLink(made.id, "lnk_none"), { code: "not_found" });
});

test("the organization's limit narrows what is wider, for good, and ends links", async (t) => {
  const { previews, org } = await planeWithBox(t);
  const open = await previews.open("web", { port: 1000, visibility: "public" });
  const inside = await previews.open("web", { port: 1001, visibility: "org" });
  const hidden = await previews.open("web", { port: 1002 });
  await previews.createLink(hidden.id);
  assert.equal((await org.get()).maxVisibility, "public");
  assert.equal((await org.update({ maxVisibility: "org" })).maxVisibility, "org");
  const now = new Map((await previews.list()).items.map((one) => [one.id, one]));
  assert.equal(now.get(open.id)?.visibility, "org");
  assert.notEqual(now.get(open.id)?.url, open.url);
  assert.deepEqual(now.get(inside.id), inside);
  assert.deepEqual(now.get(hidden.id), hidden);
  assert.deepEqual((await previews.listLinks(hidden.id)).items, []);
  for (const attempt of [
    () => previews.update(open.id, { visibility: "public" }),
    () => previews.open("web", { port: 1003, visibility: "public" }),
    () => previews.createLink(hidden.id),
  ])
    await assert.rejects(attempt(), { code: "forbidden" });
  await org.update({ maxVisibility: "public" });
  assert.equal((await previews.list()).items.find((one) => one.id === open.id)?.visibility, "org");
  await previews.update(open.id, { visibility: "public" });
});

test("a limit that comes while previews are widened leaves none wider", async (t) => {
  const { plane, previews, org } = await planeWithBox(t);
  const made = await Promise.all(
    [...Array(8).keys()].map((n) => previews.open("web", { port: 2000 + n })),
  );
  await Promise.all([
    ...made.map((one) => previews.update(one.id, { visibility: "public" }).catch(() => null)),
    org.update({ maxVisibility: "org" }),
    ...[...Array(8).keys()].map((n) =>
      previews.open("web", { port: 3000 + n, visibility: "public" }).catch(() => null),
    ),
  ]);
  const { rows } = await sql`select 1 from previews where visibility = 'public'`.execute(
    plane.db.query,
  );
  assert.equal(rows.length, 0);
});

test("a link opens this preview until it expires, and is the same when it is asked for again", async (t) => {
  const { plane, previews } = await planeWithBox(t);
  const made = await previews.open("web", { port: 3000 });
  const call = { idempotencyKey: "one" };
  const link = await previews.createLink(made.id, { expiresInMs: 3_600_000 }, call);
  assert.deepEqual(await previews.createLink(made.id, { expiresInMs: 3_600_000 }, call), link);
  const url = new URL(link.url);
  assert.equal(`${url.origin}${url.pathname}`, made.url);
  const check = previewCheck([plane.ticketPublicKeyPem]);
  const pass = await check.pass(url.searchParams.get("berth_link") ?? "", Date.now());
  assert.deepEqual(
    [pass.kind, pass.previewId, pass.serial, pass.credentialId, pass.userId],
    ["link", made.id, 1, link.id, null],
  );
  assert.equal(pass.expiresAtMs, Date.parse(link.expiresAt));
  const { items } = await previews.listLinks(made.id);
  assert.deepEqual(
    items.map(({ id }) => id),
    [link.id],
  );
  assert.equal((items[0] as { url?: string }).url, undefined);
  await previews.deleteLink(made.id, link.id);
  await assert.rejects(previews.deleteLink(made.id, link.id), { code: "not_found" });
  const tooLong = previews.createLink(made.id, { expiresInMs: 8 * 86_400_000 });
  await assert.rejects(tooLong, { code: "invalid_request" });
});

test("a deleted box and a builder have no previews", async (t) => {
  const { plane, boxes, previews } = await planeWithBox(t);
  const { box } = await boxes.create({ template: "default", name: "gone" });
  await boxes.delete("gone");
  await assert.rejects(previews.open(box.id, { port: 80 }), { code: "not_now" });
  const { template } = await plane.admin.client.templates.create({ name: "other" });
  const builder = template.latest?.builder ?? "";
  await assert.rejects(previews.open(builder, { port: 80 }), { code: "not_now" });
  await assert.rejects(previews.open("web", { port: 1 }), { code: "invalid_request" });
});

test("in reduced mode previews are below the gateway's address, and the system says so loudly", async (t) => {
  const { plane, previews } = await planeWithBox(t, { previewOrigin: null });
  const made = await previews.open("web", { port: 80 });
  assert.match(made.url, /^http:\/\/127\.0\.0\.1:7302\/p\/80-[0-9a-z]{20}\/$/);
  const { notices, previewOrigin } = await plane.admin.client.system.get();
  assert.equal(previewOrigin, null);
  assert.ok(notices.some((notice) => notice.includes("reduced mode")));
});
