// The one word that users see for a box, why it is so, and what comes next. Pure and total: every
// combination of facts has an answer.

import type { DesiredState, HostState, Phase } from "./box.ts";

export type SnapshotState = "requested" | "local" | "durable" | "failed" | "deleting" | "deleted";

export interface BoxFault {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly attempts: number;
  readonly sinceMs: number;
  readonly nextAttemptMs: number | null;
}

export interface BoxFacts {
  readonly desired: DesiredState;
  readonly epoch: number;
  /** The row is a tombstone. */
  readonly isDeleted: boolean;
  /** A node has it assigned; otherwise it is at rest, or has never been placed. */
  readonly reserved: boolean;
  readonly bootSerial: number;
  /** What the control plane itself gave up on. */
  readonly failure: { readonly code: string; readonly message: string } | null;
  /** The snapshot that it starts from; null when it boots its template's image. */
  readonly source: {
    readonly state: SnapshotState;
    readonly withMemory: boolean;
    readonly isOwn: boolean;
  } | null;
  /** The snapshot that it is coming to rest as, or rests as. */
  readonly rest: { readonly kind: "pause" | "stop"; readonly state: SnapshotState } | null;
  readonly node: { readonly name: string; readonly status: string } | null;
  readonly observed: {
    readonly state: HostState;
    readonly bootSerial: number;
    readonly activity: string | null;
    readonly fault: BoxFault | null;
    /** Its set-up (of a template without a prebuild); null when there is none to run. */
    readonly build: { readonly done: boolean; readonly step: string | null } | null;
  } | null;
  readonly needsBuild: boolean;
  /** Why the scheduler has not placed it, in words. */
  readonly placementSummary: string | null;
}

export interface PhaseView {
  readonly phase: Phase;
  readonly reason: string | null;
  readonly next: string | null;
}

export function phaseOf(box: BoxFacts): PhaseView {
  if (box.isDeleted) return { phase: "deleted", reason: null, next: null };
  if (box.desired === "deleted")
    return transition(box, "deleting", "It is removed from its node; then its name is free.");
  if (box.failure)
    return {
      phase: "failed",
      reason: box.failure.message,
      next: "Nothing happens until you start or delete it.",
    };
  if (box.reserved && box.observed?.fault && !box.observed.fault.retryable)
    return {
      phase: "failed",
      reason: box.observed.fault.message,
      next: "Nothing happens until you start, stop or delete it.",
    };
  if (!box.reserved) return unplaced(box);
  if (box.rest)
    return transition(
      box,
      box.rest.kind === "pause" ? "pausing" : "stopping",
      box.desired === "running"
        ? "It starts again when its snapshot is complete."
        : "It comes to rest when its snapshot is complete.",
    );
  if (box.desired !== "running")
    return transition(box, box.desired === "paused" ? "pausing" : "stopping", null);
  return live(box);
}

function unplaced(box: BoxFacts): PhaseView {
  if (box.desired === "paused" || box.desired === "stopped")
    return {
      phase: box.desired,
      reason: box.rest ? null : "It was never started.",
      next: null,
    };
  const phase = comingUp(box);
  if (box.source?.state === "requested")
    return {
      phase,
      reason: "waiting for the snapshot that it starts from",
      next: "It is placed when the snapshot is complete.",
    };
  return {
    phase,
    reason: box.placementSummary ?? "waiting for a node",
    next: "It is placed when a node fits.",
  };
}

function live(box: BoxFacts): PhaseView {
  const { observed } = box;
  if (observed?.state === "frozen" && box.observed?.fault === null)
    return {
      phase: "running",
      reason: observed.activity ?? "a snapshot is being taken",
      next: "It goes on in a moment.",
    };
  const isUp = observed?.state === "ready" && observed.bootSerial >= box.bootSerial;
  const isSetUp = !box.needsBuild || observed?.build?.done === true;
  if (!isUp || !isSetUp) {
    const step = isUp && observed.build?.step ? `set-up: ${observed.build.step}` : null;
    const view = transition(box, comingUp(box), "It is ready when its guest answers.");
    return step && !view.reason ? { ...view, reason: step } : view;
  }
  return {
    phase: "running",
    reason: unreachable(box) ?? (observed.fault ? trouble(observed.fault) : null),
    next: null,
  };
}

function comingUp(box: BoxFacts): Phase {
  if (box.source?.isOwn && box.source.withMemory) return "resuming";
  return box.epoch === 0 ? "creating" : "starting";
}

function transition(box: BoxFacts, phase: Phase, next: string | null): PhaseView {
  const fault = box.observed?.fault;
  const reason =
    unreachable(box) ?? (fault ? trouble(fault) : null) ?? box.observed?.activity ?? null;
  return { phase, reason, next };
}

function unreachable(box: BoxFacts): string | null {
  if (!box.reserved || !box.node || box.node.status === "ready") return null;
  return `node ${box.node.name} is unreachable; this is what it last said`;
}

function trouble(fault: BoxFault): string {
  const tries = fault.attempts === 1 ? "1 attempt" : `${fault.attempts} attempts`;
  return `${fault.message} (${fault.code}, ${tries}${fault.retryable ? "; trying again" : ""})`;
}
