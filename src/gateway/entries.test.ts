// Entries into boxes on their way to the control plane: many alike are one, none is lost while nobody takes them or the
// gateway is killed, and what had to be dropped is counted.

import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { type TestContext, test } from "node:test";
import type { GatewayEntriesRequest, GatewayEntry } from "#contract/gateway-entries.ts";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { type EntriesOptions, openEntries, type SeenEntry } from "./entries.ts";
import { GATEWAY_LIMITS } from "./limits.ts";
import { type Access, Streams } from "./streams.ts";

const GENEROUS_MS = 60_000;
const TICK_MS = 5;

function entry(boxId: string, change: Partial<SeenEntry> = {}): SeenEntry {
  return {
    ...{ via: "ssh", door: "port 1", boxId, userId: "usr_1", credentialId: "key_1" },
    ...{ address: "192.0.2.1", code: null, ...change },
  };
}

async function scene(t: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), "berth-entries-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const path = join(dir, "entries.ndjson");
  const plane = { isAway: false, dropped: 0, sent: [] as GatewayEntry[] };
  const open = (options: Partial<EntriesOptions> = {}) =>
    openEntries({
      ...{ path, clock: systemClock, log: silentLog, tickMs: TICK_MS, foldMs: GENEROUS_MS },
      send: async (batch: GatewayEntriesRequest) => {
        if (plane.isAway) throw new Error("nobody answers");
        plane.sent.push(...batch.entries);
        plane.dropped += batch.dropped;
      },
      ...options,
    });
  return { path, plane, open };
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = systemClock.monotonicMs() + GENEROUS_MS;
  while (!(await isSo())) {
    assert.ok(systemClock.monotonicMs() < endMs, "it did not come to be");
    await systemClock.sleep(5);
  }
}

test("the first is told at once, more alike as one with their number", async (t) => {
  const { path, plane, open } = await scene(t);
  const entries = await open();
  for (let at = 0; at < 100; at += 1) entries.note(entry("box_1"));
  entries.note(entry("box_1", { userId: "usr_2" }));
  entries.note(entry("box_1", { code: "revoked" }));
  await until(() => plane.sent.length === 3);
  await entries.close();
  assert.deepEqual(
    plane.sent.map(({ userId, code, count }) => [userId, code, count]),
    [
      ["usr_1", null, 1],
      ["usr_2", null, 1],
      ["usr_1", "revoked", 1],
      ["usr_1", null, 99],
    ],
  );
  assert.equal(new Set(plane.sent.map(({ entryId }) => entryId)).size, 4);
  assert.equal(await readFile(path, "utf8"), "", "what was taken is not kept");
});

test("while nobody takes them they are on disk, and the next run tells them, with the same ids", async (t) => {
  const { path, plane, open } = await scene(t);
  plane.isAway = true;
  const first = await open();
  for (let at = 0; at < 20; at += 1) first.note(entry(`box_${at}`));
  await until(async () => (await readFile(path, "utf8").catch(() => "")).split("\n").length === 21);
  const kept = (await readFile(path, "utf8")).trimEnd().split("\n");
  await first.close();
  // As after a kill in the middle of a line.
  await appendFile(path, '{"entryId":"cut');
  plane.isAway = false;
  const second = await open();
  await until(() => plane.sent.length === 20);
  await second.close();
  assert.deepEqual(
    plane.sent.map(({ entryId }) => entryId),
    kept.map((line) => JSON.parse(line).entryId),
  );
  assert.equal(await readFile(path, "utf8"), "");
});

test("more than can be kept are counted, and the number is told once", async (t) => {
  const { plane, open } = await scene(t);
  plane.isAway = true;
  const entries = await open({ keptMax: 10 });
  for (let at = 0; at < 25; at += 1) entries.note(entry(`box_${at}`));
  await systemClock.sleep(5 * TICK_MS);
  plane.isAway = false;
  await until(() => plane.dropped > 0);
  await entries.close();
  assert.equal(plane.sent.length, 10);
  assert.equal(plane.dropped, 15);
});

test("whoever is refused at ever other doors from ever other addresses leaves a bounded number, and their count", async (t) => {
  const { plane, open } = await scene(t);
  const entries = await open();
  const refused = (at: number) =>
    entry("box_1", { door: `port ${at}`, address: `192.0.2.${at % 250}`, code: "forbidden" });
  for (let at = 0; at < 5000; at += 1) entries.note(refused(at));
  entries.note(entry("box_1", { door: "port 22" }));
  entries.note(entry("box_1", { userId: "usr_2", code: "forbidden" }));
  await entries.close();
  const ofOne = plane.sent.filter(({ userId, code }) => userId === "usr_1" && code !== null);
  assert.ok(ofOne.length <= 22, `${ofOne.length} entries`);
  assert.equal(
    ofOne.reduce((sum, { count }) => sum + count, 0),
    5000,
  );
  assert.equal(ofOne.at(-1)?.door, "several");
  assert.equal(plane.sent.filter(({ code }) => code === null).length, 1, "who is let in is told");
  assert.equal(plane.sent.filter(({ userId }) => userId === "usr_2").length, 1);
});

test("every stream that is let in is noted, and every refusal for who came", async () => {
  const noted: SeenEntry[] = [];
  const opened = () => new PassThrough().on("error", () => {}); // It is ended with a reason.
  const known = { onChange: () => () => {}, use: () => () => {}, box: () => null } as never;
  const link = { nodeId: "node_1", isOpen: true, open: async () => opened() };
  const find = (boxId: string) =>
    boxId === "box_1" ? { kind: "here", epoch: 1, link } : { kind: "nowhere" };
  const streams = new Streams({
    ...{ routes: { find } as never, known, clock: systemClock, limits: GATEWAY_LIMITS },
    noteEntry: (one) => void noted.push(one),
  });
  const access: Access = {
    ...{ userId: "usr_1", boxId: "box_1", credentialId: "tok_1", epoch: null },
    ...{ caller: { via: "ticket", address: "192.0.2.1" }, isStillGood: () => true },
  };
  const { signal } = new AbortController();
  await streams.open(access, { port: 22 }, signal);
  await streams.open(access, { session: "x", mode: "read" }, signal);
  const over = { ...access, isStillGood: () => false };
  await assert.rejects(streams.open(over, { console: true }, signal), { code: "revoked" });
  // Where a box is says nothing of who came.
  const away = { ...access, boxId: "box_2" };
  await assert.rejects(streams.open(away, { port: 22 }, signal), { code: "box_not_here" });
  streams.close();
  assert.deepEqual(
    noted.map(({ door, code, via, userId }) => [door, code, via, userId]),
    [
      ["port 22", null, "ticket", "usr_1"],
      ["session x for read", null, "ticket", "usr_1"],
      ["console", "revoked", "ticket", "usr_1"],
    ],
  );
});
