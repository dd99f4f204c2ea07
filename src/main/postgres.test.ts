// The embedded Postgres: one server whoever starts it, found again, back after kill -9 with what was committed.

import assert from "node:assert/strict";
import { mkdtemp, readlink, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import pg from "pg";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { ensurePostgres, postgresUrl, stopPostgres } from "./postgres.ts";

async function ask(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

test("it starts once, is adopted, survives kill -9, and stops", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "berth-pg-"));
  t.after(async () => {
    await stopPostgres(directory);
    await rm(directory, { recursive: true, force: true });
  });
  const options = { directory, clock: systemClock, log: silentLog };
  assert.equal(await stopPostgres(directory), "was not running");
  const [first, second] = await Promise.all([ensurePostgres(options), ensurePostgres(options)]);
  assert.equal(first.pid, second.pid, "two starters, one server");
  assert.equal(await readlink(`/proc/${first.pid}/cwd`), join(directory, "data"));
  if (process.getuid?.() === 0) assert.notEqual((await stat(`/proc/${first.pid}`)).uid, 0);
  assert.equal((await stat(join(directory, "socket"))).mode & 0o077, 0, "nobody else connects");
  await ask(first.url, "create table kept (id int)");
  await ask(first.url, "insert into kept values (1)");
  process.kill(first.pid, "SIGKILL");
  // A signal is delivered in its own time.
  while (await readlink(`/proc/${first.pid}/cwd`).catch(() => null)) await systemClock.sleep(5);
  const again = await ensurePostgres(options);
  assert.notEqual(again.pid, first.pid);
  assert.deepEqual(await ask(again.url, "select id from kept"), [{ id: 1 }]);
  assert.equal((await ensurePostgres(options)).pid, again.pid, "adopted");
  assert.equal(await again.stop(), "stopped");
  await assert.rejects(ask(postgresUrl(directory), "select 1"));
});

test("a directory whose socket path cannot fit is refused with what to do", async () => {
  const directory = `/tmp/${"long".repeat(30)}`;
  const options = { directory, clock: systemClock, log: silentLog };
  await assert.rejects(ensurePostgres(options), /choose a shorter one/);
});
