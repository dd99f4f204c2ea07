// `berth audit` against a real control plane: what an auditor sees, and that the check finds what somebody with the whole
// database in hand has done to it.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { sql } from "kysely";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { Metrics } from "#lib/metrics.ts";
import { exportHeads } from "#main/audit-loops.ts";
import { sealAudit } from "#store/audit-seals.ts";
import { controlPlane } from "#test/harness/control-plane.ts";
import { recordedTerminal, runBerth } from "#test/harness/terminal.ts";
import { loadAuditKey, makeAuditKey } from "#trust/audit-key.ts";

const GENEROUS_MS = 60_000;

async function scene(t: TestContext) {
  const plane = await controlPlane(t);
  const dir = await mkdtemp(join(tmpdir(), "berth-audit-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const env = { BERTH_URL: plane.url, BERTH_TOKEN: plane.admin.token };
  const run = async (...argv: string[]) => {
    const terminal = recordedTerminal({ env });
    const code = await runBerth(terminal, ["audit", ...argv]);
    return { code, out: terminal.written.out, err: terminal.written.err.replaceAll("\n", " ") };
  };
  const seal = async () => {
    while ((await sealAudit(plane.db, systemClock)) !== 0);
  };
  const act = async (count: number) => {
    for (let at = 0; at < count; at += 1)
      await plane.admin.client.tokens.create({ name: `token ${at}` });
    await seal();
  };
  const parts = {
    ...{ db: plane.db, store: plane.objects, key: plane.auditKey, clock: systemClock },
    ...{ log: silentLog, metrics: new Metrics() },
  };
  return { plane, dir, env, run, seal, act, exportHeads: () => exportHeads(parts) };
}

test("the trail is listed, narrowed and followed", async (t) => {
  const { plane, env, run, act, seal } = await scene(t);
  await act(2);
  await assert.rejects(plane.admin.client.boxes.delete("none"), { code: "not_found" });
  const { out } = await run("list", "--verb", "tokens.");
  assert.equal(out.trimEnd().split("\n").length, 3);
  assert.match(out, /admin +127\.0\.0\.1 +tokens\.create +ok/);
  assert.match((await run("list", "--verb", "nonsense")).err, /verb/);
  const json = JSON.parse((await run("list", "-n", "1", "--verb", "tokens.", "-o", "json")).out);
  assert.equal(json[0].actor.name, "admin");
  const none = await run("list", "--until", "2020-01-01");
  assert.equal(none.out.trimEnd().split("\n").length, 1);

  const terminal = recordedTerminal({ env });
  const argv = ["audit", "tail", "--verb", "tokens.create", "-n", "1"];
  const ended = runBerth(terminal, argv);
  const shown = async (count: number) => {
    const endMs = systemClock.monotonicMs() + GENEROUS_MS;
    while (terminal.written.out.split("\n").length - 1 < count) {
      assert.ok(systemClock.monotonicMs() < endMs, terminal.written.err);
      await systemClock.sleep(20);
    }
  };
  await shown(1);
  await act(1);
  await seal();
  await shown(2);
  terminal.interrupt();
  await ended;
  assert.equal(terminal.written.out.split("\n").length - 1, 2);
});

test("a whole chain verifies, from the server and from a file, and what was verified is remembered", async (t) => {
  const { dir, run, act, exportHeads } = await scene(t);
  await act(5);
  await exportHeads();
  const keep = join(dir, "kept.json");
  const first = await run("verify", "--keep", keep);
  assert.equal(first.code, 0, first.out + first.err);
  assert.match(first.out, /whole: org_\w+, 5 entries up to 5/);
  assert.match(first.out, /goes through the object store's head/);
  await act(3);
  const second = await run("verify", "--keep", keep);
  assert.match(second.out, /8 entries[\s\S]*goes through what was verified at/);
  const file = join(dir, "trail.jsonl");
  const pem = join(dir, "key.pem");
  await writeFile(file, (await run("export")).out);
  await writeFile(pem, (await run("key")).out);
  assert.equal((await run("verify", file, "--key", pem)).code, 0);
  assert.equal((await run("verify", file, "--keep", keep)).code, 0);
  assert.match((await run("verify", file)).err, /which key/);
  assert.match((await run("verify", join(dir, "none"), "--key", pem)).err, /cannot be read/);
  assert.equal((await run("verify", "--installation")).code, 0);
  // Files that somebody cut or edited.
  const lines = (await readFile(file, "utf8")).trimEnd().split("\n");
  for (const [name, changed] of [
    ["without its end", lines.slice(0, -1)],
    ["without an entry", lines.toSpliced(3, 1)],
    ["with another name", lines.map((line) => line.replace("tokens.create", "tokens.delete"))],
    ["in another order", [lines[1], lines[0], ...lines.slice(2)]],
  ] as const) {
    await writeFile(file, `${changed.join("\n")}\n`);
    const found = await run("verify", file, "--key", pem, "-o", "json");
    assert.equal(found.code, 1, name);
    assert.equal(JSON.parse(found.out).isWhole, false, name);
  }
  // Another installation's key.
  await writeFile(pem, loadAuditKey(makeAuditKey()).publicKeyPem);
  await writeFile(file, lines.join("\n"));
  assert.equal((await run("verify", file, "--key", pem)).code, 1);
});

test("who rewrites the database, with its key in hand, is found by the heads that lie elsewhere", async (t) => {
  const { plane, dir, run, act, seal, exportHeads } = await scene(t);
  const { db } = plane;
  const keep = join(dir, "kept.json");
  await act(6);
  await exportHeads();
  assert.equal((await run("verify", "--keep", keep)).code, 0);
  // Everything is sealed anew after the change, and the server signs the new head itself.
  const rewrite = async (change: string) => {
    for (const table of ["audit_entries", "audit_seals", "audit_chains"])
      await sql.raw(`alter table ${table} disable trigger all`).execute(db.query);
    await sql.raw(change).execute(db.query);
    await sql`delete from audit_seals`.execute(db.query);
    await sql`delete from audit_chains`.execute(db.query);
    await sql`update audit_state set sealed_to = 0`.execute(db.query);
    await seal();
  };
  await rewrite(
    "update audit_entries set actor_id = 'usr_x' where id = (select min(id) + 2 from audit_entries)",
  );
  const live = await run("verify");
  assert.equal(live.code, 1);
  assert.match(live.out, /NOT WHOLE: .*forked/);
  await rewrite("delete from audit_entries where id = (select max(id) from audit_entries)");
  assert.match((await run("verify")).out, /NOT WHOLE: .*(?:truncated|forked)/);
  assert.match((await run("verify", "--keep", keep)).out, /NOT WHOLE/);
});
