import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { type Installation, installationIn, recordPath } from "./installation.ts";
import { claimRecord, type ProcessRecord, readLiving, signal } from "./process-record.ts";
import { spawnDetached, stopRecorded, supervise } from "./supervisor.ts";

const MINUTE_MS = 60_000;

/** A process that claims its record and then only lives; with `deaf` it does not hear SIGTERM. */
function commandFor(path: string, deaf = false) {
  const script = `
    const { claimRecord } = await import(${JSON.stringify(new URL("./process-record.ts", import.meta.url).href)});
    ${deaf ? 'process.on("SIGTERM", () => {});' : ""}
    if (!(await claimRecord(${JSON.stringify(path)}, "now"))) process.exit(3);
    setInterval(() => {}, 1e6);`;
  return {
    argv: [process.execPath, "--input-type=module", "-e", script],
    env: { PATH: process.env.PATH ?? "" },
  };
}

async function setUp(t: TestContext): Promise<{ installation: Installation; path: string }> {
  const dir = await mkdtemp(join(tmpdir(), "berth-supervisor-"));
  const installation = installationIn(dir);
  const path = recordPath(installation, "worker");
  t.after(async () => {
    if ((await readLiving(path))?.pid !== process.pid) await stopRecorded(path, systemClock, 0);
    await rm(dir, { recursive: true, force: true });
  });
  return { installation, path };
}

async function livingAt(path: string, not?: number): Promise<ProcessRecord> {
  const deadlineMs = systemClock.monotonicMs() + MINUTE_MS;
  for (;;) {
    const record = await readLiving(path);
    if (record && record.pid !== not) return record;
    if (systemClock.monotonicMs() > deadlineMs) throw new Error(`no process at ${path}`);
    await systemClock.sleep(20);
  }
}

function start(installation: Installation, path: string, deaf = false) {
  const stop = new AbortController();
  const ended = supervise({
    installation,
    roles: [{ name: "worker", command: async () => commandFor(path, deaf) }],
    clock: systemClock,
    log: silentLog,
    signal: stop.signal,
  });
  return async () => {
    stop.abort();
    await ended;
  };
}

test("a process that was killed is started again", async (t) => {
  const { installation, path } = await setUp(t);
  const stop = start(installation, path);
  const first = await livingAt(path);
  assert.ok(await signal(first, "SIGKILL"));
  const second = await livingAt(path, first.pid);
  assert.notEqual(second.pid, first.pid);
  await stop();
});

test("a process outlives its supervisor, and the next supervisor takes it over", async (t) => {
  const { installation, path } = await setUp(t);
  const stopFirst = start(installation, path);
  const before = await livingAt(path);
  await stopFirst();
  assert.equal((await readLiving(path))?.pid, before.pid);
  const stopSecond = start(installation, path);
  await systemClock.sleep(600);
  assert.equal((await livingAt(path)).pid, before.pid);
  await stopSecond();
});

test("a process that was started but not yet recorded by its starter is not started twice", async (t) => {
  const { installation, path } = await setUp(t);
  const stop = start(installation, path);
  const first = await livingAt(path);
  await stop();
  const again = await spawnDetached({
    ...commandFor(path),
    logPath: join(installation.logDir, "worker.log"),
    recordPath: path,
    clock: systemClock,
  });
  assert.equal(again.pid, first.pid);
});

test("a record means its process only: not another one with the same pid, nor one of an earlier boot", async (t) => {
  const { path } = await setUp(t);
  assert.ok(await claimRecord(path, "now"));
  const own = await readLiving(path);
  assert.equal(own?.pid, process.pid);
  for (const other of [
    { ...own, startTicks: "1" },
    { ...own, bootId: "00000000-0000-0000-0000-000000000000" },
  ]) {
    await writeFile(path, JSON.stringify(other));
    assert.equal(await readLiving(path), null);
    assert.equal(await signal(other as ProcessRecord, "SIGKILL"), false);
  }
  await writeFile(path, '{"pid":');
  assert.equal(await readLiving(path), null);
});

test("a process that does not hear SIGTERM is killed", async (t) => {
  const { installation, path } = await setUp(t);
  const stop = start(installation, path, true);
  await livingAt(path);
  await stop();
  assert.equal(await stopRecorded(path, systemClock, 200), "killed");
  assert.equal(await readLiving(path), null);
  assert.equal(await stopRecorded(path, systemClock), "was not running");
});

test("a process that cannot start is reported with its log, and tried again", async (t) => {
  const { installation, path } = await setUp(t);
  const failures: string[] = [];
  const stop = new AbortController();
  const ended = supervise({
    installation,
    roles: [
      {
        name: "worker",
        command: async () => ({ argv: [process.execPath, "-e", "process.exit(7)"], env: {} }),
      },
    ],
    clock: systemClock,
    log: {
      ...silentLog,
      error: (fields) => {
        failures.push(String((fields as { err: Error }).err.message));
        if (failures.length === 2) stop.abort();
      },
    },
    signal: stop.signal,
  });
  await ended;
  assert.match(failures[0] ?? "", /exit code 7.*worker\.log/);
  assert.equal(await readLiving(path), null);
});
