// Boxes through the API, on a real Postgres: answers, refusals, tenancy, idempotency, generations, lists.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { type ControlPlane, controlPlane } from "#test/harness/control-plane.ts";

/** A raw request, for what the SDK would not send. */
async function call(
  plane: ControlPlane,
  method: "GET" | "POST" | "DELETE",
  url: string,
  options: { body?: object; headers?: Record<string, string>; token?: string } = {},
) {
  const response = await plane.api.app.inject({
    method,
    url,
    headers: { authorization: `Bearer ${options.token ?? plane.admin.token}`, ...options.headers },
    ...(options.body ? { payload: options.body } : {}),
  });
  return { status: response.statusCode, headers: response.headers, body: response.json() };
}

async function countBoxRows(plane: ControlPlane): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*) as n from boxes where kind = 'user'`.execute(plane.db.query);
  return rows[0]?.n ?? -1;
}

test("a box is created, shown, asked for other states, and deleted for good", async (t) => {
  const plane = await controlPlane(t);
  const { boxes, operations } = plane.admin.client;
  await plane.addTemplate();
  const { box, operation } = await boxes.create({ template: "default", name: "web" });
  assert.equal(box.phase, "creating");
  assert.equal(box.desired, "running");
  assert.equal(box.generation, 1);
  assert.equal(box.owner, plane.admin.subject.userId);
  assert.equal(box.org, plane.admin.subject.orgId);
  assert.equal(operation.state, "running");
  assert.deepEqual((await operations.get(operation.id)).resource, { type: "box", id: box.id });
  assert.deepEqual(await boxes.get("web"), box);
  assert.deepEqual(await boxes.get(box.id), box);
  const stopped = await boxes.stop("web");
  assert.equal(stopped.box.phase, "stopped");
  assert.equal(stopped.box.generation, 2);
  assert.equal((await operations.get(operation.id)).state, "superseded");
  assert.equal((await operations.get(stopped.operation.id)).state, "succeeded");
  await assert.rejects(boxes.resume("web"), { code: "not_now", status: 409 });
  await assert.rejects(boxes.create({ template: "default", name: "web" }), { code: "name_taken" });
  assert.equal((await boxes.start("web")).box.desired, "running");
  const gone = await boxes.delete("web");
  assert.equal(gone.box.phase, "deleted");
  await assert.rejects(boxes.get("web"), { code: "not_found", status: 404 });
  assert.equal((await boxes.get(box.id)).phase, "deleted");
  await assert.rejects(boxes.start(box.id), { code: "not_now" });
  assert.equal((await boxes.create({ template: "default", name: "web" })).box.name, "web");
});

test("a template without a ready version makes no box yet, and an unknown one none at all", async (t) => {
  const plane = await controlPlane(t);
  const { boxes, templates } = plane.admin.client;
  const { template } = await templates.create({ name: "slow" });
  assert.equal(template.latest?.state, "building");
  await assert.rejects(boxes.create({ template: "slow" }), { code: "not_ready", retryable: true });
  await assert.rejects(boxes.create({ template: "none" }), { code: "not_found" });
  await assert.rejects(templates.create({ name: "x", base: "debian-99" }), {
    code: "invalid_request",
    fields: [{ path: "body.base", message: "there is no base image 'debian-99'" }],
  });
});

test("the same definition makes no new version, another one does; a used template stays", async (t) => {
  const plane = await controlPlane(t);
  const { boxes, templates } = plane.admin.client;
  await plane.addTemplate("web");
  assert.equal((await templates.create({ name: "web" })).template.latest?.version, 1);
  const second = await templates.create({ name: "web", packages: ["jq"], env: { A: "1" } });
  assert.equal(second.template.latest?.version, 2);
  assert.equal(second.template.ready?.version, 1);
  const detail = await templates.version("web", 2);
  assert.deepEqual(detail.definition.packages, ["jq"]);
  assert.equal(detail.definition.base, "debian-12");
  assert.deepEqual(
    (await templates.versions("web")).items.map((one) => one.version),
    [2, 1],
  );
  await assert.rejects(templates.version("web", 3), { code: "not_found" });
  assert.equal((await templates.build("web", 2)).operation.kind, "template.build");
  const { box } = await boxes.create({ template: "web" });
  assert.match(box.name, /^web-[0-9a-z]{5}$/);
  assert.equal(box.template.version, 1);
  await assert.rejects(templates.delete("web"), { code: "in_use" });
  await boxes.delete(box.id);
  await templates.delete("web");
  await assert.rejects(templates.get("web"), { code: "not_found" });
});

test("what belongs to another organization is not found, by id as by name", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const { box, operation } = await plane.admin.client.boxes.create({ template: "default" });
  const { client } = plane.stranger;
  const volume = (await plane.admin.client.volumes.list()).items[0]?.id ?? "";
  const attempts: Record<string, () => Promise<unknown>> = {
    get: () => client.boxes.get(box.id),
    byName: () => client.boxes.get(box.name),
    start: () => client.boxes.start(box.id),
    stop: () => client.boxes.stop(box.id),
    pause: () => client.boxes.pause(box.id),
    resume: () => client.boxes.resume(box.id),
    restart: () => client.boxes.restart(box.id),
    delete: () => client.boxes.delete(box.id),
    fork: () => client.boxes.fork(box.id),
    wait: () => client.boxes.wait(box.id, { for: "running" }),
    checkpoint: () => client.checkpoints.create(box.id),
    restore: () => client.checkpoints.restore(box.id, { snapshot: "snap_x" }),
    ticket: () => client.access.ticket(box.id),
    certificate: () => client.access.sshCertificate(box.id, { publicKey: "ssh-ed25519 AAAA" }),
    operation: () => client.operations.get(operation.id),
    template: () => client.templates.get("default"),
    version: () => client.templates.version("default", 1),
    versions: () => client.templates.versions("default"),
    build: () => client.templates.build("default", 1),
    create: () => client.boxes.create({ template: "default" }),
    events: () => client.events.list({ box: box.id }),
    volume: () => client.volumes.get(volume),
  };
  for (const [name, attempt] of Object.entries(attempts))
    await assert.rejects(attempt, { code: "not_found", status: 404 }, name);
  for (const list of [
    await client.boxes.list(),
    await client.templates.list(),
    await client.volumes.list(),
    await client.snapshots.list(),
    await client.events.list(),
  ])
    assert.deepEqual(list.items, []);
  assert.deepEqual((await client.system.get()).boxes, {});
  await assert.rejects(client.nodes.createJoinToken(), { code: "forbidden", status: 403 });
  assert.equal((await plane.admin.client.boxes.get(box.id)).generation, 1);
});

test("a key gives the same answer for the same request, and refuses another", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const create = (name: string, token = plane.admin.token) =>
    call(plane, "POST", "/v1/boxes", {
      body: { template: "default", name },
      headers: { "idempotency-key": "k1" },
      token,
    });
  const first = await create("web");
  assert.equal(first.status, 202);
  assert.deepEqual(await create("web").then((r) => [r.status, r.body]), [202, first.body]);
  const other = await create("api");
  assert.equal(other.status, 422);
  assert.equal(other.body.code, "idempotency_key_reused");
  const elsewhere = await call(plane, "POST", "/v1/boxes/web/pause", {
    headers: { "idempotency-key": "k1" },
  });
  assert.equal(elsewhere.body.code, "idempotency_key_reused");
  // The key of one user means nothing to another.
  assert.equal((await create("web", plane.stranger.token)).body.code, "not_found");
  assert.equal(await countBoxRows(plane), 1);
});

test("a refused request does not use up its key", async (t) => {
  const plane = await controlPlane(t);
  const create = () =>
    call(plane, "POST", "/v1/boxes", {
      body: { template: "default", name: "web" },
      headers: { "idempotency-key": "k1" },
    });
  assert.equal((await create()).body.code, "not_found");
  await plane.addTemplate();
  assert.equal((await create()).status, 202);
});

test("the same key at the same time has one effect and one answer", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const answers = await Promise.all(
    Array.from({ length: 12 }, () =>
      call(plane, "POST", "/v1/boxes", {
        body: { template: "default" },
        headers: { "idempotency-key": "k1" },
      }),
    ),
  );
  for (const answer of answers) {
    assert.equal(answer.status, 202);
    assert.deepEqual(answer.body, answers[0]?.body);
  }
  assert.equal(await countBoxRows(plane), 1);
});

test("the ETag is the generation, and If-Match lets only one of two changes through", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  await plane.admin.client.boxes.create({ template: "default", name: "web" });
  const shown = await call(plane, "GET", "/v1/boxes/web");
  assert.equal(shown.headers.etag, '"1"');
  const change = (verb: string) =>
    call(plane, "POST", `/v1/boxes/web/${verb}`, { headers: { "if-match": '"1"' } });
  const answers = await Promise.all([change("stop"), change("pause")]);
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [202, 412]);
  const refused = answers.find((answer) => answer.status === 412);
  assert.equal(refused?.body.code, "generation_mismatch");
  assert.equal(answers.find((answer) => answer.status === 202)?.headers.etag, '"2"');
  const any = await call(plane, "DELETE", "/v1/boxes/web", { headers: { "if-match": "*" } });
  assert.equal(any.status, 202);
});

test("forks have names, identities and operations of their own", async (t) => {
  const plane = await controlPlane(t);
  const { boxes } = plane.admin.client;
  await plane.addTemplate();
  const { box } = await boxes.create({ template: "default", name: "web", env: { A: "1" } });
  const { forks } = await boxes.fork("web", { count: 2, names: ["left", "right"] });
  assert.deepEqual(
    forks.map((fork) => fork.box.name),
    ["left", "right"],
  );
  for (const fork of forks) {
    assert.deepEqual(fork.box.source.forkedFrom, { id: box.id, name: "web" });
    assert.equal(fork.operation.resource.id, fork.box.id);
  }
  const { forks: more } = await boxes.fork("web", { count: 3 });
  assert.equal(new Set(more.map((fork) => fork.box.name)).size, 3);
  await assert.rejects(boxes.fork("web", { count: 2, names: ["one"] }), {
    code: "invalid_request",
  });
  await assert.rejects(boxes.fork("web", { count: 2, names: ["new", "left"] }), {
    code: "name_taken",
  });
  // All or nothing.
  await assert.rejects(boxes.get("new"), { code: "not_found" });
});

test("a list is walked by cursors without a gap or a repeat; a cursor of another list is refused", async (t) => {
  const plane = await controlPlane(t);
  const { boxes, templates, events } = plane.admin.client;
  await plane.addTemplate();
  await plane.addTemplate("other");
  const made = new Set<string>();
  for (let i = 0; i < 7; i += 1)
    made.add((await boxes.create({ template: i < 5 ? "default" : "other" })).box.id);
  const seen: string[] = [];
  let cursor: string | undefined;
  let pages = 0;
  do {
    const page = await boxes.list({ limit: 3, ...(cursor ? { cursor } : {}) });
    seen.push(...page.items.map((box) => box.id));
    cursor = page.nextCursor ?? undefined;
    pages += 1;
  } while (cursor);
  assert.equal(pages, 3);
  assert.equal(seen.length, 7);
  assert.deepEqual(new Set(seen), made);
  assert.equal((await boxes.list({ template: "other" })).items.length, 2);
  const { nextCursor } = await boxes.list({ limit: 1 });
  const taken = nextCursor ?? "";
  for (const list of [
    () => boxes.list({ cursor: taken, template: "default" }),
    () => boxes.list({ cursor: `${taken.slice(0, -2)}AA` }),
    () => templates.list({ cursor: taken }),
    () => events.list({ cursor: taken }),
    () => boxes.list({ cursor: "" }),
  ])
    await assert.rejects(list, { code: "invalid_cursor", status: 400 });
});

test("events are listed in both directions, page by page", async (t) => {
  const plane = await controlPlane(t);
  const { boxes, events } = plane.admin.client;
  await plane.addTemplate();
  const { box } = await boxes.create({ template: "default" });
  await boxes.stop(box.id);
  await boxes.start(box.id);
  const all = async (order: "newest" | "oldest") => {
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await events.list({
        order,
        limit: 2,
        box: box.id,
        ...(cursor ? { cursor } : {}),
      });
      found.push(...page.items.map((event) => event.cursor));
      cursor = page.nextCursor ?? undefined;
    } while (cursor);
    return found;
  };
  const oldest = await all("oldest");
  assert.ok(oldest.length >= 5, String(oldest.length));
  assert.deepEqual(await all("newest"), [...oldest].reverse());
});
