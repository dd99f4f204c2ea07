// Prints domain/decide.ts as a table: every combination of facts is put to the function, then rows
// that differ in one fact and agree in the answer are merged. tools/gen.ts writes gen/box-states.md.

import type { DesiredState, HostState } from "../src/domain/box.ts";
import { HOST_STATES } from "../src/domain/box.ts";
import type { Action, Attempt, Have, Want, WantedSnapshot } from "../src/domain/decide.ts";
import { DEFAULT_LIMITS, decide } from "../src/domain/decide.ts";

/** The facts, each with every value it can take. */
export const FACTS = {
  desired: ["running", "paused", "stopped", "deleted", "not assigned"],
  host: HOST_STATES,
  epoch: ["same", "older", "older, source newer", "newer"],
  rest: ["not taken", "taken"],
  due: ["none", "fork"],
  serial: ["same", "behind"],
  build: ["none", "due", "interrupted", "settled"],
  source: ["here", "missing"],
} as const;

export const FAULTS = ["none", "waiting", "again", "worn out", "final"] as const;
export type Fault = (typeof FAULTS)[number];

type FactName = keyof typeof FACTS;
export type Combination = { readonly [K in FactName]: (typeof FACTS)[K][number] };

const EPOCH = 7;
const NOW_MS = 1_000_000;
export const REST: WantedSnapshot = { snapshotId: "rest", kind: "pause", withMemory: true };
export const STOP: WantedSnapshot = { snapshotId: "rest", kind: "stop", withMemory: false };
export const FORK: WantedSnapshot = { snapshotId: "fork", kind: "fork", withMemory: true };

export function* combinations(): Generator<Combination> {
  const names = Object.keys(FACTS) as FactName[];
  const walk = function* (at: number, row: Record<string, string>): Generator<Combination> {
    const name = names[at];
    if (!name) yield { ...row } as unknown as Combination;
    else for (const value of FACTS[name]) yield* walk(at + 1, { ...row, [name]: value });
  };
  yield* walk(0, {});
}

export function wantOf(c: Combination): Want | null {
  if (c.desired === "not assigned") return null;
  const desired: DesiredState = c.desired;
  return {
    epoch: EPOCH,
    desired,
    bootSerial: 2,
    restSnapshot: desired === "paused" ? REST : desired === "stopped" ? STOP : null,
    dueSnapshots: c.due === "fork" ? [FORK] : [],
  };
}

export function haveOf(c: Combination): Have {
  const state: HostState = c.host;
  const epoch = c.epoch === "same" ? EPOCH : c.epoch === "newer" ? EPOCH + 1 : EPOCH - 1;
  // An instance that is absent has no epoch; what rested is then the assigned one.
  const restedEpoch = c.rest === "taken" ? (state === "absent" ? EPOCH : epoch) : 0;
  return {
    state,
    epoch: state === "absent" ? 0 : epoch,
    bootSerial: c.serial === "same" ? 2 : 1,
    restedEpoch,
    sourceEpoch: c.epoch === "older, source newer" ? EPOCH - 1 : 0,
    sourceIsHere: c.source === "here",
    build: c.build,
  };
}

export function attemptOf(fault: Fault, doing: Action["do"]): Attempt | null {
  if (fault === "none") return null;
  return {
    doing,
    failures: fault === "worn out" ? 10 : 1,
    lastMs: fault === "again" || fault === "worn out" ? 0 : NOW_MS,
    retryable: fault !== "final",
  };
}

export function answer(c: Combination, fault: Fault): Action {
  const want = wantOf(c);
  const have = haveOf(c);
  const first = decide(want, have, null, NOW_MS, DEFAULT_LIMITS);
  if (fault === "none") return first;
  return decide(want, have, attemptOf(fault, first.do), NOW_MS, DEFAULT_LIMITS);
}

export function wordsOf(action: Action): string {
  switch (action.do) {
    case "none":
      return "nothing";
    case "snapshot":
    case "give-up": {
      const { snapshotId, withMemory } = action.snapshot;
      return `${action.do} ${snapshotId}${withMemory ? "" : ", disks only"}`;
    }
    case "build":
      return "build";
    case "wait":
      return action.untilMs === null ? `wait: ${action.why}` : `wait: ${action.why} (back-off)`;
    default:
      return `${action.do}: ${action.why}`;
  }
}

interface Row {
  readonly facts: Record<string, Set<string>>;
  readonly words: string;
}

/** Joins rows that agree in the answer and in all facts but one, fact by fact, until none is left. */
function merged(rows: Row[], names: readonly string[]): Row[] {
  let current = rows;
  for (let before = Infinity; current.length < before; ) {
    before = current.length;
    for (const name of names) {
      const groups = new Map<string, Row>();
      for (const row of current) {
        const others = names.filter((n) => n !== name).map((n) => [...row.facts[n]!].join("/"));
        const key = `${others.join("|")}|${row.words}`;
        const found = groups.get(key);
        if (found) for (const value of row.facts[name]!) found.facts[name]!.add(value);
        else groups.set(key, row);
      }
      current = [...groups.values()];
    }
  }
  return current;
}

function printed(rows: Row[], facts: Readonly<Record<string, readonly string[]>>): string {
  const names = Object.keys(facts);
  const lines = [`| ${names.join(" | ")} | action |`, `|${"---|".repeat(names.length + 1)}`];
  for (const row of rows) {
    const cells = names.map((name) => {
      const all = facts[name]!;
      const values = all.filter((value) => row.facts[name]!.has(value));
      return values.length === all.length ? "" : values.join(", ");
    });
    lines.push(`| ${cells.join(" | ")} | ${row.words} |`);
  }
  return lines.join("\n");
}

export function boxStatesPage(): string {
  const names = Object.keys(FACTS);
  const rows: Row[] = [];
  for (const c of combinations()) {
    const facts = Object.fromEntries(names.map((n) => [n, new Set([c[n as FactName]])]));
    rows.push({ facts, words: wordsOf(answer(c, "none")).replace(/epoch \d+/, "an older epoch") });
  }
  const faults: Row[] = [];
  const seen = new Set<string>();
  const intent = new Set<string>();
  for (const c of combinations())
    for (const fault of FAULTS.slice(1)) {
      const first = answer(c, "none");
      if (first.do === "none" || first.do === "wait") continue;
      const what = first.do === "snapshot" ? `snapshot ${first.snapshot.snapshotId}` : first.do;
      const host = c.host === "frozen" ? "frozen" : "any other";
      const then = answer(c, fault);
      const same = JSON.stringify(then) === JSON.stringify(first);
      const words = same ? "the same" : wordsOf(then).replace(", disks only", "");
      const key = [what, host, fault, words].join("|");
      intent.add(what);
      if (seen.has(key)) continue;
      seen.add(key);
      faults.push({
        facts: { action: new Set([what]), host: new Set([host]), failed: new Set([fault]) },
        words,
      });
    }
  return `# What the agent does to a box

Printed by tools/box-states.ts from src/domain/decide.ts: all ${rows.length} combinations of facts, rows
that agree merged. An empty cell means: whatever it is.

- *epoch*: of the instance on the host against the assigned one. "older, source newer": the assignment's source
  holds the older epoch or a later one; "older": the instance is the only copy.
- *rest*: a pause or stop snapshot of the instance's epoch (of the assigned one, when absent) is committed on the host.
- *due*: a snapshot that is wanted of the running box (fork, checkpoint, prebuild) and not taken.
- *serial*: boot serial of the instance against the assigned one.

${printed(merged(rows, [...names].reverse()), FACTS)}

## After a failure

*waiting*: the back-off has not passed; *again*: it has; *worn out*: as many failures as are allowed; *final*: not
retryable. A change of intent forgets failures.

${printed(merged(faults, ["host", "action", "failed"]), {
  action: [...intent],
  host: ["frozen", "any other"],
  failed: FAULTS.slice(1),
})}
`;
}
