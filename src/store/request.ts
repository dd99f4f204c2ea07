// What is known of the request that a piece of work belongs to. It travels with the database handle (`Db.request`), so
// that row security and the audit trail need no word of any function in between. Loops and nodes have none.

import type { Subject } from "#domain/permission.ts";

export interface RequestFacts {
  readonly requestId: string;
  /** The operation: `boxes.create`. */
  readonly route: string;
  readonly address: string | null;
  readonly userAgent: string | null;
  /** Null: nobody was recognized. */
  readonly subject: Subject | null;
  readonly credentialId: string | null;
  /** The parameters of its address as they came: ids or names. */
  readonly resource: Readonly<Record<string, string>>;
  /** What its line in the audit trail is made of; absent: it leaves none, because it only reads. */
  readonly trail?: RequestTrail;
}

export interface RequestTrail {
  /** It is an act on the installation as a whole, and stands in the installation's chain. */
  readonly isInstallation: boolean;
  /** Ids of what it made, changed or entered: noted by the store on the way. */
  readonly touched: Set<string>;
  /** True once a line of it is committed. */
  isWritten: boolean;
}
