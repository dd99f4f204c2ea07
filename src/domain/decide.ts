// What an agent does next to one box: a pure, total function of what is wanted, what the host
// has, and how the last attempt went. The agent, its tests and the simulator run this same function;
// tools/box-states.ts prints it as the table gen/box-states.md.

import type { DesiredState, HostState, SnapshotKind } from "./box.ts";
import { releasesCompute } from "./box.ts";

export interface WantedSnapshot {
  readonly snapshotId: string;
  readonly kind: SnapshotKind;
  readonly withMemory: boolean;
}

/** The assignment's part of the question. */
export interface Want {
  readonly epoch: number;
  readonly desired: DesiredState;
  readonly bootSerial: number;
  /** What the box is to come to rest as, when it is to be paused or stopped; null once given up. */
  readonly restSnapshot: WantedSnapshot | null;
  /** Wanted of the running box, oldest first; without those that are taken or given up. */
  readonly dueSnapshots: readonly WantedSnapshot[];
}

/** The host's part of the question. */
export interface Have {
  readonly state: HostState;
  /** Epoch of the instance; 0 when absent. */
  readonly epoch: number;
  readonly bootSerial: number;
  /** Newest epoch of this box that came to rest as a snapshot on this host; 0 for none. */
  readonly restedEpoch: number;
  /** Epoch that the assignment's source holds of this same box; 0 when of another box or an image. */
  readonly sourceEpoch: number;
  /** The source can be started from: its snapshot is on this host. */
  readonly sourceIsHere: boolean;
  /** Steps to run in the box: `interrupted` when an agent died in the middle of them. */
  readonly build: "none" | "due" | "interrupted" | "settled";
}

/** How the last attempts of this box's assignment failed. A new intent starts without one. */
export interface Attempt {
  readonly doing: Action["do"];
  readonly failures: number;
  readonly lastMs: number;
  readonly retryable: boolean;
}

export interface Limits {
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** After so many failures a snapshot is given up. */
  readonly snapshotTries: number;
}

export const DEFAULT_LIMITS: Limits = {
  backoffBaseMs: 500,
  backoffMaxMs: 60_000,
  snapshotTries: 4,
};

export type Action =
  | { readonly do: "none" }
  | { readonly do: "start"; readonly why: string }
  | { readonly do: "shutdown"; readonly why: string }
  | { readonly do: "snapshot"; readonly snapshot: WantedSnapshot }
  | { readonly do: "give-up"; readonly snapshot: WantedSnapshot }
  | { readonly do: "thaw"; readonly why: string }
  | { readonly do: "destroy"; readonly why: string }
  | { readonly do: "build" }
  /** Nothing until then, or until the assignment or the host changes (null). */
  | { readonly do: "wait"; readonly untilMs: number | null; readonly why: string };

const NONE: Action = { do: "none" };

/** `want` is null when this host has the box but is not assigned it. */
export function decide(
  want: Want | null,
  have: Have,
  attempt: Attempt | null,
  nowMs: number,
  limits: Limits,
): Action {
  const action = intended(want, have);
  if (!attempt || action.do === "none" || action.do === "wait") return action;
  // Given up, and not tried for ever: the box runs on, and the control plane decides what then.
  const isWornOut = !attempt.retryable || attempt.failures >= limits.snapshotTries;
  if (action.do === "snapshot" && attempt.doing === "snapshot" && isWornOut)
    return { do: "give-up", snapshot: action.snapshot };
  // What fails for good is not tried again; only removal is, because nothing else frees the host.
  const isFinal = !attempt.retryable && action.do === attempt.doing && action.do !== "destroy";
  const untilMs = isFinal ? null : attempt.lastMs + backoffMs(attempt.failures, limits);
  if (untilMs !== null && untilMs <= nowMs) return action;
  // A box whose snapshot has to wait goes on running meanwhile.
  if (have.state === "frozen" && action.do === "snapshot" && attempt.doing !== "thaw")
    return { do: "thaw", why: "its snapshot has to wait" };
  return { do: "wait", untilMs, why: isFinal ? "failed for good" : "failed, to be tried again" };
}

/** Doubles from the base: 1x, 2x, 4x, and so on to the maximum. */
export function backoffMs(failures: number, limits: Limits): number {
  const doublings = Math.min(Math.max(failures - 1, 0), 30);
  return Math.min(limits.backoffBaseMs * 2 ** doublings, limits.backoffMaxMs);
}

function intended(want: Want | null, have: Have): Action {
  if (!want || want.desired === "deleted") {
    const why = want ? "it is deleted" : "it is not assigned to this node";
    return have.state === "absent" ? NONE : { do: "destroy", why };
  }
  if (have.state === "absent") return ofAbsent(want, have);
  if (have.epoch > want.epoch)
    return { do: "wait", untilMs: null, why: "this host has a newer epoch than is assigned" };
  // Its state is safe in a snapshot. Letting the instance go on would make two histories of one box.
  if (have.epoch <= have.restedEpoch) return { do: "destroy", why: "it is at rest as a snapshot" };
  if (have.epoch < want.epoch) return ofOlder(have);
  if (want.desired === "running") return ofRunning(want, have);
  return want.desired === "paused" ? ofPaused(want, have) : ofStopped(want, have);
}

function ofAbsent(want: Want, have: Have): Action {
  // Starting again from the source would lose what this epoch did: the next epoch has to come.
  if (have.restedEpoch >= want.epoch) return NONE;
  // Nothing is here to come to rest. The control plane knows whether something was: it concludes.
  if (want.desired !== "running") return NONE;
  return have.sourceIsHere ? { do: "start", why: "it has to be made" } : sourceMissing();
}

function ofOlder(have: Have): Action {
  if (!have.sourceIsHere) return sourceMissing();
  return have.sourceEpoch >= have.epoch
    ? { do: "destroy", why: "an older epoch, and the source is newer" }
    : { do: "start", why: `the only copy, from epoch ${have.epoch}: adopted` };
}

function sourceMissing(): Action {
  return { do: "wait", untilMs: null, why: "its source is not on this node yet" };
}

function ofRunning(want: Want, have: Have): Action {
  const due = want.dueSnapshots[0];
  switch (have.state) {
    case "absent":
    case "down":
      return { do: "start", why: "its VMM is gone: it boots from its disks" };
    case "up":
      return { do: "start", why: "its guest has not acknowledged its identity" };
    case "frozen":
      return due ? { do: "snapshot", snapshot: due } : thaw();
    case "ready":
      if (have.build === "due") return { do: "build" };
      if (have.build === "interrupted")
        return { do: "destroy", why: "its build was interrupted and starts over" };
      if (due) return { do: "snapshot", snapshot: due };
      return have.bootSerial < want.bootSerial ? { do: "shutdown", why: "restart" } : NONE;
  }
}

function ofPaused(want: Want, have: Have): Action {
  const rest = want.restSnapshot;
  switch (have.state) {
    case "absent":
    case "down":
    case "up":
      return { do: "start", why: "it has to run to be paused" };
    case "frozen":
    case "ready": {
      const next = want.dueSnapshots[0] ?? rest;
      if (next) return { do: "snapshot", snapshot: next };
      return have.state === "frozen" ? thaw() : restUnnamed();
    }
  }
}

function ofStopped(want: Want, have: Have): Action {
  const due = want.dueSnapshots[0];
  switch (have.state) {
    case "absent":
    case "down": {
      const rest = want.restSnapshot;
      return rest ? { do: "snapshot", snapshot: { ...rest, withMemory: false } } : restUnnamed();
    }
    case "frozen":
      return due ? { do: "snapshot", snapshot: due } : thaw();
    case "up":
      return { do: "shutdown", why: "stop" };
    case "ready":
      return due ? { do: "snapshot", snapshot: due } : { do: "shutdown", why: "stop" };
  }
}

function thaw(): Action {
  return { do: "thaw", why: "no snapshot of it is wanted any more" };
}

function restUnnamed(): Action {
  return { do: "wait", untilMs: null, why: "no snapshot is named for it to rest as" };
}

/**
 * Whether a snapshot on this host may be removed: the control plane does not list it, and it is not
 * the rest of a box that is still assigned here, which could be the only copy of an epoch.
 */
export function mayRemoveSnapshot(
  snapshot: { readonly kind: SnapshotKind; readonly epoch: number },
  isListed: boolean,
  want: Pick<Want, "epoch" | "desired"> | null,
): boolean {
  if (isListed) return false;
  if (!want || want.desired === "deleted" || !releasesCompute(snapshot.kind)) return true;
  return snapshot.epoch < want.epoch;
}
