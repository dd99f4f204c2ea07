// What left a box, as its driver counts it, for the next report. Looked at now and then, and before every step that
// ends its network: what leaves between such a look and the end is not counted.

import type { Driver } from "#drivers/driver.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import type { BoxState } from "#node/box-state.ts";

export interface EgressPorts {
  readonly driver: Pick<Driver, "egress">;
  readonly clock: Clock;
  readonly log: Log;
  readonly onChange: () => void;
}

/** A report for each box in that time, and no more, is what it costs. */
const LOOK_EVERY_MS = 60_000;

/** Never rejects. `isLast`: its network may be gone after this. */
export async function countEgress(
  state: BoxState,
  ports: EgressPorts,
  isLast = false,
): Promise<void> {
  const { boxId, assignment, host } = state;
  const nowMs = ports.clock.monotonicMs();
  const isDue = state.egressSeenMs === null || nowMs - state.egressSeenMs >= LOOK_EVERY_MS;
  if (!assignment || host?.epoch !== assignment.epoch || !(isDue || isLast)) return;
  state.egressSeenMs = nowMs;
  try {
    const found = await ports.driver.egress(boxId, host.epoch);
    if (!found || state.assignment?.epoch !== host.epoch) return;
    const { counter, bytes } = found;
    if (state.egress?.counter === counter && state.egress.bytes >= bytes) return;
    state.egress = { counter, bytes };
    ports.onChange();
  } catch (error) {
    ports.log.debug({ boxId, err: error }, "what left it could not be counted now");
  }
}
