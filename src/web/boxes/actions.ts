// What can be asked of a box in each phase, and in which words.

import type { Box, Phase } from "#sdk/client.ts";
import type { Permission } from "../data/types.ts";

export const ACTIONS = [
  "resume",
  "start",
  "pause",
  "stop",
  "restart",
  "fork",
  "checkpoint",
  "delete",
] as const;
export type Action = (typeof ACTIONS)[number];

export const ACTION_WORDS: Readonly<Record<Action, { label: string; done: string; key: string }>> =
  {
    resume: { label: "Resume", done: "Resuming", key: "p" },
    start: { label: "Start", done: "Starting", key: "s" },
    pause: { label: "Pause", done: "Pausing", key: "p" },
    stop: { label: "Stop", done: "Stopping", key: "s" },
    restart: { label: "Restart", done: "Restarting", key: "r" },
    fork: { label: "Fork", done: "Forking", key: "f" },
    checkpoint: { label: "Checkpoint", done: "Checkpoint of", key: "k" },
    delete: { label: "Delete", done: "Deleting", key: "d" },
  };

const LIVE: readonly Action[] = ["pause", "stop", "restart", "fork", "checkpoint", "delete"];
const POSSIBLE: Readonly<Record<Phase, readonly Action[]>> = {
  creating: ["delete"],
  starting: ["pause", "stop", "delete"],
  running: LIVE,
  pausing: ["resume", "delete"],
  paused: ["resume", "fork", "delete"],
  resuming: ["pause", "stop", "delete"],
  stopping: ["start", "delete"],
  stopped: ["start", "fork", "delete"],
  failed: ["start", "stop", "delete"],
  deleting: [],
  deleted: [],
};

export function possibleActions(box: Pick<Box, "phase">): readonly Action[] {
  return POSSIBLE[box.phase];
}

const NEEDS: Readonly<Record<Action, readonly Permission[]>> = {
  resume: ["box.control"],
  start: ["box.control"],
  pause: ["box.control"],
  stop: ["box.control"],
  restart: ["box.control"],
  fork: ["box.enter", "box.create"],
  checkpoint: ["box.control"],
  delete: ["box.delete"],
};

/** Of those that are possible, what one may do to just this box. */
export function allowedActions(
  box: Pick<Box, "phase">,
  may: (permission: Permission) => boolean,
): readonly Action[] {
  return possibleActions(box).filter((action) => NEEDS[action].every(may));
}

/** The one that people most likely want next. */
export function mainAction(possible: readonly Action[]): Action | null {
  return (["resume", "start", "pause"] as const).find((one) => possible.includes(one)) ?? null;
}

/** Asked first: what it undoes is not there afterwards, or is not as it was. */
export function needsConfirmation(action: Action): boolean {
  return action === "delete" || action === "stop" || action === "restart";
}

const MOVING: readonly Phase[] = [
  "creating",
  "starting",
  "pausing",
  "resuming",
  "stopping",
  "deleting",
];

export function isMoving(phase: Phase): boolean {
  return MOVING.includes(phase);
}

export const VIEWS = ["all", "running", "resting", "failed"] as const;
export type View = (typeof VIEWS)[number];

const RESTING: readonly Phase[] = ["paused", "stopped", "pausing", "stopping"];

export function isInView(box: Pick<Box, "phase" | "fault">, view: View): boolean {
  if (view === "all") return true;
  if (view === "failed") return box.phase === "failed" || box.fault !== null;
  return (view === "resting") === RESTING.includes(box.phase) && box.phase !== "failed";
}

/** Every word of the search must be somewhere in what is seen of the box. */
export function matches(box: Box, search: string): boolean {
  const text = [box.name, box.id, box.phase, box.template.name, box.node?.name ?? "", box.reason]
    .join(" ")
    .toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

/** The one thing worth saying beside the phase. */
export function noteOf(box: Box): string | null {
  if (box.fault) return box.fault.message;
  if (box.reason) return box.reason;
  if (box.snapshot && !box.snapshot.durable)
    return `Saving, ${Math.floor(box.snapshot.progress * 100)} %`;
  const notice = box.notices.findLast((one) => one.code !== "emulated");
  return notice?.message ?? null;
}
