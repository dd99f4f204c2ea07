// For faults.vm.test.ts: an agent of its own that dies by SIGKILL at a failpoint of one driver call.
// Argument: JSON of CrashCall.

import type { BoxRun } from "#domain/box.ts";
import { systemClock } from "#lib/clock.ts";
import { Failpoints } from "#lib/failpoint.ts";
import { silentLog } from "#lib/log.ts";
import { run } from "#lib/run.ts";
import { createQemuDriver } from "./driver.ts";
import type { SnapshotRequest } from "./take.ts";

export interface CrashCall {
  readonly stateDir: string;
  readonly imagesDir: string;
  readonly failpoint: string;
  /** A spare VMM is ready for the start, or there is none. */
  readonly withSpare: boolean;
  readonly run: BoxRun;
  /** Starts the box when there is none. */
  readonly snapshot: SnapshotRequest | null;
}

const call = JSON.parse(process.argv[2] ?? "") as CrashCall;
const failpoints = new Failpoints();
failpoints.arm(call.failpoint, { kind: "crash" });
const { stateDir, imagesDir } = call;
const driver = await createQemuDriver({
  ...{ stateDir, imagesDir, failpoints, run },
  ...(call.withSpare ? {} : { spareVmms: 0 }),
  clock: systemClock,
  log: silentLog,
});
if (call.withSpare) await driver.sparesReady();
if (call.snapshot) await driver.snapshot(call.run.boxId, call.run.epoch, call.snapshot);
else await driver.start(call.run, { signHostKey: async (key) => key });
throw new Error(`failpoint ${call.failpoint} was not hit`);
