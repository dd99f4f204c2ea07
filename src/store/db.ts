// The connection to Postgres: a pool of prepared statements, transactions that retry what Postgres
// undid, and the failpoints that stand before and after every commit.

import { createHash } from "node:crypto";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import type { Failpoints } from "#lib/failpoint.ts";
import type { Log } from "#lib/log.ts";
import { insertRequestEntry } from "./audit.ts";
import type { Db } from "./handle.ts";
import { asRefusal } from "./raised.ts";
import type { RequestFacts } from "./request.ts";
import type { Tables } from "./schema.ts";
import { Tenants } from "./tenant.ts";
import { withLogin } from "./tenant-login.ts";

export type { Db } from "./handle.ts";

export interface Database extends Db {
  /** For requests: held to one organization each. */
  readonly tenants: Tenants;
  readonly url: string;
  close(): Promise<void>;
}

export interface OpenOptions {
  readonly url: string;
  readonly failpoints: Failpoints;
  readonly log: Log;
  readonly poolMax?: number;
  /** A login for requests that the operator has made; absent: the one that tenant-login.ts has made. */
  readonly tenantUrl?: string | null;
}

const POOL_MAX = 16;
/** A query or an abandoned transaction holds nothing up for longer. */
const STATEMENT_TIMEOUT_MS = 30_000;
const IDLE_TRANSACTION_TIMEOUT_MS = 15_000;
const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENTS_MAX = 500;
const ATTEMPTS_MAX = 10;

const INT8_OID = 20;

export function openDatabase(options: OpenOptions): Database {
  const query = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: openPool(options) }) });
  const { url, tenantUrl = null } = options;
  const tenants = new Tenants({
    owner: query,
    isGiven: tenantUrl !== null,
    open: (login) =>
      openPool({ ...options, url: tenantUrl ?? (login ? withLogin(url, login) : url) }),
  });
  return {
    query,
    tenants,
    failpoints: options.failpoints,
    committing: null,
    request: null,
    url,
    close: async () => {
      await tenants.close();
      await query.destroy();
    },
  };
}

function openPool(options: OpenOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.poolMax ?? POOL_MAX,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_TRANSACTION_TIMEOUT_MS,
    application_name: "berth",
    Client: PreparingClient,
    types: {
      // Counters and sizes stay far below 2^53.
      getTypeParser: (oid, format) =>
        oid === INT8_OID && format !== "binary"
          ? Number
          : (pg.types.getTypeParser(oid, format as "text") as never),
    },
  });
  // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
  pool.on("error", (err) => options.log.warn({ err }, "an idle database connection broke"));
  return pool;
}

const names = new Map<string, string>();

/** Every statement is prepared once per connection: twice the rate, for texts that are few and fixed. */
class PreparingClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    // The query that ran is rejected; without a listener the event beside it would end the process.
    this.on("error", () => {});
  }

  // biome-ignore lint/suspicious/noExplicitAny: pg's query has a dozen overloads; only one shape is changed.
  override query(...args: any[]): any {
    const [text, values] = args;
    if (typeof text === "string" && Array.isArray(values) && values.length > 0) {
      const name = nameOf(text);
      if (name) args.splice(0, 2, { name, text, values });
    }
    return (super.query as (...rest: unknown[]) => unknown)(...args);
  }
}

function nameOf(text: string): string | null {
  const known = names.get(text);
  if (known) return known;
  if (names.size >= STATEMENTS_MAX) return null;
  const name = `s${createHash("sha256").update(text).digest("hex").slice(0, 24)}`;
  names.set(text, name);
  return name;
}

/**
 * Runs one transition: everything in `work` commits together or not at all. Inside another transaction it
 * is a part of that one. Deadlocks and serialization failures are tried again, so `work` must only
 * touch the database. What a request does is told in the audit trail before the commit. Failpoints: `NAME.before_commit`, `NAME.committed`.
 */
export async function transact<T>(db: Db, name: string, work: (tx: Db) => Promise<T>): Promise<T> {
  if (db.committing) {
    const result = await work(db);
    await db.failpoints.hit(`${name}.before_commit`);
    db.committing.push(name);
    return result;
  }
  const trail = db.request?.trail;
  const touched = [...(trail?.touched ?? [])];
  for (let attempt = 1; ; attempt += 1) {
    const committing: string[] = [];
    try {
      const result = await db.query.transaction().execute(async (query) => {
        const tx: Db = { query, committing, failpoints: db.failpoints, request: db.request };
        const value = await work(tx);
        if (trail && !trail.isWritten) await insertRequestEntry(tx, db.request as RequestFacts);
        await db.failpoints.hit(`${name}.before_commit`);
        return value;
      });
      if (trail) trail.isWritten = true;
      for (const inner of committing) await db.failpoints.hit(`${inner}.committed`);
      await db.failpoints.hit(`${name}.committed`);
      return result;
    } catch (error) {
      if (attempt >= ATTEMPTS_MAX || !isConflict(error)) throw await asRefusal(db, error);
      if (trail) trail.touched = new Set(touched);
    }
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : "";
}

/** Postgres undid a transaction that would have been fine alone. */
function isConflict(error: unknown): boolean {
  return ["40001", "40P01"].includes(codeOf(error));
}

export function isUniqueViolation(error: unknown, constraint: string): boolean {
  return codeOf(error) === "23505" && (error as { constraint?: string }).constraint === constraint;
}

/** The database cannot be reached, or does not take work now: the API answers 503. */
export function isUnavailable(error: unknown): boolean {
  const code = codeOf(error);
  if (/^(08|53|57P)/.test(code) || ["25P03", "25006", "57014", "58030"].includes(code)) return true;
  if (["ECONNREFUSED", "ECONNRESET", "ENOENT", "EPIPE", "ETIMEDOUT", "EAI_AGAIN"].includes(code))
    return "syscall" in (error as object);
  // pg gives these no code.
  return (
    error instanceof Error &&
    /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/.test(
      error.message,
    )
  );
}
