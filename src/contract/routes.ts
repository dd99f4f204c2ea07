// Every operation of the API. From this list come the handlers' types, gen/openapi.json, the generated
// types, the SDK's methods, and the proof that none lacks a permission.

import { z } from "zod";
import { ACCESS_ROUTES } from "./access-routes.ts";
import { AUDIT_ROUTES } from "./audit-routes.ts";
import {
  boxAcceptedSchema,
  boxCreatedSchema,
  boxPage,
  boxParams,
  boxQuery,
  boxSchema,
  createBoxSchema,
  forkBoxSchema,
  forksAcceptedSchema,
  updateBoxSchema,
  waitQuery,
  waitResultSchema,
} from "./boxes.ts";
import { eventPage, eventQuery, eventSchema, watchQuery } from "./events.ts";
import { refSchema } from "./fields.ts";
import { MEMBER_ROUTES } from "./member-routes.ts";
import {
  createJoinTokenSchema,
  drainSchema,
  joinTokenSchema,
  nodePage,
  nodeQuery,
  nodeSchema,
  updateNodeSchema,
} from "./nodes.ts";
import { operationSchema } from "./operations.ts";
import { PROVIDER_ROUTES } from "./provider-routes.ts";
import { QUOTA_ROUTES } from "./quota-routes.ts";
import { read, route } from "./route.ts";
import {
  createCheckpointSchema,
  restoreCheckpointSchema,
  snapshotPage,
  snapshotQuery,
  snapshotSchema,
} from "./snapshots.ts";
import { systemSchema } from "./system.ts";
import {
  templateDefinitionSchema,
  templatePage,
  templateQuery,
  templateSchema,
  templateVersionDetailSchema,
  templateVersionPage,
  templateVersionParams,
} from "./templates.ts";
import { USAGE_ROUTES } from "./usage-routes.ts";
import { volumePage, volumeQuery, volumeSchema } from "./volumes.ts";

const templateParams = z.strictObject({ template: refSchema("template") });
const snapshotParams = z.strictObject({ snapshot: refSchema("snapshot") });
const nodeParams = z.strictObject({ node: refSchema("node") });
const volumeParams = z.strictObject({ volume: refSchema("volume") });
const operationParams = z.strictObject({ operation: refSchema("operation") });

const templateAccepted = z
  .object({ template: templateSchema, operation: operationSchema })
  .meta({ id: "TemplateAccepted" });
const snapshotAccepted = z
  .object({ snapshot: snapshotSchema, operation: operationSchema })
  .meta({ id: "SnapshotAccepted" });

/** A change of what is wanted of one box. */
function boxIntent<
  const Name extends `boxes.${string}`,
  const Path extends `/boxes/{box}${string}`,
>(name: Name, path: Path, summary: string, description: string) {
  return route({
    name,
    method: "POST",
    path,
    permission: "box.control",
    summary,
    description,
    params: boxParams,
    status: 202,
    response: boxAcceptedSchema,
    idempotencyKey: true,
    ifMatch: true,
  });
}

const boxes = [
  route({
    name: "boxes.create",
    method: "POST",
    path: "/boxes",
    permission: "box.create",
    summary: "Create a box",
    description: "Restores the template's prebuild; a template without one boots.",
    body: createBoxSchema,
    status: 202,
    response: boxCreatedSchema,
    idempotencyKey: true,
  }),
  read({
    name: "boxes.list",
    path: "/boxes",
    permission: "box.read",
    summary: "List boxes",
    query: boxQuery,
    response: boxPage,
  }),
  read({
    name: "boxes.get",
    path: "/boxes/{box}",
    permission: "box.read",
    summary: "Show a box",
    description: "The answer's ETag is its generation.",
    params: boxParams,
    response: boxSchema,
  }),
  boxIntent(
    "boxes.start",
    "/boxes/{box}/start",
    "Start a box",
    "From its snapshot when it is paused (processes go on), else by booting its disks.",
  ),
  boxIntent(
    "boxes.stop",
    "/boxes/{box}/stop",
    "Stop a box",
    "Flushes and keeps its disks and frees everything else; the next start boots.",
  ),
  boxIntent(
    "boxes.pause",
    "/boxes/{box}/pause",
    "Pause a box",
    "Freezes memory, devices and disks at one instant and frees the compute.",
  ),
  boxIntent(
    "boxes.resume",
    "/boxes/{box}/resume",
    "Resume a paused box",
    "Every process goes on where it was. Refused when the box is not paused.",
  ),
  boxIntent(
    "boxes.restart",
    "/boxes/{box}/restart",
    "Restart a box",
    "Shuts down and boots again.",
  ),
  route({
    name: "boxes.fork",
    method: "POST",
    path: "/boxes/{box}/fork",
    permission: "box.create",
    summary: "Fork a box",
    description: "Copies of a running, paused or stopped box, each with an identity of its own.",
    params: boxParams,
    body: forkBoxSchema,
    status: 202,
    response: forksAcceptedSchema,
    idempotencyKey: true,
  }),
  route({
    name: "boxes.update",
    method: "PATCH",
    path: "/boxes/{box}",
    permission: "box.share",
    summary: "Hand a box over to another owner or team",
    params: boxParams,
    body: updateBoxSchema,
    status: 200,
    response: boxSchema,
    idempotencyKey: true,
  }),
  route({
    name: "boxes.delete",
    method: "DELETE",
    path: "/boxes/{box}",
    permission: "box.delete",
    summary: "Delete a box",
    description: "Accepted in every state; it never comes back.",
    params: boxParams,
    status: 202,
    response: boxAcceptedSchema,
    idempotencyKey: true,
    ifMatch: true,
  }),
  read({
    name: "boxes.wait",
    path: "/boxes/{box}/wait",
    permission: "box.read",
    summary: "Wait until a box reaches a goal",
    description: "Answers at once when it is reached or hopeless, else when the time is over.",
    params: boxParams,
    query: waitQuery,
    response: waitResultSchema,
  }),
] as const;

const checkpoints = [
  route({
    name: "checkpoints.create",
    method: "POST",
    path: "/boxes/{box}/checkpoints",
    permission: "box.control",
    summary: "Checkpoint a box",
    description: "A snapshot that is kept until deleted; the box goes on.",
    params: boxParams,
    body: createCheckpointSchema,
    status: 202,
    response: snapshotAccepted,
    idempotencyKey: true,
  }),
  route({
    name: "checkpoints.restore",
    method: "POST",
    path: "/boxes/{box}/restore",
    permission: "box.control",
    summary: "Go back to a checkpoint",
    description: "The state that it replaces is kept as a checkpoint.",
    params: boxParams,
    body: restoreCheckpointSchema,
    status: 202,
    response: boxAcceptedSchema,
    idempotencyKey: true,
    ifMatch: true,
  }),
] as const;

const snapshots = [
  read({
    name: "snapshots.list",
    path: "/snapshots",
    permission: "snapshot.read",
    summary: "List snapshots",
    query: snapshotQuery,
    response: snapshotPage,
  }),
  read({
    name: "snapshots.get",
    path: "/snapshots/{snapshot}",
    permission: "snapshot.read",
    summary: "Show a snapshot",
    params: snapshotParams,
    response: snapshotSchema,
  }),
  route({
    name: "snapshots.delete",
    method: "DELETE",
    path: "/snapshots/{snapshot}",
    permission: "snapshot.delete",
    summary: "Delete a snapshot",
    description: "Refused while a box or a template needs it.",
    params: snapshotParams,
    status: 202,
    response: snapshotAccepted,
    idempotencyKey: true,
  }),
] as const;

const templates = [
  route({
    name: "templates.create",
    method: "POST",
    path: "/templates",
    permission: "template.write",
    summary: "Create a template, or a new version of it",
    description: "A definition that equals the newest version's makes no new version.",
    body: templateDefinitionSchema,
    status: 202,
    response: templateAccepted,
    idempotencyKey: true,
  }),
  read({
    name: "templates.list",
    path: "/templates",
    permission: "template.read",
    summary: "List templates",
    query: templateQuery,
    response: templatePage,
  }),
  read({
    name: "templates.get",
    path: "/templates/{template}",
    permission: "template.read",
    summary: "Show a template",
    params: templateParams,
    response: templateSchema,
  }),
  read({
    name: "templates.versions",
    path: "/templates/{template}/versions",
    permission: "template.read",
    summary: "List the versions of a template",
    params: templateParams,
    query: templateQuery,
    response: templateVersionPage,
  }),
  read({
    name: "templates.version",
    path: "/templates/{template}/versions/{version}",
    permission: "template.read",
    summary: "Show a version of a template",
    description: "With its definition and the last output of its build.",
    params: templateVersionParams,
    response: templateVersionDetailSchema,
  }),
  route({
    name: "templates.build",
    method: "POST",
    path: "/templates/{template}/versions/{version}/build",
    permission: "template.write",
    summary: "Build a version again",
    description: "For a build that failed. Does nothing while it is queued, being built, or ready.",
    params: templateVersionParams,
    status: 202,
    response: templateAccepted,
    idempotencyKey: true,
  }),
  route({
    name: "templates.delete",
    method: "DELETE",
    path: "/templates/{template}",
    permission: "template.write",
    summary: "Delete a template",
    description: "Refused while boxes use it.",
    params: templateParams,
    status: 202,
    response: templateAccepted,
    idempotencyKey: true,
  }),
] as const;

const volumes = [
  read({
    name: "volumes.list",
    path: "/volumes",
    permission: "volume.read",
    summary: "List volumes",
    query: volumeQuery,
    response: volumePage,
  }),
  read({
    name: "volumes.get",
    path: "/volumes/{volume}",
    permission: "volume.read",
    summary: "Show a volume",
    params: volumeParams,
    response: volumeSchema,
  }),
] as const;

const nodes = [
  read({
    name: "nodes.list",
    path: "/nodes",
    permission: "node.read",
    summary: "List nodes",
    query: nodeQuery,
    response: nodePage,
  }),
  read({
    name: "nodes.get",
    path: "/nodes/{node}",
    permission: "node.read",
    summary: "Show a node",
    params: nodeParams,
    response: nodeSchema,
  }),
  route({
    name: "nodes.update",
    method: "PATCH",
    path: "/nodes/{node}",
    permission: "node.manage",
    summary: "Keep new boxes away from a node or let them in; set how much it may promise",
    params: nodeParams,
    body: updateNodeSchema,
    status: 200,
    response: nodeSchema,
  }),
  route({
    name: "nodes.delete",
    method: "DELETE",
    path: "/nodes/{node}",
    permission: "node.manage",
    summary: "Remove a node that will not come back",
    description:
      "Its boxes start elsewhere from what is durable; what was only on it is lost, and they say so.",
    params: nodeParams,
    status: 200,
    response: nodeSchema,
  }),
  route({
    name: "nodes.drain",
    method: "POST",
    path: "/nodes/{node}/drain",
    permission: "node.manage",
    summary: "Bring the boxes of a node to rest",
    description:
      "Pauses those of every organization, and ends builds of templates. Ask again until nothing is left; a node that takes new boxes (see `schedulable`) may get more meanwhile.",
    params: nodeParams,
    status: 200,
    response: drainSchema,
  }),
  route({
    name: "nodes.createJoinToken",
    method: "POST",
    path: "/nodes/join-tokens",
    permission: "node.manage",
    summary: "Make a token that lets one node join",
    body: createJoinTokenSchema,
    status: 201,
    response: joinTokenSchema,
  }),
] as const;

const events = [
  read({
    name: "events.list",
    path: "/events",
    permission: "event.read",
    summary: "List events",
    query: eventQuery,
    response: eventPage,
  }),
  read({
    name: "events.watch",
    path: "/watch",
    permission: "event.read",
    summary: "Follow events as they happen",
    description:
      "Server-sent events. Resume with `cursor` or Last-Event-ID: no event is missed or sent twice.",
    query: watchQuery,
    response: eventSchema,
    stream: true,
  }),
] as const;

const operations = [
  read({
    name: "operations.get",
    path: "/operations/{operation}",
    permission: "operation.read",
    summary: "Show an operation",
    params: operationParams,
    response: operationSchema,
  }),
] as const;

const system = [
  read({
    name: "system.get",
    path: "/system",
    permission: "system.read",
    summary: "Show the installation and who I am",
    response: systemSchema,
  }),
] as const;

export const ROUTES = [
  ...boxes,
  ...checkpoints,
  ...snapshots,
  ...templates,
  ...volumes,
  ...nodes,
  ...events,
  ...operations,
  ...ACCESS_ROUTES,
  ...MEMBER_ROUTES,
  ...PROVIDER_ROUTES,
  ...AUDIT_ROUTES,
  ...QUOTA_ROUTES,
  ...USAGE_ROUTES,
  ...system,
] as const;

export type AnyRoute = (typeof ROUTES)[number];
export type RouteName = AnyRoute["name"];
export type RouteNamed<Name extends RouteName> = Extract<AnyRoute, { name: Name }>;
