import assert from "node:assert/strict";
import { test } from "node:test";
import {
  BOX_ROLES,
  can,
  ORG_ROLES,
  PERMISSIONS,
  permissionsOf,
  TEAM_ROLES,
} from "#domain/permission.ts";
import { mayOnBox } from "./rights.ts";
import type { Permission, Share, Who } from "./types.ts";

const ASKED: readonly Permission[] = [
  ...(["box.read", "box.enter", "box.control", "box.delete", "box.share"] as const),
  ...(["snapshot.delete", "preview.share"] as const),
];

test("what the pages show is what the server allows: every role, team, share and owner", () => {
  let compared = 0;
  for (const role of ORG_ROLES)
    for (const teamRole of [null, ...TEAM_ROLES])
      for (const share of [null, ...BOX_ROLES])
        for (const isOwn of [true, false]) {
          const teams = teamRole ? [{ teamId: "team_a" as never, role: teamRole }] : [];
          const subject = {
            ...{ userId: "usr_me" as never, orgId: "org_a" as never, isOperator: false },
            ...{ roles: [role], teams, scopes: null },
          };
          const owner = isOwn ? "usr_me" : "usr_other";
          const resource = {
            ...{ orgId: "org_a" as never, ownerId: owner as never, teamId: "team_a" as never },
            shares: share ? [share] : [],
          };
          const who = {
            id: "usr_me",
            roles: [role],
            teams: teams.map(({ teamId, role: held }) => ({ id: teamId, role: held })),
            permissions: permissionsOf(subject),
          } as unknown as Who;
          const shares = share
            ? [{ role: share, user: { id: "usr_me" }, team: null } as Share]
            : [];
          for (const permission of ASKED) {
            const expected = can(subject, permission, resource);
            const got = mayOnBox(who, { owner, team: "team_a" }, permission, shares);
            assert.equal(got, expected, `${role} ${teamRole} ${share} ${isOwn} ${permission}`);
            compared += 1;
          }
        }
  assert.ok(compared > 1000 && PERMISSIONS.length > ASKED.length);
});
