// Waiting for boxes, with what is happening in sight: phase, reason, faults and how often they were tried.
// Giving up the wait never takes back what was asked.

import type { Box, WaitGoal } from "#sdk/client.ts";
import { CliError, EXIT } from "./exit.ts";
import { Progress, type ProgressLine } from "./progress.ts";
import type { Session } from "./session.ts";
import { duration, plainLine } from "./terminal.ts";

/** One long poll; short, so that the reason on the screen is never older than this. */
const POLL_MS = 1000;

export interface Awaited {
  /** Id or name. */
  readonly box: string;
  readonly label: string;
  readonly goal: WaitGoal;
}

/** Waits for all; the boxes come back in the given order. */
export async function waitForBoxes(
  session: Session,
  awaited: readonly Awaited[],
  timeoutMs: number,
): Promise<Box[]> {
  const progress = new Progress(session.terminal);
  try {
    const outcomes = await Promise.allSettled(
      awaited.map((one) => waitForBox(session, one, timeoutMs, progress.line(one.label))),
    );
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed) throw failed.reason;
    return outcomes.map((outcome) => (outcome as PromiseFulfilledResult<Box>).value);
  } finally {
    await progress.close();
  }
}

async function waitForBox(
  session: Session,
  { box, label, goal }: Awaited,
  timeoutMs: number,
  line: ProgressLine,
): Promise<Box> {
  const { clock, interrupted } = session.terminal;
  const client = await session.client();
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  let last: Box | null = null;
  // The first look waits for nothing, so that there is something to show.
  let pollMs = 0;
  for (;;) {
    const leftMs = Math.max(0, deadlineMs - clock.monotonicMs());
    const result = await client.boxes
      .wait(
        box,
        { for: goal, timeoutMs: Math.ceil(Math.min(pollMs, leftMs)) },
        { signal: interrupted },
      )
      .catch((error: unknown) => {
        if (!interrupted.aborted) line.fail("could not be followed");
        throw interrupted.aborted ? interruption(label, goal, last) : error;
      });
    last = result.box;
    pollMs = POLL_MS;
    if (result.reached) {
      line.done(goal === "settled" ? last.phase : goal);
      return last;
    }
    if (result.hopeless) {
      line.fail(happening(last));
      throw new CliError(`${label} cannot become ${goal} any more: ${happening(last)}.`, {
        next: hopelessNext(last),
      });
    }
    if (leftMs === 0) {
      line.fail(`not ${goal} yet`);
      throw new CliError(
        `${label} is not ${goal} after ${duration(timeoutMs)}: it is ${happening(last)}.`,
        {
          next: `The request stays and Berth goes on with it; \`berth wait ${label} --for ${goal}\` waits again, \`berth show ${label}\` tells more.`,
        },
      );
    }
    line.update(happening(last));
  }
}

/** Phase, and why it is in it. */
export function happening(box: Box): string {
  const parts: string[] = [box.phase];
  if (box.reason && box.reason !== box.phase) parts.push(box.reason);
  if (box.fault && box.fault.message !== box.reason)
    parts.push(`${box.fault.message} (tried ${box.fault.attempts} times)`);
  if (box.snapshot && !box.snapshot.durable && box.snapshot.progress > 0)
    parts.push(`${Math.floor(box.snapshot.progress * 100)} % in the object store`);
  return plainLine(parts.join(": "));
}

function hopelessNext(box: Box): string {
  if (box.phase === "deleted" || box.desired === "deleted")
    return "It was deleted; `berth list` shows what is there.";
  return `\`berth show ${box.name}\` and \`berth events ${box.name}\` tell what happened; \`berth start\`, \`stop\` or \`delete\` ask for something else.`;
}

function interruption(label: string, goal: WaitGoal, box: Box | null): CliError {
  const state = box ? ` (now ${happening(box)})` : "";
  return new CliError(`stopped waiting for ${label}${state}.`, {
    exitCode: EXIT.interrupted,
    next: `What you asked for stays asked: Berth goes on until it is ${goal}. \`berth wait ${label} --for ${goal}\` waits again.`,
  });
}
