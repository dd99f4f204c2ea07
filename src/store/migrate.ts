// Brings the schema up to date: numbered SQL files, each applied once, in order, under one lock, in one
// transaction. A file that changed after it was applied is refused.

import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";

const MIGRATIONS_DIRECTORY = join(import.meta.dirname, "migrations");

export interface Migration {
  readonly name: string;
  readonly text: string;
  readonly checksum: string;
}

const SERVER_VERSION_MIN = 150_000;

/** The database is not one that this version can work with; who starts Berth can correct it. */
export class UnfitDatabase extends Error {
  override readonly name = "UserError";
}

export async function readMigrations(directory = MIGRATIONS_DIRECTORY): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(".sql")).sort();
  return Promise.all(
    names.map(async (name, index) => {
      if (!name.startsWith(`${String(index + 1).padStart(4, "0")}-`))
        throw new Error(`migration ${name}: expected number ${index + 1}; numbers have no gaps`);
      const text = await readFile(join(directory, name), "utf8");
      return { name, text, checksum: createHash("sha256").update(text).digest("hex") };
    }),
  );
}

/** Returns the names that it applied. Several at once are safe: one applies, the others find it done. */
export async function migrate(url: string, migrations?: readonly Migration[]): Promise<string[]> {
  const wanted = migrations ?? (await readMigrations());
  const client = new pg.Client({ connectionString: url, application_name: "berth migrate" });
  client.on("error", () => {}); // The query that ran is rejected.
  await client.connect();
  try {
    await refuseOldServer(client);
    await client.query("begin");
    await client.query("select pg_advisory_xact_lock(hashtext('berth.migrate'))");
    await client.query(
      `create table if not exists migrations (
         name text primary key, checksum text not null, applied_at timestamptz not null default now())`,
    );
    const { rows } = await client.query<{ name: string; checksum: string }>(
      "select name, checksum from migrations order by name",
    );
    refuseDifferentPast(rows, wanted);
    const pending = wanted.slice(rows.length);
    for (const migration of pending) {
      await client.query(migration.text);
      await client.query("insert into migrations (name, checksum) values ($1, $2)", [
        migration.name,
        migration.checksum,
      ]);
    }
    if (pending.length > 0) await client.query(FENCE);
    await client.query("commit");
    return pending.map((migration) => migration.name);
  } finally {
    await client.end();
  }
}

/**
 * Functions that act for the owner of all tables: nobody calls them who was not named (triggers fire without), and no
 * temporary table is taken for one of ours.
 */
const FENCE = `
  do $$
  declare
    one regprocedure;
  begin
    for one in select oid from pg_proc where pronamespace = current_schema()::regnamespace and prosecdef loop
      execute format('revoke execute on function %s from public', one);
      execute format('alter function %s set search_path = %I, pg_temp', one, current_schema());
    end loop;
  end $$`;

function refuseDifferentPast(
  applied: readonly { name: string; checksum: string }[],
  wanted: readonly Migration[],
): void {
  for (const [index, row] of applied.entries()) {
    const migration = wanted[index];
    if (!migration)
      throw new UnfitDatabase(
        `the database has migration ${row.name}, which this version does not know: run the newer version`,
      );
    if (migration.name !== row.name || migration.checksum !== row.checksum)
      throw new UnfitDatabase(
        `migration ${row.name} was changed after it was applied (now ${migration.name}): restore it and add a new one`,
      );
  }
}

async function refuseOldServer(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ server_version_num: string }>("show server_version_num");
  if (Number(rows[0]?.server_version_num) < SERVER_VERSION_MIN)
    throw new UnfitDatabase("PostgreSQL 15 or newer is needed: point DATABASE_URL at one");
}
