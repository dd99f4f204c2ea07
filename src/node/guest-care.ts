// What the agent asks of the guests of ready boxes beside their life: which ports listen, and that the SSH keys which
// may enter are the assigned ones. Nothing waits for it, and a guest that does not answer is asked again.
// Reads: driver.listeningPorts. Wakes on: new assignments, a box that is ready. Every: 3 s.

import type { Driver } from "#drivers/driver.ts";
import type { Log } from "#lib/log.ts";
import type { BoxState } from "#node/box-state.ts";

export interface CarePorts {
  readonly driver: Pick<Driver, "listeningPorts" | "authorizeKeys">;
  readonly log: Log;
  readonly onChange: () => void;
}

/** Once; does nothing while an earlier call for the box has not ended. Never rejects. */
export async function careForGuest(state: BoxState, ports: CarePorts): Promise<void> {
  const { boxId, assignment, host } = state;
  const isReady = host?.state === "ready" && host.epoch === assignment?.epoch;
  // In the middle of a step the guest has other things to do.
  if (!assignment || !isReady || state.abort || state.isCaredFor) return;
  state.isCaredFor = true;
  const { epoch } = host;
  try {
    const keys = assignment.sshAuthorizedKeys ?? [];
    // A guest that booted again, or was renewed for another epoch, has none.
    const wanted = JSON.stringify([epoch, host.pid, keys]);
    if (state.authorized !== wanted) {
      await ports.driver.authorizeKeys(boxId, epoch, keys);
      state.authorized = wanted;
    }
    const found = await ports.driver.listeningPorts(boxId, epoch);
    if (state.assignment?.epoch !== epoch) return;
    const sorted = [...found].sort((a, b) => a.port - b.port);
    if (JSON.stringify(sorted) === JSON.stringify(state.ports)) return;
    state.ports = sorted;
    ports.onChange();
  } catch (error) {
    ports.log.debug({ boxId, err: error }, "its guest could not be asked now");
  } finally {
    state.isCaredFor = false;
  }
}
