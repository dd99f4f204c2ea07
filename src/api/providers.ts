// Identity providers and the tokens of directories, as an administrator sets them up.

import type { Provider, ScimToken } from "#contract/providers.ts";
import {
  CLIENT_SECRET,
  type IdentityContext,
  logoutUriOf,
  redirectUriOf,
} from "#identity/context.ts";
import { answerOnce } from "#store/idempotency.ts";
import {
  createProvider,
  deleteProvider,
  type GroupRole,
  getProvider,
  listGroupRoles,
  listProviders,
  type ProviderView,
  setGroupRoles,
  updateProvider,
} from "#store/providers.ts";
import {
  createScimToken,
  deleteScimToken,
  listScimTokens,
  type ScimTokenView,
} from "#store/scim.ts";
import { getTeam } from "#store/teams.ts";
import { hashToken, makeToken } from "#trust/token-hash.ts";
import { pageFrom, textPosition } from "./cursor.ts";
import type { Handlers } from "./route.ts";

export function providerHandlers(
  identity: IdentityContext,
): Pick<Handlers, Extract<keyof Handlers, `providers.${string}`>> {
  const sealed = (secret: string | null) =>
    secret === null ? null : identity.sealer.seal(CLIENT_SECRET, secret);
  const shape = (provider: ProviderView) => shapeProvider(identity, provider);
  return {
    "providers.create": ({ db, subject, body, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) => {
        const { isOfInstallation, clientSecret, ...settings } = body;
        // Only operators set one up for all, and they answer for it.
        const isTrusted = settings.isTrusted || isOfInstallation;
        const secret = sealed(clientSecret ?? null);
        const made = { ...settings, isTrusted, clientSecret: secret };
        return shape(await createProvider(tx, subject, made, isOfInstallation));
      }),
    "providers.list": async ({ db, subject, query }) => {
      const scope = ["providers"];
      const after = textPosition(scope, query.cursor);
      const rows = await listProviders(db, subject, { after, limit: query.limit + 1 });
      return pageFrom(rows, query.limit, scope, (one) => one.id, shape);
    },
    "providers.get": async ({ db, subject, params }) =>
      shape(await getProvider(db, subject, params.provider)),
    "providers.update": ({ db, subject, params, body, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) => {
        const { clientSecret, ...settings } = body;
        const change = clientSecret === undefined ? {} : { clientSecret: sealed(clientSecret) };
        return shape(
          await updateProvider(tx, subject, params.provider, { ...settings, ...change }),
        );
      }),
    "providers.delete": ({ db, subject, params, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shape(await deleteProvider(tx, subject, params.provider)),
      ),
    "providers.groups": async ({ db, subject, params }) => ({
      groups: (await listGroupRoles(db, subject, params.provider)).map(shapeGroup),
    }),
    "providers.setGroups": async ({ db, subject, params, body }) => {
      const roles: GroupRole[] = [];
      for (const { group, role, team } of body.groups) {
        const teamId = team === null ? null : (await getTeam(db, subject, team)).id;
        roles.push({ group, teamId, role: role as GroupRole["role"] });
      }
      const set = await setGroupRoles(db, subject, params.provider, roles);
      return { groups: set.map(shapeGroup) };
    },
  };
}

function shapeGroup({ group, role, teamId }: GroupRole) {
  return { group, role, team: teamId };
}

function shapeProvider(identity: IdentityContext, provider: ProviderView): Provider {
  const { id, orgId } = provider;
  return {
    ...{ id, name: provider.name, isOfInstallation: orgId === null, label: provider.label },
    ...{ issuer: provider.issuer, clientId: provider.clientId },
    hasClientSecret: provider.clientSecret !== null,
    scopes: [...provider.scopes],
    parameters: { ...provider.parameters },
    isTrusted: provider.isTrusted,
    admitsNewUsers: provider.admitsNewUsers,
    emailDomains: [...provider.emailDomains],
    groupsClaim: provider.groupsClaim,
    defaultRole: provider.defaultRole,
    defaultOrg: provider.defaultOrgId,
    sessionMaxMs: provider.sessionMaxMs,
    checkEveryMs: provider.checkEveryMs,
    memberMaxAgeMs: provider.memberMaxAgeMs,
    redirectUri: redirectUriOf(identity, id),
    logoutUri: logoutUriOf(identity, id),
    loginUrl: `${identity.dashboardOrigin}/v1/login/${id}`,
    createdAt: provider.createdAt.toISOString(),
  };
}

function shapeToken(token: ScimTokenView): ScimToken {
  return {
    id: token.id,
    name: token.name,
    createdAt: token.createdAt.toISOString(),
    lastUsedAt: token.lastUsedAt?.toISOString() ?? null,
    expiresAt: token.expiresAt?.toISOString() ?? null,
    madeWith: token.madeWith,
  };
}

export function scimTokenHandlers({
  dashboardOrigin,
}: IdentityContext): Pick<Handlers, Extract<keyof Handlers, `scimTokens.${string}`>> {
  return {
    // No answer is remembered: it would hold the token.
    "scimTokens.create": async ({ db, credential, body }) => {
      const token = makeToken();
      const hash = hashToken(token);
      const made = await createScimToken(db, credential, { hash, name: body.name });
      return { ...shapeToken(made), token, baseUrl: `${dashboardOrigin}/scim/v2` };
    },
    "scimTokens.list": async ({ db, subject, query }) => {
      const scope = ["scim-tokens"];
      const after = textPosition(scope, query.cursor);
      const rows = await listScimTokens(db, subject, { after, limit: query.limit + 1 });
      return pageFrom(rows, query.limit, scope, (one) => one.id, shapeToken);
    },
    "scimTokens.delete": ({ db, subject, params, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeToken(await deleteScimToken(tx, subject, params.token)),
      ),
  };
}
