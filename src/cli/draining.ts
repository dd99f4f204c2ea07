// Brings a node's boxes to rest and waits until the object store has them, with what is left in sight.

import type { Drain } from "#sdk/client.ts";
import { CliError, EXIT } from "./exit.ts";
import { Progress } from "./progress.ts";
import type { Session } from "./session.ts";
import { duration, plainLine } from "./terminal.ts";

const POLL_MS = 1000;

export interface Drained {
  readonly paused: number;
  readonly endedBuilds: number;
}

/** Asks again until nothing is left on the node: boxes may come to it meanwhile, and one that fails to pause runs on. */
export async function drainNode(
  session: Session,
  node: string,
  timeoutMs: number,
): Promise<Drained> {
  const { clock, interrupted } = session.terminal;
  const client = await session.client();
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  const progress = new Progress(session.terminal);
  const line = progress.line(node);
  let [paused, endedBuilds] = [0, 0];
  try {
    for (;;) {
      const drain = await client.nodes.drain(node);
      paused += drain.paused;
      endedBuilds += drain.endedBuilds;
      if (drain.live === 0 && drain.unsaved === 0) {
        line.done("every box is at rest");
        return { paused, endedBuilds };
      }
      line.update(whatIsLeft(drain));
      if (clock.monotonicMs() > deadlineMs) {
        line.fail("not at rest yet");
        throw new CliError(
          `${node} is not drained after ${duration(timeoutMs)}: ${whatIsLeft(drain)}.`,
          {
            next: "What was asked stays asked. `berth node drain` waits again; --timeout gives it longer.",
          },
        );
      }
      await clock.sleep(POLL_MS, interrupted).catch(() => {});
      if (interrupted.aborted)
        throw new CliError(`stopped waiting for ${node}: ${whatIsLeft(drain)}.`, {
          exitCode: EXIT.interrupted,
          next: "What was asked stays asked: the boxes come to rest. `berth node drain` waits again.",
        });
    }
  } finally {
    await progress.close();
  }
}

function whatIsLeft({ live, unsaved, waitsFor }: Drain): string {
  const parts: string[] = [];
  if (live > 0) parts.push(`${live} ${live === 1 ? "box is" : "boxes are"} not at rest`);
  if (unsaved > 0) parts.push(`${unsaved} not in the object store yet`);
  const why = waitsFor.find((one) => one.reason !== null);
  const told = why ? `; ${why.box} is ${why.phase}: ${why.reason}` : "";
  return plainLine(`${parts.join(", ")}${told}`);
}
