// Waiting for a box: looks, and looks again whenever something happens to it, until the goal is reached, hopeless,
// or the time is over.

import type { WaitGoal } from "#contract/boxes.ts";
import type { DesiredState, Phase } from "#domain/box.ts";
import { GOAL_PHASE } from "#domain/operation.ts";
import type { SnapshotState } from "#domain/phase.ts";
import type { Clock } from "#lib/clock.ts";
import type { Listening } from "./event-hub.ts";

/** Looks at least this often: some of what is waited for may have no event. */
const LOOK_EVERY_MS = 5000;

export interface WaitFacts {
  readonly phase: Phase;
  readonly desired: DesiredState;
  readonly rest: { readonly state: SnapshotState } | null;
}

export type WaitVerdict = "reached" | "hopeless" | "wait";

export function judgeWait(goal: WaitGoal, box: WaitFacts): WaitVerdict {
  if (goal === "settled") {
    if (box.phase === GOAL_PHASE[box.desired]) return "reached";
    return box.phase === "failed" ? "hopeless" : "wait";
  }
  if (goal === "durable") {
    if (box.desired !== "paused" && box.desired !== "stopped") return "hopeless";
    const isAtRest = box.phase === GOAL_PHASE[box.desired];
    // A box that was never started rests in nothing, so there is nothing to lose.
    if (isAtRest && (box.rest === null || box.rest.state === "durable")) return "reached";
    return box.phase === "failed" || box.rest?.state === "failed" ? "hopeless" : "wait";
  }
  if (box.phase === goal) return "reached";
  const isWanted = GOAL_PHASE[box.desired] === goal;
  return isWanted && box.phase !== "failed" && box.phase !== "deleted" ? "wait" : "hopeless";
}

export async function waitFor<Box extends WaitFacts>(options: {
  readonly goal: WaitGoal;
  readonly timeoutMs: number;
  readonly read: () => Promise<Box>;
  /** Begun before the first look, so that nothing falls between. */
  readonly listening: Listening;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}): Promise<{ verdict: WaitVerdict; box: Box }> {
  const { clock, signal, listening } = options;
  const deadlineMs = clock.monotonicMs() + options.timeoutMs;
  for (;;) {
    const box = await options.read();
    const verdict = judgeWait(options.goal, box);
    const leftMs = deadlineMs - clock.monotonicMs();
    if (verdict !== "wait" || leftMs <= 0 || signal.aborted) return { verdict, box };
    await listening.take(Math.min(leftMs, LOOK_EVERY_MS), signal);
  }
}
