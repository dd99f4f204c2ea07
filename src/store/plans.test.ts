// No statement that a request or a loop runs reads a whole table: the statements are caught as the store sends them, for an
// owner and for a member with a team and shares, in a database of many organizations, and Postgres is asked how it would run
// each. (Which snapshots nothing needs, and which are live, is asked of all of them, in turns: src/store/snapshots.ts.)

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import type { Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { systemClock } from "#lib/clock.ts";
import { testDatabase } from "#test/harness/database.ts";
import { fillWithHistory, fillWithOrgs, type ManyOrgs } from "#test/harness/many-orgs.ts";
import { PaperNode } from "#test/harness/paper-node.ts";
import { caught, largeTables, wholeReads } from "#test/harness/plans.ts";
import { readAssignments } from "./assignments.ts";
import { listNewHeads, readAuditLag, readChainHead } from "./audit-heads.ts";
import { type AuditFilter, listAudit, readSealed } from "./audit-read.ts";
import { listOldChains, sealAudit } from "./audit-seals.ts";
import { setDesired } from "./box-intent.ts";
import { handOver, listShares, shareBox, unshareBox } from "./box-shares.ts";
import { countBoxes, createBoxOnce, getBox, listBoxes } from "./boxes.ts";
import { judgeBudgets, listBudgets, setBudget } from "./budgets.ts";
import { listBuildsToAdvance } from "./builds.ts";
import type { Database, Db } from "./db.ts";
import { keepSeen, listEvents, listEventsBack } from "./events.ts";
import { createInvitation, listInvitations } from "./invitations.ts";
import { getMember, listMembers, removeMember, setRoles } from "./members.ts";
import { listMyOrgs } from "./orgs.ts";
import { listUnplaced } from "./placements.ts";
import { listPreviews } from "./previews.ts";
import { readPrices, setPrices } from "./prices.ts";
import { quotaRefusal } from "./quota-refusal.ts";
import { foldQuotas, getQuotas, listQuotas, setLimits } from "./quotas.ts";
import { createServiceAccount, listServiceAccounts } from "./service-accounts.ts";
import { listUnsettledBoxes } from "./settle.ts";
import { deleteSnapshot, listRemovableSnapshots, listSnapshots } from "./snapshots.ts";
import { listSshKeys } from "./ssh-keys.ts";
import { listTeamMembers } from "./team-members.ts";
import { deleteTeam, getTeam, listTeams } from "./teams.ts";
import { listTemplates } from "./templates.ts";
import {
  createToken,
  identifyAgain,
  identifySession,
  identifyToken,
  listTokens,
} from "./tokens.ts";
import { readUsage } from "./usage.ts";
import { listBudgetEvents, listRollups } from "./usage-events.ts";
import { rollUpHour, trimUsage } from "./usage-rollups.ts";
import { listVolumes } from "./volumes.ts";

const CROWD = { orgs: 3000, users: 30_000, boxes: 20_000 };
const HOUR_MS = 3_600_000;
const PAGE = { after: null, limit: 50 };

/** What an owner and a member ask for, each by the function that answers it. */
function questions(
  db: Db,
  subject: Subject,
  many: ManyOrgs,
): Record<string, () => Promise<unknown>> {
  const event = { before: null, limit: 50 };
  return {
    "a page of boxes": () => listBoxes(db, subject, PAGE),
    "boxes of a template": () => listBoxes(db, subject, { ...PAGE, template: "base" }),
    "the next page": () => listBoxes(db, subject, { after: many.own, limit: 50 }),
    "a box by id": () => getBox(db, subject, many.own),
    "a box by name": () => getBox(db, subject, "box-1"),
    "whether one may enter a shared box": () => getBox(db, subject, many.shared, "box.enter"),
    "whether one may enter a team's box": () => getBox(db, subject, many.ofTeam, "box.enter"),
    "numbers of boxes": () => countBoxes(db, subject),
    snapshots: () => listSnapshots(db, subject, PAGE),
    volumes: () => listVolumes(db, subject, PAGE),
    previews: () => listPreviews(db, subject, { ...PAGE, boxId: null }),
    templates: () => listTemplates(db, subject, PAGE),
    "events back": () => listEventsBack(db, subject, event),
    "events of a box": () => listEventsBack(db, subject, { ...event, boxId: many.own as never }),
    "events on": () => listEvents(db, subject, systemClock, { after: 5, limit: 50 }),
    "which of the newest events one sees": async () =>
      keepSeen(db, subject, await listEventsBack(db, subject, event)),
    shares: () => listShares(db, subject, many.own),
    members: () => listMembers(db, subject, PAGE),
    "a member": () => getMember(db, subject, "user-3"),
    teams: () => listTeams(db, subject, PAGE),
    "a team": () => getTeam(db, subject, "team-1"),
    "members of a team": () => listTeamMembers(db, subject, "team-1", PAGE),
    "service accounts": () => listServiceAccounts(db, subject, PAGE),
    tokens: () => listTokens(db, subject, PAGE),
    keys: () => listSshKeys(db, subject, PAGE),
    organizations: () => listMyOrgs(db, subject),
    quotas: () => getQuotas(db, subject),
    usage: () => readUsage(db, subject, { ...period(), by: "total", step: "day" }),
    "usage of a box": () =>
      readUsage(db, subject, { ...period(), by: "box", step: "hour", box: many.own }),
    budgets: () => listBudgets(db, subject),
    prices: () => readPrices(db, subject.orgId),
  };
}

const period = () => ({ from: new Date(Date.now() - 4 * HOUR_MS), to: new Date() });

/** What only owners are answered. */
function reports(db: Db, owner: Subject, many: ManyOrgs): Record<string, () => Promise<unknown>> {
  const chain = owner.orgId;
  const trail = (filter: AuditFilter) => () =>
    listAudit(db, chain, filter, { limit: 50, order: "newest" });
  const breach = { orgId: chain, limit: 1, used: 1, wanted: 1 };
  const full = (scope: string, scopeId: string, resource: string) => () =>
    quotaRefusal(db, owner, JSON.stringify({ ...breach, scope, scopeId, resource }));
  const page = { isAll: false, after: 1, limit: 100 };
  return {
    "the trail": trail({}),
    "the trail of a user": trail({ actor: owner.userId }),
    "the trail of a box": trail({ resource: many.own }),
    "the trail of an act, with a word": trail({ verb: "boxes.", text: "web", since: "2026-01-01" }),
    "the sealed chain": () => readSealed(db, chain, { after: 1, upTo: 100, limit: 50 }),
    "the head": () => readChainHead(db, chain, () => "signature"),
    "hours of usage": () => listRollups(db, owner, page),
    "events of budgets": () => listBudgetEvents(db, owner, systemClock, page),
    "quotas of users": () => listQuotas(db, owner, { scope: "user", after: null, limit: 50 }),
    "quotas of teams": () => listQuotas(db, owner, { scope: "team", after: null, limit: 50 }),
    "why an organization is full": full("org", chain, "boxes"),
    "why a user is full": full("user", owner.userId, "snapshotBytes"),
    "why a team is full": full("team", many.member.teams[0]?.teamId ?? "", "cpus"),
  };
}

function changes(
  db: Db,
  { owner, member, own }: ManyOrgs,
  snapshot: string,
): Record<string, () => Promise<unknown>> {
  const input = { name: null, template: "base", version: null, env: {} };
  const hash = (n: number) => `hash-${n}`;
  return {
    "create of a box": () => createBoxOnce(db, member, null, input, () => null),
    "create under a key": () =>
      createBoxOnce(db, member, { key: "k", requestHash: "h" }, input, () => null),
    "start of a box": () => setDesired(db, member, own, "start"),
    "a share given and taken": async () => {
      const { id } = await shareBox(db, member, own, { role: "use", user: "user-4" });
      await unshareBox(db, member, own, id);
    },
    "roles of a member": () => setRoles(db, owner, "user-5", ["member", "billing"]),
    "a member removed": () => removeMember(db, owner, "user-6"),
    "an invitation": async () => {
      const invitation = { hash: hash(1), email: null, roles: ["member"] as const, team: null };
      await createInvitation(
        db,
        { subject: owner, tokenId: null },
        { ...invitation, lifetimeMs: 60_000 },
      );
      await listInvitations(db, owner, PAGE);
    },
    "a token": () =>
      createToken(
        db,
        { subject: member, tokenId: null },
        { hash: hash(2), name: "t", expiresInMs: null },
      ),
    "a box handed over": () => handOver(db, owner, own, { team: "team-2" }),
    "a snapshot deleted": () => deleteSnapshot(db, owner, snapshot).catch(refusedHere),
    "a budget": () =>
      setBudget(db, owner, { team: "team-1", amount: "5", thresholds: [], policy: "refuse" }),
    "limits of a user": () =>
      setLimits(db, owner, { scope: "user", reference: "user-5" }, { boxes: 5 }),
    "a team deleted": () => deleteTeam(db, owner, "team-1"),
    "a service account": () =>
      createServiceAccount(db, owner, { name: "robot", roles: ["member"] }),
  };
}

/** What the loops of the control plane ask and do, and what nodes are told, for all organizations together. */
function loops(db: Db, node: PaperNode): Record<string, () => Promise<unknown>> {
  const sign = () => "signature";
  const context = { sshUserCa: "ca", gateways: [] };
  return {
    "assignments of a node": () => readAssignments(db, node.id, context),
    "boxes without a place": () => listUnplaced(db, { limit: 50, notTriedSince: new Date() }),
    "boxes to settle": () => listUnsettledBoxes(db, 50),
    "snapshots to remove": () => listRemovableSnapshots(db, 50),
    "builds to go on with": () => listBuildsToAdvance(db, 50),
    "quotas folded": () => foldQuotas(db, 50),
    "entries sealed": () => sealAudit(db, systemClock),
    "heads to export": () => listNewHeads(db, sign, { after: "", limit: 16 }),
    "trails to trim": () => listOldChains(db, 50),
    "how far behind the trail is": () => readAuditLag(db),
    "budgets judged": () => judgeBudgets(db, { after: "", limit: 100 }),
    "an hour rolled up": () => rollUpHour(db, systemClock),
    "old usage": () => trimUsage(db, { intervalsMs: 1e9, rollupsMs: 1e9 }, 100),
  };
}

/** It is asked what stands in the way. */
const refusedHere = (error: unknown) => assert.ok(error instanceof StoreRefusal);

const held = (db: Database, subject: Subject): Db => ({ ...db, query: db.tenants.of(subject) });

test("no statement of a request or a loop reads a large table whole", {
  timeout: 600_000,
}, async (t) => {
  const { db } = await testDatabase(t);
  const many = await fillWithOrgs(db, CROWD);
  while ((await foldQuotas(db, 5_000)) > 0);
  await fillWithHistory(db, CROWD);
  const operator = { ...many.owner, isOperator: true };
  const node = await PaperNode.join(db, operator, {});
  await setPrices(db, operator, { orgId: null, currency: "EUR", prices: { vcpu: "1" } });
  const large = await largeTables(db, 1000);
  // What the wall itself asks for is no request's.
  await db.tenants.isShared();
  for (const table of [
    "boxes",
    "grants",
    "events",
    "users",
    "tokens",
    "snapshots",
    "volumes",
    "previews",
    "operations",
    "usage_intervals",
    "usage_rollups",
    "audit_entries",
    "audit_seals",
  ])
    assert.ok(large.has(table), `${table} is small: the test would see nothing`);
  const found: string[] = [];
  let count = 0;
  const look = async (on: Db, works: Record<string, () => Promise<unknown>>, among = large) => {
    for (const [name, work] of Object.entries(works)) {
      const statements = await caught(work);
      assert.ok(statements.length > 0, name);
      for (const statement of statements) {
        count += 1;
        for (const one of await wholeReads(on, among, statement)) found.push(`${name}: ${one}`);
      }
    }
  };
  for (const subject of [many.owner, many.member]) {
    const inside = held(db, subject);
    await look(inside, questions(inside, subject, many));
  }
  // Before anybody is known, and what is done outside the wall.
  const hash = (await hashOf(db, many.member)) ?? "";
  const who = await identifyToken(db, hash);
  assert.ok(who);
  await look(db, {
    "a token's subject": () => identifyToken(db, hash),
    "a session's subject": () => identifySession(db, "none", "web"),
    "the subject of what goes on": () => identifyAgain(db, who),
    "organizations of a user": () => listMyOrgs(db, many.member),
  });
  const inside = held(db, many.owner);
  await look(inside, reports(inside, many.owner, many));
  const { rows } = await sql<{ id: string }>`
    select rest_snapshot_id as id from boxes where id = ${many.own}`.execute(db.query);
  await look(inside, changes(inside, many, rows[0]?.id ?? ""));
  // What is done for a page of organizations at once may read a table of all of them.
  await look(db, loops(db, node), await largeTables(db, 2 * CROWD.orgs));
  assert.deepEqual(found, []);
  assert.ok(count > 80, `${count} statements were looked at`);
});

async function hashOf(db: Db, { userId }: Subject): Promise<string | undefined> {
  const { rows } = await sql<{ hash: string }>`
    select hash from tokens where user_id = ${userId} order by id limit 1`.execute(db.query);
  return rows[0]?.hash;
}
