// Shows a subject to itself.

import type { Who } from "#contract/who.ts";
import { permissionsOf, type Subject } from "#domain/permission.ts";
import type { Db } from "#store/db.ts";
import { readNames } from "#store/members.ts";

export async function whoIs(db: Db, subject: Subject): Promise<Who> {
  const { name, email, orgName } = await readNames(db, subject);
  return {
    ...{ id: subject.userId, name, email },
    org: { id: subject.orgId, name: orgName },
    isOperator: subject.isOperator,
    roles: [...subject.roles],
    teams: subject.teams.map(({ teamId, role }) => ({ id: teamId, role })),
    permissions: permissionsOf(subject),
  };
}
