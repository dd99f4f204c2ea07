// The handle that every function of the store takes. Apart from db.ts, whose transactions call some of them.

import type { Kysely } from "kysely";
import type { Failpoints } from "#lib/failpoint.ts";
import type { RequestFacts } from "./request.ts";
import type { Tables } from "./schema.ts";

/** The pool, or one transaction of it. */
export interface Db {
  readonly query: Kysely<Tables>;
  readonly failpoints: Failpoints;
  /** Null outside a transaction. Names of committed transitions, whose failpoints stand after the commit. */
  readonly committing: string[] | null;
  /** Null: for no request, but for Berth itself. */
  readonly request: RequestFacts | null;
}
