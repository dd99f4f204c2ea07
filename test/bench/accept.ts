// Target T11: how long the API takes to accept a create, beside one durable commit of one row from this same process to
// the same Postgres; and how many commits a create is.

import { sql } from "kysely";
import { Client } from "undici";
import { controlPlane } from "#test/harness/control-plane.ts";
import { openFakeInstallation, rawCommits, TEMPLATE } from "./fake-installation.ts";
import { type Pair, type Row, rowOf } from "./row.ts";
import { timedMs } from "./vm-rig.ts";

const PAIRS = 400;
const WARM_UP = 40;
/** The 99th percentile is taken of this many pairs at a time. */
const BLOCK = 100;
const COUNTED = 200;
const SETTLE_MS = 12_000; // Idle connections tell their statistics that late.

export async function run(): Promise<Row[]> {
  return [...latencyRows(await latencies()), await commitRow()];
}

/** Real server, agent and Postgres; the box is running and gone again before the next pair. */
async function latencies(): Promise<Pair[]> {
  const berth = await openFakeInstallation();
  const raw = await rawCommits(berth.databaseUrl);
  const http = new Client(berth.url);
  const headers = { authorization: `Bearer ${berth.token}`, "content-type": "application/json" };
  const create = async (name: string): Promise<void> => {
    const answer = await http.request({
      ...{ method: "POST", path: "/v1/boxes", body: JSON.stringify({ name, template: TEMPLATE }) },
      headers: { ...headers, "idempotency-key": crypto.randomUUID() },
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 202) throw new Error(`create: ${answer.statusCode} ${text}`);
  };
  const pairs: Pair[] = [];
  try {
    for (let n = -WARM_UP; n < PAIRS; n += 1) {
      const name = `accept-${n + WARM_UP}`;
      const ours = await timedMs(() => create(name));
      await berth.client.boxes.until(name, "running");
      await berth.client.boxes.delete(name);
      await berth.client.boxes.until(name, "deleted").catch(() => {});
      const theirs = await timedMs(() => raw.commit());
      if (n >= 0) pairs.push({ ours, theirs });
    }
  } finally {
    await http.close();
    await raw.close();
    await berth.close();
  }
  return pairs;
}

function latencyRows(pairs: readonly Pair[]): Row[] {
  const blocks: Pair[] = [];
  for (let at = 0; at + BLOCK <= pairs.length; at += BLOCK) {
    const block = pairs.slice(at, at + BLOCK);
    const p99 = (of: (pair: Pair) => number) =>
      block.map(of).sort((a, b) => a - b)[Math.floor(BLOCK * 0.99) - 1] ?? Number.NaN;
    blocks.push({ ours: p99(({ ours }) => ours), theirs: p99(({ theirs }) => theirs) });
  }
  const what = "one at a time; POST /v1/boxes answered with 202 over a kept connection";
  return [
    rowOf("T11 raw commit ÷ create accepted (aim 0.5 or more)", "ms", pairs, what),
    rowOf(
      "raw commit ÷ create accepted, 99th percentile",
      "ms",
      blocks,
      `of ${BLOCK} pairs each; ${what}`,
    ),
  ];
}

/** The API alone on a database of its own, so that every transaction in it is the create's. */
async function commitRow(): Promise<Row> {
  const closing: (() => Promise<unknown>)[] = [];
  try {
    const plane = await controlPlane({ after: (work) => void closing.push(work) });
    await plane.addTemplate();
    const found: Pair[] = [];
    let reads = 0;
    const count = async () => {
      const { rows } = await sql<{ written: string; all: string }>`
        select pg_snapshot_xmax(pg_current_snapshot())::text as written,
          (select xact_commit::text from pg_stat_database where datname = current_database()) as all
      `.execute(plane.db.query);
      return { written: Number(rows[0]?.written), all: Number(rows[0]?.all) };
    };
    await plane.admin.client.boxes.create({ template: "default" });
    await pause(SETTLE_MS);
    const before = await count();
    for (let n = 0; n < COUNTED; n += 1)
      await plane.admin.client.boxes.create({ template: "default" });
    await pause(SETTLE_MS);
    const after = await count();
    const written = (after.written - before.written) / COUNTED;
    reads = (after.all - before.all) / COUNTED - written;
    found.push({ ours: written, theirs: 1 });
    return rowOf(
      "T11 durable commits per create: one",
      "commits",
      found,
      `of ${COUNTED} creates; by transaction ids taken. pg_stat_database also counts ${reads.toFixed(2)} read-only transactions each`,
    );
  } finally {
    for (const close of closing) await close();
  }
}

async function pause(ms: number): Promise<void> {
  await new Promise((done) => setTimeout(done, ms));
}
