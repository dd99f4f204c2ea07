// Spare VMMs: a box that gets one is jailed like any other, and one that does not fit or died harms nobody.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import type { BoxRun, BoxSource } from "#domain/box.ts";
import { type BoxId, makeId, type SnapshotId, type TemplateVersionId } from "#domain/ids.ts";
import { systemClock } from "#lib/clock.ts";
import { run } from "#lib/run.ts";
import type { LocalSnapshot } from "../driver.ts";
import { createQemuDriver, type QemuDriver } from "./driver.ts";
import { SPARE_PREFIX } from "./spare-networks.ts";
import { openVmTestHost, TEST_SPEC, type VmTestHost } from "./vm-test-host.ts";

let host: VmTestHost;
let driver: QemuDriver;
let seed: LocalSnapshot;
const fill = (bytes: Uint8Array) => bytes.set(randomBytes(bytes.length));
const signHostKey = async (key: string) => key;

before(async () => {
  host = await openVmTestHost();
  driver = await host.open();
  const box = runOf({ kind: "image", imageDigest: host.imageDigest });
  await driver.start(box, { signHostKey });
  await driver.exec(box.boxId, { argv: ["sh", "-c", "echo seed > /home/dev/mark"], user: "dev" });
  seed = await driver.snapshot(box.boxId, 1, {
    ...{ snapshotId: makeId<SnapshotId>("snap", fill), kind: "prebuild", withMemory: true },
  });
  await driver.destroy(box.boxId);
});

after(async () => {
  await driver.close();
  await host.close();
});

function runOf(source: BoxSource, spec = TEST_SPEC): BoxRun {
  const boxId = makeId<BoxId>("box", fill);
  return {
    ...{ boxId, epoch: 1, source, spec, bootSerial: 0, imageDigest: host.imageDigest },
    templateVersionId: "tv_00000000000000000000" as TemplateVersionId,
    identity: {
      ...{ boxId, hostName: "box", machineId: randomBytes(16).toString("hex") },
      ...{ sshUserCa: "ssh-ed25519 AAAA test", sshPrincipals: [boxId], env: {} },
    },
  };
}

const fromSeed = (): BoxSource => ({
  ...{ kind: "snapshot", snapshotId: seed.snapshotId, withMemory: true },
});

/** VMMs that wait as spares: by the cgroups that go by a spare's name. */
async function sparePids(): Promise<number[]> {
  const root = `/sys/fs/cgroup/${(await isV2()) ? "" : "pids/"}berth-${host.owner}`;
  const pids: number[] = [];
  for (const name of await readdir(root).catch(() => [])) {
    if (!name.startsWith(SPARE_PREFIX)) continue;
    const text = await readFile(join(root, name, "cgroup.procs"), "utf8").catch(() => "");
    for (const pid of text.split("\n").filter(Boolean).map(Number)) {
      const program = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
      if (program.startsWith("qemu-system")) pids.push(pid);
    }
  }
  return pids;
}

async function isV2(): Promise<boolean> {
  return await stat("/sys/fs/cgroup/cgroup.controllers").then(
    () => true,
    () => false,
  );
}

async function mark(boxId: BoxId): Promise<string> {
  const argv = ["cat", "/home/dev/mark"];
  return (await driver.exec(boxId, { argv, user: "dev" })).stdout;
}

/** What the kernel says of the jail around a process. */
async function jailOf(pid: number): Promise<Record<string, unknown>> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1];
  const groups = (await readFile(`/proc/${pid}/cgroup`, "utf8"))
    .split("\n")
    .filter((line) => /berth-/.test(line))
    .map((line) => line.replace(/^\d+:/, ""));
  return {
    ...{ capabilities: field("CapEff"), bounding: field("CapBnd"), seccomp: field("Seccomp") },
    ...{ noNewPrivileges: field("NoNewPrivs"), uid: Number(field("Uid")?.split("\t")[0]) },
    groups: groups.sort(),
    network: await readlink(`/proc/${pid}/ns/net`),
  };
}

test("a box gets a spare VMM, with its own cgroups, uid and network, and the snapshot's bytes", async () => {
  await driver.sparesReady();
  const spares = await sparePids();
  assert.ok(spares.length > 0, "there are spares of the shape of the last snapshot");
  const box = runOf(fromSeed());
  await driver.start(box, { signHostKey });
  const { pid } = (await driver.inspect(box.boxId))!;
  assert.ok(pid !== null && spares.includes(pid), "its VMM was there before the start");
  assert.equal(await mark(box.boxId), "seed\n");
  const jail = await jailOf(pid);
  const plain = runOf(fromSeed());
  const noSpares = await openWithoutSpares();
  await noSpares.start(plain, { signHostKey });
  const other = await jailOf((await noSpares.inspect(plain.boxId))!.pid!);
  assert.notEqual(jail.uid, other.uid);
  assert.notEqual(jail.network, other.network);
  assert.notEqual(jail.network, await readlink("/proc/self/ns/net"));
  assert.deepEqual(
    jail.groups,
    (other.groups as string[]).map((line) => line.replace(plain.boxId, box.boxId)),
  );
  const same = { uid: 0, network: "", groups: [] };
  assert.deepEqual({ ...jail, ...same }, { ...other, ...same });
  await noSpares.destroy(plain.boxId);
  await noSpares.close();
  await driver.destroy(box.boxId);
  assert.equal(await isGone(pid), true);
});

test("a spare that was killed is not given to a box", async () => {
  await driver.sparesReady();
  for (const pid of await sparePids()) {
    process.kill(pid, "SIGKILL");
    while (!(await isGone(pid))) await systemClock.sleep(10);
  }
  const box = runOf(fromSeed());
  await driver.start(box, { signHostKey });
  assert.equal(await mark(box.boxId), "seed\n");
  await driver.destroy(box.boxId);
});

test("a box of another shape gets no spare of this one", async () => {
  await driver.sparesReady();
  const spares = await sparePids();
  const box = runOf(fromSeed(), { ...TEST_SPEC, homeDiskGib: TEST_SPEC.homeDiskGib + 1 });
  await driver.start(box, { signHostKey });
  const { pid } = (await driver.inspect(box.boxId))!;
  assert.ok(pid !== null && !spares.includes(pid));
  assert.equal(await mark(box.boxId), "seed\n");
  await driver.destroy(box.boxId);
});

test("pauses and resumes through spares keep what was written", async () => {
  let box = runOf(fromSeed());
  await driver.start(box, { signHostKey });
  for (let cycle = 0; cycle < 4; cycle++) {
    const text = `cycle ${cycle}`;
    const argv = ["sh", "-c", `echo ${text} > /home/dev/mark && echo ${text} > /dev/shm/mark`];
    await driver.exec(box.boxId, { argv, user: "dev" });
    const paused = await driver.snapshot(box.boxId, box.epoch, {
      ...{ snapshotId: makeId<SnapshotId>("snap", fill), kind: "pause", withMemory: true },
    });
    await driver.sparesReady();
    const spares = await sparePids();
    const source = { kind: "snapshot", snapshotId: paused.snapshotId, withMemory: true } as const;
    box = { ...box, epoch: box.epoch + 1, source };
    await driver.start(box, { signHostKey });
    assert.ok(spares.includes((await driver.inspect(box.boxId))!.pid!));
    const both = ["cat", "/home/dev/mark", "/dev/shm/mark"];
    const { stdout } = await driver.exec(box.boxId, { argv: both, user: "dev" });
    assert.equal(stdout, `${text}\n${text}\n`);
    await driver.removeSnapshot(paused.snapshotId);
  }
  await driver.destroy(box.boxId);
});

for (const failpoint of [
  "driver.prepare.copied",
  "driver.prepare.complete",
  "driver.launch.claimed",
  "driver.launch.prepared",
  "driver.launch.spawned",
  "driver.restore.loaded",
]) {
  test(`an agent killed at ${failpoint} with a spare VMM: the next one ends it, and starts the box`, async () => {
    const box = runOf(fromSeed());
    await driver.close();
    assert.deepEqual(await remains(), []);
    const call = { failpoint, withSpare: true, run: box, snapshot: null };
    assert.equal(await host.crashAgent(call), "SIGKILL");
    const left = await remains();
    assert.notDeepEqual(left, []);
    driver = await host.open();
    assert.notEqual((await driver.inspect(box.boxId))?.state, "ready");
    await driver.sweep();
    const now = await remains();
    assert.deepEqual(
      left.filter((name) => now.includes(name)),
      [],
    );
    await driver.start(box, { signHostKey });
    assert.equal(await mark(box.boxId), "seed\n");
    await driver.destroy(box.boxId);
  });
}

test("when all boxes are gone, nothing is left", async () => {
  await driver.removeSnapshot(seed.snapshotId);
  await driver.sweep();
  assert.deepEqual(await host.leftovers(), []);
  await driver.close();
  assert.deepEqual(await remains(), []);
});

/** Names of spare VMMs, of whichever agent, that have anything left. */
async function remains(): Promise<string[]> {
  const { stdout } = await run(["find", "/sys/fs/cgroup", "-name", `${SPARE_PREFIX}*`]);
  const groups = stdout.split("\n").filter((path) => path.includes(`/berth-${host.owner}/`));
  const files = await readdir(join(host.stateDir, "spares")).catch(() => []);
  const sockets = await readdir(host.runDir);
  const names = [...groups.map((path) => basename(path)), ...files, ...sockets];
  return [...new Set(names.filter((name) => name.startsWith(SPARE_PREFIX)))];
}

async function openWithoutSpares(): Promise<QemuDriver> {
  return await createQemuDriver({ ...host.options, spareVmms: 0, spareNetworks: 0 });
}

async function isGone(pid: number): Promise<boolean> {
  const { stdout } = await run([
    "sh",
    "-c",
    `test -d /proc/${pid} && cat /proc/${pid}/stat || true`,
  ]);
  return stdout === "" || / Z /.test(stdout);
}
