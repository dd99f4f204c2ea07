import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { Cgroups } from "./cgroup.ts";

const LIMITS = { memoryMib: 640, cpus: 1.25, processes: 256 };

async function temporaryRoot(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "cgroup-"));
  t.after(() => rm(root, { recursive: true }));
  return root;
}

// Plain files in place of the kernel's: cgroup v2 cannot be had on every machine that tests run on.
test("v2: controllers are passed down, limits written, one file to enter by", async (t) => {
  const root = await temporaryRoot(t);
  await writeFile(join(root, "cgroup.controllers"), "cpu memory pids");
  const groups = await Cgroups.open("berth-x", systemClock, root);
  assert.equal(groups.version, "v2");
  const enter = await groups.create("box_a", LIMITS);
  const directory = join(root, "berth-x", "box_a");
  assert.deepEqual(enter, [join(directory, "cgroup.procs")]);
  const read = (name: string) => readFile(join(directory, name), "utf8");
  assert.equal(await read("memory.max"), String(640 * 1024 * 1024));
  assert.equal(await read("cpu.max"), "125000 100000");
  assert.equal(await read("cpu.weight"), "125");
  await groups.create("box_a", { ...LIMITS, weight: 0.1 });
  assert.equal(await read("cpu.weight"), "10");
  assert.equal(await read("cpu.max"), "125000 100000");
  assert.equal(await read("../cpu.weight"), String(100 * availableParallelism()));
  assert.equal(await read("pids.max"), "256");
  assert.equal(await read("memory.oom.group"), "1");
  for (const parent of [root, join(root, "berth-x")]) {
    const passed = await readFile(join(parent, "cgroup.subtree_control"), "utf8");
    assert.equal(passed, "+cpu +memory +pids");
  }
  assert.deepEqual(await groups.list(), ["box_a"]);
  assert.equal(await groups.ranOutOfMemory("box_a"), false);
  await writeFile(join(directory, "memory.events"), "low 0\noom 1\noom_kill 1\n");
  assert.equal(await groups.ranOutOfMemory("box_a"), true);
});

test("v1: a group in each hierarchy, and in the unified one for cgroup.kill", async (t) => {
  const root = await temporaryRoot(t);
  for (const name of ["memory", "cpu", "pids", "unified"]) {
    await mkdir(join(root, name));
    await writeFile(join(root, name, "cgroup.procs"), "");
  }
  const groups = await Cgroups.open("berth-x", systemClock, root);
  assert.equal(groups.version, "v1");
  assert.equal((await groups.create("box_a", LIMITS)).length, 4);
  const read = (path: string) => readFile(join(root, path), "utf8");
  assert.equal(await read("memory/berth-x/box_a/memory.limit_in_bytes"), `${640 * 1024 * 1024}`);
  assert.equal(await read("cpu/berth-x/box_a/cpu.cfs_quota_us"), "125000");
  assert.equal(await read("cpu/berth-x/box_a/cpu.shares"), "1280");
  assert.equal(await read("cpu/berth-x/cpu.shares"), String(1024 * availableParallelism()));
  assert.equal(await read("pids/berth-x/box_a/pids.max"), "256");
});

test("a missing controller is named, with what to do", async (t) => {
  const root = await temporaryRoot(t);
  await assert.rejects(Cgroups.open("berth-x", systemClock, root), /cgroup controller memory/);
});
