// An installation in real processes with the fake driver, for what the control plane costs by itself: its server, its
// agent and its Postgres with every commit durable, and a template of small boxes.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { credentialsPath } from "#cli/credentials.ts";
import { postgresUrl } from "#main/postgres.ts";
import { type BerthClient, createClient } from "#sdk/client.ts";
import { TestInstallation } from "#test/harness/installation.ts";

export const TEMPLATE = "bench";
const SIZE = { cpus: 1, memoryMib: 512, rootDiskGib: 5, homeDiskGib: 1 };

export interface FakeInstallation {
  readonly url: string;
  readonly token: string;
  readonly client: BerthClient;
  readonly databaseUrl: string;
  close(): Promise<void>;
}

export async function openFakeInstallation(): Promise<FakeInstallation> {
  const berth = await TestInstallation.make("fake");
  try {
    await berth.ok(["up", "--detach"]);
    const file = await readFile(credentialsPath(berth.stateDir), "utf8");
    const { url, token } = JSON.parse(file) as { url: string; token: string };
    const client = createClient({ url, token });
    await client.templates.create({ name: TEMPLATE, size: SIZE });
    await until(async () => {
      const { latest } = await client.templates.get(TEMPLATE);
      return latest?.state === "ready" && latest.prebuild?.durable === true;
    });
    const databaseUrl = postgresUrl(join(berth.stateDir, "postgres"));
    return { url, token, client, databaseUrl, close: () => berth.close() };
  } catch (error) {
    await berth.close();
    throw error;
  }
}

/** One durable commit of one row, as small as they come: the floor of whatever is to be durable. */
export async function rawCommits(databaseUrl: string) {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const table = `bench_${process.pid}_${Math.round(performance.now() * 1000)}`;
  await client.query(`create table ${table} (id int primary key, n int not null)`);
  await client.query(`insert into ${table} values (1, 0)`);
  return {
    commit: async () => {
      await client.query({ name: table, text: `update ${table} set n = n + 1 where id = 1` });
    },
    close: async () => {
      await client.query(`drop table ${table}`);
      await client.end();
    },
  };
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 5 * 60_000;
  while (!(await isTrue())) {
    if (performance.now() > endMs) throw new Error("bench: waited for five minutes");
    await new Promise((done) => setTimeout(done, 50));
  }
}
