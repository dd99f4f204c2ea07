// What the agent asks of the guests of ready boxes beside their life: which ports listen, that the SSH keys which may enter
// are the assigned ones, and that the certificate of their host key is not old. Nothing waits for it, and a guest that does not answer is asked again.
// Reads: driver.listeningPorts. Wakes on: new assignments, a box that is ready. Every: 3 s.

import type { Driver } from "#drivers/driver.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import type { BoxState } from "#node/box-state.ts";

export interface CarePorts {
  readonly driver: Pick<Driver, "listeningPorts" | "authorizeKeys" | "certifyHostKey">;
  readonly clock: Clock;
  readonly signHostKey: (boxId: string, epoch: number, publicKey: string) => Promise<string>;
  readonly log: Log;
  readonly onChange: () => void;
}

/** A third of its life (src/api/node-protocol.ts): the rest is to find the control plane in. */
const CERTIFICATE_AGE_MS = 30 * 86_400_000;
const LOOK_AT_AGE_MS = 3_600_000;

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
    await renewCertificate(state, epoch, ports);
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

/** Of a box that runs for long: others have a new one from their last start. */
async function renewCertificate(
  state: BoxState,
  epoch: number,
  { driver, clock, signHostKey, log }: CarePorts,
): Promise<void> {
  const { boxId, certifiedSeenMs } = state;
  const nowMs = clock.monotonicMs();
  if (certifiedSeenMs !== null && nowMs - certifiedSeenMs < LOOK_AT_AGE_MS) return;
  state.certifiedSeenMs = nowMs;
  const certifying = driver.certifyHostKey(boxId, epoch, {
    signHostKey: (publicKey) => signHostKey(boxId, epoch, publicKey),
    olderThanMs: CERTIFICATE_AGE_MS,
  });
  // Months are left: what listens is told meanwhile.
  await certifying.catch((err: unknown) => {
    log.warn({ boxId, err }, "its host key's certificate was not renewed, and will be tried again");
  });
}
