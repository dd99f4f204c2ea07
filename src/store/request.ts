// The request that work in the store is done for. The handle of the database that a handler gets carries it.

import type { OrgId, UserId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";

export interface RequestFacts {
  readonly requestId: string;
  /** Name of the operation: `boxes.create`. */
  readonly route: string;
  /** False for what only reads. */
  readonly isMutation: boolean;
  readonly subject: Subject;
  /** The token or session that it came with. */
  readonly credentialId: string;
  /** Where it came from: an IP address. */
  readonly address: string;
  readonly userAgent: string | null;
  /** Ids or names in the path: `{ box: "box_…" }`. */
  readonly resource: Readonly<Record<string, string>>;
  /** What its entry in the audit trail is made of; absent: it leaves none. */
  readonly trail?: RequestTrail;
}

export interface RequestTrail {
  /** It is an act on the installation as a whole, and stands in the installation's chain. */
  readonly isInstallation: boolean;
  /** Ids of what it made, changed or entered: noted by the store on the way. */
  touched: Set<string>;
  /** Who it turned out to be, and where: they came as nobody, or from another organization. */
  joined?: { readonly orgId: OrgId; readonly userId: UserId };
  /** True once its entry is committed. */
  isWritten: boolean;
}

/** The request's entry in the audit trail is about somebody who belongs to an organization from now on. */
export function noteJoined(
  { request }: { readonly request: RequestFacts | null },
  who: { readonly orgId: OrgId; readonly userId: UserId },
): void {
  if (request?.trail) request.trail.joined = who;
}

/** Notes an id for the request's entry in the audit trail. */
export function touch(
  { request }: { readonly request: RequestFacts | null },
  id: string | null | undefined,
): void {
  if (id) request?.trail?.touched.add(id);
}
