// Migrations: once, in order, in parallel, and never with a changed past.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import pg from "pg";
import { emptyDatabase } from "#test/harness/database.ts";
import { migrate, readMigrations } from "./migrate.ts";

test("migrators at the same time apply each migration once; again does nothing", async (t) => {
  const url = await emptyDatabase(t);
  const applied = await Promise.all([migrate(url), migrate(url), migrate(url), migrate(url)]);
  const names = (await readMigrations()).map((migration) => migration.name);
  assert.deepEqual(applied.flat().sort(), names);
  assert.deepEqual(await migrate(url), []);
});

test("a changed, an unknown and a failing migration are refused whole", async (t) => {
  const url = await emptyDatabase(t);
  const directory = await mkdtemp(join(tmpdir(), "berth-migrations-"));
  t.after(() => rm(directory, { recursive: true }));
  await writeFile(join(directory, "0001-a.sql"), "create table a (id int)");
  const first = await readMigrations(directory);
  await migrate(url, first);
  await writeFile(join(directory, "0002-b.sql"), "create table b (id int); select 1/0");
  await assert.rejects(migrate(url, await readMigrations(directory)), /division by zero/);
  await writeFile(join(directory, "0002-b.sql"), "create table b (id int)");
  assert.deepEqual(await migrate(url, await readMigrations(directory)), ["0002-b.sql"]);
  await assert.rejects(migrate(url, first), { name: "UserError", message: /does not know/ });
  await writeFile(join(directory, "0001-a.sql"), "create table a (id bigint)");
  await assert.rejects(migrate(url, await readMigrations(directory)), /was changed after/);
  await writeFile(join(directory, "0004-d.sql"), "select 1");
  await assert.rejects(readMigrations(directory), /no gaps/);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query("select name from migrations order by name");
  await client.end();
  assert.deepEqual(
    rows.map((row) => row.name),
    ["0001-a.sql", "0002-b.sql"],
  );
});
