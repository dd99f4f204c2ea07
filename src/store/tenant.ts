// The database as requests see it: connections of a pool of their own, which log in as a role of their own for one
// organization, so that Postgres itself shows and changes rows of no other (migrations/0010-row-security.sql). A
// connection keeps its organization, and only one that served another before is told anew, with a proof that no
// statement on it could make (migrations/0012-tenant-login.sql).

import { createHash } from "node:crypto";
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  PostgresDialect,
  sql,
} from "kysely";
import type pg from "pg";
import type { OrgId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import type { Db } from "./handle.ts";
import type { RequestFacts } from "./request.ts";
import type { Tables } from "./schema.ts";
import type { TenantSecrets } from "./tenant-login.ts";

/** Whoever calls it, or an operator who does. */
type Who = "anybody" | "operators";

/**
 * The way out: operations that act on the installation, or in more than one organization. All others are held to the
 * organization of their subject by Postgres.
 */
export const OUTSIDE_ROUTES: Readonly<Record<string, Who>> = {
  // Nodes belong to nobody, and tell how much all organizations have on them.
  "nodes.list": "operators",
  "nodes.get": "operators",
  "nodes.update": "operators",
  "nodes.delete": "operators",
  "nodes.drain": "operators",
  "nodes.createJoinToken": "operators",
  // A new organization, and those that one belongs to.
  "orgs.create": "operators",
  "orgs.list": "anybody",
  "orgs.listAll": "operators",
  "orgs.switch": "anybody",
  // Into an organization that the subject is not in yet.
  "invitations.accept": "anybody",
  "invitations.register": "anybody",
  // A key is one person's, in all organizations.
  "keys.create": "anybody",
  // Whoever has a credential of an operator's is one.
  "tokens.create": "operators",
  "webSessions.create": "operators",
  // What the installation tells its operators.
  "events.list": "operators",
  "events.watch": "operators",
  "audit.list": "operators",
  "audit.watch": "operators",
  "audit.export": "operators",
  "audit.head": "operators",
  "audit.updatePolicy": "operators",
  "usage.events": "operators",
  // What operators set for organizations, and look at.
  "prices.get": "operators",
  "prices.set": "operators",
  "quotas.getOrg": "operators",
  "quotas.setOrg": "operators",
  "quotas.setInstallation": "operators",
  // Of the installation; sessions that a provider stands behind may act in any organization.
  "providers.create": "operators",
  "providers.update": "operators",
  "providers.delete": "anybody",
};

export function isOutside({ route, subject }: Pick<RequestFacts, "route" | "subject">): boolean {
  const who = OUTSIDE_ROUTES[route];
  return who === "anybody" || (who === "operators" && subject.isOperator);
}

/** The same database, used for one request. */
export function forRequest(db: Db & { readonly tenants: Tenants }, request: RequestFacts): Db {
  const { query, failpoints, committing, tenants } = db;
  return {
    ...{ failpoints, committing, request },
    query: isOutside(request) ? query : tenants.of(request.subject),
  };
}

/** The same database for one organization, where no request of a subject's asks: a directory, a door of previews. */
export function forOrg(db: Db & { readonly tenants: Tenants }, orgId: OrgId): Db {
  const { failpoints, committing, request, tenants } = db;
  return { failpoints, committing, request, query: tenants.of({ orgId }) };
}

/** Handles are small, but there are as many as organizations. */
const HANDLES_MAX = 5000;

interface TenantPool {
  /** Of the owner of all tables: it reads what the login and its proofs are made of. */
  readonly owner: Kysely<Tables>;
  /** Connections of the login; null: of the owner's. */
  open(login: { readonly name: string; readonly password: string } | null): pg.Pool;
  /** The operator has made the login. */
  readonly isGiven: boolean;
}

export class Tenants {
  readonly #options: TenantPool;
  readonly #driver: Driver;
  readonly #orgs = new WeakMap<DatabaseConnection, OrgId>();
  readonly #handles = new Map<OrgId, Kysely<Tables>>();
  #secrets: Promise<TenantSecrets> | null = null;
  #pool: Promise<pg.Pool> | null = null;

  constructor(options: TenantPool) {
    this.#options = options;
    const pool = () => {
      this.#pool ??= this.#open();
      return this.#pool;
    };
    this.#driver = new PostgresDialect({ pool }).createDriver();
  }

  of({ orgId }: Pick<Subject, "orgId">): Kysely<Tables> {
    const known = this.#handles.get(orgId);
    if (known) return known;
    if (this.#handles.size >= HANDLES_MAX) this.#handles.clear();
    const handle = new Kysely<Tables>({ dialect: this.#dialect(orgId) });
    this.#handles.set(orgId, handle);
    return handle;
  }

  /** True: a statement that somebody slips in could leave its organization. */
  async isShared(): Promise<boolean> {
    return !this.#options.isGiven && (await this.#read()).name === null;
  }

  async close(): Promise<void> {
    await (await this.#pool?.catch(() => null))?.end();
  }

  async #open(): Promise<pg.Pool> {
    try {
      const { name, password } = await this.#read();
      return this.#options.open(name && password ? { name, password } : null);
    } catch (error) {
      this.#pool = null;
      throw error;
    }
  }

  async #read(): Promise<TenantSecrets> {
    this.#secrets ??= sql<TenantSecrets>`
      select key, name, password, quote_ident(current_schema()) as schema from tenant_login`
      .execute(this.#options.owner)
      .then(({ rows }) => rows[0] as TenantSecrets);
    try {
      return await this.#secrets;
    } catch (error) {
      this.#secrets = null;
      throw error;
    }
  }

  #dialect(orgId: OrgId): Dialect {
    const driver = this.#driver;
    // The pool goes to a driver already; this dialect compiles only.
    const dialect = new PostgresDialect({ pool: unused });
    return {
      createAdapter: () => dialect.createAdapter(),
      createQueryCompiler: () => dialect.createQueryCompiler(),
      createIntrospector: (db) => dialect.createIntrospector(db),
      createDriver: () => ({
        init: () => driver.init(),
        acquireConnection: (options) => this.#enter(orgId, options),
        beginTransaction: (connection, settings) => driver.beginTransaction(connection, settings),
        commitTransaction: (connection) => driver.commitTransaction(connection),
        rollbackTransaction: (connection) => driver.rollbackTransaction(connection),
        releaseConnection: (connection) => driver.releaseConnection(connection),
        // The others go on using it.
        destroy: async () => {},
      }),
    };
  }

  /** A connection is given only once it is known to be held to the organization. */
  async #enter(
    orgId: OrgId,
    options: Parameters<Driver["acquireConnection"]>[0],
  ): Promise<DatabaseConnection> {
    const { key, schema } = await this.#read();
    const become = (await this.isShared()) ? "set_config('role', 'berth_tenant', false), " : "";
    const enter = `select ${become}${schema}.bind_org($1, $2)`;
    for (;;) {
      const connection = await this.#driver.acquireConnection(options);
      const before = this.#orgs.get(connection);
      if (before === orgId) return connection;
      try {
        // Unknown until it has answered.
        this.#orgs.delete(connection);
        await connection.executeQuery(CompiledQuery.raw(enter, [orgId, proofOf(key, orgId)]));
        this.#orgs.set(connection, orgId);
        return connection;
      } catch (error) {
        await this.#end(connection);
        // Of one that served another before, that one may have been the reason.
        if (before === undefined) throw error;
      }
    }
  }

  async #end(connection: DatabaseConnection): Promise<void> {
    const leave = () =>
      connection.executeQuery(CompiledQuery.raw(LEAVE)).then(
        () => false,
        (error: { code?: string }) => error.code === CANCELLED,
      );
    // By a time limit that the one before has set.
    for (let tries = 0; tries < LEAVE_TRIES && (await leave()); ) tries += 1;
    // Fails, and so it is not given again.
    await this.#driver.rollbackTransaction(connection).catch(() => {});
    await this.#driver.releaseConnection(connection);
  }
}

const CANCELLED = "57014";
const LEAVE_TRIES = 100;
const LEAVE = "select pg_terminate_backend(pg_backend_pid())";

/** As bind_org checks it (migrations/0012-tenant-login.sql). */
function proofOf(key: Buffer, orgId: OrgId): Buffer {
  const hash = (...parts: (Buffer | string)[]) => {
    const sha = createHash("sha256");
    for (const part of parts) sha.update(part);
    return sha.digest();
  };
  return hash(key, hash(key, orgId));
}

async function unused(): Promise<never> {
  throw new Error("tenants share one pool");
}
