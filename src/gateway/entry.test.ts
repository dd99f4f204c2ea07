// Who may enter a box, at the gateway: the API's rule on what the feed tells. What ends a right ends its streams.

import assert from "node:assert/strict";
import { createServer } from "node:net";
import type { Duplex } from "node:stream";
import { type TestContext, test } from "node:test";
import type { FeedBox, FeedMember } from "#contract/gateway-feed.ts";
import type { OrgId, TeamId, UserId } from "#domain/ids.ts";
import { BOX_ROLES, can, ORG_ROLES, TEAM_ROLES } from "#domain/permission.ts";
import { openStream } from "#sdk/stream.ts";
import { BOX, NO_CHANGE, NODE, openDoors, USER } from "#test/harness/doors.ts";
import { stillHolds } from "./entry.ts";
import { KnownState } from "./known.ts";
import { mayEnter } from "./may-enter.ts";

const ECHO = 7;
const ORG = "org_a";
const TEAM = "team_a";
const THEIRS: FeedBox = {
  ...{ boxId: BOX, name: "web", orgId: ORG, ownerId: "usr_other", teamId: null, shares: [] },
  ...{ phase: "running", reason: null, epoch: 1, nodeId: NODE },
};
const MEMBER: FeedMember = { orgId: ORG, userId: USER, roles: ["member"], teams: [] };

async function world(t: TestContext) {
  const doors = await openDoors();
  const echo = createServer((socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((done) => echo.listen(0, "127.0.0.1", done));
  doors.driver.ports.set(ECHO, (echo.address() as { port: number }).port);
  t.after(async () => {
    await doors.close();
    echo.close();
  });
  const tell = (change: object) => doors.known.apply({ ...NO_CHANGE, ...change }, Date.now());
  const enter = async (): Promise<Duplex> => {
    const stream = await openStream({
      ...{ gatewayUrl: doors.gatewayUrl, ticket: await doors.mint() },
      ...{ boxId: BOX, door: { port: ECHO } },
    });
    stream.on("error", () => {});
    return stream;
  };
  return { doors, tell, enter };
}

const WAYS: readonly { name: string; given: object; taken: object }[] = [
  {
    name: "a share is taken back",
    given: { boxes: [{ ...THEIRS, shares: [{ holder: USER, role: "use" }] }] },
    taken: { boxes: [{ ...THEIRS, shares: [{ holder: USER, role: "view" }] }] },
  },
  {
    name: "a team's share is taken back",
    given: {
      boxes: [{ ...THEIRS, shares: [{ holder: TEAM, role: "admin" }] }],
      members: [{ ...MEMBER, teams: [{ teamId: TEAM, role: "viewer" }] }],
    },
    taken: { boxes: [THEIRS] },
  },
  {
    name: "one leaves the box's team",
    given: {
      boxes: [{ ...THEIRS, teamId: TEAM }],
      members: [{ ...MEMBER, teams: [{ teamId: TEAM, role: "member" }] }],
    },
    taken: { members: [MEMBER] },
  },
  {
    name: "an owner of the box is a viewer from now on",
    given: { boxes: [{ ...THEIRS, ownerId: USER }] },
    taken: { members: [{ ...MEMBER, roles: ["viewer"] }] },
  },
  {
    name: "one leaves the organization",
    given: { boxes: [{ ...THEIRS, ownerId: USER }] },
    taken: { goneMembers: [{ orgId: ORG, userId: USER }] },
  },
];

for (const { name, given, taken } of WAYS)
  test(`a stream ends when ${name}, and no other is let in`, async (t) => {
    const { doors, tell, enter } = await world(t);
    tell({ members: [MEMBER], ...given });
    const open = await enter();
    const broken = new Promise<Error>((done) => open.once("error", done));
    tell(taken);
    assert.match((await broken).message, /does not hold any more/);
    // Later than anything that could still be on its way.
    doors.known.apply({ kind: "beat" }, Date.now() + 60_000);
    await assert.rejects(enter(), { code: "revoked" });
  });

test("what was signed is believed until it must be known, and never again once it was taken back", () => {
  const known = new KnownState(
    { ...NO_CHANGE, kind: "full", settings: {} as never, goneLabels: [] },
    0,
  );
  const holds = stillHolds(5000, (now) => now.mayEnter(USER, BOX));
  known.apply({ ...NO_CHANGE, boxes: [THEIRS], members: [MEMBER] }, 5000);
  assert.equal(holds(known), true, "the share may be on its way");
  known.apply({ kind: "beat" }, 15_000);
  assert.equal(holds(known), false, "it is not");
  const shared = { ...THEIRS, shares: [{ holder: USER, role: "use" as const }] };
  known.apply({ ...NO_CHANGE, boxes: [shared] }, 15_000);
  assert.equal(holds(known), true);
  const fresh = stillHolds(15_000, (now) => now.mayEnter(USER, BOX));
  assert.equal(fresh(known), true);
  known.apply({ ...NO_CHANGE, boxes: [THEIRS] }, 15_000);
  assert.equal(fresh(known), false, "it was seen, and taken back");
});

test("the gateway lets in whom the API would", () => {
  let compared = 0;
  for (const role of ORG_ROLES)
    for (const teamRole of [...TEAM_ROLES, null])
      for (const share of [...BOX_ROLES, null])
        for (const ownerId of [USER, "usr_other"])
          for (const holder of [USER, TEAM, "team_b"])
            for (const teamId of [TEAM, "team_b", null]) {
              const teams = teamRole ? [{ teamId: TEAM, role: teamRole }] : [];
              const shares = share ? [{ holder, role: share }] : [];
              const mine = holder === USER || (holder === TEAM && teams.length > 0);
              const subject = {
                ...{ userId: USER as UserId, orgId: ORG as OrgId, isOperator: false, scopes: null },
                ...{ roles: [role], teams: teams as { teamId: TeamId; role: "admin" }[] },
              };
              const expected = can(subject, "box.enter", {
                ...{ orgId: ORG as OrgId, ownerId: ownerId as UserId, teamId: teamId as TeamId },
                shares: share && mine ? [share] : [],
              });
              const box = { ...THEIRS, ownerId, teamId, shares };
              assert.equal(mayEnter({ ...MEMBER, roles: [role], teams }, box), expected);
              compared += 1;
            }
  assert.ok(compared > 1000);
});
