// Heads of audit chains on their way to the object store, and what is said when they do not get there.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { sql } from "kysely";
import { markText } from "#domain/audit.ts";
import { systemClock } from "#lib/clock.ts";
import { type Log, silentLog } from "#lib/log.ts";
import { auditHeadKeyOf } from "#objects/keys.ts";
import { listAll } from "#objects/store.ts";
import { insertAuditEntries } from "#store/audit.ts";
import { sealAudit } from "#store/audit-seals.ts";
import { auditTools } from "#test/harness/audit.ts";
import { controlPlane } from "#test/harness/control-plane.ts";
import { auditLoops, exportHeads, readExportedHead } from "./audit-loops.ts";

async function scene(t: TestContext) {
  const plane = await controlPlane(t);
  const { db, objects, auditKey, metrics } = plane;
  const errors: unknown[] = [];
  const log: Log = {
    ...silentLog,
    error: (_fields: object, text: string) => errors.push(text),
  } as never;
  const parts = { db, store: objects, key: auditKey, clock: systemClock, log, metrics };
  const { orgId } = plane.admin.subject;
  const act = async () => {
    await insertAuditEntries(db, [{ orgId, verb: "test.one", outcome: "ok" }]);
    while ((await sealAudit(db, systemClock)) !== 0);
  };
  const loops = new Map(auditLoops(parts).map((loop) => [loop.name, loop]));
  return { plane, parts, objects, errors, orgId, act, loops };
}

test("every head that grew is exported once, signed, and earlier ones stay", async (t) => {
  const { plane, parts, objects, orgId, act, errors } = await scene(t);
  await exportHeads(parts);
  assert.equal(await readExportedHead(objects, orgId), null);
  await act();
  await exportHeads(parts);
  await exportHeads(parts);
  await act();
  await act();
  await exportHeads(parts);
  const keys: string[] = [];
  for await (const { key } of listAll(objects, "audit/")) keys.push(key);
  assert.deepEqual(keys, [
    auditHeadKeyOf(orgId, 1),
    auditHeadKeyOf(orgId, 3),
    `audit/${orgId}/newest`,
  ]);
  const newest = await readExportedHead(objects, orgId);
  assert.equal(newest?.seq, 3);
  const { verifies } = auditTools(plane.auditKey.publicKeyPem);
  assert.ok(newest && verifies(markText(newest), newest.signature));
  assert.deepEqual(errors, []);
});

test("a chain that does not go on from its exported head is an alarm, and an entry", async (t) => {
  const { plane, parts, orgId, act, errors } = await scene(t);
  const { db } = plane;
  await act();
  await act();
  await exportHeads(parts);
  // As an older copy of the database that goes on in another way.
  for (const table of ["audit_entries", "audit_seals", "audit_chains"])
    await sql.raw(`alter table ${table} disable trigger all`).execute(db.query);
  await sql`delete from audit_seals`.execute(db.query);
  await sql`delete from audit_chains`.execute(db.query);
  await sql`delete from audit_entries`.execute(db.query);
  for (let at = 0; at < 3; at += 1) await act();
  await exportHeads(parts);
  assert.equal(errors.length, 1);
  assert.match(String(errors[0]), /does not go on/);
  const { items } = await plane.admin.client.audit.list({ verb: "audit.export" });
  assert.deepEqual(items[0]?.data.exportedSeq, 2);
  await exportHeads(parts);
  assert.equal(errors.length, 1, "told once for each export that it is about");
  assert.equal((await readExportedHead(plane.objects, orgId))?.seq, 3);
});

test("a silence of a minute and a half is an alarm: in the log, in the metrics, and for operators", async (t) => {
  const { plane, parts, errors, loops } = await scene(t);
  const { db, admin, metrics } = plane;
  const watch = loops.get("watch-audit");
  const isAlarmed = async () => {
    const { notices } = await admin.client.system.get();
    return notices.some((one) => /ALARM: the audit trail/.test(one));
  };
  await exportHeads(parts);
  await watch?.pass();
  assert.deepEqual([errors.length, await isAlarmed()], [0, false]);
  await sql`update audit_state set exported_at = now() - interval '91 seconds'`.execute(db.query);
  await watch?.pass();
  await watch?.pass();
  assert.deepEqual([errors.length, await isAlarmed()], [1, true]);
  assert.match(metrics.print(), /berth_audit_export_age_seconds 9[1-9]/);
  assert.ok(!(await plane.stranger.client.system.get()).notices.some((one) => /ALARM/.test(one)));
  await exportHeads(parts);
  await watch?.pass();
  assert.deepEqual([errors.length, await isAlarmed()], [1, false]);
  // The object store is away: a pass fails, and nothing says that it was exported.
  const broken = {
    ...parts,
    store: {
      ...plane.objects,
      put: () => Promise.reject(new Error("away")),
      get: () => Promise.reject(new Error("away")),
    },
  } as never;
  await insertAuditEntries(db, [{ orgId: admin.subject.orgId, verb: "test.one", outcome: "ok" }]);
  await loops.get("seal-audit")?.pass();
  await sql`update audit_state set exported_at = now() - interval '91 seconds'`.execute(db.query);
  await assert.rejects(exportHeads(broken));
  assert.equal(await isAlarmed(), true);
  // Entries that nothing seals.
  await exportHeads(parts);
  const atMs = systemClock.nowMs() - 100_000;
  await insertAuditEntries(db, [{ orgId: null, verb: "test.one", outcome: "ok", atMs }]);
  assert.equal(await isAlarmed(), true);
  await loops.get("seal-audit")?.pass();
  assert.equal(await isAlarmed(), false);
});
