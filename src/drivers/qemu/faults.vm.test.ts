// What is killed, filled, cut or refused on a real VM: afterwards the box is what it promised to be.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile, rm, stat, statfs } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { BoxRun, BoxSource, SnapshotKind } from "#domain/box.ts";
import { type BoxId, makeId, type SnapshotId, type TemplateVersionId } from "#domain/ids.ts";
import { systemClock } from "#lib/clock.ts";
import { Failpoints } from "#lib/failpoint.ts";
import { run } from "#lib/run.ts";
import type { LocalSnapshot } from "../driver.ts";
import type { CrashCall } from "./crash-agent.ts";
import { createQemuDriver, type QemuDriver } from "./driver.ts";
import { boxLink } from "./network-rules.ts";
import { openVmTestHost, TEST_SPEC, type VmTestHost } from "./vm-test-host.ts";

let host: VmTestHost;
let driver: QemuDriver;
let failpoints = new Failpoints();
/** A booted box with a live process in it, frozen once; every test forks it. */
let seed: LocalSnapshot;
const made: BoxId[] = [];

const fill = (bytes: Uint8Array) => bytes.set(randomBytes(bytes.length));
const newSnapshotId = () => makeId<SnapshotId>("snap", fill);
const signHostKey = async (key: string) => key;

before(async () => {
  host = await openVmTestHost();
  driver = await host.open(failpoints);
  const box = runOf({ kind: "image", imageDigest: host.imageDigest });
  await driver.start(box, { signHostKey });
  // Writes a number, fsynced, ten times a second; the last one acknowledged is in memory.
  const script =
    "import os, time; f = os.open('/home/dev/log', os.O_CREAT | os.O_WRONLY | os.O_APPEND); n = 0\n" +
    "while True:\n n += 1; os.write(f, b'%d\\n' % n); os.fsync(f); open('/dev/shm/acked', 'w').write(str(n)); time.sleep(0.1)";
  const start = `setsid python3 -c "${script}" >/dev/null 2>&1 & echo started`;
  await sh(box.boxId, start);
  await until("the writer writes", async () => {
    const argv = ["test", "-s", "/dev/shm/acked"];
    return (await driver.exec(box.boxId, { argv, user: "dev" })).exitCode === 0;
  });
  seed = await take(box, "prebuild");
  await driver.destroy(box.boxId);
});

after(async () => {
  driver = await reopen();
  for (const boxId of made) await driver.destroy(boxId);
  await driver.close();
  await host.close();
});

async function reopen(): Promise<QemuDriver> {
  await driver.close();
  failpoints = new Failpoints();
  return await host.open(failpoints);
}

function runOf(source: BoxSource, epoch = 1, boxId = makeId<BoxId>("box", fill)): BoxRun {
  if (!made.includes(boxId)) made.push(boxId);
  return {
    ...{ boxId, epoch, source, spec: TEST_SPEC, bootSerial: 0, imageDigest: host.imageDigest },
    templateVersionId: "tv_00000000000000000000" as TemplateVersionId,
    identity: {
      ...{ boxId, hostName: "box", machineId: randomBytes(16).toString("hex") },
      ...{ sshUserCa: "ssh-ed25519 AAAA test", sshPrincipals: [boxId], env: {} },
    },
  };
}

const from = ({ snapshotId }: LocalSnapshot): BoxSource => ({
  ...{ kind: "snapshot", snapshotId, withMemory: true },
});

async function fork(): Promise<BoxRun> {
  const box = runOf(from(seed));
  await driver.start(box, { signHostKey });
  return box;
}

async function sh(boxId: BoxId, script: string, user = "dev"): Promise<string> {
  const { exitCode, stdout, stderr } = await driver.exec(boxId, {
    argv: ["sh", "-c", script],
    user,
  });
  assert.equal(exitCode, 0, `${script}: ${stderr}`);
  return stdout.trim();
}

function take(box: BoxRun, kind: SnapshotKind, snapshotId = newSnapshotId()) {
  return driver.snapshot(box.boxId, box.epoch, { snapshotId, kind, withMemory: true });
}

/** The writer lives, and no number that it acknowledged is missing from its file. */
async function checkWriter(boxId: BoxId): Promise<number> {
  const acked = Number(await sh(boxId, "cat /dev/shm/acked"));
  const lines = (await sh(boxId, "cat /home/dev/log")).split("\n").map(Number);
  assert.ok(lines.length >= acked, `${lines.length} lines, ${acked} acknowledged`);
  assert.deepEqual(
    lines,
    Array.from({ length: lines.length }, (_, index) => index + 1),
  );
  return acked;
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const endMs = systemClock.monotonicMs() + 120_000;
  while (!(await isSo())) {
    assert.ok(systemClock.monotonicMs() < endMs, `not in two minutes: ${what}`);
    await systemClock.sleep(50);
  }
}

async function stateOf(boxId: BoxId): Promise<string | undefined> {
  return (await driver.inspect(boxId))?.state;
}

// Thirty of them, of the whole of Berth: test/e2e/first-box.vm.test.ts.
test("pauses and resumes: the process lives, no acknowledged byte is lost", async () => {
  let box = await fork();
  let before = await checkWriter(box.boxId);
  for (let cycle = 0; cycle < 8; cycle++) {
    const paused = await take(box, "pause");
    box = runOf(from(paused), box.epoch + 1, box.boxId);
    await driver.start(box, { signHostKey });
    await driver.removeSnapshot(paused.snapshotId);
    const now = await checkWriter(box.boxId);
    assert.ok(now >= before);
    before = now;
  }
  await until("the writer goes on", async () => (await checkWriter(box.boxId)) > before);
  await driver.destroy(box.boxId);
});

for (const failpoint of ["driver.launch.spawned", "driver.restore.running", "driver.renew.begun"]) {
  test(`an agent killed at ${failpoint} of a start: the next one finishes it`, async () => {
    const box = runOf(from(seed));
    await crashAgent({ failpoint, run: box, snapshot: null });
    driver = await reopen();
    assert.notEqual(await stateOf(box.boxId), "ready");
    await driver.sweep();
    await driver.start(box, { signHostKey });
    await checkWriter(box.boxId);
    await driver.destroy(box.boxId);
  });
}

for (const failpoint of [
  "driver.snapshot.sealed",
  "driver.freeze.stopped",
  "driver.snapshot.copied",
]) {
  test(`an agent killed at ${failpoint}: the box is frozen, and goes on`, async () => {
    const box = await fork();
    const { pid } = (await driver.inspect(box.boxId))!;
    const request = { snapshotId: newSnapshotId(), kind: "fork", withMemory: true } as const;
    await crashAgent({ failpoint, run: box, snapshot: request });
    driver = await reopen();
    assert.deepEqual(await driver.inspect(box.boxId), {
      ...{ boxId: box.boxId, epoch: 1, state: "frozen", bootSerial: 0, pid },
      notices: (await driver.inspect(box.boxId))?.notices,
    });
    await driver.thaw(box.boxId, 1);
    assert.equal(await stateOf(box.boxId), "ready");
    await checkWriter(box.boxId);
    await driver.destroy(box.boxId);
  });
}

for (const failpoint of [
  "driver.snapshot.sealed",
  "driver.freeze.stopped",
  "driver.snapshot.copied",
]) {
  test(`a VMM killed at ${failpoint}: no snapshot, a boot from the disks, no fsynced byte lost`, async () => {
    const box = await fork();
    const { pid } = (await driver.inspect(box.boxId))!;
    const acked = await checkWriter(box.boxId);
    failpoints.arm(failpoint, { kind: "run", run: () => void process.kill(pid!, "SIGKILL") });
    const snapshotId = newSnapshotId();
    // After the copy stands, a fork is whole without its VMM, but the box cannot go on.
    await assert.rejects(take(box, "fork", snapshotId));
    assert.equal(
      (await driver.listSnapshots()).some((each) => each.snapshotId === snapshotId),
      false,
    );
    assert.equal(await stateOf(box.boxId), "down");
    const { how } = await driver.start(box, { signHostKey });
    assert.equal(how, "booted");
    const lines = (await sh(box.boxId, "cat /home/dev/log")).split("\n");
    assert.ok(lines.length >= acked);
    const { notices } = (await driver.inspect(box.boxId))!;
    assert.ok(notices.some(({ code }) => code === "vmm_died"));
    await driver.destroy(box.boxId);
  });
}

test("a full disk refuses snapshots and starts before anything is frozen; the box goes on", async () => {
  const box = await fork();
  const filler = join(host.stateDir, "filler");
  const { bavail, bsize } = await statfs(host.stateDir);
  await run(["fallocate", "-l", String(bavail * bsize - 300 * 1024 * 1024), filler]);
  try {
    await assert.rejects(take(box, "pause"), { code: "disk_full" });
    assert.equal(await stateOf(box.boxId), "ready");
    const other = runOf(from(seed));
    await assert.rejects(driver.start(other, { signHostKey }), { code: "disk_full" });
  } finally {
    await rm(filler);
  }
  await checkWriter(box.boxId);
  await take(box, "pause");
  assert.equal(await stateOf(box.boxId), undefined);
});

test("a disk that fills in the middle of a pause: no snapshot, and the box goes on", async () => {
  const box = await fork();
  const filler = join(host.stateDir, "filler");
  failpoints.arm("driver.freeze.stopped", {
    kind: "run",
    run: async () => {
      const { bavail, bsize } = await statfs(host.stateDir);
      await run(["fallocate", "-l", String(bavail * bsize), filler]).catch(() => {});
    },
  });
  failpoints.arm("driver.snapshot.frozen", {
    kind: "run",
    run: async () => {
      await rm(filler);
      throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
    },
  });
  await assert.rejects(take(box, "pause"), { code: "disk_full" });
  await rm(filler, { force: true });
  assert.equal(await stateOf(box.boxId), "ready");
  await checkWriter(box.boxId);
  await driver.destroy(box.boxId);
});

test("a guest that powers itself off is down, and says so; it boots again", async () => {
  const box = await fork();
  // Its answer may be lost with it.
  await sh(box.boxId, "sudo systemctl poweroff").catch(() => {});
  await until("the box is down", async () => (await stateOf(box.boxId)) === "down");
  const { notices } = (await driver.inspect(box.boxId))!;
  assert.ok(
    notices.some(({ code }) => code === "guest_shut_down"),
    JSON.stringify(notices),
  );
  await driver.destroy(box.boxId);
});

test("a guest that does not power off is ended after the time given", async () => {
  const box = await fork();
  const { pid } = (await driver.inspect(box.boxId))!;
  process.kill(pid!, "SIGSTOP"); // As one whose guest hangs, and whose monitor does too.
  await driver.shutdown(box.boxId, 1, 1_000);
  assert.equal(await stateOf(box.boxId), "down");
  await driver.destroy(box.boxId);
});

test("a VMM that hangs is found, ended, and its box boots again", async () => {
  const box = await fork();
  const { pid } = (await driver.inspect(box.boxId))!;
  process.kill(pid!, "SIGSTOP");
  await driver.sweep();
  assert.equal(await stateOf(box.boxId), "down");
  assert.equal((await driver.start(box, { signHostKey })).how, "booted");
  await driver.destroy(box.boxId);
});

test("a live VMM is filtered, without capabilities, and every thread of it is in its groups", async () => {
  const box = await fork();
  const { pid } = (await driver.inspect(box.boxId))!;
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  assert.match(status, /^Name:\tqemu-system/m);
  for (const line of [/^Seccomp:\t2$/m, /^CapEff:\t0+$/m, /^NoNewPrivs:\t1$/m, /^Uid:\t1200/m]) {
    assert.match(status, line);
  }
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    const groups = await readFile(`/proc/${pid}/task/${thread}/cgroup`, "utf8");
    const ours = groups.split("\n").filter((line) => line.endsWith(`/${box.boxId}`));
    // v1: memory, cpu, pids, and the unified hierarchy; v2: one.
    assert.equal(ours.length, groups.includes(":memory:") ? 4 : 1, groups);
  }
  await driver.destroy(box.boxId);
});

test("before the renewal is acknowledged nothing reaches the box, and nothing comes out", async () => {
  const box = runOf(from(seed));
  failpoints.arm("driver.renew.begun", { kind: "throw", message: "no renewal" });
  await assert.rejects(driver.start(box, { signHostKey }), /no renewal/);
  assert.equal(await stateOf(box.boxId), "up");
  await assert.rejects(driver.connect(box.boxId, 1, 22), { code: "guest_unreachable" });
  const record = JSON.parse(
    await readFile(join(host.stateDir, "boxes", box.boxId, "box.json"), "utf8"),
  ) as { slot: number };
  const owner = host.runDir.slice(-6);
  assert.equal(await answers(boxLink(owner, record.slot).boxAddress, 22), false);
  // The writer syncs ten times a second when it runs; the guest's kernel alone writes a few times at most.
  assert.ok((await writesIn(box.boxId, 4_000)) < 5);
  await driver.start(box, { signHostKey });
  await until("its sshd answers", () => answers(boxLink(owner, record.slot).boxAddress, 22));
  await until("the writer runs", async () => (await writesIn(box.boxId, 2_000)) >= 5);
  await driver.destroy(box.boxId);
});

test("an identity that the guest refuses leaves the box up and shut", async () => {
  const box = runOf(from(seed));
  const refused: BoxRun = { ...box, identity: { ...box.identity, machineId: "not one" } };
  await assert.rejects(driver.start(refused, { signHostKey }), { code: "renewal_failed" });
  assert.equal(await stateOf(box.boxId), "up");
  await driver.start(box, { signHostKey });
  await checkWriter(box.boxId);
  await driver.destroy(box.boxId);
});

test("a fork may have larger disks; the files inside grow with them", async () => {
  const box = runOf(from(seed));
  const larger = { ...TEST_SPEC, rootDiskGib: 7, homeDiskGib: 3 };
  await driver.start({ ...box, spec: larger }, { signHostKey });
  const sizes = await sh(box.boxId, "df --output=size -BM / /home/dev | tail -n +2 | tr -d 'M '");
  const [root = 0, home = 0] = sizes.split("\n").map(Number);
  assert.ok(root > 6_000 && home > 2_500, sizes);
  await checkWriter(box.boxId);
  await driver.destroy(box.boxId);
});

test("memory of another size, or of another machine, is refused before anything is made", async () => {
  const box = runOf(from(seed));
  const other = { ...box, spec: { ...TEST_SPEC, memoryMib: 1024 } };
  await assert.rejects(driver.start(other, { signHostKey }), { code: "snapshot_incompatible" });
  assert.equal(await driver.inspect(box.boxId), null);
});

test("disks of a running box are taken while it goes on, and boot", async () => {
  const box = await fork();
  const acked = await checkWriter(box.boxId);
  const request = { snapshotId: newSnapshotId(), kind: "checkpoint", withMemory: false } as const;
  const disks = await driver.snapshot(box.boxId, 1, request);
  assert.equal(await stateOf(box.boxId), "ready");
  await checkWriter(box.boxId);
  await driver.destroy(box.boxId);
  const copy = runOf({ kind: "snapshot", snapshotId: disks.snapshotId, withMemory: false });
  const { how } = await driver.start(copy, { signHostKey });
  assert.equal(how, "booted");
  assert.ok((await sh(copy.boxId, "cat /home/dev/log")).split("\n").length >= acked);
  await driver.destroy(copy.boxId);
});

test("after a restart of the host the box boots from its disks, and its snapshots are still good", async () => {
  const box = await fork();
  const acked = await checkWriter(box.boxId);
  const paused = await fork();
  const rest = await take(paused, "pause");
  await driver.close();
  await host.restartHost();
  driver = await createQemuDriver({ ...host.options, bootId: "another boot" });
  assert.equal(await stateOf(box.boxId), "down");
  await driver.sweep();
  const { how } = await driver.start(box, { signHostKey });
  assert.equal(how, "booted");
  const { notices } = (await driver.inspect(box.boxId))!;
  assert.match(notices.find(({ code }) => code === "vmm_died")?.message ?? "", /host restarted/);
  assert.ok((await sh(box.boxId, "cat /home/dev/log")).split("\n").length >= acked);
  await driver.destroy(box.boxId);
  const resumed = runOf(from(rest), 2, paused.boxId);
  assert.equal((await driver.start(resumed, { signHostKey })).how, "restored");
  await checkWriter(resumed.boxId);
  await driver.destroy(resumed.boxId);
  driver = await reopen();
});

test("a console flood is cut", async () => {
  const box = await fork();
  const path = join(host.stateDir, "boxes", box.boxId, "files", "console.log");
  const flood = driver.exec(box.boxId, {
    argv: ["sh", "-c", "head -c 4400000 /dev/zero | tr '\\0' x > /dev/console"],
    user: "root",
  });
  await flood;
  assert.ok((await stat(path)).size > 4 * 1024 * 1024);
  await driver.list();
  assert.ok((await stat(path)).size < 1024 * 1024);
  assert.ok((await driver.console(box.boxId, 1000)).length === 1000);
  await driver.destroy(box.boxId);
});

test("nothing is left", async () => {
  for (const boxId of made) await driver.destroy(boxId);
  for (const { snapshotId } of await driver.listSnapshots())
    await driver.removeSnapshot(snapshotId);
  await driver.sweep();
  assert.deepEqual(await host.leftovers(), []);
});

/** How often the home volume's file was seen changed. */
async function writesIn(boxId: BoxId, durationMs: number): Promise<number> {
  const path = join(host.stateDir, "boxes", boxId, "files", "home.qcow2");
  const seen = new Set<string>();
  const endMs = systemClock.monotonicMs() + durationMs;
  while (systemClock.monotonicMs() < endMs) {
    seen.add(`${(await stat(path, { bigint: true })).mtimeNs}`);
    await systemClock.sleep(20);
  }
  return seen.size - 1;
}

async function crashAgent(call: Pick<CrashCall, "failpoint" | "run" | "snapshot">): Promise<void> {
  await driver.close();
  assert.equal(await host.crashAgent({ ...call, withSpare: false }), "SIGKILL");
}

async function answers(address: string, port: number): Promise<boolean> {
  const socket = connect(port, address);
  const gaveUp = systemClock.sleep(2_000).then(() => false);
  const connected = Promise.race([once(socket, "connect").then(() => true), gaveUp]);
  const is = await connected.catch(() => false);
  socket.destroy();
  return is;
}
