// Two replicas, each a whole server on one database, give a user together what one would.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { Metrics } from "#lib/metrics.ts";
import { run } from "#lib/run.ts";
import { testDatabase } from "#test/harness/database.ts";
import { ensureCredentials } from "./admin-token.ts";
import { readConfig } from "./config.ts";
import { joinReplicas } from "./replicas.ts";
import { startServer } from "./server.ts";

const GENEROUS_MS = 120_000;

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = systemClock.monotonicMs() + GENEROUS_MS;
  while (!(await isSo())) {
    assert.ok(systemClock.monotonicMs() < endMs, "it did not come");
    await systemClock.sleep(50);
  }
}

/** As it is in the text that is scraped. */
async function replicasAt(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^berth_replicas (\d+)$/m.exec(text)?.[1]);
}

test("40 requests at a limit of 20, over two replicas: 20 are let in, and the headers are true", async (t) => {
  let close = async () => {};
  t.after(() => close());
  const { url: databaseUrl, failpoints } = await testDatabase(t);
  const stateDir = await mkdtemp(join(tmpdir(), "berth-replicas-"));
  t.after(() => rm(stateDir, { recursive: true, force: true }));
  const anyPort = { host: "127.0.0.1", port: 0 };
  const config = {
    ...readConfig({ BERTH_STATE_DIR: stateDir, DATABASE_URL: databaseUrl }),
    ...{ apiListen: anyPort, nodeApiListen: anyPort, requestsPerMinute: 20 },
  };
  const context = { config, log: silentLog, clock: systemClock, run, failpoints };
  const one = await startServer(context);
  close = () => one.close();
  const other = await startServer(context);
  close = async () => void (await Promise.all([one.close(), other.close()]));
  assert.equal(await replicasAt(other.apiUrl), 2, "before it answers anything");
  await until(async () => (await replicasAt(one.apiUrl)) === 2);
  const { token } = await ensureCredentials(config);
  const ask = (url: string) =>
    fetch(`${url}/v1/quotas`, { headers: { authorization: `Bearer ${token}` } });
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, at) => ask(at % 2 === 0 ? one.apiUrl : other.apiUrl)),
  );
  const refused = answers.filter(({ status }) => status === 429);
  assert.equal(answers.filter(({ status }) => status === 200).length, 20);
  assert.equal(refused.length, 20);
  for (const { headers } of answers)
    assert.equal(headers.get("ratelimit-policy"), '"requests";q=10;w=60');
  for (const { headers } of refused) {
    assert.match(headers.get("ratelimit") ?? "", /;r=0;/);
    assert.ok(Number(headers.get("retry-after")) >= 1);
  }
});

test("a replica that is closed is not counted any more, one that dies after a few beats; an outage changes nothing", async (t) => {
  const { db } = await testDatabase(t);
  const join = (options: { db?: typeof db } = {}) =>
    joinReplicas({
      ...{ db, clock: systemClock, log: silentLog, metrics: new Metrics(), beatMs: 50 },
      ...options,
    });
  const one = await join();
  const other = await join();
  t.after(() => one.close());
  await until(() => one.count() === 2);
  await other.close();
  await until(() => one.count() === 1);
  let isDead = false;
  const dying = await join({
    db: new Proxy(db, {
      get: (target, key) => {
        if (isDead) throw new Error("it is dead");
        return Reflect.get(target, key);
      },
    }),
  });
  await until(() => one.count() === 2);
  isDead = true;
  await until(() => one.count() === 1);
  assert.equal(dying.count(), 2);
  await dying.close();
});
