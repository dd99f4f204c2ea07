// SCIM 2.0 (RFC 7644): an organization's directory says who belongs to it, with a token of its own kind. What it lets go is
// out at once.

import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { ERRORS, Problem } from "#contract/errors.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import type { IdentityContext } from "#identity/context.ts";
import { ScimError, type ScimType } from "#identity/scim-error.ts";
import { type Comparison, parseFilter } from "#identity/scim-filter.ts";
import { applyPatch, readOperations } from "#identity/scim-patch.ts";
import { ERROR, groupOf, LIST, readGroup, readUser, userOf } from "#identity/scim-resources.ts";
import { MAX_RESULTS, resourceTypes, schemas, serviceConfig } from "#identity/scim-schemas.ts";
import { type Db, isUnavailable } from "#store/db.ts";
import {
  changeScimUser,
  createScimUser,
  type DirectoryCaller,
  deleteScimUser,
  getScimUser,
  identifyScim,
  listScimUsers,
} from "#store/scim.ts";
import {
  changeScimGroup,
  createScimGroup,
  deleteScimGroup,
  getScimGroup,
  listScimGroups,
} from "#store/scim-groups.ts";
import { forOrg } from "#store/tenant.ts";
import { hashToken, looksLikeToken } from "#trust/token-hash.ts";
import { callerFrom } from "./login.ts";
import { storable } from "./storable.ts";

const TYPE = "application/scim+json; charset=utf-8";
const PATH = "/scim/v2";

interface ById {
  Params: { id: string };
}

/** Who speaks, and the database held to their organization. */
interface Directory {
  readonly caller: DirectoryCaller;
  readonly db: Db;
}

declare module "fastify" {
  interface FastifyRequest {
    directory?: Directory;
  }
}

export function registerScim(app: FastifyInstance, identity: IdentityContext): void {
  const { db, log, dashboardOrigin } = identity;
  const base = `${dashboardOrigin}${PATH}`;
  app.register(
    async (scope) => {
      for (const type of ["application/scim+json"])
        scope.addContentTypeParser(type, { parseAs: "string" }, (request, body, done) => {
          if (body.length === 0) done(null, undefined);
          else scope.getDefaultJsonParser("error", "error")(request, String(body), done);
        });
      scope.addHook("onRequest", async (request, reply) => {
        reply.headers({ "cache-control": "no-store", "x-content-type-options": "nosniff" });
        const caller = await callerOf(request, identity);
        request.directory = { caller, db: forOrg(db, caller.orgId) };
      });
      scope.addHook("preValidation", async (request) => {
        request.body = storable(request.body);
      });
      scope.setErrorHandler((error, request, reply) => {
        const answer = toScimError(error);
        if (answer.status >= 500) log.error({ err: error, requestId: request.id }, "SCIM failed");
        if (answer.status === 401) reply.header("www-authenticate", "Bearer");
        return send(reply, answer.status, {
          schemas: [ERROR],
          status: String(answer.status),
          ...(answer.scimType === null ? {} : { scimType: answer.scimType }),
          detail: answer.message,
        });
      });
      scope.setNotFoundHandler(() => {
        throw new ScimError(404, null, "There is no such resource.");
      });
      registerUsers(scope, base);
      registerGroups(scope, base);
      registerService(scope, base);
    },
    { prefix: PATH },
  );
}

function named(operationId: string) {
  return { schema: { hide: true, operationId } };
}

async function callerOf(
  request: FastifyRequest,
  { db }: IdentityContext,
): Promise<DirectoryCaller> {
  const token = /^Bearer +([^\s]{1,200})$/i.exec(request.headers.authorization ?? "")?.[1] ?? "";
  const caller = looksLikeToken(token)
    ? await identifyScim(db, hashToken(token), callerFrom(request))
    : null;
  if (!caller) throw new ScimError(401, null, "The request has no SCIM token that is valid.");
  return caller;
}

function registerUsers(scope: FastifyInstance, base: string): void {
  scope.post("/Users", named("scim.createUser"), async (request, reply) => {
    const user = await createScimUser(...directoryOf(request), readUser(request.body));
    return send(reply.header("location", `${base}/Users/${user.id}`), 201, userOf(user, base));
  });
  scope.get("/Users", named("scim.listUsers"), async (request, reply) => {
    const { page, filter, startIndex } = listOf(request);
    const wanted = {
      ...oneOf(filter, { id: "id", userName: "username", externalId: "externalid" }),
      ...oneOf(filter, { email: "emails.value" }),
    };
    const isActive = filter.find(({ attribute }) => attribute === "active")?.value;
    refuseOthers(filter, ["id", "username", "externalid", "emails.value", "active"]);
    const found = await listScimUsers(
      ...directoryOf(request),
      {
        ...wanted,
        ...(typeof isActive === "boolean" ? { isActive } : {}),
      },
      page,
    );
    return sendList(
      reply,
      found.total,
      startIndex,
      found.items.map((user) => userOf(user, base)),
    );
  });
  scope.get<ById>("/Users/:id", named("scim.getUser"), async (request, reply) =>
    send(reply, 200, userOf(await getScimUser(...directoryOf(request), request.params.id), base)),
  );
  scope.put<ById>("/Users/:id", named("scim.replaceUser"), async (request, reply) => {
    const fields = readUser(request.body);
    const user = await changeScimUser(...directoryOf(request), request.params.id, () => fields);
    return send(reply, 200, userOf(user, base));
  });
  scope.patch<ById>("/Users/:id", named("scim.changeUser"), async (request, reply) => {
    const operations = readOperations(request.body);
    const user = await changeScimUser(...directoryOf(request), request.params.id, (current) =>
      readUser(applyPatch(userOf(current, base), operations)),
    );
    return send(reply, 200, userOf(user, base));
  });
  scope.delete<ById>("/Users/:id", named("scim.deleteUser"), async (request, reply) => {
    await deleteScimUser(...directoryOf(request), request.params.id);
    return reply.status(204).send();
  });
}

function registerGroups(scope: FastifyInstance, base: string): void {
  scope.post("/Groups", named("scim.createGroup"), async (request, reply) => {
    const group = await createScimGroup(...directoryOf(request), readGroup(request.body));
    const location = `${base}/Groups/${group.id}`;
    return send(reply.header("location", location), 201, groupOf(group, base, true));
  });
  scope.get("/Groups", named("scim.listGroups"), async (request, reply) => {
    const { page, filter, startIndex } = listOf(request);
    refuseOthers(filter, ["id", "displayname", "externalid"]);
    const wanted = oneOf(filter, {
      id: "id",
      displayName: "displayname",
      externalId: "externalid",
    });
    const found = await listScimGroups(...directoryOf(request), wanted, page);
    const resources = found.items.map((one) => groupOf(one, base, wantsMembers(request)));
    return sendList(reply, found.total, startIndex, resources);
  });
  scope.get<ById>("/Groups/:id", named("scim.getGroup"), async (request, reply) => {
    const group = await getScimGroup(...directoryOf(request), request.params.id);
    return send(reply, 200, groupOf(group, base, wantsMembers(request)));
  });
  scope.put<ById>("/Groups/:id", named("scim.replaceGroup"), async (request, reply) => {
    const fields = readGroup(request.body);
    const group = await changeScimGroup(...directoryOf(request), request.params.id, () => fields);
    return send(reply, 200, groupOf(group, base, true));
  });
  scope.patch<ById>("/Groups/:id", named("scim.changeGroup"), async (request, reply) => {
    const operations = readOperations(request.body);
    const group = await changeScimGroup(...directoryOf(request), request.params.id, (current) =>
      readGroup(applyPatch(groupOf(current, base, true), operations)),
    );
    return send(reply, 200, groupOf(group, base, true));
  });
  scope.delete<ById>("/Groups/:id", named("scim.deleteGroup"), async (request, reply) => {
    await deleteScimGroup(...directoryOf(request), request.params.id);
    return reply.status(204).send();
  });
}

function registerService(scope: FastifyInstance, base: string): void {
  scope.get("/ServiceProviderConfig", named("scim.serviceConfig"), async (_request, reply) =>
    send(reply, 200, serviceConfig(base)),
  );
  for (const [path, all] of [
    ["/ResourceTypes", resourceTypes(base)],
    ["/Schemas", schemas(base)],
  ] as const) {
    scope.get(path, named("scim.describe"), async (_request, reply) =>
      sendList(reply, all.length, 1, all),
    );
    scope.get<ById>(`${path}/:id`, named("scim.describe"), async (request, reply) => {
      const one = all.find(({ id }) => id === request.params.id);
      if (!one) throw new ScimError(404, null, "There is no such resource.");
      return send(reply, 200, one);
    });
  }
}

function directoryOf({ directory }: FastifyRequest): [Db, DirectoryCaller] {
  if (!directory) throw new ScimError(401, null, "The request has no SCIM token.");
  return [directory.db, directory.caller];
}

function listOf(request: FastifyRequest) {
  const query = request.query as Record<string, string | undefined>;
  const number = (name: string, least: number, otherwise: number) => {
    const text = query[name];
    if (text === undefined) return otherwise;
    if (!/^-?\d{1,9}$/.test(text))
      throw new ScimError(400, "invalidValue", `${name} is a whole number.`);
    return Math.max(least, Number(text));
  };
  const startIndex = number("startIndex", 1, 1);
  const limit = Math.min(number("count", 0, MAX_RESULTS / 2), MAX_RESULTS);
  return { startIndex, page: { offset: startIndex - 1, limit }, filter: parseFilter(query.filter) };
}

function oneOf<K extends string>(
  filter: readonly Comparison[],
  attributes: Readonly<Record<K, string>>,
): { [Key in K]?: string } {
  const found: { [Key in K]?: string } = {};
  for (const [key, name] of Object.entries(attributes) as [K, string][]) {
    const value = filter.find(({ attribute }) => attribute === name)?.value;
    if (value !== undefined) found[key] = String(value);
  }
  return found;
}

function refuseOthers(filter: readonly Comparison[], known: readonly string[]): void {
  const other = filter.find(({ attribute }) => !known.includes(attribute));
  if (other)
    throw new ScimError(400, "invalidFilter", `Nothing is found by '${other.attribute}' here.`);
  if (new Set(filter.map(({ attribute }) => attribute)).size < filter.length)
    throw new ScimError(400, "invalidFilter", "An attribute is compared once.");
}

function wantsMembers(request: FastifyRequest): boolean {
  const { excludedAttributes = "" } = request.query as Record<string, string | undefined>;
  return !excludedAttributes.toLowerCase().split(",").includes("members");
}

function send(reply: FastifyReply, status: number, body: object): FastifyReply {
  return reply.status(status).type(TYPE).send(JSON.stringify(body));
}

function sendList(
  reply: FastifyReply,
  totalResults: number,
  startIndex: number,
  resources: readonly object[],
): FastifyReply {
  return send(reply, 200, {
    schemas: [LIST],
    ...{ totalResults, startIndex, itemsPerPage: resources.length },
    Resources: resources,
  });
}

const SCIM_TYPES: Readonly<Record<string, ScimType>> = {
  name_taken: "uniqueness",
  in_use: "mutability",
};

function toScimError(error: unknown): ScimError {
  if (error instanceof ScimError) return error;
  if (error instanceof StoreRefusal || error instanceof Problem) {
    const detail = error instanceof Problem ? error.message : error.detail;
    return new ScimError(ERRORS[error.code].status, SCIM_TYPES[error.code] ?? null, detail);
  }
  if (isUnavailable(error)) return new ScimError(503, null, "The database does not answer.");
  const { statusCode } = error as { statusCode?: number };
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new ScimError(statusCode, "invalidSyntax", "The request is malformed.");
  return new ScimError(500, null, "Something went wrong on our side.");
}
