// The conformance suite on real VMs.

import { systemClock } from "#lib/clock.ts";
import { testDriver } from "../conformance.ts";
import { openVmTestHost, TEST_SPEC } from "./vm-test-host.ts";

testDriver("qemu", async () => {
  const host = await openVmTestHost();
  return {
    open: (failpoints) => host.open(failpoints),
    async killVmm({ pid }) {
      if (pid === null) throw new Error("no VMM to kill");
      process.kill(pid, "SIGKILL");
      while (isThere(pid)) await systemClock.sleep(10);
    },
    leftovers: () => host.leftovers(),
    close: () => host.close(),
    imageDigest: host.imageDigest,
    spec: TEST_SPEC,
    failpoints: {
      restore: [
        "driver.prepare.begun",
        "driver.prepare.copied",
        "driver.prepare.complete",
        "driver.launch.claimed",
        "driver.launch.prepared",
        "driver.launch.spawned",
        "driver.launch.recorded",
        "driver.restore.loaded",
        "driver.restore.running",
        "driver.renew.begun",
        "driver.renew.acknowledged",
        "driver.renew.recorded",
      ],
      snapshot: [
        "driver.snapshot.begun",
        "driver.snapshot.sealed",
        "driver.freeze.stopped",
        "driver.snapshot.frozen",
        "driver.snapshot.copied",
        "driver.snapshot.before-commit",
        "driver.snapshot.committed",
        "driver.release.ended",
        "driver.remove.files-gone",
      ],
      destroy: ["driver.destroy.ended", "driver.remove.files-gone"],
    },
  };
});

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
