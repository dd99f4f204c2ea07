// Who may do what: one pure question. Roles are held at an organization, a team or a box; a role gives permissions over
// everything of its scope, or over what is the subject's own.

import type { OrgId, TeamId, UserId } from "./ids.ts";

export const PERMISSIONS = [
  "box.read",
  "box.create",
  "box.control",
  "box.delete",
  "box.enter",
  "box.share",
  "template.read",
  "template.write",
  "snapshot.read",
  "snapshot.delete",
  "volume.read",
  "node.read",
  "node.manage",
  "event.read",
  "operation.read",
  "system.read",
  "key.manage",
  "token.manage",
  "preview.read",
  "preview.share",
  "org.read",
  "org.manage",
  "org.create",
  "member.read",
  "member.manage",
  "team.read",
  "team.manage",
  "service.manage",
  "quota.read",
  "quota.manage",
  "audit.read",
  "audit.manage",
  "usage.read",
  "budget.manage",
  "provider.manage",
] as const;
export type Permission = (typeof PERMISSIONS)[number];

export const ORG_ROLES = [
  "owner",
  "admin",
  "template_author",
  "member",
  "viewer",
  "auditor",
  "billing",
] as const;
export type OrgRole = (typeof ORG_ROLES)[number];

export const TEAM_ROLES = ["admin", "member", "viewer"] as const;
export type TeamRole = (typeof TEAM_ROLES)[number];

/** What a box can be shared as. */
export const BOX_ROLES = ["view", "use", "admin"] as const;
export type BoxRole = (typeof BOX_ROLES)[number];

/** Who is asking, and in which organization. Every access to data takes one. */
export interface Subject {
  readonly userId: UserId;
  readonly orgId: OrgId;
  /** Runs the installation: nodes, organizations. It gives no right to anybody's boxes. */
  readonly isOperator: boolean;
  readonly roles: readonly OrgRole[];
  readonly teams: readonly { readonly teamId: TeamId; readonly role: TeamRole }[];
  /** What the credential may be used for; null: everything that its user may do. */
  readonly scopes: readonly Permission[] | null;
}

/** Who shows no credential: may nothing. */
export const NOBODY: Subject = {
  userId: "" as UserId,
  orgId: "" as OrgId,
  ...{ isOperator: false, roles: [], teams: [], scopes: [] },
};

/** What is acted on. Without an owner or a team: something of the organization's as a whole. */
export interface Resource {
  readonly orgId: OrgId;
  readonly ownerId?: UserId | null;
  readonly teamId?: TeamId | null;
  /** What the subject, or a team of theirs, was given at just this box. */
  readonly shares?: readonly BoxRole[];
}

const READ_BOX = [
  ...["box.read", "snapshot.read", "volume.read", "operation.read", "preview.read"],
  "event.read",
] as const satisfies readonly Permission[];
const USE_BOX = [...READ_BOX, "box.enter"] as const satisfies readonly Permission[];
const RUN_BOX = [
  ...USE_BOX,
  ...["box.control", "box.delete", "box.share", "snapshot.delete", "preview.share"],
] as const satisfies readonly Permission[];

/** Of everybody who belongs to an organization, whatever else they are. */
const BELONG = [
  ...["system.read", "org.read", "member.read", "team.read", "template.read"],
  ...["key.manage", "token.manage"],
] as const satisfies readonly Permission[];
const CREATE = ["box.create"] as const satisfies readonly Permission[];
const ADMIN = [
  ...[...BELONG, ...CREATE, ...RUN_BOX],
  ...["template.write", "org.manage", "member.manage", "team.manage", "service.manage"],
  ...["quota.read", "quota.manage", "audit.read", "audit.manage", "usage.read", "budget.manage"],
  "provider.manage",
] as const satisfies readonly Permission[];

interface Rights {
  readonly any: ReadonlySet<Permission>;
  readonly own: ReadonlySet<Permission>;
}

function rights(any: readonly Permission[], own: readonly Permission[] = []): Rights {
  return { any: new Set(any), own: new Set([...any, ...own]) };
}

export const ORG_RIGHTS: Readonly<Record<OrgRole, Rights>> = {
  // The two differ in whom they may make an owner: see mayGrant.
  owner: rights(ADMIN),
  admin: rights(ADMIN),
  template_author: rights([...BELONG, ...CREATE, "template.write"], RUN_BOX),
  member: rights([...BELONG, ...CREATE], RUN_BOX),
  viewer: rights([...BELONG, ...READ_BOX]),
  auditor: rights([...BELONG, ...READ_BOX, "audit.read", "quota.read", "usage.read"]),
  billing: rights([...BELONG, "quota.read", "usage.read", "budget.manage"]),
};

/** Over the team and its boxes. */
export const TEAM_RIGHTS: Readonly<Record<TeamRole, ReadonlySet<Permission>>> = {
  admin: new Set<Permission>([...CREATE, ...RUN_BOX, "team.manage", "quota.read", "usage.read"]),
  member: new Set<Permission>([...CREATE, ...USE_BOX]),
  viewer: new Set<Permission>(READ_BOX),
};

export const BOX_RIGHTS: Readonly<Record<BoxRole, ReadonlySet<Permission>>> = {
  view: new Set<Permission>(READ_BOX),
  use: new Set<Permission>(USE_BOX),
  admin: new Set<Permission>(RUN_BOX),
};

/** Of whoever runs the installation, in whatever organization they are. */
const OPERATOR: ReadonlySet<Permission> = new Set([
  ...(["node.read", "node.manage", "org.create", "provider.manage", "system.read"] as const),
]);

/** Whether a subject may do something: to a resource, or (without one) to the organization as a whole. */
export function can(
  subject: Subject,
  permission: Permission,
  resource: Resource = { orgId: subject.orgId },
): boolean {
  if (subject.scopes !== null && !subject.scopes.includes(permission)) return false;
  if (subject.isOperator && OPERATOR.has(permission)) return true;
  if (resource.orgId !== subject.orgId) return false;
  const isOwn = resource.ownerId != null && resource.ownerId === subject.userId;
  if (subject.roles.some((role) => ORG_RIGHTS[role][isOwn ? "own" : "any"].has(permission)))
    return true;
  if (subject.roles.length === 0) return false;
  return (
    subject.teams.some(
      ({ teamId, role }) => teamId === resource.teamId && TEAM_RIGHTS[role].has(permission),
    ) || (resource.shares ?? []).some((role) => BOX_RIGHTS[role].has(permission))
  );
}

/** A team's boxes are made by its own people, or by who manages teams: they count to its limits and its budget. */
export function mayCreateIn(subject: Subject, teamId: TeamId | null): boolean {
  const place = { orgId: subject.orgId, teamId };
  if (!can(subject, "box.create", place)) return false;
  return (
    teamId === null ||
    can(subject, "team.manage", place) ||
    subject.teams.some((one) => one.teamId === teamId && TEAM_RIGHTS[one.role].has("box.create"))
  );
}

/**
 * Whether the subject may have the permission over something: over what, the store finds out. Asked of every request
 * before anything is read.
 */
export function mayEver(subject: Subject, permission: Permission): boolean {
  if (subject.scopes !== null && !subject.scopes.includes(permission)) return false;
  if (can(subject, permission)) return true;
  // Of the installation's own trail, not of an organization's.
  if (subject.isOperator && (permission === "audit.read" || permission === "audit.manage"))
    return true;
  // A box can be shared as admin with whoever belongs.
  return (
    subject.roles.length > 0 &&
    (BOX_RIGHTS.admin.has(permission) ||
      subject.teams.some(({ role }) => TEAM_RIGHTS[role].has(permission)))
  );
}

/**
 * Whoever may enter a box may wake it: a gateway's door does it for them, and may do nothing else.
 */
export function doorSubject(orgId: OrgId, userId: UserId): Subject {
  const scopes = ["box.read", "box.control", "operation.read"] as const;
  return { userId, orgId, isOperator: false, roles: ["admin"], teams: [], scopes };
}

/** Permissions over everything of the organization: what a token can be narrowed to, and what is shown of a role. */
export function permissionsOf(subject: Subject): Permission[] {
  const own = { orgId: subject.orgId, ownerId: subject.userId };
  return PERMISSIONS.filter(
    (permission) => can(subject, permission) || can(subject, permission, own),
  );
}

/** Nobody gives what they have not: owners are made and unmade by owners only. */
export function mayGrant(subject: Subject, role: OrgRole): boolean {
  if (!can(subject, "member.manage")) return false;
  if (role === "owner" && !subject.roles.includes("owner")) return false;
  return [...ORG_RIGHTS[role].own].every((permission) =>
    can(subject, permission, { orgId: subject.orgId, ownerId: subject.userId }),
  );
}

/** Nobody shares by a narrowed credential what it may not itself. */
export function isWithinScopes({ scopes }: Subject, permissions: Iterable<Permission>): boolean {
  return scopes === null || [...permissions].every((permission) => scopes.includes(permission));
}
