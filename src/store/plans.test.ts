// No statement that a request runs reads a whole table: the statements are caught as the store sends them, for an owner and
// for a member with a team and shares, in a database of many organizations, and Postgres is asked how it would run each.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CompiledQuery, sql } from "kysely";
import pg from "pg";
import type { Subject } from "#domain/permission.ts";
import { systemClock } from "#lib/clock.ts";
import { testDatabase } from "#test/harness/database.ts";
import { fillWithOrgs, type ManyOrgs } from "#test/harness/many-orgs.ts";
import { setDesired } from "./box-intent.ts";
import { listShares, shareBox, unshareBox } from "./box-shares.ts";
import { countBoxes, createBoxOnce, getBox, listBoxes } from "./boxes.ts";
import type { Database, Db } from "./db.ts";
import { keepSeen, listEvents, listEventsBack } from "./events.ts";
import { createInvitation, listInvitations } from "./invitations.ts";
import { getMember, listMembers, removeMember, setRoles } from "./members.ts";
import { listMyOrgs } from "./orgs.ts";
import { listPreviews } from "./previews.ts";
import { getQuotas } from "./quotas.ts";
import { createServiceAccount, listServiceAccounts } from "./service-accounts.ts";
import { listSnapshots } from "./snapshots.ts";
import { listSshKeys } from "./ssh-keys.ts";
import { listTeamMembers } from "./team-members.ts";
import { getTeam, listTeams } from "./teams.ts";
import { listTemplates } from "./templates.ts";
import {
  createToken,
  identifyAgain,
  identifySession,
  identifyToken,
  listTokens,
} from "./tokens.ts";
import { listVolumes } from "./volumes.ts";

const CROWD = { orgs: 3000, users: 30_000, boxes: 20_000 };
/** Below this a table is read whole because that is the best way. */
const SMALL_ROWS = 1000;
const PAGE = { after: null, limit: 50 };

interface Sent {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** All that pg sends while `work` runs. */
async function caught(work: () => Promise<unknown>): Promise<Sent[]> {
  const sent: Sent[] = [];
  const query = pg.Client.prototype.query;
  // biome-ignore lint/suspicious/noExplicitAny: pg's query has a dozen overloads.
  pg.Client.prototype.query = function (this: pg.Client, ...args: any[]): any {
    const [first, second] = args;
    const text = typeof first === "string" ? first : first?.text;
    const values = (typeof first === "string" ? second : first?.values) ?? [];
    if (/^\s*(?:select|with|insert|update|delete)\b/i.test(text ?? "")) sent.push({ text, values });
    return (query as (...rest: unknown[]) => unknown).apply(this, args);
  } as never;
  try {
    await work();
  } finally {
    pg.Client.prototype.query = query;
  }
  return sent;
}

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
  };
}

function changes(db: Db, { owner, member, own }: ManyOrgs): Record<string, () => Promise<unknown>> {
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
    "a service account": () =>
      createServiceAccount(db, owner, { name: "robot", roles: ["member"] }),
  };
}

/** Tables that the statement would read whole though they are large. */
async function wholeReads(
  db: Db,
  large: ReadonlySet<string>,
  { text, values }: Sent,
): Promise<string[]> {
  const explain = CompiledQuery.raw(`explain (format text) ${text}`, [...values]);
  const { rows } = await db.query.executeQuery<{ "QUERY PLAN": string }>(explain);
  const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
  return [...plan.matchAll(/Seq Scan on (\w+)/g)].flatMap(([, table = ""]) =>
    large.has(table) ? [`${table} in ${text.replace(/\s+/g, " ").slice(0, 200)}\n${plan}`] : [],
  );
}

async function largeTables(db: Db): Promise<Set<string>> {
  const { rows } = await sql<{ name: string }>`
    select relname as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
      and reltuples > ${SMALL_ROWS}`.execute(db.query);
  return new Set(rows.map(({ name }) => name));
}

const held = (db: Database, subject: Subject): Db => ({ ...db, query: db.tenants.of(subject) });

test("no statement of a request reads a large table whole", { timeout: 600_000 }, async (t) => {
  const { db } = await testDatabase(t);
  const many = await fillWithOrgs(db, CROWD);
  const large = await largeTables(db);
  // What the wall itself asks for is no request's.
  await db.tenants.isShared();
  for (const table of ["boxes", "grants", "events", "users", "tokens", "snapshots", "volumes"])
    assert.ok(large.has(table), `${table} is small: the test would see nothing`);
  const found: string[] = [];
  let count = 0;
  const look = async (on: Db, works: Record<string, () => Promise<unknown>>) => {
    for (const [name, work] of Object.entries(works)) {
      const statements = await caught(work);
      assert.ok(statements.length > 0, name);
      for (const statement of statements) {
        count += 1;
        for (const one of await wholeReads(on, large, statement)) found.push(`${name}: ${one}`);
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
  await look(held(db, many.owner), changes(held(db, many.owner), many));
  assert.deepEqual(found, []);
  assert.ok(count > 80, `${count} statements were looked at`);
});

async function hashOf(db: Db, { userId }: Subject): Promise<string | undefined> {
  const { rows } = await sql<{ hash: string }>`
    select hash from tokens where user_id = ${userId} order by id limit 1`.execute(db.query);
  return rows[0]?.hash;
}
