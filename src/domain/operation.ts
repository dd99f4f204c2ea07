// Operations: the receipt of one accepted mutation, and when it is over.

import type { DesiredState, Phase } from "./box.ts";

export const OPERATION_STATES = ["running", "succeeded", "failed", "superseded"] as const;
export type OperationState = (typeof OPERATION_STATES)[number];

export type OperationKind =
  | "box.create"
  | "box.fork"
  | "box.start"
  | "box.resume"
  | "box.restart"
  | "box.pause"
  | "box.stop"
  | "box.delete"
  | "box.restore"
  | "checkpoint.create"
  | "snapshot.delete"
  | "template.build"
  | "template.delete";

/** The phase in which nothing is left to do for an intent. */
export const GOAL_PHASE: Readonly<Record<DesiredState, Phase>> = {
  running: "running",
  paused: "paused",
  stopped: "stopped",
  deleted: "deleted",
};

/** What a box's state says about an operation on it that still runs. */
export function judgeOperation(
  operation: { readonly generation: number },
  box: { readonly generation: number; readonly desired: DesiredState; readonly phase: Phase },
): OperationState {
  if (operation.generation < box.generation) return "superseded";
  if (box.phase === GOAL_PHASE[box.desired]) return "succeeded";
  return box.phase === "failed" ? "failed" : "running";
}
