// The jail from the inside: a program in the VMM's place tries what a VMM that a guest took over would. Then the
// same checks from the outside on what the kernel says of it.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { run } from "#lib/run.ts";
import { Cgroups } from "./cgroup.ts";
import { giveFiles } from "./disk.ts";
import { jailed } from "./jail.ts";
import { launchVmm, VMM_FDS } from "./launch.ts";
import { boxNetworks } from "./network.ts";
import { identifyProcess, isAlive, type ProcessIdentity, readBootId } from "./proc.ts";

const UID = 1_299_999_998;
const SLOT = 29_000;
const networks = boxNetworks("fffff2", run);
let base = "";
let groups: Cgroups;
let bootId = "";

/** Each line prints NAME and then `yes` when the act succeeded. Anything but `no` is an escape. */
const ACTS: Readonly<Record<string, string>> = {
  "read the host's password hashes": "cat /etc/shadow",
  "see the host's files": "ls /work /root /home /var /etc /tmp /proc/1",
  "see the monitor's socket": "test -e /run/berth/qmp.sock || test -e /box/qmp.sock",
  "see the other sockets of the host": "ls /run/netns /run/systemd /run/dbus",
  "add a file to the box": "touch /box/new",
  "replace a file of the box": "mv /box/ram /box/ram2",
  "open the box's files to others": "chmod 0777 /box",
  "change the image": "sh -c 'echo x >> /image/root.ext4'",
  "change the programs": "touch /usr/bin/x",
  "write beside the box": "touch /x || touch /run/x || touch /dev/shm/x || touch /run/berth/x",
  "become root": "setpriv --reuid=0 true",
  "take a capability": "setpriv --inh-caps=+sys_admin --ambient-caps=+sys_admin true",
  mount: "mount -t tmpfs none /box",
  "enter the host's namespaces": "nsenter --target 1 --mount true && test -e /etc/shadow",
  "load a module": "insmod /usr/lib/modules/x.ko",
  "see another process": "test -d /proc/2 || kill -0 2",
  "make a device": "mknod /box/sda b 8 0",
  "read the host's disk": "head -c 1 /dev/vda || head -c 1 /dev/sda",
  "change the clock": "date -s 2000-01-01",
  "set the host's name": "hostname other",
  "reach out of the namespace":
    "python3 -c 'import socket; socket.create_connection((\"192.0.2.1\", 80), 1)'",
  "open a raw socket":
    "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'",
  "dump its memory to a file": "test $(ulimit -c) != 0",
  "lock memory": "test $(ulimit -l) != 0",
};

before(async () => {
  base = await mkdtemp(join(tmpdir(), "berth-jail-"));
  bootId = await readBootId();
  groups = await Cgroups.open("berth-fffff2", systemClock);
  for (const part of ["box", "image", "run/jail"]) {
    await mkdir(join(base, part), { recursive: true, mode: 0o755 });
  }
  for (const name of ["ram", "root.qcow2", "home.qcow2", "console.log"]) {
    await writeFile(join(base, "box", name), "");
  }
  await giveFiles(join(base, "box"), UID);
  await writeFile(join(base, "image/root.ext4"), "base");
});

after(async () => {
  await groups.close();
  await networks.close();
  await rm(base, { recursive: true, force: true });
});

async function launch(script: string): Promise<ProcessIdentity> {
  const { netns } = await networks.make(SLOT, UID);
  const cgroupProcs = await groups.create("box", { memoryMib: 256, cpus: 1, processes: 64 });
  const jail = {
    ...{
      uid: UID,
      cgroupProcs,
      netns,
      kvm: false,
      infoFd: VMM_FDS.info,
      keptFds: Object.values(VMM_FDS),
    },
    boxDirectory: join(base, "box"),
    imageDirectory: join(base, "image"),
    socketDirectory: join(base, "run/jail"),
  };
  const { identity } = await launchVmm({
    ...{ argv: jailed(jail, ["sh", "-c", script]), incoming: false, bootId, log: silentLog },
    socketDirectory: join(base, "run"),
    logPath: join(base, "log"),
  });
  return identity;
}

async function ended(vmm: ProcessIdentity): Promise<void> {
  while (await isAlive(vmm, bootId)) await systemClock.sleep(20);
}

test("what a VMM that was taken over tries is refused", async () => {
  const lines = Object.entries(ACTS).map(
    ([name, act]) =>
      `if (${act}) >/dev/null 2>&1; then echo "${name}: yes"; else echo "${name}: no"; fi`,
  );
  // An own file and a tool that is there: that refusals below are the jail's, not the script's.
  lines.push("if echo x > /box/ram && python3 -c 1; then echo 'works: yes'; fi");
  await ended(await launch(lines.join("\n")));
  const said = (await readFile(join(base, "log"), "utf8")).trim().split("\n");
  assert.deepEqual(said, [...Object.keys(ACTS).map((name) => `${name}: no`), "works: yes"]);
});

test("the kernel shows a process of its own uid, without capabilities, in every namespace and group", async () => {
  const vmm = await launch("sleep 1000 & sleep 1000 & wait");
  const readStatus = () => readFile(`/proc/${vmm.pid}/status`, "utf8");
  while (!(await readStatus()).startsWith("Name:\tsh\n")) await systemClock.sleep(10);
  const status = await readStatus();
  for (const line of [
    `Uid:\t${UID}\t${UID}\t${UID}\t${UID}`,
    `Gid:\t${UID}\t${UID}\t${UID}\t${UID}`,
    "Groups:\t",
    "NoNewPrivs:\t1",
    ...["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(
      (name) => `${name}:\t${"0".repeat(16)}`,
    ),
  ]) {
    assert.ok(status.includes(line), `${line} not in ${status}`);
  }
  const parent = Number(/PPid:\s(\d+)/.exec(status)?.[1]);
  const inside = await groups.processes("box");
  // The program, its two children, and bwrap, which waits outside.
  while ((await groups.processes("box")).length < 4) await systemClock.sleep(10);
  assert.ok(inside.includes(vmm.pid) && inside.includes(parent));
  for (const name of ["mnt", "pid", "net", "ipc", "uts"]) {
    const [ours, theirs] = await Promise.all(
      [process.pid, vmm.pid].map((pid) => readlink(`/proc/${pid}/ns/${name}`)),
    );
    assert.notEqual(ours, theirs, name);
  }
  // Nothing of ours leaks in beside the sockets and the state.
  const open = await readdir(`/proc/${vmm.pid}/fd`);
  assert.ok(
    open.every((fd) => Number(fd) <= VMM_FDS.state),
    open.join(),
  );
  assert.equal(await isAlive({ ...vmm, startTicks: "1" }, bootId), false);
  await groups.remove("box");
  assert.equal(await identifyProcess(vmm.pid, bootId), null);
  assert.deepEqual(await groups.list(), []);
});

test("memory over the limit kills the box's process, and the reason can be told", async () => {
  const vmm = await launch("exec python3 -c 'bytearray(400 << 20)'");
  await ended(vmm);
  assert.equal(await groups.ranOutOfMemory("box"), true);
  await groups.remove("box");
});

test("processes over the limit are not made", async () => {
  const script =
    "import os, time\nmade = 0\ntry:\n for i in range(200):\n  if os.fork() == 0: time.sleep(1000)\n  made += 1\nexcept OSError: print('made', made)";
  const vmm = await launch(`exec python3 -c "${script}"`);
  while (!(await readFile(join(base, "log"), "utf8")).includes("made")) await systemClock.sleep(20);
  const made = Number((await readFile(join(base, "log"), "utf8")).split(" ")[1]);
  assert.ok(made > 10 && made < 64, `${made} made`);
  await groups.remove("box");
  await ended(vmm);
});

test("a launch that fails says why", async () => {
  const { netns } = await networks.make(SLOT, UID);
  const jail = {
    ...{
      uid: UID,
      cgroupProcs: ["/nonexistent/cgroup.procs"],
      netns,
      kvm: false,
      infoFd: 5,
      keptFds: [],
    },
    ...{ boxDirectory: base, imageDirectory: base, socketDirectory: base },
  };
  const failed = launchVmm({
    ...{ argv: jailed(jail, ["true"]), incoming: false, bootId, log: silentLog },
    socketDirectory: join(base, "run"),
    logPath: join(base, "log"),
  });
  await assert.rejects(failed, /125.*log/);
});
