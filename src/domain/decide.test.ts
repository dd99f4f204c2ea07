import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  answer,
  boxStatesPage,
  type Combination,
  combinations,
  FAULTS,
  haveOf,
  wantOf,
} from "../../tools/box-states.ts";
import type { HostState } from "./box.ts";
import { backoffMs, DEFAULT_LIMITS, decide, type Have, mayRemoveSnapshot } from "./decide.ts";

const ALL = [...combinations()];

function everyAnswer(check: (c: Combination, what: ReturnType<typeof answer>) => void): number {
  let count = 0;
  for (const c of ALL)
    for (const fault of FAULTS) {
      check(c, answer(c, fault));
      count += 1;
    }
  return count;
}

test("is total: every combination of facts and faults has an answer", () => {
  const count = everyAnswer((c, action) => {
    assert.ok(action?.do, JSON.stringify(c));
    if (action.do === "wait") assert.ok(action.why);
  });
  assert.equal(count, 32_000);
});

test("gen/box-states.md is what decide says (npm run gen writes it)", () => {
  const path = join(import.meta.dirname, "../../gen/box-states.md");
  assert.equal(readFileSync(path, "utf8"), boxStatesPage());
});

test("a deleted or foreign box is only ever removed", () => {
  everyAnswer((c, action) => {
    if (c.desired !== "deleted" && c.desired !== "not assigned") return;
    assert.ok(["none", "destroy", "wait"].includes(action.do), `${c.host}: ${action.do}`);
    if (c.host === "absent") assert.equal(action.do, "none");
    // Failures put it off but never end it.
    if (action.do === "wait") assert.notEqual(action.untilMs, null);
  });
});

test("an instance whose rest is committed never continues", () => {
  everyAnswer((c, action) => {
    if (c.rest !== "taken" || c.epoch === "newer") return;
    assert.ok(["none", "destroy", "wait"].includes(action.do), JSON.stringify([c, action]));
  });
});

test("an epoch that came to rest is never started from its source again", () => {
  for (const c of ALL)
    if (c.host === "absent" && c.rest === "taken") assert.equal(answer(c, "none").do, "none");
});

test("what is not there does not come to rest by being made again from its source", () => {
  for (const c of ALL)
    if (c.host === "absent" && c.desired !== "running") assert.equal(answer(c, "none").do, "none");
});

test("an instance is destroyed only when it is deleted, foreign, at rest, replaced or a broken build", () => {
  everyAnswer((c, action) => {
    if (action.do !== "destroy") return;
    const isReplaced = c.epoch === "older, source newer" && c.source === "here";
    const isBrokenBuild = c.build === "interrupted" && c.host === "ready" && c.epoch === "same";
    assert.ok(
      c.desired === "deleted" ||
        c.desired === "not assigned" ||
        c.rest === "taken" ||
        isReplaced ||
        isBrokenBuild,
      JSON.stringify(c),
    );
  });
});

test("nothing acts on a newer epoch than the assigned one, except deletion", () => {
  everyAnswer((c, action) => {
    if (c.epoch !== "newer" || c.host === "absent") return;
    if (c.desired === "deleted" || c.desired === "not assigned") return;
    assert.equal(action.do, "wait");
  });
});

test("memory is frozen only of a machine that runs", () => {
  everyAnswer((c, action) => {
    if (action.do !== "snapshot" || !action.snapshot.withMemory) return;
    assert.ok(c.host === "ready" || c.host === "frozen", JSON.stringify(c));
  });
});

test("a stop releases only a machine that was shut down", () => {
  everyAnswer((c, action) => {
    if (action.do !== "snapshot" || c.desired !== "stopped") return;
    if (action.snapshot.kind === "stop") assert.equal(c.host, "down");
  });
});

test("nothing is left frozen while it waits", () => {
  everyAnswer((c, action) => {
    if (c.host !== "frozen" || action.do !== "wait") return;
    if (c.epoch !== "same" || c.rest === "taken") return;
    // Only when the thaw itself failed, or removal did.
    const first = answer(c, "none");
    assert.ok(first.do === "thaw" || first.do === "destroy", JSON.stringify([c, action]));
  });
});

/** What a host shows after an action went well. */
function after(have: Have, action: ReturnType<typeof decide>, epoch: number): Have {
  const gone = { ...have, state: "absent" as HostState, epoch: 0 };
  switch (action.do) {
    case "start":
      return { ...have, state: "ready", epoch, bootSerial: 2 };
    case "shutdown":
      return { ...have, state: "down" };
    case "thaw":
      return { ...have, state: "ready" };
    case "build":
      return { ...have, build: "settled" };
    case "destroy":
      return { ...gone, build: have.build === "interrupted" ? "due" : have.build };
    case "snapshot":
      return ["pause", "stop"].includes(action.snapshot.kind)
        ? { ...gone, restedEpoch: epoch }
        : have.state === "frozen"
          ? { ...have, state: "ready" }
          : have;
    default:
      return have;
  }
}

test("from every combination the box comes to what is wanted in few steps", () => {
  for (const c of ALL) {
    let want = wantOf(c);
    let have = haveOf(c);
    const steps: string[] = [];
    for (;;) {
      const action = decide(want, have, null, 0, DEFAULT_LIMITS);
      if (action.do === "none") break;
      if (action.do === "wait") {
        assert.ok(c.source === "missing" || c.epoch === "newer", JSON.stringify([c, steps]));
        break;
      }
      steps.push(action.do);
      assert.ok(steps.length <= 7, `${JSON.stringify(c)}: ${steps.join(", ")}`);
      have = after(have, action, want?.epoch ?? 0);
      if (action.do === "snapshot" && want && action.snapshot.kind === "fork")
        want = { ...want, dueSnapshots: [] };
    }
    if (c.desired === "deleted" || c.desired === "not assigned") assert.equal(have.state, "absent");
  }
});

test("back-off doubles from the base to the maximum", () => {
  const limits = { ...DEFAULT_LIMITS, backoffBaseMs: 100, backoffMaxMs: 1000 };
  const waits = [1, 2, 3, 4, 5, 100].map((n) => backoffMs(n, limits));
  assert.deepEqual(waits, [100, 200, 400, 800, 1000, 1000]);
});

test("the rest of an assigned box is kept although it is not listed", () => {
  const rest = { kind: "pause", epoch: 3 } as const;
  assert.equal(mayRemoveSnapshot(rest, true, null), false);
  assert.equal(mayRemoveSnapshot(rest, false, null), true);
  assert.equal(mayRemoveSnapshot(rest, false, { epoch: 3, desired: "paused" }), false);
  assert.equal(mayRemoveSnapshot(rest, false, { epoch: 4, desired: "running" }), true);
  assert.equal(mayRemoveSnapshot(rest, false, { epoch: 3, desired: "deleted" }), true);
  const fork = { kind: "fork", epoch: 3 } as const;
  assert.equal(mayRemoveSnapshot(fork, false, { epoch: 3, desired: "running" }), true);
});
