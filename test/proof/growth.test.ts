// Rights do not grow: whatever people without them try in a row, none of them becomes an administrator or sees another
// organization; whatever owners try, one of them stays. And what can() says of a box is what SQL says of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import type { OrgId, TeamId, UserId } from "#domain/ids.ts";
import {
  BOX_RIGHTS,
  BOX_ROLES,
  type BoxRole,
  can,
  ORG_ROLES,
  type OrgRole,
  PERMISSIONS,
  type Permission,
  type Subject,
  TEAM_ROLES,
} from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { addUser, createUser } from "#store/access.ts";
import { createBox, getBox } from "#store/boxes.ts";
import { createTemplate } from "#store/builds.ts";
import { isUniqueViolation } from "#store/db.ts";
import { listEventsBack } from "#store/events.ts";
import { addGrant } from "#store/grants.ts";
import { mayOnBox, permitOnBox } from "#store/rights.ts";
import { createTeam } from "#store/teams.ts";
import type { Identified } from "#store/tokens.ts";
import { testDatabase } from "#test/harness/database.ts";
import { fc } from "#test/harness/fc.ts";
import { IMAGE, recipe } from "#test/harness/world.ts";
import {
  ACTS,
  ALL_ACTS,
  boxNamed,
  type Draw,
  drawArbitrary,
  GrowthWorld,
  ROLE_ACTS,
  seenBoxes,
} from "./growth-world.ts";

const RUNS = 60;
const ACTS_MAX = 12;

/** Done or refused; nothing else may come of an act. True: it was done. */
async function play(world: GrowthWorld, draw: Draw): Promise<boolean> {
  const players = await world.players();
  const who = players[draw.by % Math.max(1, players.length)];
  if (!who) return false;
  const pick = (of: readonly string[], n: number) => of[n % Math.max(1, of.length)] ?? "nothing";
  try {
    await ACTS[draw.act]({ world, who, subject: who.subject, pick, draw });
    return true;
  } catch (error) {
    if (error instanceof StoreRefusal || isUniqueViolation(error, "tokens_hash_key")) return false;
    throw error;
  }
}

/** Of the organization as a whole, without being an operator. */
function powers(players: readonly Identified[], orgId: OrgId): Set<Permission> {
  const of = players.filter(({ subject }) => subject.orgId === orgId);
  return new Set(PERMISSIONS.filter((one) => of.some(({ subject }) => can(subject, one))));
}

async function isRefused(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => false,
    (error) => error instanceof StoreRefusal,
  );
}

test("no row of acts by people who are no administrators makes one, or shows another organization", async (t) => {
  const { db } = await testDatabase(t);
  let run = 0;
  const done = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(
      fc.array(drawArbitrary(ALL_ACTS), { minLength: 8, maxLength: ACTS_MAX }),
      async (draws) => {
        run += 1;
        const world = await GrowthWorld.make(
          db,
          {
            ...{ dual: ["member"], author: ["template_author"], watcher: ["viewer"] },
            ...{ accountant: ["billing"], lead: ["member"] },
          },
          String(run),
        );
        const { alpha, gamma } = world;
        const before = powers(await world.players(), alpha.orgId);
        for (const draw of draws)
          if (await play(world, draw)) done.set(draw.act, (done.get(draw.act) ?? 0) + 1);
        const players = await world.players();
        for (const one of powers(players, alpha.orgId))
          assert.ok(before.has(one), `they got ${one}`);
        for (const who of players) {
          const { subject } = who;
          assert.ok(!subject.isOperator);
          if (subject.orgId === alpha.orgId) {
            assert.ok(!subject.roles.includes("owner") && !subject.roles.includes("admin"));
            const row = {
              id: world.victim,
              name: "victim",
              org_id: alpha.orgId,
              owner_id: alpha.userId,
            };
            for (const one of ["box.enter", "box.control", "box.delete", "box.share"] as const)
              assert.ok(
                await isRefused(permitOnBox(db, subject, one, { ...row, team_id: null } as never)),
                `${one} of the owner's box`,
              );
          }
          assert.notEqual(subject.orgId, gamma.orgId);
          assert.ok(!(await seenBoxes(db, who)).includes(world.far));
          assert.ok(await isRefused(getBox(db, subject, world.far)));
          const events = await listEventsBack(db, subject, { before: null, limit: 200 });
          assert.ok(events.every((event) => event.orgId === subject.orgId));
        }
      },
    ),
    { numRuns: RUNS },
  );
  // A search in which nothing is ever allowed would find nothing.
  const allowed = [...done.values()].reduce((sum, count) => sum + count, 0);
  assert.ok(allowed >= 25 && done.size >= 5, JSON.stringify([...done]));
});

test("whatever owners and administrators do, an owner stays, and administrators make none", async (t) => {
  const { db } = await testDatabase(t);
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(drawArbitrary(ROLE_ACTS), { minLength: 8, maxLength: ACTS_MAX }),
      fc.boolean(),
      async (draws, withOwner) => {
        run += 1;
        const players: Record<string, OrgRole[]> = {
          ...{ first: ["admin"] },
          ...(withOwner
            ? { second: ["owner"] }
            : { second: ["admin", "billing"], third: ["member"] }),
        };
        const world = await GrowthWorld.make(db, players, String(run));
        if (withOwner) {
          await world.addCredential(world.alpha);
          // Few enough that two owners meet each other.
          world.users.splice(1, 3);
        }
        const owners = async () => {
          const { rows } = await sql<{ id: string }>`
            select g.user_id as id from grants g join users u on u.id = g.user_id and u.disabled_at is null
              and u.kind = 'person' where g.scope = 'org' and g.scope_id = ${world.alpha.orgId}
              and g.role = 'owner'`.execute(db.query);
          return rows.map(({ id }) => id);
        };
        const before = new Set(await owners());
        for (const draw of draws) {
          await play(world, draw);
          const now = await owners();
          assert.ok(now.length > 0, `nobody owns it after ${draw.act}`);
          if (!withOwner)
            for (const id of now) assert.ok(before.has(id), "an administrator made an owner");
        }
      },
    ),
    { numRuns: RUNS },
  );
});

const ON_BOXES = [...BOX_RIGHTS.admin].filter((one) => one !== "operation.read");

test("can() and the same question in SQL agree on every box", async (t) => {
  const { db } = await testDatabase(t);
  const owner = await createUser(db, { orgName: "one", name: "owner" });
  const other = await createUser(db, { orgName: "two", name: "owner" });
  for (const one of [owner, other]) {
    await createTemplate(db, one, { definition: recipe(), imageDigest: IMAGE });
    await sql`update template_versions set state = 'ready' where org_id = ${one.orgId}`.execute(
      db.query,
    );
  }
  const people = [owner];
  for (const name of ["a", "b", "c"])
    people.push(await addUser(db, owner.orgId, { name, roles: ["member"] }));
  const teams = [
    (await createTeam(db, owner, "red")).id,
    (await createTeam(db, owner, "blue")).id,
  ] as TeamId[];
  for (const [n, person] of people.entries())
    for (const team of [null, ...teams])
      await createBox(db, person, boxNamed(`box-${n}-${team?.slice(-5) ?? "none"}`)).then(
        ({ box }) => sql`update boxes set team_id = ${team} where id = ${box.id}`.execute(db.query),
      );
  await createBox(db, other, boxNamed("far"));
  const { rows: boxes } = await sql<{
    id: string;
    orgId: OrgId;
    ownerId: UserId;
    teamId: TeamId | null;
  }>`
    select id, org_id as "orgId", owner_id as "ownerId", team_id as "teamId" from boxes
    where kind = 'user' order by id`.execute(db.query);
  // The database itself refuses a share of another organization's.
  const shareable = boxes.filter(({ orgId }) => orgId === owner.orgId);
  const share = fc.record({
    box: fc.nat(shareable.length - 1),
    role: fc.constantFrom(...BOX_ROLES),
    user: fc.option(fc.nat(people.length - 1)),
    team: fc.nat(1),
  });
  const asking = fc.record({
    who: fc.nat(people.length - 1),
    isOperator: fc.boolean(),
    roles: fc.uniqueArray(fc.constantFrom(...ORG_ROLES), { maxLength: 2 }),
    teams: fc.array(fc.record({ team: fc.nat(1), role: fc.constantFrom(...TEAM_ROLES) }), {
      maxLength: 2,
    }),
    scopes: fc.option(fc.uniqueArray(fc.constantFrom(...PERMISSIONS)), { freq: 4 }),
  });
  let some = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(share, { maxLength: 6 }), asking, async (shares, wish) => {
      await sql`delete from grants where scope = 'box'`.execute(db.query);
      const held: { box: string; role: BoxRole; user?: UserId; team?: TeamId }[] = shares.map(
        (one) => ({
          ...{ box: shareable[one.box]?.id as string, role: one.role },
          ...(one.user === null
            ? { team: teams[one.team] as TeamId }
            : { user: people[one.user]?.userId as UserId }),
        }),
      );
      for (const { box, role, user, team } of held)
        await addGrant(db, {
          ...{ scope: "box", scopeId: box, role, orgId: owner.orgId },
          holder: user ? { userId: user } : { teamId: team as TeamId },
        });
      const subject: Subject = {
        ...{ userId: people[wish.who]?.userId as UserId, orgId: owner.orgId },
        ...{ isOperator: wish.isOperator, roles: wish.roles, scopes: wish.scopes },
        teams: wish.teams.map(({ team, role }) => ({ teamId: teams[team] as TeamId, role })),
      };
      const isMine = (one: (typeof held)[number]) =>
        one.user === subject.userId || subject.teams.some(({ teamId }) => teamId === one.team);
      for (const permission of ON_BOXES) {
        const { rows } = await sql<{ id: string }>`
          select id from boxes b where kind = 'user' and ${mayOnBox(subject, permission)} order by id`.execute(
          db.query,
        );
        const expected = boxes.filter((box) =>
          can(subject, permission, {
            ...box,
            shares: held.filter((one) => one.box === box.id && isMine(one)).map(({ role }) => role),
          }),
        );
        some += expected.length;
        assert.deepEqual(
          rows.map(({ id }) => id),
          expected.map(({ id }) => id),
          permission,
        );
      }
    }),
    { numRuns: RUNS },
  );
  assert.ok(some > 100);
});
