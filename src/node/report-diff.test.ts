// The log of reports: differences while all goes well, everything after a loss.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { BoxReport, SnapshotReport } from "#contract/node-protocol.ts";
import { type Facts, ReportLog } from "./report-diff.ts";

const one = { boxId: "box_1", state: "ready" } as BoxReport;
const two = { boxId: "box_2", state: "ready" } as BoxReport;
const snapshot = { snapshotId: "snap_1", progress: 1 } as SnapshotReport;

function facts(change: Partial<Facts> = {}): Facts {
  const fingerprint = { cpus: 4 } as Facts["fingerprint"];
  return { fingerprint, images: ["sha256:0"], boxes: [one, two], snapshots: [snapshot], ...change };
}

/** A log of which the first report has arrived. */
function acked(): ReportLog {
  const log = new ReportLog("s");
  const first = log.next(facts(), false);
  assert.deepEqual([first?.full, first?.revision, first?.boxes], [true, 1, [one, two]]);
  log.acknowledged();
  return log;
}

test("after an acknowledged report only what changed is told, and nothing when nothing did", () => {
  const log = acked();
  assert.equal(log.next(facts(), false), null);
  const down = { ...one, state: "down" } as BoxReport;
  const next = log.next(facts({ boxes: [down], snapshots: [] }), false);
  assert.deepEqual(
    [next?.full, next?.boxes, next?.goneBoxes, next?.goneSnapshots, next?.fingerprint],
    [false, [down], ["box_2"], ["snap_1"], null],
  );
});

test("a beat without change is a report with nothing in it", () => {
  const beat = acked().next(facts(), true);
  assert.deepEqual([beat?.full, beat?.boxes, beat?.images], [false, [], null]);
});

test("after a lost report everything is told again, also what was acknowledged before it", () => {
  const log = acked();
  const gone = facts({ boxes: [one] });
  assert.deepEqual(log.next(gone, false)?.goneBoxes, ["box_2"]);
  log.lost();
  // Nothing has changed since the report that was lost, and yet it may never have arrived.
  const again = log.next(gone, false);
  assert.deepEqual(
    [again?.full, again?.revision, again?.boxes, again?.snapshots, again?.images],
    [true, 3, [one], [snapshot], ["sha256:0"]],
  );
  assert.deepEqual([again?.goneBoxes, again?.fingerprint], [[], { cpus: 4 }]);
  log.lost();
  assert.equal(log.next(gone, false)?.full, true, "lost twice");
  log.acknowledged();
  assert.equal(log.next(gone, false), null);
});
