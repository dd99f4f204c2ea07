// The event stream and waiting, over real sockets and a real Postgres.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { sql } from "kysely";
import { createClient, type Event } from "#sdk/client.ts";
import { transact } from "#store/db.ts";
import { insertEvents } from "#store/events.ts";
import { type ControlPlane, controlPlane, DASHBOARD } from "#test/harness/control-plane.ts";

const GENEROUS_MS = 120_000;

/** Collects events until one says `end`. */
async function collect(
  plane: ControlPlane,
  query: { cursor?: string; box?: string },
  options: { caller?: "admin" | "stranger"; onOpen?: () => void } = {},
): Promise<Event[]> {
  const events: Event[] = [];
  const { client } = plane[options.caller ?? "admin"];
  const watching = client.watch(query, AbortSignal.timeout(GENEROUS_MS));
  const first = watching.next();
  options.onOpen?.();
  for (let step = await first; !step.done; step = await watching.next()) {
    if (step.value.kind === "end") break;
    events.push(step.value);
  }
  await watching.return();
  return events;
}

async function tell(plane: ControlPlane, kind: string, message = "x"): Promise<void> {
  await transact(plane.db, "test.tell", (tx) =>
    insertEvents(tx, [
      {
        orgId: plane.admin.subject.orgId,
        kind,
        subjectKind: "box",
        subjectId: "box_test",
        message,
      },
    ]),
  );
}

test("a watch follows what happens, and resumes from any cursor without a gap or a repeat", async (t) => {
  const plane = await controlPlane(t);
  const COUNT = 60;
  await tell(plane, "start");
  const { items } = await plane.admin.client.events.list({ limit: 1 });
  const start = items[0]?.cursor ?? "";
  // Writers that commit out of order: ids are given early, and become visible late.
  const writers = Array.from({ length: COUNT }, (_, n) =>
    transact(plane.db, "test.tell", async (tx) => {
      await insertEvents(tx, [
        {
          orgId: plane.admin.subject.orgId,
          kind: "n",
          subjectKind: "box",
          subjectId: "box_test",
          message: String(n),
        },
      ]);
      await sql`select pg_sleep(${((n * 7) % 5) / 100})`.execute(tx.query);
    }),
  );
  const [events] = await Promise.all([
    collect(plane, { cursor: start }),
    Promise.all(writers).then(() => tell(plane, "end")),
  ]);
  const numbers = events.map((event) => event.message);
  assert.equal(numbers.length, COUNT);
  assert.deepEqual(new Set(numbers), new Set(Array.from({ length: COUNT }, (_, n) => String(n))));
  for (const at of [0, 17, COUNT - 1]) {
    const again = await collect(plane, { cursor: events[at]?.cursor ?? "" });
    assert.deepEqual(again, events.slice(at + 1));
  }
});

test("Last-Event-ID resumes as the cursor does, and wins over it", async (t) => {
  const plane = await controlPlane(t);
  for (const kind of ["a", "b", "c"]) await tell(plane, kind);
  const { items } = await plane.admin.client.events.list({ order: "oldest" });
  const [a, b] = items.filter((event) => event.kind.length === 1);
  const stop = new AbortController();
  const response = await fetch(`${plane.url}/v1/watch?cursor=${a?.cursor}`, {
    headers: { authorization: `Bearer ${plane.admin.token}`, "last-event-id": b?.cursor ?? "" },
    signal: stop.signal,
  });
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk as Uint8Array).toString();
    if (text.includes('"kind":"c"')) break;
  }
  stop.abort();
  assert.ok(!text.includes('"kind":"b"'));
  assert.match(text, new RegExp(`^id: ${b?.cursor}\nevent: hello\n`));
});

test("a watch of one box has only its events; a stranger sees none of them", async (t) => {
  const plane = await controlPlane(t);
  const { boxes } = plane.admin.client;
  await plane.addTemplate();
  const { box } = await boxes.create({ template: "default", name: "web" });
  const { items } = await plane.admin.client.events.list({ order: "oldest", limit: 1 });
  const cursor = items[0]?.cursor ?? "";
  await boxes.create({ template: "default", name: "api" });
  await boxes.stop("web");
  const events: Event[] = [];
  for await (const event of plane.admin.client.watch({ cursor, box: "web" })) {
    events.push(event);
    if (event.data.phase === "stopped") break;
  }
  assert.ok(events.every((event) => event.boxId === box.id));
  await assert.rejects(collect(plane, { box: "web" }, { caller: "stranger" }), {
    code: "not_found",
  });
  assert.deepEqual((await plane.stranger.client.events.list()).items, []);
  await assert.rejects(collect(plane, { cursor: "nonsense" }), { code: "invalid_cursor" });
});

test("a watch from now begins with what happens after its hello", async (t) => {
  const plane = await controlPlane(t);
  await tell(plane, "before");
  const response = await fetch(`${plane.url}/v1/watch`, {
    headers: { authorization: `Bearer ${plane.admin.token}` },
    signal: AbortSignal.timeout(GENEROUS_MS),
  });
  let text = "";
  for await (const chunk of response.body ?? []) {
    const isFirst = text === "";
    text += Buffer.from(chunk as Uint8Array).toString();
    if (isFirst) await tell(plane, "after");
    if (text.includes('"kind":"after"')) break;
  }
  assert.ok(!text.includes('"kind":"before"'));
});

test("a cursor whose events are gone, or that no event has had yet, is refused", async (t) => {
  const plane = await controlPlane(t);
  await tell(plane, "a");
  await tell(plane, "b");
  await tell(plane, "c");
  const { items } = await plane.admin.client.events.list({ order: "oldest" });
  const cursor = items[0]?.cursor ?? "";
  await sql`delete from events where kind in ('a', 'b')`.execute(plane.db.query);
  await assert.rejects(collect(plane, { cursor }), { code: "invalid_cursor" });
  await sql`select setval('events_id_seq', 1)`.execute(plane.db.query);
  await assert.rejects(collect(plane, { cursor: items[2]?.cursor ?? "" }), {
    code: "invalid_cursor",
  });
});

test("a wait ends when the goal is reached, at once when it is hopeless, and with its time otherwise", async (t) => {
  const plane = await controlPlane(t);
  const { boxes } = plane.admin.client;
  await plane.addTemplate();
  await boxes.create({ template: "default", name: "web" });
  const over = await boxes.wait("web", { for: "running", timeoutMs: 0 });
  assert.deepEqual([over.reached, over.hopeless, over.box.phase], [false, false, "creating"]);
  const hopeless = await boxes.wait("web", { for: "paused", timeoutMs: 100_000 });
  assert.equal(hopeless.hopeless, true);
  await assert.rejects(boxes.until("web", "paused"), { code: "not_now" });
  const waiting = boxes.wait("web", { for: "settled", timeoutMs: GENEROUS_MS });
  await boxes.stop("web");
  const settled = await waiting;
  assert.deepEqual([settled.reached, settled.box.phase], [true, "stopped"]);
  const { id } = settled.box;
  // The wait holds on to the box, not to its name.
  const forDeletion = boxes.wait(id, { for: "deleted", timeoutMs: GENEROUS_MS });
  await boxes.delete("web");
  const deleted = await forDeletion;
  assert.ok(deleted.reached || deleted.hopeless);
  assert.equal((await boxes.wait(id, { for: "deleted" })).reached, true);
});

test("closing the server ends streams and waits", async (t) => {
  const plane = await controlPlane(t);
  const { boxes } = plane.admin.client;
  await plane.addTemplate();
  await boxes.create({ template: "default", name: "web" });
  const response = await fetch(`${plane.url}/v1/watch`, {
    headers: { authorization: `Bearer ${plane.admin.token}` },
  });
  const waiting = boxes.wait("web", { for: "running", timeoutMs: GENEROUS_MS });
  const reader = response.body?.getReader();
  await reader?.read();
  // The wait must have begun, or it would be refused instead of ended.
  while (!/^berth_requests_open 2$/m.test(plane.metrics.print())) await delay(5);
  await plane.api.close();
  assert.equal((await waiting).reached, false);
  for (;;) {
    const step = await reader?.read().catch(() => ({ done: true }));
    if (!step || step.done) break;
  }
});

test("a watch goes on at another replica when its own goes away", async (t) => {
  const plane = await controlPlane(t);
  const other = await plane.addReplica();
  const opened: string[] = [];
  const client = createClient({
    url: plane.url,
    token: plane.admin.token,
    retries: 1000,
    sleep: () => delay(5),
    fetch: (request) => {
      const url = opened.length === 0 ? request.url : request.url.replace(plane.url, other);
      opened.push(url);
      return fetch(new Request(url, request));
    },
  });
  const signal = AbortSignal.timeout(GENEROUS_MS);
  const kinds: string[] = [];
  const watching = client.watch({}, signal);
  const first = watching.next();
  while (!/^berth_requests_open 1$/m.test(plane.metrics.print())) await delay(5);
  // The stream may begin a moment after its request: tell until it is heard.
  let n = 0;
  const telling = (async () => {
    while (kinds.length === 0) {
      await tell(plane, `n${n}`);
      n += 1;
    }
  })();
  kinds.push((await first).value?.kind ?? "");
  await telling;
  const closing = plane.api.close();
  for (let i = 0; i < 5; i += 1, n += 1) await tell(plane, `n${n}`);
  await closing;
  await tell(plane, "end");
  for await (const event of watching) {
    if (event.kind === "end") break;
    kinds.push(event.kind);
  }
  const start = Number(kinds[0]?.slice(1));
  assert.deepEqual(
    kinds,
    Array.from({ length: n - start }, (_, i) => `n${start + i}`),
  );
  assert.ok(opened.length > 1 && opened.at(-1)?.startsWith(other));
});

test("a watch ends with the token or the web session that it was opened with", async (t) => {
  const plane = await controlPlane(t);
  const { client } = plane.admin;
  const watching = async (headers: Record<string, string>) => {
    const signal = AbortSignal.timeout(GENEROUS_MS);
    const response = await fetch(`${plane.url}/v1/watch`, { headers, signal });
    assert.equal(response.status, 200);
    const reader = response.body?.getReader();
    await reader?.read();
    return async () => {
      while (!(await reader?.read())?.done);
    };
  };
  const token = await client.tokens.create({ name: "t" });
  const login = await fetch(`${plane.url}/v1/web-session`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token: token.token }),
  });
  const cookie = login.headers.get("set-cookie")?.split(";")[0] ?? "";
  const ends = [
    await watching({ authorization: `Bearer ${token.token}` }),
    await watching({ cookie, origin: DASHBOARD }),
  ];
  await client.tokens.delete(token.id);
  for (const end of ends) await end();
});
