// Keeps the processes of one machine running: postgres, server, gateway, node. They are started
// detached and found again by their records, so this loop may itself be killed: they go on, and the
// next supervisor takes them over.
//
// Reads: run/NAME.json, /proc. Writes: run/NAME.json, logs/NAME.log. Every: 250 ms.
// Safe twice because each process, this one too, claims its record before it does anything.

import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir, rename, stat } from "node:fs/promises";
import { backoffMs } from "#lib/backoff.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import { type Installation, logPath, type ProcessCommand, recordPath } from "./installation.ts";
import { type ProcessRecord, readLiving, removeRecord, signal } from "./process-record.ts";

const POLL_MS = 250;
const RETRY = { firstMs: 250, longestMs: 15_000 };
/** A process that lived this long is started again without waiting. */
const STEADY_MS = 30_000;
/** A log larger than this is set aside (one old one is kept) when its process starts. */
const LOG_BYTES_MAX = 64 * 1024 * 1024;
const STOP_TIMEOUT_MS = 20_000;

export interface Role {
  readonly name: string;
  /** Program, arguments and environment; asked anew at every start. */
  command(): Promise<ProcessCommand>;
}

/** A role that looks after its own process and record (the embedded PostgreSQL). */
export interface OwnRole {
  readonly name: string;
  /** Starts it when it does not run; returns when it can be used. */
  ensure(): Promise<void>;
}

interface SuperviseOptions {
  readonly installation: Installation;
  readonly roles: readonly (Role | OwnRole)[];
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Runs until the signal aborts; leaves the processes running. */
export async function supervise(options: SuperviseOptions): Promise<void> {
  await mkdir(options.installation.runDir, { recursive: true });
  await mkdir(options.installation.logDir, { recursive: true });
  await Promise.all(options.roles.map((role) => keepRunning(role, options)));
}

async function keepRunning(role: Role | OwnRole, options: SuperviseOptions): Promise<void> {
  const { clock, log, signal } = options;
  let failures = 0;
  let startedMs = Number.NEGATIVE_INFINITY;
  while (!signal.aborted) {
    try {
      if ("ensure" in role) await role.ensure();
      else if (!(await readLiving(recordPath(options.installation, role.name)))) {
        if (clock.monotonicMs() - startedMs < STEADY_MS) {
          failures += 1;
          await clock.sleep(backoffMs(failures, RETRY), signal);
        } else failures = 0;
        startedMs = clock.monotonicMs();
        const record = await startDetached(role, options);
        log.info({ process: role.name, pid: record.pid }, "started");
      }
      await clock.sleep(POLL_MS, signal);
    } catch (error) {
      if (signal.aborted) return;
      log.error({ process: role.name, err: error }, "could not be started; trying again");
      failures += 1;
      await clock.sleep(backoffMs(failures, RETRY), signal).catch(() => {});
    }
  }
}

async function startDetached(
  role: Role,
  options: Pick<SuperviseOptions, "installation" | "clock">,
): Promise<ProcessRecord> {
  const { argv, env } = await role.command();
  return await spawnDetached({
    argv,
    env,
    logPath: logPath(options.installation, role.name),
    recordPath: recordPath(options.installation, role.name),
    clock: options.clock,
  });
}

/**
 * Starts a process in a session of its own, with its output in a log, and returns when it has claimed
 * its record. When another process holds the record, that one is returned.
 */
export async function spawnDetached(
  options: ProcessCommand & {
    readonly logPath: string;
    readonly recordPath: string;
    readonly clock: Clock;
  },
): Promise<ProcessRecord> {
  const [program = "", ...args] = options.argv;
  await setLargeLogAside(options.logPath);
  const logFd = openSync(options.logPath, "a", 0o640);
  try {
    const child = spawn(program, args, {
      detached: true,
      stdio: ["ignore", logFd, logFd],
      env: options.env,
      cwd: "/",
    });
    let ended: string | null = null;
    child.once("error", (error) => {
      ended = error.message;
    });
    child.once("exit", (code, signalName) => {
      ended = signalName ?? `exit code ${code}`;
    });
    child.unref();
    for (;;) {
      const record = await readLiving(options.recordPath);
      // Another process's record: ours is about to find that out, and ends.
      if (record && (record.pid === child.pid || ended !== null)) return record;
      if (ended !== null)
        throw new Error(`ended at its start (${ended}): see the end of ${options.logPath}`);
      await options.clock.sleep(20);
    }
  } finally {
    closeSync(logFd);
  }
}

async function setLargeLogAside(path: string): Promise<void> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size > LOG_BYTES_MAX) await rename(path, `${path}.1`);
}

/** Ends the recorded process: SIGTERM, and SIGKILL when it takes too long. Removes its record. */
export async function stopRecorded(
  path: string,
  clock: Clock,
  timeoutMs = STOP_TIMEOUT_MS,
): Promise<"stopped" | "killed" | "was not running"> {
  const record = await readLiving(path);
  if (!record) {
    await removeRecord(path);
    return "was not running";
  }
  await signal(record, "SIGTERM");
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  let outcome: "stopped" | "killed" = "stopped";
  while (await readLiving(path)) {
    if (clock.monotonicMs() > deadlineMs) {
      outcome = "killed";
      await signal(record, "SIGKILL");
    }
    await clock.sleep(50);
  }
  await removeRecord(path);
  return outcome;
}
