// Organizations: mine, new ones, and which one a session acts in.

import { answerOnce } from "#store/idempotency.ts";
import {
  createOrg,
  getOrg,
  type InstallationOrgView,
  listAllOrgs,
  listMyOrgs,
  renameOrg,
  setMaxVisibility,
  switchOrg,
} from "#store/orgs.ts";
import { hashToken, makeToken } from "#trust/token-hash.ts";
import type { ApiContext } from "./context.ts";
import { pageFrom, textPosition } from "./cursor.ts";
import { shapeNewInvitation } from "./members.ts";
import type { Handlers } from "./route.ts";

export function orgHandlers({
  dashboardOrigin,
}: ApiContext): Pick<Handlers, Extract<keyof Handlers, `${"org" | "orgs"}.${string}`>> {
  return {
    "org.get": ({ db, subject }) => getOrg(db, subject),
    "org.update": ({ db, subject, body, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) => {
        if (body.maxVisibility) await setMaxVisibility(tx, subject, body.maxVisibility);
        if (body.name) await renameOrg(tx, subject, body.name);
        return getOrg(tx, subject);
      }),
    "orgs.list": async ({ db, subject }) => {
      const orgs = await listMyOrgs(db, subject);
      return {
        items: orgs.map((org) => ({
          ...org,
          roles: [...org.roles],
          isCurrent: org.id === subject.orgId,
        })),
      };
    },
    "orgs.listAll": async ({ db, subject, query }) => {
      const scope = ["orgs"];
      const after = textPosition(scope, query.cursor);
      const rows = await listAllOrgs(db, subject, { after, limit: query.limit + 1 });
      const shape = ({ createdAt, ...org }: InstallationOrgView) => ({
        ...org,
        createdAt: createdAt.toISOString(),
      });
      return pageFrom(rows, query.limit, scope, ({ name }) => name, shape);
    },
    // No answer is remembered: it may hold a secret.
    "orgs.create": async ({ db, subject, body }) => {
      const secret = body.inviteOwner ? makeToken() : null;
      const { org, invitation } = await createOrg(db, subject, {
        name: body.name,
        ownerInvitationHash: secret && hashToken(secret),
      });
      return {
        ...{ ...org, roles: [...org.roles] },
        invitation:
          invitation && secret ? shapeNewInvitation(invitation, secret, dashboardOrigin) : null,
      };
    },
    "orgs.switch": async ({ db, credential, params }) => {
      const { roles, ...org } = await switchOrg(db, credential, params.org);
      return { ...org, roles: [...roles] };
    },
  };
}
