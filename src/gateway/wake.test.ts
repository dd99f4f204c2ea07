import assert from "node:assert/strict";
import { test } from "node:test";
import type { FeedBox } from "#contract/gateway-feed.ts";
import type { Phase } from "#domain/box.ts";
import type { Clock } from "#lib/clock.ts";
import { systemClock } from "#lib/clock.ts";
import { emptyFeed, NO_CHANGE, until } from "#test/harness/doors.ts";
import { KnownState } from "./known.ts";
import { PlaneRefusal } from "./plane-calls.ts";
import { Routes } from "./routes.ts";
import { type AskWake, wakes } from "./wake.ts";

const WHO = { userId: "usr_a", credentialId: "token_1", door: "ssh" as const };
const MINUTES = 600_000;
const never = new AbortController().signal;

function world(ask: AskWake, clock: Clock = systemClock) {
  const routes = new Routes<string>();
  const known = new KnownState(emptyFeed("pem"), 0);
  const say = (phase: Phase, reason: string | null = null) => {
    const box: FeedBox = {
      ...{
        boxId: "box_1",
        name: "web",
        orgId: "org_a",
        ownerId: "usr_a",
        teamId: null,
        shares: [],
        phase,
        reason,
      },
      ...{ epoch: 1, nodeId: "node_1" },
    };
    known.apply({ ...NO_CHANGE, boxes: [box] }, 0);
  };
  say("paused");
  const announce = () => routes.announce("link", [{ boxId: "box_1", epoch: 1 }]);
  return { routes, known, say, announce, wakeAndWait: wakes({ ask, known, routes, clock }) };
}

const wait = (change: object = {}) => ({ signal: never, timeoutMs: MINUTES, ...change });

test("a box that is here is not asked for", async () => {
  const asked: string[] = [];
  const { announce, wakeAndWait } = world(async ({ boxId }) => {
    asked.push(boxId);
    return "resuming";
  });
  announce();
  await wakeAndWait("box_1", WHO, wait());
  assert.deepEqual(asked, []);
});

test("1,000 who wait are one question, and all go on when the box is announced", async () => {
  const asked: unknown[] = [];
  const { announce, wakeAndWait, known } = world(async (wanted) => {
    asked.push(wanted);
    return "resuming";
  });
  let done = 0;
  const all = Array.from({ length: 1000 }, () =>
    wakeAndWait("box_1", WHO, wait()).then(() => {
      done += 1;
    }),
  );
  await until(() => asked.length === 1, "asked");
  known.apply(NO_CHANGE, 0);
  assert.equal(done, 0);
  announce();
  await Promise.all(all);
  assert.deepEqual(asked, [{ boxId: "box_1", ...WHO }]);
});

test("progress is told as it comes, each phase once", async () => {
  const { announce, wakeAndWait, say } = world(async () => "resuming");
  const told: string[] = [];
  const onPhase = (phase: Phase, reason: string | null) => told.push(`${phase} ${reason ?? "-"}`);
  const waiting = wakeAndWait("box_1", WHO, wait({ onPhase }));
  say("resuming");
  say("resuming");
  say("resuming", "waits for room");
  announce();
  await waiting;
  say("running");
  assert.deepEqual(told, ["paused -", "resuming -", "resuming waits for room"]);
});

test("asked again while somebody waits, also when nobody answered, and not after", async () => {
  let asked = 0;
  const clock: Clock = {
    ...systemClock,
    sleep: (ms, signal) => systemClock.sleep(ms === MINUTES ? ms : 1, signal),
  };
  const { announce, wakeAndWait } = world(async () => {
    asked += 1;
    if (asked < 3) throw new Error("connection refused");
    if (asked < 5) throw new PlaneRefusal(503, "no database");
    return "resuming";
  }, clock);
  const waiting = wakeAndWait("box_1", WHO, wait());
  await until(() => asked >= 8, "asked again and again");
  announce();
  await waiting;
  const before = asked;
  await systemClock.sleep(50);
  assert.ok(asked <= before + 1, "nobody waits any more");
});

test("what the control plane will not do ends the wait with its reason", async () => {
  const cases: [AskWake, string, RegExp][] = [
    [async () => Promise.reject(new PlaneRefusal(403, "over quota")), "forbidden", /over quota/],
    [async () => Promise.reject(new PlaneRefusal(404, "no such box")), "box_not_here", /no such/],
    [async () => Promise.reject(new PlaneRefusal(409, "busy")), "not_now", /busy/],
    [async () => "deleted", "box_not_here", /deleted/],
    [async () => "failed", "not_now", /no room/],
  ];
  for (const [ask, code, message] of cases) {
    const { wakeAndWait, say } = world(ask);
    say("failed", "no room");
    await assert.rejects(wakeAndWait("box_1", WHO, wait()), { code, message });
  }
});

test("another user's refusal is not mine", async () => {
  const { announce, wakeAndWait } = world(async ({ userId }) => {
    if (userId === "usr_b") throw new PlaneRefusal(403, "not yours");
    return "resuming";
  });
  const mine = wakeAndWait("box_1", WHO, wait());
  await assert.rejects(wakeAndWait("box_1", { ...WHO, userId: "usr_b" }, wait()), {
    code: "forbidden",
  });
  announce();
  await mine;
});

test("a wait has an end, and says how the box stood; whoever leaves is not kept", async () => {
  const { wakeAndWait, say } = world(async () => "resuming");
  say("resuming", "its node does not answer");
  await assert.rejects(wakeAndWait("box_1", WHO, wait({ timeoutMs: 20 })), {
    code: "not_ready",
    message: /web is resuming after 0.02 s: its node does not answer/,
  });
  const leaving = new AbortController();
  const left = wakeAndWait("box_1", WHO, wait({ signal: leaving.signal }));
  leaving.abort();
  await assert.rejects(left, { name: "AbortError" });
  await assert.rejects(wakeAndWait("box_1", WHO, wait({ signal: leaving.signal })), {
    name: "AbortError",
  });
});
