// What the agent remembers of one box between two looks at the host: nothing that would be missed
// after a restart. Everything true is in the assignment and on the host.

import type { Assignment, BoxReport, SnapshotReport } from "#contract/node-protocol.ts";
import type { Notice } from "#domain/box.ts";
import { type Action, type Attempt, backoffMs, type Limits } from "#domain/decide.ts";
import type { BoxId } from "#domain/ids.ts";
import type { HostBox } from "#drivers/driver.ts";

export interface FailedAttempt extends Attempt {
  readonly code: string;
  readonly message: string;
  readonly sinceMs: number;
}

export interface BuildState {
  readonly mark: "none" | "due" | "interrupted" | "settled";
  readonly step: string | null;
  readonly log: string;
  readonly error: string | null;
  readonly isDone: boolean;
}

export interface BoxState {
  readonly boxId: BoxId;
  assignment: Assignment | null;
  /** The last look at the host. */
  host: HostBox | null;
  activity: string | null;
  attempt: FailedAttempt | null;
  /** Generation of the last assignment that had nothing left to do. */
  observedGeneration: number;
  started: BoxReport["started"];
  renewal: BoxReport["renewal"];
  /** The driver was asked how the box came up, after a restart of the agent. */
  isAdopted: boolean;
  build: BuildState | null;
  /** How often a build of this epoch broke off, other than by a step that failed. */
  brokenBuilds: number;
  /** Of this agent: hooks and snapshots that failed. */
  notices: Notice[];
  /** Snapshots that were given up, with what the control plane is told of each. */
  givenUp: Map<string, SnapshotReport>;
  /** What listened when the guest was last asked. */
  ports: BoxReport["ports"];
  /** What left it, when last looked at; of this epoch. */
  egress: NonNullable<BoxReport["egress"]> | null;
  /** Of the clock that never jumps; null: never. */
  egressSeenMs: number | null;
  /** Epoch, VMM and SSH keys of the last `authorizeKeys`. */
  authorized: string | null;
  /** When the age of its host key's certificate was looked at last, by the clock that never jumps; null: never. */
  certifiedSeenMs: number | null;
  isCaredFor: boolean;
  /** Aborts the call that is running for it. */
  abort: AbortController | null;
}

export function newBoxState(boxId: string): BoxState {
  return {
    boxId: boxId as BoxId,
    assignment: null,
    host: null,
    activity: null,
    attempt: null,
    observedGeneration: -1,
    started: null,
    renewal: null,
    isAdopted: false,
    build: null,
    brokenBuilds: 0,
    notices: [],
    givenUp: new Map(),
    ports: null,
    egress: null,
    egressSeenMs: null,
    authorized: null,
    certifiedSeenMs: null,
    isCaredFor: false,
    abort: null,
  };
}

/** Takes over a new assignment (null: not assigned any more). A new intent forgets failures. */
export function assign(state: BoxState, assignment: Assignment | null): void {
  const before = state.assignment;
  state.assignment = assignment;
  const isSameEpoch = before?.epoch === assignment?.epoch;
  if (!isSameEpoch) {
    const { host, abort, isCaredFor } = state;
    Object.assign(state, newBoxState(state.boxId), { host, abort, isCaredFor });
    state.assignment = assignment;
  }
  if (!isSameEpoch || before?.generation !== assignment?.generation) state.attempt = null;
  const wanted = new Set(
    [...(assignment?.wantedSnapshots ?? []), assignment?.restSnapshot].map((s) => s?.snapshotId),
  );
  for (const id of state.givenUp.keys()) if (!wanted.has(id)) state.givenUp.delete(id);
  // Nothing that runs for an older intent may hold up a deletion.
  if (!isSameEpoch || !assignment || assignment.desired === "deleted") state.abort?.abort();
}

export function reportOf(state: BoxState, limits: Limits): BoxReport {
  const { assignment, host, attempt, build } = state;
  const isThisEpoch = host !== null && host.epoch === assignment?.epoch;
  return {
    boxId: state.boxId,
    epoch: host?.epoch ?? assignment?.epoch ?? 0,
    state: host?.state ?? "absent",
    activity: state.activity,
    observedGeneration: state.observedGeneration,
    bootSerial: host?.bootSerial ?? 0,
    fault: attempt && {
      code: attempt.code,
      message: attempt.message,
      retryable: attempt.retryable,
      attempts: attempt.failures,
      sinceMs: attempt.sinceMs,
      nextAttemptMs: attempt.retryable
        ? attempt.lastMs + backoffMs(attempt.failures, limits)
        : null,
    },
    notices: [...(host?.notices ?? []), ...state.notices],
    renewal: isThisEpoch ? state.renewal : null,
    started: isThisEpoch ? state.started : null,
    build: build && {
      done: build.isDone,
      step: build.step,
      log: build.log,
      error: build.error,
    },
    // A box that stands still for a moment has the ports that it had.
    ports: isThisEpoch && (host.state === "ready" || host.state === "frozen") ? state.ports : null,
    // Also of a box that has just left the host: what it sent is told all the same.
    egress: isThisEpoch || host === null ? state.egress : null,
  };
}

const ACTIVITIES: Readonly<Record<Action["do"], string | null>> = {
  none: null,
  start: "starting",
  shutdown: "shutting down",
  snapshot: "saving",
  "give-up": null,
  thaw: "going on",
  destroy: "removing",
  build: "building",
  wait: null,
};

export function activityOf(action: Action): string | null {
  if (action.do !== "snapshot") return ACTIVITIES[action.do];
  return action.snapshot.withMemory ? "saving memory and disks" : "saving disks";
}
