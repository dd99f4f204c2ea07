// Who may do what: one pure question that every route asks before it acts.

import type { OrgId, UserId } from "./ids.ts";

/** Who is asking. Every access to data takes one. */
export interface Subject {
  readonly userId: UserId;
  readonly orgId: OrgId;
  readonly isAdmin: boolean;
}

export const PERMISSIONS = [
  "box.read",
  "box.create",
  "box.control",
  "box.delete",
  "box.enter",
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
] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** What only an administrator may do, because it concerns every member, or every organization. */
const ADMIN_ONLY: ReadonlySet<Permission> = new Set(["node.manage", "org.manage"]);

export function can(subject: Subject, permission: Permission): boolean {
  return subject.isAdmin || !ADMIN_ONLY.has(permission);
}
