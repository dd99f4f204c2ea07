// Templates and their versions.

import { Problem } from "#contract/errors.ts";
import type { Template, TemplateVersion } from "#contract/templates.ts";
import {
  type AcceptedTemplate,
  createTemplate,
  deleteTemplate,
  requestBuild,
} from "#store/builds.ts";
import { answerOnce } from "#store/idempotency.ts";
import {
  getTemplate,
  getVersion,
  listTemplates,
  listVersions,
  type TemplateView,
  type VersionView,
} from "#store/templates.ts";
import type { ApiContext } from "./context.ts";
import { numberPosition, pageFrom, textPosition } from "./cursor.ts";
import type { Handlers } from "./route.ts";
import { shapeOperation } from "./shape-box.ts";

function shapeVersion(version: VersionView): TemplateVersion {
  return {
    id: version.id,
    version: version.number,
    state: version.state,
    step: version.step,
    error: version.error,
    imageDigest: version.imageDigest,
    prebuild: version.prebuild && {
      snapshotId: version.prebuild.snapshotId,
      durable: version.prebuild.state === "durable",
    },
    builder: version.builderBoxId,
    createdAt: version.createdAt.toISOString(),
    readyAt: version.readyAt?.toISOString() ?? null,
  };
}

function shapeTemplate(template: TemplateView): Template {
  return {
    id: template.id,
    name: template.name,
    latest: template.latest && shapeVersion(template.latest),
    ready: template.ready && shapeVersion(template.ready),
    createdAt: template.createdAt.toISOString(),
    owner: template.ownerId,
    org: template.orgId,
  };
}

function shapeAccepted({ template, operation }: AcceptedTemplate) {
  return { template: shapeTemplate(template), operation: shapeOperation(operation) };
}

export function templateHandlers(
  context: ApiContext,
): Pick<Handlers, Extract<keyof Handlers, `templates.${string}`>> {
  return {
    "templates.create": async ({ db, subject, body, mutation }) => {
      const imageDigest = await context.resolveBase(body.base);
      if (imageDigest === null) throw unknownBase(body.base);
      return answerOnce(db, subject, mutation, async (tx) =>
        shapeAccepted(await createTemplate(tx, subject, { definition: body, imageDigest })),
      );
    },
    "templates.list": async ({ db, subject, query }) => {
      const scope = ["templates"];
      const after = textPosition(scope, query.cursor);
      const rows = await listTemplates(db, subject, { after, limit: query.limit + 1 });
      return pageFrom(rows, query.limit, scope, (one) => one.id, shapeTemplate);
    },
    "templates.get": async ({ db, subject, params }) =>
      shapeTemplate(await getTemplate(db, subject, params.template)),
    "templates.versions": async ({ db, subject, params, query }) => {
      const scope = ["versions", params.template];
      const before = numberPosition(scope, query.cursor);
      const page = { before, limit: query.limit + 1 };
      const rows = await listVersions(db, subject, params.template, page);
      return pageFrom(rows, query.limit, scope, (one) => one.number, shapeVersion);
    },
    "templates.version": async ({ db, subject, params }) => {
      const version = await getVersion(db, subject, params.template, params.version);
      return { ...shapeVersion(version), definition: version.definition, log: version.log };
    },
    "templates.build": ({ db, subject, params, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeAccepted(await requestBuild(tx, subject, params.template, params.version)),
      ),
    "templates.delete": ({ db, subject, params, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeAccepted(await deleteTemplate(tx, subject, params.template)),
      ),
  };
}

function unknownBase(base: string): Problem {
  const message = `there is no base image '${base}'`;
  return new Problem("invalid_request", `body.base: ${message}`, {
    fields: [{ path: "body.base", message }],
  });
}
