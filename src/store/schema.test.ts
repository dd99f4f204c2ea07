// The schema: printed current, typed as it is, and every hot statement answered from an index.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { sql } from "kysely";
import { testDatabase } from "#test/harness/database.ts";
import { dumpSchema, readColumns } from "#test/harness/schema-dump.ts";

const root = join(import.meta.dirname, "../..");

test("gen/schema.sql is what the migrations make", async (t) => {
  const { db } = await testDatabase(t);
  const printed = readFileSync(join(root, "gen/schema.sql"), "utf8");
  assert.equal(
    printed,
    await dumpSchema(db),
    "run `sh tools/run.sh tools/schema.ts` and look at the difference",
  );
});

test("schema.ts names the columns that the tables have", async (t) => {
  const { db } = await testDatabase(t);
  const source = readFileSync(join(root, "src/store/schema.ts"), "utf8");
  const typed = new Map<string, string[]>();
  for (const [, table = "", type = ""] of source.matchAll(/^ {2}(\w+): (\w+);$/gm)) {
    const body = source.match(new RegExp(`interface ${type} \\{\\n([\\s\\S]*?)\\n\\}`))?.[1];
    if (!body) continue;
    typed.set(table, [...body.matchAll(/^ {2}(\w+):/gm)].map((match) => match[1] ?? "").sort());
  }
  const real = await readColumns(db);
  assert.ok(typed.size > 20);
  // What is only read and written in plain SQL needs no type here.
  for (const [table, columns] of typed) assert.deepEqual(columns, real.get(table), table);
});

/** What runs on every request, report or pass. Without an index each would read a whole table. */
const HOT: [string, string][] = [
  [
    "a box by name",
    "select id from boxes where org_id = 'o' and name = 'n' and deleted_at is null",
  ],
  [
    "a page of boxes",
    "select id from boxes where org_id = 'o' and deleted_at is null and id > '' order by id limit 50",
  ],
  ["a node's boxes", "select id from boxes where node_id = 'n' and reserved"],
  [
    "unplaced boxes",
    `select id from boxes where desired = 'running' and not reserved and failure is null
      and deleted_at is null order by place_tried_at nulls first, id limit 100`,
  ],
  ["a box's snapshots", "select id from snapshots where box_id = 'b'"],
  [
    "boxes from a snapshot",
    "select id from boxes where source_snapshot_id = 's' and deleted_at is null",
  ],
  [
    "boxes at rest in one",
    "select id from boxes where rest_snapshot_id = 's' and deleted_at is null",
  ],
  ["a node's copies", "select snapshot_id from snapshot_copies where node_id = 'n'"],
  ["open operations", "select id from operations where subject_id = 'b' and state = 'running'"],
  ["events after", "select id from events where org_id = 'o' and id > 5 order by id limit 100"],
  ["a box's events", "select id from events where box_id = 'b' and id > 5 order by id limit 100"],
  ["a token", "select id from tokens where hash = 'h'"],
  ["a web session", "select id from web_sessions where hash = 'h'"],
  [
    "a user's tokens",
    "select id from tokens where user_id = 'u' and revoked_at is null and id > '' order by id limit 9",
  ],
  ["a user's keys", "select public_key from ssh_keys where user_id = 'u' and revoked_at is null"],
  ["a box's previews", "select label from previews where box_id = 'b' and closed_at is null"],
  ["a preview by its label", "select id from previews where label = 'l' and closed_at is null"],
  [
    "a preview's links",
    "select id from preview_links where preview_id = 'p' and revoked_at is null order by id limit 9",
  ],
  ["a credential", "select 1 from revocations where credential_id = 'c'"],
  ["a user's boxes", "select node_id from boxes where owner_id = 'u' and reserved"],
  [
    "what a user of an organization takes",
    "select boxes from quota_usage where org_id = 'o' and scope = 'user' and scope_id = 'u'",
  ],
  [
    "who of a team takes most",
    "select user_id, cpus from quota_recount() where org_id = 'o' and team_id = 't'",
  ],
  ["what was counted since", "select boxes from quota_deltas where org_id = 'o' and user_id = 'u'"],
  [
    "boxes made in the last hour",
    `select id from boxes where org_id = 'o' and kind = 'user' and created_at > now() - interval '1 hour'
      and owner_id = 'u'`,
  ],
  [
    "limits",
    "select limits from quota_limits where org_id = 'o' and scope = 'org' and scope_id = 'o'",
  ],
  [
    "a page of the audit trail",
    "select id from audit_entries where org_id = 'o' and id < 9 order by id desc limit 50",
  ],
  [
    "a page of the installation's",
    "select id from audit_entries where org_id is null and id < 9 order by id desc limit 50",
  ],
  [
    "what a user did",
    "select id from audit_entries where org_id = 'o' and actor_id = 'u' order by id desc limit 50",
  ],
  [
    "what was done to a box",
    "select id from audit_entries where org_id = 'o' and touched @> array['b']::text[]",
  ],
  ["what is to be sealed", "select id from audit_entries where id > 5 order by id limit 9"],
  ["an entry's seal", "select seq from audit_seals where entry_id = 5"],
  [
    "a part of a chain",
    "select hash from audit_seals where chain = 'c' and seq > 5 order by seq limit 9",
  ],
  [
    "labels that ended last",
    "select label from preview_labels where ended_at is not null order by ended_at desc limit 9",
  ],
  [
    "what a box takes now",
    "select 1 from usage_intervals where subject_id = 'b' and ended_at = 'infinity'",
  ],
  [
    "when a box last took something",
    `select ended_at from usage_intervals where subject_id = 'b' and ended_at < 'infinity'
      order by ended_at desc limit 1`,
  ],
  [
    "what an organization took since",
    "select 1 from usage_intervals where org_id = 'o' and ended_at > now()",
  ],
  ["what was counted of it", "select 1 from usage_counts where org_id = 'o' and hour >= now()"],
  [
    "rollups after",
    "select id from usage_rollups where org_id = 'o' and id > 5 order by id limit 9",
  ],
  ["rollups of a month", "select cost from usage_rollups where org_id = 'o' and hour >= now()"],
  [
    "what a month has cost",
    "select cost from usage_spend where org_id = 'o' and month = now()::date",
  ],
  ["prices", "select 1 from price_books where org_id = 'o' order by id desc limit 1"],
  ["a spent budget", "select 1 from budgets where org_id = 'o' and deleted_at is null"],
  [
    "a page of boxes for the feed",
    "select id from boxes where deleted_at is null and id > '' order by id limit 100",
  ],
];

test("hot statements use an index", async (t) => {
  const { db } = await testDatabase(t);
  await db.query.connection().execute(async (query) => {
    // Empty tables are cheapest to read whole; without that choice a missing index shows.
    await sql`set enable_seqscan = off`.execute(query);
    for (const [name, text] of HOT) {
      const { rows } = await sql<{ "QUERY PLAN": string }>`explain ${sql.raw(text)}`.execute(query);
      const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
      assert.doesNotMatch(plan, /Seq Scan|Disabled: true/, `${name}:\n${plan}`);
    }
  });
});
