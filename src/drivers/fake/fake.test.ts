import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { BoxId, TemplateVersionId } from "#domain/ids.ts";
import { testDriver } from "#drivers/conformance.ts";
import { createFakeDriver } from "#drivers/fake/driver.ts";
import { FakeHost } from "#drivers/fake/host.ts";
import { runGuestExec } from "#drivers/qemu/guest-exec.ts";
import { systemClock } from "#lib/clock.ts";
import { Failpoints } from "#lib/failpoint.ts";

const SPEC = { cpus: 1, memoryMib: 256, rootDiskGib: 4, homeDiskGib: 1 };

testDriver("fake", async () => {
  const directory = mkdtempSync(join(tmpdir(), "berth-fake-"));
  const host = new FakeHost(directory);
  return {
    open: async (failpoints) => createFakeDriver(host, { clock: systemClock, failpoints }),
    killVmm: async ({ boxId }) => host.killVmm(boxId),
    leftovers: async () => Object.values(host.inventory()).flat(),
    close: async () => rmSync(directory, { recursive: true, force: true }),
    imageDigest: "sha256:0",
    spec: SPEC,
    failpoints: {
      restore: [
        "driver.start.preparing",
        "driver.start.prepared",
        "driver.start.launched",
        "driver.start.renewed",
      ],
      snapshot: [
        "driver.snapshot.frozen",
        "driver.snapshot.written",
        "driver.snapshot.committed",
        "driver.snapshot.released",
      ],
      destroy: ["driver.destroy.killed", "driver.destroy.removed"],
    },
  };
});

const BOX = "box_00000000000000000000" as BoxId;
const RUN = {
  boxId: BOX,
  epoch: 1,
  bootSerial: 0,
  spec: SPEC,
  imageDigest: "sha256:0",
  source: { kind: "image", imageDigest: "sha256:0" },
  templateVersionId: "tv_00000000000000000000" as TemplateVersionId,
  identity: {
    boxId: BOX,
    hostName: "a",
    machineId: "0".repeat(32),
    sshUserCa: "",
    sshPrincipals: [],
    env: {},
  },
} as const;
const SIGN = { signHostKey: async (key: string) => key };

async function withHost(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "berth-fake-"));
  try {
    await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function driverOf(host: FakeHost) {
  return createFakeDriver(host, { clock: systemClock, failpoints: new Failpoints() });
}

test("a fake host survives its process: another one reads the directory", () =>
  withHost(async (directory) => {
    await driverOf(new FakeHost(directory)).start(RUN, SIGN);
    const later = driverOf(new FakeHost(directory));
    assert.equal((await later.inspect(BOX))?.state, "ready");
    const found = await later.exec(BOX, { argv: ["hostname"], user: "dev" });
    assert.equal(found.stdout, "a\n");
  }));

test("faults strike as often as asked, and an unacknowledged renewal is never ready", () =>
  withHost(async (directory) => {
    const host = new FakeHost(directory);
    const driver = driverOf(host);
    host.faults.arm({ op: "start", times: 2 });
    host.faults.arm({ op: "renew" });
    await assert.rejects(driver.start(RUN, SIGN), { code: "vmm_failed" });
    await assert.rejects(driver.start(RUN, SIGN), { code: "vmm_failed" });
    assert.equal(await driver.inspect(BOX), null);
    await assert.rejects(driver.start(RUN, SIGN), { code: "renewal_failed" });
    assert.equal((await driver.inspect(BOX))?.state, "up");
    await assert.rejects(driver.exec(BOX, { argv: ["true"], user: "dev" }));
    await driver.start(RUN, SIGN);
    assert.equal((await driver.inspect(BOX))?.state, "ready");
  }));

test("a full disk during pause leaves the box running and nothing half made", () =>
  withHost(async (directory) => {
    const host = new FakeHost(directory);
    const driver = driverOf(host);
    await driver.start(RUN, SIGN);
    host.faults.arm({ op: "snapshot", code: "disk_full" });
    const request = {
      snapshotId: "snap_00000000000000000000" as never,
      kind: "pause",
      withMemory: true,
    } as const;
    await assert.rejects(driver.snapshot(BOX, 1, request), { code: "disk_full" });
    assert.equal((await driver.inspect(BOX))?.state, "ready");
    assert.deepEqual(host.inventory().remains, []);
    await driver.snapshot(BOX, 1, request);
    assert.equal(await driver.inspect(BOX), null);
  }));

test("faults.json in the host's directory is read while it runs", () =>
  withHost(async (directory) => {
    const driver = driverOf(new FakeHost(directory));
    await driver.start(RUN, SIGN);
    writeFileSync(
      join(directory, "faults.json"),
      JSON.stringify({ rules: [{ op: "vmm", boxId: BOX }] }),
    );
    assert.equal((await driver.inspect(BOX))?.state, "down");
    await driver.start(RUN, SIGN);
    assert.ok((await driver.inspect(BOX))?.notices.some(({ code }) => code === "vmm_died"));
  }));

test("the exec server speaks the frames of a real guest", () =>
  withHost(async (directory) => {
    const driver = driverOf(new FakeHost(directory));
    await driver.start(RUN, SIGN);
    const options = { clock: systemClock, token: null };
    const exec = async (request: Parameters<typeof runGuestExec>[1]) =>
      runGuestExec(await driver.connect(BOX, 1, 1), request, options);
    const told = await exec({ argv: ["tee", "/home/dev/x"], user: "dev", stdin: "hello" });
    assert.deepEqual(told, { exitCode: 0, stdout: "hello", stderr: "" });
    const read = await exec({ argv: ["cat", "/home/dev/x"], user: "dev" });
    assert.equal(read.stdout, "hello");
    assert.equal((await exec({ argv: ["sh", "-c", "exit 7"], user: "dev" })).exitCode, 7);
  }));
