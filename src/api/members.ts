// Members, invitations, teams and service accounts of an organization.

import type { Invitation, Member, Team } from "#contract/members.ts";
import { personName } from "#domain/person-name.ts";
import { answerOnce } from "#store/idempotency.ts";
import {
  acceptInvitation,
  createInvitation,
  deleteInvitation,
  type InvitationView,
  listInvitations,
  registerByInvitation,
} from "#store/invitations.ts";
import { getMember, listMembers, type MemberView, removeMember, setRoles } from "#store/members.ts";
import {
  createAccountToken,
  createServiceAccount,
  deleteAccountToken,
  deleteServiceAccount,
  listAccountTokens,
  listServiceAccounts,
} from "#store/service-accounts.ts";
import { listTeamMembers, removeTeamMember, setTeamMember } from "#store/team-members.ts";
import {
  createTeam,
  deleteTeam,
  getTeam,
  listTeams,
  renameTeam,
  type TeamView,
} from "#store/teams.ts";
import { createToken, type TokenView } from "#store/tokens.ts";
import { hashToken, makeToken } from "#trust/token-hash.ts";
import type { ApiContext } from "./context.ts";
import { pageFrom, textPosition } from "./cursor.ts";
import { shapeDeleted, shapeToken } from "./keys.ts";
import type { Handlers } from "./route.ts";

function shapeMember(member: MemberView): Member {
  return {
    ...member,
    roles: [...member.roles],
    managedRoles: [...member.managedRoles],
    since: member.since.toISOString(),
  };
}

export function memberHandlers(): Pick<
  Handlers,
  Extract<keyof Handlers, `${"members" | "serviceAccounts"}.${string}`>
> {
  return {
    "members.list": async ({ db, subject, query }) => {
      const scope = ["members"];
      const after = textPosition(scope, query.cursor);
      const rows = await listMembers(db, subject, { after, limit: query.limit + 1 });
      return pageFrom(rows, query.limit, scope, (one) => one.id, shapeMember);
    },
    "members.get": async ({ db, subject, params }) =>
      shapeMember(await getMember(db, subject, params.member)),
    "members.update": ({ db, subject, params, body, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeMember(await setRoles(tx, subject, params.member, body.roles)),
      ),
    "members.remove": ({ db, subject, params, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeMember(await removeMember(tx, subject, params.member)),
      ),
    "serviceAccounts.create": ({ db, subject, body, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeMember(await createServiceAccount(tx, subject, body)),
      ),
    "serviceAccounts.list": async ({ db, subject, query }) => {
      const scope = ["service-accounts"];
      const after = textPosition(scope, query.cursor);
      const rows = await listServiceAccounts(db, subject, { after, limit: query.limit + 1 });
      return pageFrom(rows, query.limit, scope, (one) => one.id, shapeMember);
    },
    "serviceAccounts.delete": ({ db, subject, params, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeMember(await deleteServiceAccount(tx, subject, params.account)),
      ),
    // No answer is remembered: it would hold the token.
    "serviceAccounts.createToken": async ({ db, credential, params, body }) => {
      const token = makeToken();
      const made = await createAccountToken(db, credential, params.account, {
        hash: hashToken(token),
        name: body.name,
        expiresInMs: body.expiresInMs ?? null,
        scopes: body.scopes ?? null,
      });
      return { ...shapeToken(made, credential), token };
    },
    "serviceAccounts.tokens": async ({ db, subject, credential, params, query }) => {
      const scope = ["account-tokens", params.account];
      const after = textPosition(scope, query.cursor);
      const page = { after, limit: query.limit + 1 };
      const rows = await listAccountTokens(db, subject, params.account, page);
      const shape = (one: TokenView) => shapeToken(one, credential);
      return pageFrom(rows, query.limit, scope, (one) => one.id, shape);
    },
    "serviceAccounts.deleteToken": ({ db, subject, credential, params, query, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeDeleted(
          await deleteAccountToken(tx, credential, params.account, params.token, query),
          credential,
        ),
      ),
  };
}

function shapeInvitation(invitation: InvitationView): Invitation {
  return {
    id: invitation.id,
    org: { id: invitation.orgId, name: invitation.orgName },
    email: invitation.email,
    roles: [...invitation.roles],
    team: invitation.teamId,
    createdAt: invitation.createdAt.toISOString(),
    expiresAt: invitation.expiresAt.toISOString(),
  };
}

export function shapeNewInvitation(made: InvitationView, secret: string, dashboardOrigin: string) {
  // After the #: no server on the way writes it into its log.
  return { ...shapeInvitation(made), secret, url: `${dashboardOrigin}/invitation#${secret}` };
}

export function invitationHandlers({
  dashboardOrigin,
}: ApiContext): Pick<Handlers, Extract<keyof Handlers, `invitations.${string}`>> {
  return {
    // No answer is remembered: it would hold the secret.
    "invitations.create": async ({ db, credential, body }) => {
      const secret = makeToken();
      const made = await createInvitation(db, credential, {
        hash: hashToken(secret),
        email: body.email ?? null,
        roles: body.roles,
        team: body.team ?? null,
        lifetimeMs: body.expiresInMs,
      });
      return shapeNewInvitation(made, secret, dashboardOrigin);
    },
    "invitations.list": async ({ db, subject, query }) => {
      const scope = ["invitations"];
      const after = textPosition(scope, query.cursor);
      const rows = await listInvitations(db, subject, { after, limit: query.limit + 1 });
      return pageFrom(rows, query.limit, scope, (one) => one.id, shapeInvitation);
    },
    "invitations.delete": ({ db, subject, params, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeInvitation(await deleteInvitation(tx, subject, params.invitation)),
      ),
    "invitations.accept": ({ db, subject, body, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeInvitation(await acceptInvitation(tx, subject.userId, hashToken(body.secret))),
      ),
    "invitations.register": async ({ db, body }) => {
      const token = makeToken();
      // In its one form: the contract has refused what has none.
      const name = personName(body.name) ?? "";
      const { subject, invitation } = await registerByInvitation(db, name, hashToken(body.secret));
      await createToken(
        db,
        { subject, tokenId: null },
        { hash: hashToken(token), name: "first token", expiresInMs: null },
      );
      return {
        user: { id: subject.userId, name },
        org: { id: invitation.orgId, name: invitation.orgName },
        token,
      };
    },
  };
}

function shapeTeam(team: TeamView): Team {
  const { id, name, members, boxes } = team;
  return { id, name, members, boxes, createdAt: team.createdAt.toISOString() };
}

export function teamHandlers(): Pick<Handlers, Extract<keyof Handlers, `teams.${string}`>> {
  return {
    "teams.list": async ({ db, subject, query }) => {
      const scope = ["teams"];
      const after = textPosition(scope, query.cursor);
      const rows = await listTeams(db, subject, { after, limit: query.limit + 1 });
      return pageFrom(rows, query.limit, scope, (one) => one.id, shapeTeam);
    },
    "teams.get": async ({ db, subject, params }) =>
      shapeTeam(await getTeam(db, subject, params.team)),
    "teams.create": ({ db, subject, body, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeTeam(await createTeam(tx, subject, body.name)),
      ),
    "teams.update": ({ db, subject, params, body, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeTeam(await renameTeam(tx, subject, params.team, body.name)),
      ),
    "teams.delete": ({ db, subject, params, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeTeam(await deleteTeam(tx, subject, params.team)),
      ),
    "teams.members": async ({ db, subject, params, query }) => {
      const scope = ["team-members", params.team];
      const after = textPosition(scope, query.cursor);
      const page = { after, limit: query.limit + 1 };
      const rows = await listTeamMembers(db, subject, params.team, page);
      return pageFrom(
        rows,
        query.limit,
        scope,
        (one) => one.id,
        (one) => ({ ...one }),
      );
    },
    "teams.setMember": ({ db, subject, params, body, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) => ({
        ...(await setTeamMember(tx, subject, params.team, body)),
      })),
    "teams.removeMember": ({ db, subject, params, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) => ({
        ...(await removeTeamMember(tx, subject, params.team, params.member)),
      })),
  };
}
