// A real Postgres for tests: one server for all test processes of this checkout (fsync off), a migrated
// template database, and a clone of it for each test that asks. The server lies in the temporary folder
// because its own user must be able to enter it and a socket's path is short. postgres-keeper.ts ends the
// server when no test process is left; clones of killed processes are dropped by the next one.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import pg from "pg";
import { systemClock } from "#lib/clock.ts";
import { Failpoints } from "#lib/failpoint.ts";
import { silentLog } from "#lib/log.ts";
import { ensurePostgres, postgresUrl } from "#main/postgres.ts";
import { type Database, openDatabase } from "#store/db.ts";
import { migrate, readMigrations } from "#store/migrate.ts";
import { ensureTenantLogin } from "#store/tenant-login.ts";

const root = resolve(import.meta.dirname, "../..");
const rootHash = createHash("sha256").update(root).digest("hex").slice(0, 8);
export const SERVER_DIRECTORY = join(tmpdir(), `berth-test-postgres-${rootHash}`);
const USERS_DIRECTORY = join(SERVER_DIRECTORY, "users");
const SETTINGS = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];
const TRIES = 10;

/** `t.after` in a test, or `{ after }` of node:test for a whole file. */
interface Scope {
  after(work: () => Promise<void>): void;
}

export interface TestDatabase {
  readonly url: string;
  readonly db: Database;
  readonly failpoints: Failpoints;
}

let clones = 0;

/** A migrated database of its own, with an open connection pool. Both are gone when the scope ends. */
export async function testDatabase(scope: Scope): Promise<TestDatabase> {
  const name = `clone_${userName()}_${clones}`;
  clones += 1;
  await retried(async () => {
    await joinServer();
    const template = await ensureTemplate();
    await administrate(`create database ${name} template ${template}`);
  });
  const url = postgresUrl(SERVER_DIRECTORY, name);
  const failpoints = new Failpoints();
  const db = openDatabase({ url, failpoints, log: silentLog });
  scope.after(async () => {
    await db.close();
    await administrate(`drop database if exists ${name} with (force)`);
  });
  return { url, db, failpoints };
}

const TEMPLATES_KEPT = 12;

/** An empty database, for tests of the migrations themselves. */
export async function emptyDatabase(scope: Scope): Promise<string> {
  const name = `clone_${userName()}_${clones}`;
  clones += 1;
  await retried(async () => {
    await joinServer();
    await administrate(`create database ${name}`);
  });
  scope.after(async () => {
    await administrate(`drop database if exists ${name} with (force)`);
  });
  return postgresUrl(SERVER_DIRECTORY, name);
}

/** Runs `work` while no other test process does, even if the one before was killed in the middle. */
export async function exclusively<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    const server = createServer((socket) => socket.destroy());
    const locked = await new Promise<boolean>((done) => {
      server.once("error", () => done(false));
      // An abstract socket: the kernel frees it with its holder.
      server.listen(`\0${SERVER_DIRECTORY}`, () => done(true));
    });
    if (!locked) {
      await systemClock.sleep(20);
      continue;
    }
    try {
      return await work();
    } finally {
      await new Promise((done) => server.close(done));
    }
  }
}

/** Test processes that live now, as pid_starttime. */
export async function listUsers(): Promise<string[]> {
  const names = await readdir(USERS_DIRECTORY).catch(() => []);
  return names.filter(isAlive);
}

export function isAlive(user: string): boolean {
  const [pid, ticks] = user.split("_");
  return startTicks(Number(pid)) === ticks;
}

function startTicks(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    return null;
  }
}

function userName(): string {
  return `${process.pid}_${startTicks(process.pid)}`;
}

async function retried(work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await exclusively(work);
    } catch (error) {
      // The server may just have been ended by the keeper of the processes before us.
      if (attempt >= TRIES) throw error;
      await systemClock.sleep(100 * attempt);
    }
  }
}

/** It stays as long as this process lives. */
let hasKeeper = false;

async function joinServer(): Promise<void> {
  await mkdir(USERS_DIRECTORY, { recursive: true });
  await writeFile(join(USERS_DIRECTORY, userName()), "");
  for (const name of await readdir(USERS_DIRECTORY))
    if (!isAlive(name)) await rm(join(USERS_DIRECTORY, name), { force: true });
  await ensurePostgres({
    directory: SERVER_DIRECTORY,
    clock: systemClock,
    log: silentLog,
    settings: SETTINGS,
  });
  if (hasKeeper) return;
  hasKeeper = true;
  spawn(process.execPath, ["--disable-warning=ExperimentalWarning", keeperFile()], {
    detached: true,
    stdio: "ignore",
    cwd: "/",
  }).unref();
}

function keeperFile(): string {
  const file = join(import.meta.dirname, "postgres-keeper.ts");
  if (!existsSync(file)) throw new Error(`${file} is missing`);
  return file;
}

let template: string | null = null;

async function ensureTemplate(): Promise<string> {
  if (template) return template;
  const migrations = await readMigrations();
  const hash = createHash("sha256")
    .update(migrations.map((m) => m.checksum).join())
    .digest("hex");
  const name = `template_${hash.slice(0, 16)}`;
  const databases = await administrate("select datname from pg_database order by oid desc");
  const names = databases.map((row) => String(row.datname));
  // Somebody may be testing other migrations at the moment: the newest few stay.
  const templates = names.filter((old) => old.startsWith("template_")).slice(0, TEMPLATES_KEPT);
  for (const old of names) {
    const isOldClone = old.startsWith("clone_") && !isAlive(old.slice("clone_".length));
    const isOldTemplate = old.startsWith("template_") && !templates.includes(old) && old !== name;
    if (isOldClone || isOldTemplate || old.startsWith("making_"))
      await administrate(`drop database if exists ${old} with (force)`);
  }
  if (!names.includes(name)) {
    const making = `making_${hash.slice(0, 16)}`;
    await administrate(`create database ${making}`);
    await migrate(postgresUrl(SERVER_DIRECTORY, making), migrations);
    await ensureTenantLogin(postgresUrl(SERVER_DIRECTORY, making), null);
    await administrate(`alter database ${making} rename to ${name}`);
  }
  template = name;
  return name;
}

async function administrate(text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: postgresUrl(SERVER_DIRECTORY) });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}
