// The lock between processes: one holder at a time, and none after its holder died.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { withLock } from "./lock.ts";

const none = () => {};

test("work under one lock never overlaps, and its failure gives the lock back", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "berth-lock-"));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "lock");
  let inside = 0;
  let most = 0;
  const work = async () => {
    inside += 1;
    most = Math.max(most, inside);
    await systemClock.sleep(10);
    inside -= 1;
  };
  await assert.rejects(
    withLock(path, systemClock, none, async () => {
      throw new Error("work failed");
    }),
    /work failed/,
  );
  await Promise.all([1, 2, 3, 4].map(() => withLock(path, systemClock, none, work)));
  assert.equal(most, 1);
  assert.deepEqual(await readdir(directory), []);
});

test("a lock whose holder was killed is taken over; one of a living process is waited for", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "berth-lock-"));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "lock");
  const modules = [
    join(import.meta.dirname, "lock.ts"),
    join(import.meta.dirname, "../lib/clock.ts"),
  ];
  const program = `
    const { withLock } = await import(${JSON.stringify(modules[0])});
    const { systemClock } = await import(${JSON.stringify(modules[1])});
    await withLock(${JSON.stringify(path)}, systemClock, () => {}, async () => {
      console.log("held");
      await systemClock.sleep(600_000);
    });`;
  const holder = spawn(process.execPath, ["--input-type=module", "-e", program]);
  await once(holder.stdout, "data");
  let waited = 0;
  const mine = withLock(
    path,
    systemClock,
    () => (waited += 1),
    async () => "mine",
  );
  while (waited === 0) await systemClock.sleep(10);
  await systemClock.sleep(600);
  holder.kill("SIGKILL");
  assert.equal(await mine, "mine");
  assert.equal(waited, 1, "it is said once");
});

test("a lock of a pid that now belongs to another process is taken over", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "berth-lock-"));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "lock");
  await mkdir(path);
  await writeFile(join(path, "holder"), `${process.pid} 1`);
  assert.equal(await withLock(path, systemClock, none, async () => "mine"), "mine");
});
